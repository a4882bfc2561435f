// A browser that follows a click link or shows an impression image: the event comes out of the request itself. Answers are made
// so that whatever happens to the event, the visitor sees what the link promised.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "http/problem.hpp"
#include "http/query_string.hpp"
#include "http/reply.hpp"
#include "http/route_table.hpp"

namespace adtrack::http {

struct visit_query {
  std::string event_id; // "": none given
  std::string key_id;
  std::string signature;
  int64_t expires_s = 0;
  bool is_signed = false; // one of exp, kid, sig is there
};

// event_id, exp, kid and sig, each at most once; other parameters are the advertiser's and are passed over.
bool read_visit_query(const std::vector<query_parameter>& parameters, visit_query& out, std::vector<field_error>& errors);

// A random UUID (version 4, RFC 9562) from the operating system's generator.
std::string make_event_id();

// 302 to `url`, or the image. `event_id` "": HEAD, which records nothing.
reply visit_reply(route where, const std::string& url, const std::string& event_id, bool recorded);

} // namespace adtrack::http
