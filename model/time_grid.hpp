// The points of a series: seconds, minutes, or the hours and days of a zone's clock. They follow each other without gap or
// overlap, so that each instant is in exactly one. A day goes from its first instant to the next day's (23 and 25 hours too); an
// hour ends early where the clock changes by no whole number of hours. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "model/analytics.hpp"
#include "model/time_zone.hpp"

namespace adtrack {

// No point is longer: a date that a zone's clock had twice is the longest day.
constexpr int64_t longest_point_s(granularity step) noexcept {
  constexpr int64_t lengths[] = {1, 1, 60, 3'600, int64_t{2} * 86'400};
  return lengths[static_cast<size_t>(step)];
}

class time_grid {
public:
  // `step` is not none.
  time_grid(granularity step, const time_zone& zone) : step_(step), zone_(zone) {}

  // The point that holds the instant; its edges are bounded.
  time_window point_of(int64_t unix_s) const;

private:
  time_window hour_of(int64_t unix_s) const;
  time_window day_of(int64_t unix_s) const;
  int64_t phase_s(int64_t unix_s) const;

  granularity step_;
  time_zone zone_;
};

// How many points [from_s, to_s) touches; stops counting beyond `most`.
size_t count_points(const time_grid& grid, int64_t from_s, int64_t to_s, size_t most);

} // namespace adtrack
