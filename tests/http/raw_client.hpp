// A blocking loopback client that sends exact bytes and reads one reply at a time. Every wait is bounded by `patience`.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>

#include "tests/http/patience.hpp"

namespace adtrack::tests {

struct raw_reply {
  int status = 0; // 0: the connection ended before a reply
  std::string head;
  std::string body;
  // The value of a header, empty when it is missing; names as the server writes them.
  std::string header(std::string_view name) const {
    auto at = head.find("\r\n" + std::string(name) + ": ");
    if (at == std::string::npos) return {};
    at += name.size() + 4;
    return head.substr(at, head.find("\r\n", at) - at);
  }
  bool has(std::string_view text) const { return body.find(text) != std::string::npos; }
};

class raw_client {
public:
  explicit raw_client(uint16_t port, int receive_buffer = 0) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    timeval limit{patience.count(), 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (receive_buffer > 0) ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    int yes = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd_ < 0 || ::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) throw std::runtime_error("cannot connect");
  }
  virtual ~raw_client() { close(); }
  raw_client(const raw_client&) = delete;
  raw_client& operator=(const raw_client&) = delete;

  // False once the server took no more.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      ssize_t n = transmit(bytes.data(), bytes.size());
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(n));
    }
    return true;
  }
  void half_close() { ::shutdown(fd_, SHUT_WR); }
  // Closes with a reset.
  void reset() {
    linger at_once{1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close();
  }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  raw_reply read(bool to_head = false) {
    raw_reply r;
    size_t end = 0;
    while ((end = held_.find("\r\n\r\n")) == std::string::npos)
      if (!more()) return r;
    r.head = held_.substr(0, end + 2);
    r.status = std::stoi(r.head.substr(9));
    held_.erase(0, end + 4);
    auto length = r.header("Content-Length");
    size_t size = length.empty() || to_head ? 0 : static_cast<size_t>(std::stoll(length));
    while (held_.size() < size)
      if (!more()) return r;
    r.body = held_.substr(0, size);
    held_.erase(0, size);
    return r;
  }
  raw_reply ask(std::string_view bytes) {
    send(bytes);
    return read(bytes.substr(0, 5) == "HEAD ");
  }
  // True when no byte of an answer is there now.
  bool silent() {
    char one = 0;
    return held_.empty() && ::recv(fd_, &one, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
  }
  // True when the server closed and nothing is left to read.
  bool at_end() { return held_.empty() && !more() && closed_; }

protected:
  // As recv() and send(), but that a process which was stopped for a while goes on.
  virtual ssize_t receive(char* to, size_t size) {
    ssize_t n = 0;
    while ((n = ::recv(fd_, to, size, 0)) < 0 && errno == EINTR) {
    }
    return n;
  }
  virtual ssize_t transmit(const char* from, size_t size) {
    ssize_t n = 0;
    while ((n = ::send(fd_, from, size, MSG_NOSIGNAL)) < 0 && errno == EINTR) {
    }
    return n;
  }
  int fd_ = -1;

private:
  bool more() {
    char buffer[16384];
    ssize_t n = receive(buffer, sizeof buffer);
    closed_ = n == 0 || (n < 0 && errno == ECONNRESET);
    if (n <= 0) return false;
    held_.append(buffer, static_cast<size_t>(n));
    return true;
  }
  bool closed_ = false;
  std::string held_;
};

inline std::string post(std::string_view path, std::string_view body, std::string_view more = "",
                        std::string_view type = "application/json") {
  std::string out = "POST " + std::string(path) + " HTTP/1.1\r\nHost: x\r\nContent-Type: " + std::string(type) +
                    "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" + std::string(more) + "\r\n";
  return out.append(body);
}
inline std::string click(std::string_view id) {
  return post("/api/v1/ads/click",
              "{\"event_id\":\"" + std::string(id) + "\",\"ad_id\":32,\"user_ip\":\"192.168.1.7\",\"agent\":\"A\"}");
}
inline std::string get(std::string_view target, std::string_view more = "") {
  return "GET " + std::string(target) + " HTTP/1.1\r\nHost: x\r\n" + std::string(more) + "\r\n";
}

} // namespace adtrack::tests
