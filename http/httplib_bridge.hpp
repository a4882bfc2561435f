// cpp-httplib as far as we use it: its Server binds the socket, and its process_request runs each request that is not hot, over
// memory. The library sees a request line only: our framer has read the headers already, and what httplib is not shown
// (percent-decoded values, Range, Accept-Encoding, REMOTE_ADDR) cannot be misused. Thread-safe once bound; the one room that
// includes httplib.h.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "http/framer.hpp"
#include "http/reply.hpp"

namespace adtrack::http {

class httplib_bridge {
public:
  // Fills the reply; false: the reply is deferred.
  using handler = std::function<bool(reply& now)>;

  httplib_bridge();
  ~httplib_bridge();

  // Binds and listens. The descriptor is non-blocking and stays the bridge's until close_listener().
  bool bind(const std::string& host, uint16_t port, int backlog, int& fd, uint16_t& bound_port, std::string& error);
  void close_listener();

  // Runs `handle` inside httplib's request processing and appends the rendered reply to `out`; gives its status, 0 when deferred.
  int process(http_method method, std::string_view path, const reply_frame& frame, const handler& handle, std::string& out);

private:
  class library;
  std::unique_ptr<library> library_;
};

} // namespace adtrack::http
