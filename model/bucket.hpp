// Buckets: the numbers of one ad over one span of event time. A minute holds its seconds inside; a quarter-hour, an hour, a day
// and the ad's total stand beside it, so that any window is a few rows; an hour's groups are a row of their own. Pure values: who
// loads, caches and stores them is storage.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/counters.hpp"
#include "model/groups.hpp"
#include "model/visitor_set.hpp"

namespace adtrack {

// From the coarsest. Values are stored in keys: never renumber.
enum class bucket_level : uint8_t { total = 0, day, hour, quarter_hour, minute, hour_groups };
inline constexpr size_t bucket_level_count = 5; // each holds the next; not hour_groups, which stands beside its hour
inline constexpr size_t row_level_count = bucket_level_count + 1; // levels that rows have

// Length in seconds; 0 for total.
constexpr int64_t span_s(bucket_level level) noexcept {
  constexpr int64_t spans[] = {0, 86'400, 3'600, 900, 60, 3'600};
  return spans[static_cast<size_t>(level)];
}
// Start of the bucket that holds `time_s` (>= 0); 0 for total.
constexpr int64_t bucket_start(bucket_level level, int64_t time_s) noexcept {
  return level == bucket_level::total ? 0 : time_s - time_s % span_s(level);
}

struct bucket_key {
  uint64_t ad_id = 0;
  bucket_level level = bucket_level::total;
  int64_t start_s = 0;
  auto operator<=>(const bucket_key&) const = default;
};

// One second of a minute.
struct second_cell {
  uint8_t second = 0;
  counters count;
  visitor_set clickers;
};

struct bucket_row {
  counters count;
  // Visitors of valid clicks. A minute keeps them in its seconds instead, until those are gone.
  visitor_set clickers;
  std::vector<second_cell> seconds; // minute only, sorted
  bool seconds_gone = false;        // minute only: a late event came after its seconds had expired
  event_groups groups;              // hour_groups only, and all that it has
  group_tags tags;                  // of their cells
  uint32_t children = 0;  // bit n: the n-th bucket of the next finer level has (had) a row; day, hour, quarter-hour only
  int64_t written_ms = 0; // shard's clock when last written
  uint64_t hash = 0;      // of the content as of the last rehash(); what the shard's state sum holds of this row

  // Invariant: the row's content is a function of the log's records alone.
  second_cell& cell(uint8_t second);
  void drop_seconds(); // folds the seconds' visitors into the minute's
  // Visitors of the whole bucket, whichever form they are in.
  void merge_clickers_into(visitor_set& out) const;
  bool has_visitor(uint64_t visitor) const noexcept; // as visitor_set
  void replace_visitor(uint64_t visitor, uint64_t alias);
  size_t memory_bytes() const noexcept;
};

// Which bit of its parent's `children` a bucket is.
uint32_t child_bit(bucket_level level, int64_t start_s) noexcept;

// Canonical hash of key and content (without `hash` itself).
uint64_t hash_of(const bucket_key& key, const bucket_row& row);

// The row without `clickers` and `groups` (those are stored beside it or appended, as the caller likes); seconds are inside.
void encode(const bucket_row& row, std::string& out);
bool decode(std::string_view& in, bucket_row& out);

} // namespace adtrack
