// How far behind its log partition a shard is. CAF-free.
#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>

#include "storage/event_log.hpp"

namespace adtrack::actors {

struct shard_lag {
  int64_t records = 0; // offsets between what is applied and the end: an upper bound where offsets are not dense
  int64_t ms = 0;      // age of the oldest record not applied; 0: none; -1: not known
};

// An end that was confirmed longer ago than this is not known: the log may have grown meanwhile.
inline constexpr int64_t end_confirmed_within_ms = 5'000;

// What the log reader has handed to each shard lately. A record on its way need not be read a second time to know how old it is:
// on a log that fetches over a network that takes another reader's place, for an answer that comes too late. Thread-safe.
class handed_batches {
public:
  handed_batches(uint32_t partitions, size_t kept) : each_(partitions), kept_(kept) {}

  // Offsets [first, next), of which the first record was appended at `time_ms`. Follows what was handed before.
  void add(uint32_t partition, int64_t first, int64_t next, int64_t time_ms);
  void forget(uint32_t partition); // reading begins anew
  // When the first record of the batch that holds `offset` was appended; nothing when none of the newest does.
  std::optional<int64_t> time_of(uint32_t partition, int64_t offset) const;

private:
  struct batch {
    int64_t first = 0, next = 0, time_ms = 0;
  };
  struct list {
    mutable std::mutex mutex;
    std::deque<batch> batches;
  };
  std::deque<list> each_;
  const size_t kept_;
};

// Remembers the time of the record it asked for last, so that a shard that stands still is not asked for again and again.
class lag_meter {
public:
  shard_lag measure(storage::event_log& log, const handed_batches& handed, uint32_t partition, int64_t applied, int64_t now_ms,
                    int64_t steady_ms);

private:
  int64_t offset_ = -1;
  int64_t time_ms_ = 0;
};

} // namespace adtrack::actors
