// By whom a click is a repeat: each visitor's latest valid click on an ad, for an hour of the shard's clock after it came. All of
// it is in memory, about 30 bytes a valid click of the last hour; the store has it as one blob a commit, for the next start.
// Verdicts depend on each entry's own time, never on when it is forgotten, committed or loaded.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <string>

#include <absl/container/flat_hash_map.h>

#include "storage/shard_store.hpp"

namespace adtrack::storage {

class shard_repeats {
public:
  explicit shard_repeats(shard_store& store) : store_(store) {}

  // Loads what the store holds and the clock (unix ms) has not passed.
  status load(int64_t clock_ms);

  // Brings the memory that is_repeat() will touch near.
  void prefetch(uint64_t ad_id, uint64_t visitor) const noexcept { latest_.prefetch(key_of(ad_id, visitor)); }

  // Whether a click at event time `time_s` (unix seconds) comes less than `within_s` after that visitor's latest valid one on
  // that ad; an earlier one does not. If not it is valid, and remembered when it is the latest.
  bool is_repeat(uint64_t ad_id, uint64_t visitor, int64_t time_s, int64_t within_s, int64_t clock_ms);

  // What the visitor did on those ads was the alias. The next stage() writes all of it anew.
  void replace(uint64_t visitor, uint64_t alias, std::span<const uint64_t> ads);

  // Puts what was remembered since into the batch, and drops what the clock has passed.
  void stage(store_batch& batch, int64_t next_offset, int64_t clock_ms);

  size_t size() const noexcept { return latest_.size(); } // held, live or not
  size_t memory_bytes() const noexcept;

private:
  struct click {
    uint32_t time_s, came_s; // event time; the shard's clock
  };
  struct key_hash {
    size_t operator()(uint64_t key) const noexcept { return key; }
  };
  struct blob {
    int64_t offset;
    uint32_t newest_s; // came_s of its last click
  };
  static uint64_t key_of(uint64_t ad_id, uint64_t visitor) noexcept;
  void forget(uint32_t now_s);

  shard_store& store_;
  // By a hash of ad and visitor, 64 bits like the visitor's own: two of a million in an hour are one with a chance of 3 in 10^8.
  absl::flat_hash_map<uint64_t, click, key_hash> latest_;
  std::string pending_;    // packed, not yet staged
  std::deque<blob> blobs_; // in the store, oldest first
  bool anew_ = false;      // nothing of what is in the store may stay there
  size_t forget_at_ = 0;   // entries at which the expired ones are looked for
};

} // namespace adtrack::storage
