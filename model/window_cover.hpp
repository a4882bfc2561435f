// Which buckets make up a window: the fewest, coarsest ones, at most nine runs of equal buckets.
#pragma once

#include <cstdint>
#include <vector>

#include "model/analytics.hpp"

namespace adtrack {

// A run of whole buckets [from_s, to_s) of one size: 1 (seconds inside minutes), 60, 900, 3,600 or 86,400 seconds.
struct cover_piece {
  int64_t bucket_s = 0;
  int64_t from_s = 0;
  int64_t to_s = 0;
  bool operator==(const cover_piece&) const = default;
};

// Latest second that a bucket can hold; open windows are cut to [0, this).
inline constexpr int64_t cover_end_s = 86'400LL * 49'710; // beyond 2106

// Ascending in time, disjoint, together exactly the window (cut as above).
std::vector<cover_piece> cover(const time_window& window);

} // namespace adtrack
