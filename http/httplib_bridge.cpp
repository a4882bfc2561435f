#include "http/httplib_bridge.hpp"

#include <fcntl.h>
#include <httplib.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>

#include "config/telemetry.hpp"
#include "http/problem.hpp"

namespace adtrack::http {
namespace {

// The request that this thread's process() is in.
struct call {
  const httplib_bridge::handler* handle = nullptr;
  const reply_frame* frame = nullptr;
  bool deferred = false;
  bool handled = false;
  int status = 0;
};
thread_local call* current = nullptr;

class memory_stream final : public httplib::Stream {
public:
  memory_stream(std::string_view in, std::string& out) : in_(in), out_(out) {}
  bool is_readable() const override { return !in_.empty(); }
  bool is_writable() const override { return true; }
  ssize_t read(char* to, size_t size) override {
    size = std::min(size, in_.size());
    std::memcpy(to, in_.data(), size);
    in_.remove_prefix(size);
    return static_cast<ssize_t>(size);
  }
  ssize_t write(const char* data, size_t size) override {
    if (!current->deferred) out_.append(data, size);
    return static_cast<ssize_t>(size);
  }
  void get_remote_ip_and_port(std::string&, int&) const override {}
  void get_local_ip_and_port(std::string&, int&) const override {}
  socket_t socket() const override { return INVALID_SOCKET; }

private:
  std::string_view in_;
  std::string& out_;
};

void fill(httplib::Response& to, reply&& from) {
  to.status = from.status;
  to.headers.erase("Content-Type");
  if (!from.content_type.empty()) to.set_header("Content-Type", std::string(from.content_type));
  for (auto& [name, value] : from.headers) to.set_header(std::string(name), value);
  to.body = std::move(from.body);
}

reply guarded(const call& c, bool& deferred) {
  reply now;
  try {
    deferred = !(*c.handle)(now);
    return now;
  } catch (const std::exception& e) {
    config::log(config::log_level::error, "http", "handler_threw", e.what(), {{"request_id", c.frame->request_id}});
  }
  deferred = false;
  return make_problem(problem_kind::internal, {}, c.frame->request_id);
}

} // namespace

class httplib_bridge::library final : public httplib::Server {
public:
  library() {
    set_pre_routing_handler([](const httplib::Request&, httplib::Response& res) {
      call& c = *current;
      c.handled = true;
      auto now = guarded(c, c.deferred);
      if (c.deferred)
        res.status = 202; // rendered into nothing
      else
        fill(res, std::move(now));
      return HandlerResponse::Handled;
    });
    // What httplib refuses by itself before it asks us.
    set_error_handler(Handler([](const httplib::Request&, httplib::Response& res) {
      if (!current->handled) fill(res, make_problem(kind_of_frame_status(res.status), {}, current->frame->request_id));
    }));
    set_post_routing_handler([](const httplib::Request&, httplib::Response& res) {
      const reply_frame& frame = *current->frame;
      current->status = res.status;
      res.headers.erase("Keep-Alive");
      res.headers.erase("Accept-Ranges");
      res.headers.erase("Connection");
      if (frame.close)
        res.set_header("Connection", "close");
      else if (frame.http_1_0)
        res.set_header("Connection", "keep-alive");
      if (bodiless(res.status)) res.headers.erase("Content-Length");
      if (!frame.date.empty()) res.set_header("Date", std::string(frame.date));
      if (frame.more != nullptr)
        for (const auto& [name, value] : *frame.more) res.set_header(std::string(name), value);
      res.set_header("X-Request-Id", std::string(frame.request_id));
    });
    // The packaged default is SO_REUSEPORT, with which a second process would silently share the port.
    set_socket_options([](socket_t fd) {
      int yes = 1;
      ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    });
  }
  ~library() override { close_socket(); }

  int socket() const { return svr_sock_; }
  void close_socket() {
    int fd = svr_sock_.exchange(INVALID_SOCKET);
    if (fd != INVALID_SOCKET) ::close(fd);
  }
  bool run(httplib::Stream& stream, bool close) {
    bool closed = false;
    return process_request(stream, close, closed, nullptr);
  }
};

httplib_bridge::httplib_bridge() : library_(std::make_unique<library>()) {}
httplib_bridge::~httplib_bridge() = default;

bool httplib_bridge::bind(const std::string& host, uint16_t port, int backlog, int& fd, uint16_t& bound_port,
                          std::string& error) {
  errno = 0;
  int got = port;
  if (port == 0)
    got = library_->bind_to_any_port(host);
  else if (!library_->bind_to_port(host, port))
    got = -1;
  // httplib listens with a backlog of 5; a second listen() on the same socket sets ours.
  if (got <= 0 || ::listen(library_->socket(), backlog) != 0) {
    error = "cannot listen on " + host + ":" + std::to_string(port) + ": " +
            (errno != 0 ? std::strerror(errno) : "the address cannot be resolved");
    close_listener();
    return false;
  }
  fd = library_->socket();
  ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
  ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  bound_port = static_cast<uint16_t>(got);
  return true;
}

void httplib_bridge::close_listener() { library_->close_socket(); }

int httplib_bridge::process(http_method method, std::string_view path, const reply_frame& frame, const handler& handle,
                            std::string& out) {
  std::string line(to_string(method));
  line += ' ';
  line += path.empty() ? std::string_view("/") : path;
  line += " HTTP/1.1\r\n\r\n";
  call c;
  c.handle = &handle;
  c.frame = &frame;
  current = &c;
  size_t before = out.size();
  memory_stream stream(line, out);
  try {
    library_->run(stream, frame.close);
  } catch (const std::exception& e) {
    config::log(config::log_level::error, "http", "library_threw", e.what(), {{"request_id", frame.request_id}});
    out.resize(before);
  }
  current = nullptr;
  if (c.deferred) return 0;
  if (out.size() == before) {
    reply r = make_problem(problem_kind::internal, {}, frame.request_id);
    append_reply(out, r, frame);
    return r.status;
  }
  return c.status;
}

} // namespace adtrack::http
