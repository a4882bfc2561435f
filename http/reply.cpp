#include "http/reply.hpp"

#include <chrono>
#include <cstdio>

#include "http/json_text.hpp"

namespace adtrack::http {

reply json_reply(int status, std::string body) {
  reply r;
  r.status = status;
  r.content_type = json_type;
  r.body = std::move(body);
  return r;
}

namespace {

void append_lines(std::string& out, const header_lines& lines) {
  for (const auto& [name, value] : lines) {
    out += name;
    out += ": ";
    out += value;
    out += "\r\n";
  }
}

} // namespace

std::string_view reason_phrase(int status) noexcept {
  switch (status) {
  case 200: return "OK";
  case 201: return "Created";
  case 202: return "Accepted";
  case 204: return "No Content";
  case 304: return "Not Modified";
  case 400: return "Bad Request";
  case 401: return "Unauthorized";
  case 403: return "Forbidden";
  case 404: return "Not Found";
  case 405: return "Method Not Allowed";
  case 408: return "Request Timeout";
  case 409: return "Conflict";
  case 412: return "Precondition Failed";
  case 413: return "Content Too Large";
  case 414: return "URI Too Long";
  case 415: return "Unsupported Media Type";
  case 417: return "Expectation Failed";
  case 429: return "Too Many Requests";
  case 431: return "Request Header Fields Too Large";
  case 501: return "Not Implemented";
  case 503: return "Service Unavailable";
  case 504: return "Gateway Timeout";
  case 505: return "HTTP Version Not Supported";
  default: return "Internal Server Error";
  }
}

bool bodiless(int status) noexcept { return status == 204 || status == 304; }

std::string http_date(int64_t unix_s) {
  using namespace std::chrono;
  static constexpr const char* day_names[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr const char* month_names[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  sys_seconds at{seconds(unix_s)};
  auto midnight = floor<days>(at);
  year_month_day date(midnight);
  hh_mm_ss time(at - midnight);
  char text[64];
  int size = std::snprintf(text, sizeof text, "%s, %02u %s %04d %02d:%02d:%02d GMT", day_names[weekday(midnight).c_encoding()],
                           static_cast<unsigned>(date.day()), month_names[static_cast<unsigned>(date.month()) - 1],
                           static_cast<int>(date.year()), static_cast<int>(time.hours().count()),
                           static_cast<int>(time.minutes().count()), static_cast<int>(time.seconds().count()));
  return std::string(text, static_cast<size_t>(size));
}

void append_reply(std::string& out, const reply& r, const reply_frame& frame) {
  out += "HTTP/1.1 ";
  append_int(out, r.status);
  out += ' ';
  out += reason_phrase(r.status);
  out += "\r\n";
  if (!r.content_type.empty() && !bodiless(r.status)) {
    out += "Content-Type: ";
    out += r.content_type;
    out += "\r\n";
  }
  if (!bodiless(r.status) && !r.endless) {
    out += "Content-Length: ";
    append_uint(out, r.body.size());
    out += "\r\n";
  }
  append_lines(out, r.headers);
  if (frame.more != nullptr) append_lines(out, *frame.more);
  if (!frame.date.empty()) {
    out += "Date: ";
    out += frame.date;
    out += "\r\n";
  }
  out += "X-Request-Id: ";
  out += frame.request_id;
  out += "\r\n";
  if (frame.close || (r.endless && !frame.head_only))
    out += "Connection: close\r\n";
  else if (frame.http_1_0)
    out += "Connection: keep-alive\r\n";
  out += "\r\n";
  if (!frame.head_only && !bodiless(r.status)) out += r.body;
}

} // namespace adtrack::http
