#include "model/analytics.hpp"

#include <charconv>
#include <cmath>

namespace adtrack {
namespace {

// Decimal digits only, without sign or leading zeros; the whole of `text`.
template <class Number>
bool parse_decimal(std::string_view text, Number& out) noexcept {
  if (text.empty() || text[0] < '0' || text[0] > '9' || (text[0] == '0' && text.size() > 1)) return false;
  const auto end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, out);
  return error == std::errc{} && stop == end;
}

} // namespace

std::string_view to_string(resolution r) noexcept {
  switch (r) {
  case resolution::second: return "second";
  case resolution::minute: return "minute";
  case resolution::quarter_hour: return "quarter_hour";
  case resolution::hour: return "hour";
  case resolution::day: return "day";
  }
  return {};
}

std::string_view to_string(granularity g) noexcept {
  switch (g) {
  case granularity::none: return "none";
  case granularity::second: return "second";
  case granularity::minute: return "minute";
  case granularity::hour: return "hour";
  case granularity::day: return "day";
  }
  return {};
}

bool parse(std::string_view text, granularity& out) noexcept {
  for (auto g : {granularity::second, granularity::minute, granularity::hour, granularity::day}) {
    if (to_string(g) != text) continue;
    out = g;
    return true;
  }
  return false;
}

std::string_view to_string(log_fault f) noexcept {
  switch (f) {
  case log_fault::none: return "none";
  case log_fault::fork: return "fork";
  case log_fault::gap: return "gap";
  }
  return {};
}

std::string_view to_string(sort_key k) noexcept {
  switch (k) {
  case sort_key::ad_id: return "ad_id";
  case sort_key::click_count: return "click_count";
  case sort_key::unique_clicks: return "unique_clicks";
  case sort_key::avg_playback_time: return "avg_playback_time";
  case sort_key::avg_watch_percent: return "avg_watch_percent";
  case sort_key::last_updated: return "last_updated";
  case sort_key::impressions: return "impressions";
  case sort_key::ctr: return "ctr";
  case sort_key::gross_clicks: return "gross_clicks";
  case sort_key::duplicates: return "duplicates";
  case sort_key::conflicts: return "conflicts";
  case sort_key::restated: return "restated";
  }
  return {};
}

bool parse(std::string_view text, row_order& out) noexcept {
  const bool descending = text.starts_with('-');
  if (descending) text.remove_prefix(1);
  for (uint8_t k = 0; k <= static_cast<uint8_t>(sort_key::restated); ++k) {
    const auto key = static_cast<sort_key>(k);
    if (to_string(key) != text) continue;
    out = {key, descending};
    return true;
  }
  return false;
}

uint64_t shown_uniques(const window_numbers& n) noexcept {
  return n.unique_clicks <= 0 ? 0 : static_cast<uint64_t>(std::llround(n.unique_clicks));
}

double average(uint64_t sum, uint64_t count) noexcept {
  return count == 0 ? 0.0 : static_cast<double>(sum) / static_cast<double>(count);
}

std::optional<double> click_through_rate(const counters& c) noexcept {
  const auto impressions = c[metric::valid_impressions];
  if (impressions == 0) return std::nullopt;
  return static_cast<double>(c[metric::valid_clicks]) / static_cast<double>(impressions);
}

namespace {

std::optional<double> value_of(const analytics_row& row, sort_key key) noexcept {
  const auto& c = row.count;
  switch (key) {
  case sort_key::ad_id: break; // every order ends with it
  case sort_key::click_count: return static_cast<double>(c[metric::valid_clicks]);
  case sort_key::unique_clicks: return static_cast<double>(shown_uniques(row));
  case sort_key::avg_playback_time: return average(c[metric::play_time_sum], c[metric::play_time_count]);
  case sort_key::avg_watch_percent: return average(c[metric::watched_sum], c[metric::watched_count]);
  case sort_key::last_updated:
    return c.last_counted_ms == 0 ? std::nullopt : std::optional(static_cast<double>(c.last_counted_ms));
  case sort_key::impressions: return static_cast<double>(c[metric::valid_impressions]);
  case sort_key::ctr: return click_through_rate(c);
  case sort_key::gross_clicks: return static_cast<double>(c.gross(event_type::click));
  case sort_key::duplicates: return static_cast<double>(c[metric::duplicates]);
  case sort_key::conflicts: return static_cast<double>(c[metric::conflicts]);
  case sort_key::restated: return static_cast<double>(c[metric::restated]);
  }
  return std::nullopt;
}

} // namespace

bool stands_before(const analytics_row& a, const analytics_row& b, const row_order& order) noexcept {
  const auto before = [&](uint64_t left, uint64_t right) { return left != right ? left < right : a.group < b.group; };
  if (order.key == sort_key::ad_id) return order.descending && a.ad_id != b.ad_id ? a.ad_id > b.ad_id : before(a.ad_id, b.ad_id);
  const auto left = value_of(a, order.key), right = value_of(b, order.key);
  if (left.has_value() != right.has_value()) return left.has_value();
  if (left && *left != *right) return order.descending ? *left > *right : *left < *right;
  return before(a.ad_id, b.ad_id);
}

std::string to_string(const position& p) { return std::to_string(p.shard) + ':' + std::to_string(p.offset); }

bool parse(std::string_view text, position& out) noexcept {
  const auto colon = text.find(':');
  if (colon == std::string_view::npos) return false;
  position p;
  if (!parse_decimal(text.substr(0, colon), p.shard) || !parse_decimal(text.substr(colon + 1), p.offset)) return false;
  out = p;
  return true;
}

} // namespace adtrack
