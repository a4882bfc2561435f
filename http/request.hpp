// One framed request as the handlers see it: views into the connection's bytes, valid during the call only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "http/framer.hpp"
#include "http/route_table.hpp"
#include "model/ip_address.hpp"

namespace adtrack::http {

struct request {
  const request_head& head;
  std::string_view bytes; // head and body as they came
  std::string_view body;  // decoded when it came in chunks
  route_match target;
  std::string_view request_id; // accepted or made; safe to echo
  std::string_view trace;      // as trace_parent() gives it; empty: none
  ip_address peer;
  int64_t now_ms = 0;      // the server's clock, unix ms
  int64_t steady_us = 0;   // when it was framed
  bool admin_calls = true; // its listener takes them

  bool has(header h) const noexcept { return head.has(h); }
  std::string_view value(header h) const noexcept { return head.value(h, bytes); }
};

} // namespace adtrack::http
