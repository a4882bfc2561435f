// Which events a shard has seen: the newest in a memory index (their rows also stand in the store, one blob a commit), the older
// in sealed runs. Runs of one day are merged in the background and go when the dedupe window has passed them. Verdicts depend on
// each identity's own segment (hour of the shard's clock), never on when a run was sealed or merged.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <absl/container/flat_hash_map.h>

#include "storage/background.hpp"
#include "storage/identity_run.hpp"
#include "storage/shard_store.hpp"

namespace adtrack::storage {

class shard_identities {
public:
  // `memory_bytes`: half for the open index, half for filters. A null `worker` merges on the caller's thread.
  shard_identities(shard_store& store, size_t memory_bytes, std::shared_ptr<background> worker);
  ~shard_identities(); // waits for a merge under way
  shard_identities(const shard_identities&) = delete;
  shard_identities& operator=(const shard_identities&) = delete;

  // Loads what the store holds; drops chunks that no description names. `next_run` as committed with stage().
  status load(uint64_t next_run);

  // Brings the memory that find() will touch near.
  void prefetch(const identity& id) const noexcept;
  // The newest row of that identity with segment >= horizon, into `out`; errc::not_found.
  status find(const identity& id, uint32_t horizon, identity_row& out) const;
  void insert(const identity_row& row);

  // Puts what was inserted since into the batch, and seals, adopts a finished merge, starts the next and drops expired runs as
  // need be. Call settled() once the batch is written.
  status stage(store_batch& batch, int64_t next_offset, uint32_t horizon);
  void settled();

  uint64_t next_run() const noexcept { return next_run_; }
  uint64_t size() const noexcept; // rows held, live or not
  size_t runs() const noexcept { return runs_.size(); }
  size_t memory_bytes() const noexcept;

private:
  struct value { // an identity_row without its identity
    int64_t offset;
    uint32_t time_s, fields_hash, segment;
    uint8_t fate;
  };
  struct id_hash {
    size_t operator()(const identity& id) const noexcept { return id.low; }
  };
  struct merge_job {
    std::vector<std::shared_ptr<identity_run>> inputs; // a stretch of runs_
    std::atomic<bool> cancelled{false}, done{false};
    std::shared_ptr<identity_run> merged;
    status why;
  };

  status seal(store_batch& batch, uint32_t horizon);
  void stage_open(store_batch& batch, int64_t next_offset);
  status erase_unnamed_runs();
  status adopt(store_batch& batch);
  void start_merge(uint32_t horizon);
  std::vector<std::shared_ptr<identity_run>> pick_merge() const;
  void drop_expired(store_batch& batch, uint32_t horizon);
  void fit_filters();

  shard_store& store_;
  size_t open_max_;     // rows before the open index is sealed
  size_t filter_bytes_; // bound of all filters
  std::shared_ptr<background> worker_;
  absl::flat_hash_map<identity, value, id_hash> open_;
  std::string pending_; // packed, not yet staged
  size_t blobs_ = 0;    // that hold the open index in the store
  // Newest first. Invariant: of one identity at most one row is live, so the order in which runs are asked decides nothing.
  std::vector<std::shared_ptr<identity_run>> runs_;
  std::shared_ptr<merge_job> job_;
  uint64_t next_run_ = 1;
  bool sealed_ = false; // the open index goes with the batch being written
};

} // namespace adtrack::storage
