// An answer before it is bytes, and the one way to make it bytes. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace adtrack::http {

using header_lines = std::vector<std::pair<std::string_view, std::string>>;

struct reply {
  int status = 200;
  std::string_view content_type; // a literal; empty without a body
  std::string body;
  // Names are literals; values are ours, never bytes out of a request that were not checked.
  header_lines headers;
  bool endless = false; // more of the body follows until the connection ends, so it has no length
};

inline constexpr std::string_view json_type = "application/json";
reply json_reply(int status, std::string body);

struct reply_frame {
  std::string_view request_id; // checked charset
  bool head_only = false;      // HEAD: the headers of the body that is not sent
  bool close = false;
  bool http_1_0 = false;
  std::string_view date;              // as http_date() writes it; empty: left out
  const header_lines* more = nullptr; // headers besides the reply's own
};

std::string_view reason_phrase(int status) noexcept;
// True for statuses that never carry a body or its length (204, 304).
bool bodiless(int status) noexcept;
std::string http_date(int64_t unix_s); // "Tue, 22 Jul 2025 16:16:12 GMT" (RFC 9110, 5.6.7)
void append_reply(std::string& out, const reply& r, const reply_frame& frame);

} // namespace adtrack::http
