#include "http/route_table.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "http/dashboard_files.hpp"
#include "http/query_string.hpp"
#include "model/event.hpp"

namespace adtrack::http {
namespace {

constexpr unsigned bit(http_method m) { return 1u << static_cast<unsigned>(m); }
constexpr unsigned reads = bit(http_method::get) | bit(http_method::head) | bit(http_method::options);
constexpr unsigned deletes = bit(http_method::del) | bit(http_method::options);
constexpr unsigned posts = bit(http_method::post) | bit(http_method::options);

struct entry {
  std::string_view pattern;
  unsigned methods;
  unsigned admin = 0; // those that are admin calls
};

// In the order of `route`.
constexpr std::array<entry, route_count> entries = {{
    {"other", reads | posts | bit(http_method::put) | bit(http_method::del)},
    {"/api/v1/ads/click", posts},
    {"/api/v1/ads/impression", posts},
    {"/api/v1/ads/playback", posts},
    {"/api/v1/ads/events", posts},
    {"/api/v1/ads", reads | posts, bit(http_method::post)},
    {"/api/v1/ads/{id}", reads | bit(http_method::put) | bit(http_method::del), bit(http_method::put) | bit(http_method::del)},
    {"/api/v1/ads/analytics", reads},
    {"/metrics", reads},
    {"/healthz", reads},
    {"/readyz", reads},
    {"/admin/v1/quarantine", reads, reads},
    {"/api/v1/ads/{id}/click", reads},
    {"/api/v1/ads/{id}/impression.gif", reads},
    {"/openapi.json", reads},
    {"/api/v1/events/{event_id}", reads},
    {"/admin/v1/shards/{n}/digest", reads, reads},
    {"/api/v1/ads/analytics/stream", reads},
    {"/admin/v1/log/{n}", reads, reads},
    {"/admin/v1/visitors", deletes, deletes},
    {"/admin/v1/settings", reads, reads},
    {"/admin/v1/settings/{name}", reads | bit(http_method::put), reads | bit(http_method::put)},
    {"/", reads},
    {"/dashboard/{file}", reads},
    {"/admin/v1/spool/held", reads | bit(http_method::del), reads | bit(http_method::del)},
    {"/admin/v1/spool/held/release", posts, posts},
    {"/admin/v1/shards/{n}/checkpoint", posts, posts},
    {"/admin/v1/log/checkpoint", posts, posts},
}};

unsigned methods(route where, bool admin_calls) {
  const entry& e = entries[static_cast<size_t>(where)];
  return admin_calls ? e.methods : e.methods & ~e.admin;
}

constexpr std::string_view ads_prefix = "/api/v1/ads/";
constexpr std::string_view event_prefix = "/api/v1/events/";
constexpr std::string_view shards_prefix = "/admin/v1/shards/";
constexpr std::string_view log_prefix = "/admin/v1/log/";
constexpr std::string_view settings_prefix = "/admin/v1/settings/";
constexpr std::string_view dashboard_prefix = "/dashboard/";

bool starts_with(std::string_view text, std::string_view prefix) { return text.substr(0, prefix.size()) == prefix; }

// Decimal without sign or leading zeros.
template <class Number>
bool decimal(std::string_view text, Number& out) {
  auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), out);
  return code == std::errc() && end == text.data() + text.size() && (text[0] != '0' || text.size() == 1);
}

// An event_id may hold any visible character, so an encoded slash is one of it.
route_match match_event(std::string_view id) {
  route_match found;
  if (!id.empty() && id.back() == '/') id.remove_suffix(1);
  if (id.empty() || id.find('/') != std::string_view::npos || !percent_decode(id, false, found.event_id)) return {};
  found.where = route::event;
  return found;
}

route_match match_shard(std::string_view rest) {
  route_match found;
  const auto slash = std::min(rest.find('/'), rest.size());
  if (!decimal(rest.substr(0, slash), found.shard)) return {};
  if (rest.substr(slash) == "/digest") found.where = route::digest;
  if (rest.substr(slash) == "/checkpoint") found.where = route::shard_checkpoint;
  return found.where == route::none ? route_match() : found;
}

route_match match_log(std::string_view rest) {
  route_match found;
  if (!decimal(rest, found.shard)) return {};
  found.where = route::log;
  return found;
}

route_match match_setting(std::string_view name) {
  route_match found;
  if (name.empty() || name.find('/') != std::string_view::npos) return {};
  found.where = route::setting;
  found.setting = name;
  return found;
}

route_match match_dashboard_file(std::string_view name) {
  route_match found;
  for (size_t i = 1; i < dashboard_file_count; ++i) {
    if (dashboard_files[i].name != name) continue;
    found.where = route::dashboard_file;
    found.file = i;
  }
  return found;
}

route_match match_plain(std::string_view path) {
  if (path.size() > 2 && path.back() == '/') path.remove_suffix(1);
  for (size_t i = 1; i < route_count; ++i)
    if (entries[i].pattern == path && path.find('{') == std::string_view::npos) {
      route_match found;
      found.where = static_cast<route>(i);
      return found;
    }
  if (starts_with(path, shards_prefix)) return match_shard(path.substr(shards_prefix.size()));
  if (starts_with(path, log_prefix)) return match_log(path.substr(log_prefix.size()));
  if (starts_with(path, settings_prefix)) return match_setting(path.substr(settings_prefix.size()));
  if (starts_with(path, dashboard_prefix)) return match_dashboard_file(path.substr(dashboard_prefix.size()));
  if (!starts_with(path, ads_prefix)) return {};
  auto id = path.substr(ads_prefix.size());
  const auto slash = std::min(id.find('/'), id.size());
  const auto rest = id.substr(slash);
  id = id.substr(0, slash);
  route_match found;
  if (rest.empty())
    found.where = route::ad;
  else if (rest == "/click")
    found.where = route::visit_click;
  else if (rest == "/impression.gif")
    found.where = route::visit_impression;
  else
    return {};
  const bool good = decimal(id, found.ad_id) && found.ad_id > 0 && found.ad_id <= max_ad_id;
  return good ? found : route_match{};
}

} // namespace

route_match match_route(std::string_view path) {
  if (starts_with(path, event_prefix)) return match_event(path.substr(event_prefix.size()));
  if (path.find('%') == std::string_view::npos) return match_plain(path);
  std::string decoded;
  // An encoded slash is not a separator: such a path names nothing here.
  if (!percent_decode(path, false, decoded) || path.find("%2F") != std::string_view::npos ||
      path.find("%2f") != std::string_view::npos)
    return {};
  return match_plain(decoded);
}

std::string_view pattern(route where) noexcept { return entries[static_cast<size_t>(where)].pattern; }

bool visible(route where, bool admin_calls) noexcept { return methods(where, admin_calls) != 0; }

bool allows(route where, http_method method, bool admin_calls) noexcept { return methods(where, admin_calls) & bit(method); }

std::string allowed_methods(route where, bool admin_calls) {
  std::string out;
  for (size_t m = 0; m < http_method_count; ++m) {
    if (!allows(where, static_cast<http_method>(m), admin_calls)) continue;
    if (!out.empty()) out += ", ";
    out += to_string(static_cast<http_method>(m));
  }
  return out;
}

} // namespace adtrack::http
