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
  quarantine,
  visit_click,
  visit_impression,
  openapi,
  event,
  digest,
  stream,
  log,
  visitors,
  settings,
  setting,
  dashboard,
  dashboard_file,
  held,
  held_release,
  shard_checkpoint,
  log_checkpoint
};
inline constexpr size_t route_count = 28;

struct route_match {
  route where = route::none;
  uint64_t ad_id = 0;   // of route::ad and the visits
  uint32_t shard = 0;   // of route::digest, shard_checkpoint and log
  size_t file = 0;      // of route::dashboard and dashboard_file: which of dashboard_files
  std::string event_id; // of route::event, decoded
  std::string setting;  // of route::setting, its name
};

// `path` as sent; percent-encoding is undone first, and one slash at the end makes no difference.
route_match match_route(std::string_view path);

// POST takes one event, answered once it is durable.
constexpr bool takes_one_event(route where) noexcept {
  return where == route::click || where == route::impression || where == route::playback;
}

// GET records an event, as a browser that follows a link or shows an image does it.
constexpr bool is_visit(route where) noexcept { return where == route::visit_click || where == route::visit_impression; }

std::string_view pattern(route where) noexcept; // "/api/v1/ads/{id}"; "other" for none
// Admin calls are resources, or methods of them, that a listener for others does not have (`admin_calls` false).
bool visible(route where, bool admin_calls) noexcept;
bool allows(route where, http_method method, bool admin_calls) noexcept; // HEAD where GET is; OPTIONS everywhere
std::string allowed_methods(route where, bool admin_calls);              // for Allow

} // namespace adtrack::http
