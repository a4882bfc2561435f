// How far behind its log partition a shard is. CAF-free; reads at most one record.
#pragma once

#include <cstdint>

#include "storage/event_log.hpp"

namespace adtrack::actors {

struct shard_lag {
  int64_t records = 0; // offsets between what is applied and the end: an upper bound where offsets are not dense
  int64_t ms = 0;      // age of the oldest record not applied; 0: none; -1: not known
};

// An end that was confirmed longer ago than this is not known: the log may have grown meanwhile.
inline constexpr int64_t end_confirmed_within_ms = 5'000;

// Remembers the time of the record it looked at last, so that a shard that stands still is not read again and again.
class lag_meter {
public:
  shard_lag measure(storage::event_log& log, uint32_t partition, int64_t applied, int64_t now_ms, int64_t steady_ms);

private:
  int64_t offset_ = -1;
  int64_t time_ms_ = 0;
};

} // namespace adtrack::actors
