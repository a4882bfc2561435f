#include "http/dashboard.hpp"

#include <xxhash.h>

#include <string>

#include "http/ads_request.hpp"
#include "http/dashboard_files.hpp"
#include "http/json_text.hpp"

namespace adtrack::http {
namespace {

constexpr const char* policy =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

bool ends_with(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

std::string_view type_of(std::string_view name) {
  if (ends_with(name, ".html")) return "text/html; charset=utf-8";
  return ends_with(name, ".css") ? "text/css; charset=utf-8" : "text/javascript; charset=utf-8";
}

} // namespace

reply dashboard_reply(size_t file, std::string_view if_none_match) {
  const auto& [name, text] = dashboard_files[file];
  std::string tag = "\"";
  append_uint(tag, XXH3_64bits(text.data(), text.size()));
  tag += '"';
  reply r;
  r.content_type = type_of(name);
  if (!if_none_match.empty() && matches_any(if_none_match, tag))
    r.status = 304;
  else
    r.body = text;
  r.headers.emplace_back("ETag", std::move(tag));
  r.headers.emplace_back("Cache-Control", "no-cache");
  r.headers.emplace_back("Content-Security-Policy", policy);
  r.headers.emplace_back("Referrer-Policy", "no-referrer");
  r.headers.emplace_back("X-Content-Type-Options", "nosniff");
  return r;
}

} // namespace adtrack::http
