// Questions to the counters and their answers. Plain values that travel between actors and, later, nodes.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "model/counters.hpp"

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

struct analytics_query {
  std::vector<uint64_t> ad_ids; // sorted, unique; empty = all
  time_window window;
  std::string tz;       // IANA name that is known to load; empty: UTC
  uint32_t page = 1;    // from 1
  uint32_t limit = 100; // 1 ... 1,000
  std::vector<position> min_positions;
  uint32_t timeout_ms = 5'000;
  bool explain = false;
};

struct analytics_row {
  uint64_t ad_id = 0;
  counters count;
  double unique_clicks = 0; // exact integer value when unique_error is 0
  double unique_error = 0;  // standard error of unique_clicks, relative; 0 = exact
};

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
  uint64_t total = 0;              // ads of this shard with an event in the window
  std::vector<analytics_row> rows; // by ad_id: the first page * limit of them
};

struct analytics_answer {
  time_window window;
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
