#include "http/acceptor.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "config/telemetry.hpp"
#include "http/problem.hpp"

namespace adtrack::http {
namespace {

constexpr int retry_ms = 20;    // before asking again when descriptors ran out
constexpr int last_rounds = 64; // of accepting at the end: more than any backlog holds

// Says that there is no room; whoever does not take it in one send does not get it.
void turn_away(int fd) {
  reply r = make_problem(problem_kind::overloaded, "Too many connections; try again.", "none");
  std::string out;
  append_reply(out, r, {"none", false, true, false, {}});
  [[maybe_unused]] auto sent = ::send(fd, out.data(), out.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  ::shutdown(fd, SHUT_WR);
  // What the client sent already must be read, or closing resets the connection before the answer arrives.
  std::array<char, 4096> dropped{};
  while (::recv(fd, dropped.data(), dropped.size(), MSG_DONTWAIT) == static_cast<ssize_t>(dropped.size())) {
  }
  ::close(fd);
}

} // namespace

acceptor::acceptor(bool tls, std::function<bool()> admit, std::function<void(int)> hand_on)
    : tls_(tls), admit_(std::move(admit)), hand_on_(std::move(hand_on)) {}

acceptor::~acceptor() {
  stop();
  if (event_ >= 0) ::close(event_);
}

bool acceptor::start(int listener, std::string& error) {
  listener_ = listener;
  event_ = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (event_ < 0) {
    error = std::string("cannot start accepting: ") + std::strerror(errno);
    return false;
  }
  thread_ = std::thread([this] { run(); });
  return true;
}

void acceptor::stop() {
  if (!thread_.joinable()) return;
  uint64_t one = 1;
  [[maybe_unused]] auto written = ::write(event_, &one, sizeof one);
  thread_.join();
}

void acceptor::run() {
  bool starved = false;
  for (;;) {
    std::array<pollfd, 2> fds = {{{event_, POLLIN, 0}, {listener_, POLLIN, 0}}};
    // While starved the listener stays readable, so only the stop event and the clock are waited for.
    if (::poll(fds.data(), starved ? 1 : 2, starved ? retry_ms : -1) < 0 && errno != EINTR) return;
    if (fds[0].revents != 0) break;
    bool had_room = !starved;
    starved = accept_some() == took::starved;
    if (starved && had_room)
      config::log(config::log_level::warning, "http", "accept_failed", "no descriptors or memory for another connection");
  }
  // Closing the listener resets what waits in its backlog, and the requests that were sent there.
  for (int i = 0; i < last_rounds && accept_some() == took::some; ++i) {
  }
}

acceptor::took acceptor::accept_some() {
  for (int i = 0; i < 256; ++i) {
    int fd = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      if (admit_())
        hand_on_(fd);
      else if (tls_)
        ::close(fd);
      else
        turn_away(fd);
      continue;
    }
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) return took::starved;
    if (errno != EINTR && errno != ECONNABORTED) return took::all;
  }
  return took::some;
}

} // namespace adtrack::http
