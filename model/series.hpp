// A row's series: the window cut into the points of a grid. Points tile the window, so that their counts add up to the row's: the
// first begins with the window, wherever on the grid that is. Pure.
#pragma once

#include <cstddef>
#include <vector>

#include "model/analytics.hpp"
#include "model/time_grid.hpp"
#include "model/visitor_set.hpp"

namespace adtrack {

// Collects an ad's buckets, which come in order of time, into the points that hold an event.
class series_builder {
public:
  struct sum {
    counters count;
    visitor_set clickers; // of the point itself: visitors of several points are never added up
  };

  series_builder(const time_grid& grid, const time_window& window, size_t most) : grid_(grid), window_(window), most_(most) {}

  bool touches(const time_window& bucket) const noexcept {
    return bucket.since_s < window_.until_s && bucket.until_s > window_.since_s;
  }
  bool holds(const time_window& bucket); // one point holds all of it
  sum& at(int64_t unix_s);               // of the point that holds the instant, which lies within the window
  void lose() noexcept { lost_ = true; } // a bucket that is cut by a point is kept as a whole only

  bool lost() const noexcept { return lost_; }
  bool full() const noexcept { return points_.size() > most_; } // more than `most`: what comes need not be looked at
  std::vector<series_point> finish();

private:
  void close();

  const time_grid& grid_;
  time_window window_;
  size_t most_;
  time_window point_{0, 0}; // the current one, cut to the window
  sum sum_;
  std::vector<series_point> points_;
  bool lost_ = false;
};

// How many points a series has once its gaps are filled; stops counting beyond `most`.
size_t length_of(const std::vector<series_point>& series, const time_window& window, const time_grid& grid, size_t most);

// Puts in the points without events: all of the window, an open end of which is closed at the first or last point with an event.
void fill_gaps(std::vector<series_point>& series, const time_window& window, const time_grid& grid);

} // namespace adtrack
