// Which resource a path names and which methods it has. Literal comparison: no regular expressions, no recursion. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "http/framer.hpp"

namespace adtrack::http {

enum class route : uint8_t {
  none,
  click,
  impression,
  playback,
  events,
  ads,
  ad,
  analytics,
  metrics,
  healthz,
  readyz,
  quarantine
};
inline constexpr size_t route_count = 12;

struct route_match {
  route where = route::none;
  uint64_t ad_id = 0; // of route::ad
};

// `path` as sent; percent-encoding is undone first, and one slash at the end makes no difference.
route_match match_route(std::string_view path);

// POST takes one event, answered once it is durable.
constexpr bool takes_one_event(route where) noexcept {
  return where == route::click || where == route::impression || where == route::playback;
}

std::string_view pattern(route where) noexcept;        // "/api/v1/ads/{id}"; "other" for none
bool allows(route where, http_method method) noexcept; // HEAD where GET is; OPTIONS everywhere
std::string allowed_methods(route where);              // for Allow

} // namespace adtrack::http
