// Questions to the counters and their answers. Plain values that travel between actors and, later, nodes.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/counters.hpp"
#include "model/groups.hpp"

namespace adtrack {

// Half-open [since, until) over event time, unix seconds. Events carry whole seconds, so an edge with a fraction
// is rounded up by whoever parses it: that selects the same events.
struct time_window {
  static constexpr int64_t unbounded_since = std::numeric_limits<int64_t>::min();
  static constexpr int64_t unbounded_until = std::numeric_limits<int64_t>::max();
  int64_t since_s = unbounded_since;
  int64_t until_s = unbounded_until;
  bool operator==(const time_window&) const = default;
};

// The finest bucket that an answer's window rests on.
enum class resolution : uint8_t { second, minute, quarter_hour, hour, day };
std::string_view to_string(resolution r) noexcept;

// How long a point of a series is; none: no series.
enum class granularity : uint8_t { none, second, minute, hour, day };
std::string_view to_string(granularity g) noexcept;
bool parse(std::string_view text, granularity& out) noexcept; // not none

struct position {
  uint32_t shard = 0;
  int64_t offset = 0;
};
// "<shard>:<offset>", both decimal without sign or leading zeros.
std::string to_string(const position& p);
bool parse(std::string_view text, position& out) noexcept;

// What is wrong with the log at or below the place where a shard stands.
enum class log_fault : uint8_t {
  none,
  fork, // the last applied record is not what the log holds there now
  gap,  // records were removed before the shard read them
};
std::string_view to_string(log_fault f) noexcept;

struct shard_fault {
  uint32_t shard = 0;
  log_fault kind = log_fault::none;
  bool operator==(const shard_fault&) const = default;
};

// What rows are ordered by: the members of a row that are one number. Named as in answers.
enum class sort_key : uint8_t {
  ad_id,
  click_count,
  unique_clicks,
  avg_playback_time,
  avg_watch_percent,
  last_updated,
  impressions,
  ctr,
  gross_clicks,
  duplicates,
  conflicts,
  restated
};
std::string_view to_string(sort_key k) noexcept;

struct row_order {
  sort_key key = sort_key::ad_id;
  bool descending = false;
  bool operator==(const row_order&) const = default;
};
// "click_count", or "-click_count" from the largest.
bool parse(std::string_view text, row_order& out) noexcept;

struct analytics_query {
  std::vector<uint64_t> ad_ids; // sorted, unique; empty = all
  time_window window;
  std::string tz; // IANA name that is known to load; empty: UTC
  granularity step = granularity::none;
  group_dimension by = group_dimension::none; // not with a step
  row_order order;
  uint32_t page = 1;            // from 1
  uint32_t limit = 100;         // 1 ... 1,000
  uint32_t max_points = 10'000; // of all series up to the page's end; more is refused
  std::vector<position> min_positions;
  uint32_t timeout_ms = 5'000;
  bool explain = false;
};

// What was counted in some window: of a row, or of one point of its series.
struct window_numbers {
  counters count;
  double unique_clicks = 0; // exact integer value when unique_error is 0
  double unique_error = 0;  // standard error of unique_clicks, relative; 0 = exact
};
// As answers show them; null where there is nothing to divide by.
uint64_t shown_uniques(const window_numbers& n) noexcept;
double average(uint64_t sum, uint64_t count) noexcept; // 0 of none
std::optional<double> click_through_rate(const counters& c) noexcept;

// Why a row has no series though one was asked for.
enum class series_fault : uint8_t {
  none,
  too_many, // more than max_points, with those of the shard's rows before it
  not_kept, // a point's edge cuts a bucket that is kept as a whole only
};

struct series_point : window_numbers {
  int64_t start_s = 0; // up to the next point's
};

struct analytics_row : window_numbers {
  uint64_t ad_id = 0;
  std::string group;                // whose numbers these are, where the question is by groups; duplicates are in none
  std::vector<series_point> series; // ascending; a shard leaves those without events out
  series_fault fault_of_series = series_fault::none;
};

// Whether row `a` stands before row `b`: by the value that is shown, null last either way, then by ad_id, then by group.
bool stands_before(const analytics_row& a, const analytics_row& b, const row_order& order) noexcept;

// One shard's part of an answer.
struct shard_answer {
  uint32_t shard = 0;
  int64_t applied = 0; // next offset to apply: every record below it is in the numbers
  int64_t lag_ms = -1; // age of the oldest record not applied; 0 none; -1 unknown
  int64_t took_us = 0;
  log_fault fault = log_fault::none; // not none: the numbers are as of before it
  std::string node;
  time_window window; // as asked, or widened to what is kept
  resolution finest = resolution::second;
  uint64_t total = 0;              // ads, or groups of ads, of this shard with an event in the window
  std::vector<analytics_row> rows; // in the order asked for: the first page * limit of them
};

struct analytics_answer {
  time_window window;
  granularity step = granularity::none;
  group_dimension by = group_dimension::none;
  std::string tz;
  series_fault fault_of_series = series_fault::none;
  resolution finest = resolution::second;
  uint64_t total = 0;
  int64_t generated_at_ms = 0;
  int64_t lag_ms = 0; // the largest of the shards'; -1 unknown
  bool complete = true;
  bool real_time = true;
  uint32_t shards_total = 0;
  uint32_t shards_answered = 0;
  std::vector<shard_fault> log_faults; // of the shards that the question concerns
  bool log_changed = false;            // the log as a whole no longer has the shape that it was opened with
  std::vector<analytics_row> rows;     // the page asked for
  std::vector<shard_answer> shards;    // without rows; for explain
};

} // namespace adtrack
