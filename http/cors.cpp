#include "http/cors.hpp"

#include <algorithm>

namespace adtrack::http {
namespace {

constexpr const char* exposed = "X-Request-Id, Retry-After, ETag, Location, Adtrack-Total, Adtrack-Complete, Adtrack-Real-Time, "
                                "Adtrack-Resolution, Adtrack-Lag-Ms, Adtrack-Since, Adtrack-Until, Adtrack-Log-Faults";
constexpr const char* asked_for = "Authorization, Content-Type, Content-Encoding, If-Match, If-None-Match, X-Request-Id";

bool one_of(char c, std::string_view more) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || more.find(c) != std::string_view::npos;
}

// scheme://host[:port] as browsers write it.
bool is_origin(std::string_view text) {
  size_t end = text.find("://");
  if (end == std::string_view::npos || end == 0) return false;
  auto scheme = text.substr(0, end);
  auto rest = text.substr(end + 3);
  return !rest.empty() && std::all_of(scheme.begin(), scheme.end(), [](char c) { return one_of(c, "+-."); }) &&
         std::all_of(rest.begin(), rest.end(), [](char c) { return one_of(c, "-._:[]"); });
}

} // namespace

bool cors_policy::open(const std::vector<std::string>& origins, uint32_t max_age_secs, std::string& error) {
  any_ = false;
  entries_.clear();
  stranger_.clear();
  max_age_ = std::to_string(max_age_secs);
  for (const auto& origin : origins) {
    bool star = origin == "*";
    if (star ? origins.size() > 1 : !is_origin(origin)) {
      error = "cors.origins: \"" + origin +
              "\" must be * alone, or an origin such as https://shop.example in lower case, without a slash at the end";
      return false;
    }
    any_ |= star;
    header_lines lines = {{"Access-Control-Allow-Origin", origin}, {"Access-Control-Expose-Headers", exposed}};
    if (!star) lines.emplace_back("Vary", "Origin");
    entries_.push_back({origin, std::move(lines)});
  }
  if (!origins.empty() && !any_) stranger_ = {{"Vary", "Origin"}};
  return true;
}

bool cors_policy::allows(std::string_view origin) const noexcept {
  return !origin.empty() &&
         (any_ || std::any_of(entries_.begin(), entries_.end(), [&](const entry& e) { return e.origin == origin; }));
}

const header_lines* cors_policy::lines(std::string_view origin) const noexcept {
  if (entries_.empty()) return nullptr;
  if (any_) return &entries_.front().lines;
  for (const auto& e : entries_)
    if (e.origin == origin) return &e.lines;
  return &stranger_;
}

void cors_policy::add_preflight(reply& to, const std::string& methods) const {
  to.headers.emplace_back("Access-Control-Allow-Methods", methods);
  to.headers.emplace_back("Access-Control-Allow-Headers", asked_for);
  to.headers.emplace_back("Access-Control-Max-Age", max_age_);
}

} // namespace adtrack::http
