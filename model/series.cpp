#include "model/series.hpp"

#include <algorithm>
#include <utility>

namespace adtrack {

bool series_builder::holds(const time_window& bucket) {
  if (bucket.since_s < window_.since_s || bucket.until_s > window_.until_s) return false;
  const auto current = bucket.since_s >= point_.since_s && bucket.since_s < point_.until_s;
  return bucket.until_s <= (current ? point_.until_s : grid_.point_of(bucket.since_s).until_s);
}

series_builder::sum& series_builder::at(int64_t unix_s) {
  if (unix_s >= point_.since_s && unix_s < point_.until_s) return sum_;
  close();
  point_ = grid_.point_of(unix_s);
  point_.since_s = std::max(point_.since_s, window_.since_s);
  point_.until_s = std::min(point_.until_s, window_.until_s);
  return sum_;
}

void series_builder::close() {
  if (sum_.count.any_event() && !full()) {
    auto& point = points_.emplace_back();
    point.start_s = point_.since_s;
    point.count = sum_.count;
    point.unique_clicks = sum_.clickers.estimate();
    point.unique_error = sum_.clickers.standard_error();
  }
  sum_ = {};
}

std::vector<series_point> series_builder::finish() {
  close();
  return std::move(points_);
}

namespace {

// The span that a filled series covers.
time_window covered(const std::vector<series_point>& series, const time_window& window, const time_grid& grid) {
  auto out = window;
  const bool open_since = out.since_s == time_window::unbounded_since, open_until = out.until_s == time_window::unbounded_until;
  if (series.empty()) return open_since || open_until ? time_window{0, 0} : out;
  if (open_since) out.since_s = series.front().start_s;
  if (open_until) out.until_s = grid.point_of(series.back().start_s).until_s;
  return out;
}

} // namespace

size_t length_of(const std::vector<series_point>& series, const time_window& window, const time_grid& grid, size_t most) {
  const auto span = covered(series, window, grid);
  return count_points(grid, span.since_s, span.until_s, most);
}

void fill_gaps(std::vector<series_point>& series, const time_window& window, const time_grid& grid) {
  const auto span = covered(series, window, grid);
  std::vector<series_point> out;
  auto it = series.begin();
  for (auto at = span.since_s; at < span.until_s;) {
    const auto next = grid.point_of(at).until_s;
    if (it != series.end() && it->start_s < next) {
      out.push_back(*it++);
    } else {
      series_point empty;
      empty.start_s = at;
      out.push_back(empty);
    }
    at = next;
  }
  series = std::move(out);
}

} // namespace adtrack
