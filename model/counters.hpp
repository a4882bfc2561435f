// The numbers of one bucket. One array indexed by `metric`: adding, encoding and comparing are loops, and a new
// metric is one more name. Metrics keep their number for ever, as stored rows name them by it.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "model/event.hpp"

namespace adtrack {

enum class metric : uint8_t {
  valid_clicks = 0,
  valid_impressions,
  valid_playbacks,
  // Invalid events by reason, in the order of invalid_reason from `bot`, five a type.
  invalid_clicks, // ... 7
  invalid_impressions = invalid_clicks + 5,
  invalid_playbacks = invalid_impressions + 5,
  // Valid playbacks by progress, in the order of playback_progress from `start`, five.
  playback_progress = invalid_playbacks + 5,
  duplicates = playback_progress + 5,
  conflicts,
  // Over valid clicks that carry the field.
  play_time_count,
  play_time_sum, // seconds
  watched_count,
  watched_sum, // percent
  restated,    // counted more than restated_after_ms after their time
};
inline constexpr size_t metric_count = static_cast<size_t>(metric::restated) + 1;

// By the log's time. A part of the logic version: another bound gives other results.
inline constexpr int64_t restated_after_ms = 3'600'000;

struct counters {
  std::array<uint64_t, metric_count> values{};
  int64_t last_counted_ms = 0; // log time of the last counted (valid or invalid) event, unix ms; 0 = none

  uint64_t& operator[](metric m) noexcept { return values[static_cast<size_t>(m)]; }
  uint64_t operator[](metric m) const noexcept { return values[static_cast<size_t>(m)]; }
  uint64_t invalid(event_type type, invalid_reason reason) const noexcept; // reason != none
  uint64_t gross(event_type type) const noexcept;                          // valid + invalid
  bool any_event() const noexcept;                                         // holds at least one counted event
  counters& operator+=(const counters& other) noexcept;
  bool operator==(const counters&) const = default;

  // Adds one event that counts (valid or, with `invalid` set, invalid).
  void add(const shard_record& r, invalid_reason invalid) noexcept;
  // Adds one duplicate of an event of this bucket.
  void add_duplicate(bool conflict) noexcept;
};

// Compact form: bit mask of non-zero metrics as varint, their values as varints, last_counted_ms as varint.
void encode(const counters& c, std::string& out);
// Consumes one encoded counters from the front of `in`; false when it is malformed.
bool decode(std::string_view& in, counters& out) noexcept;

} // namespace adtrack
