#include "model/time_grid.hpp"

#include <algorithm>

namespace adtrack {

namespace {

constexpr int64_t hour_s = 3'600;
constexpr int64_t day_s = 86'400;

constexpr int64_t floor_to(int64_t value, int64_t unit) {
  const int64_t rest = value % unit;
  return value - (rest < 0 ? rest + unit : rest);
}

// The first instant in (from, to] where `holds` is true, as it is at `to` and not at `from`; it changes once between them.
template <class Predicate>
int64_t first_instant(int64_t from, int64_t to, const Predicate& holds) {
  while (to - from > 1) {
    const auto middle = from + (to - from) / 2;
    (holds(middle) ? to : from) = middle;
  }
  return to;
}

} // namespace

time_window time_grid::point_of(int64_t unix_s) const {
  switch (step_) {
  case granularity::minute: {
    const auto start = floor_to(unix_s, 60);
    return {start, start + 60};
  }
  case granularity::hour: return hour_of(unix_s);
  case granularity::day: return day_of(unix_s);
  case granularity::none:
  case granularity::second: break;
  }
  return {unix_s, unix_s + 1};
}

// How far the zone's clock is into an hour of UTC's. Changes by whole hours leave it alone: the hours then go on as before.
int64_t time_grid::phase_s(int64_t unix_s) const {
  const auto offset = zone_.offset_s(unix_s);
  return offset - floor_to(offset, hour_s);
}

time_window time_grid::hour_of(int64_t unix_s) const {
  const auto phase = phase_s(unix_s);
  const auto start = floor_to(unix_s + phase, hour_s) - phase;
  time_window out{start, start + hour_s};
  if (phase_s(out.since_s) != phase)
    out.since_s = first_instant(out.since_s, unix_s, [&](int64_t t) { return phase_s(t) == phase; });
  if (phase_s(out.until_s - 1) != phase)
    out.until_s = first_instant(unix_s, out.until_s - 1, [&](int64_t t) { return phase_s(t) != phase; });
  return out;
}

time_window time_grid::day_of(int64_t unix_s) const {
  // A date can begin before its midnight's second coming, and some dates never were (their start is the next one's).
  auto day = floor_to(unix_s + zone_.offset_s(unix_s), day_s) / day_s;
  while (zone_.start_of_day_s(day) > unix_s) --day;
  while (zone_.start_of_day_s(day + 1) <= unix_s) ++day;
  return {zone_.start_of_day_s(day), zone_.start_of_day_s(day + 1)};
}

size_t count_points(const time_grid& grid, int64_t from_s, int64_t to_s, size_t most) {
  size_t points = 0;
  for (auto at = from_s; at < to_s && points <= most; at = grid.point_of(at).until_s) ++points;
  return points;
}

} // namespace adtrack
