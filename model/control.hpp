// Control records: what changes results is itself a record in each partition, so that a replay reaches the same numbers.
// A record holds the whole set of values; the newest one before an offset is in force there.
#pragma once

#include <cstdint>
#include <string>

namespace adtrack {

// Highest logic version that this build knows. A shard that meets a higher one stops there and is not ready.
inline constexpr uint32_t logic_version = 4; // 2: clicks may be repeats; 3: visitors can be erased; 4: restated

// From where a control record stands the visitor is known as the alias in all that came before; what comes after is a new
// visitor. Once nothing before it knows the visitor any more, the record does not either: it is 0.
struct erasure {
  uint64_t visitor = 0;
  uint64_t alias = 0; // 0: this is none
  bool operator==(const erasure&) const = default;
};

struct control {
  uint32_t logic = logic_version;
  int64_t dedupe_window_s = 604'800; // 7 days of log time
  int64_t repeat_click_s = 2;        // event time; 0 switches `repeat` off
  int64_t second_days = 2;           // of the shard's clock, after a bucket was last written
  int64_t minute_days = 90;
  uint32_t rules = 0;         // version of the invalid-traffic rules
  std::string visitor_key_id; // which secret made the visitor hashes
  erasure erased;             // done by this record; no value that is in force
  bool operator==(const control&) const = default;
};

} // namespace adtrack
