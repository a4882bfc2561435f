// One shard: a function of its log partition alone. Applies records in order to a bounded cache over a shard_store and commits in
// groups: identities, buckets, offset, clock and hashes in ONE batch. Reads no clock, no random number, no other shard.
// One thread applies and commits; a shard_view may be read on another.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "model/analytics.hpp"
#include "model/control.hpp"
#include "model/event_fate.hpp"
#include "model/record_batch.hpp"
#include "model/shard_digest.hpp"
#include "storage/background.hpp"
#include "storage/shard_store.hpp"
#include "storage/status.hpp"

namespace adtrack::storage {

struct shard_options {
  uint32_t shard = 0;
  size_t commit_records = 70'000;          // records a commit group, up to the end of the batch that fills it
  size_t cache_bytes = 32u << 20;          // clean and dirty rows held in memory
  size_t dedupe_bytes = 32u << 20;         // open segment index and filters
  std::shared_ptr<background> worker = {}; // merges runs of identities; null: merged on the calling thread
};

// What became of events of one type; a conflict is a duplicate too.
struct fate_counts {
  uint64_t counted = 0, duplicates = 0, conflicts = 0;
  uint64_t late = 0;                                    // of those counted: more than an hour after their time
  std::array<uint64_t, invalid_reason_count> invalid{}; // of those counted, by reason; `none` are the valid ones
};
using fates_by_type = std::array<fate_counts, event_type_count>;

// A frozen state: answers questions while the engine goes on. Cheap to make.
class shard_view {
public:
  virtual ~shard_view() = default;
  // Fills window, finest, total and rows (by ad_id, the first page * limit). Widens the window's edges where finer buckets are
  // gone.
  virtual result<shard_answer> answer(const analytics_query& query) const = 0;
};

// Of the record at that offset.
struct pending_erasure {
  int64_t offset = 0;
  erasure what; // no visitor: the log knows it no more
};

class shard_engine {
public:
  static result<std::unique_ptr<shard_engine>> open(std::unique_ptr<shard_store> store, const shard_options& options);
  virtual ~shard_engine() = default;

  // Applies a batch whose first_offset is next_offset(); visible to views at once. Commits after a batch that filled a group.
  // errc::mismatch: a control record asks for logic that this build does not know; the engine stands before it for good.
  // errc::io / corrupt: memory and store may differ; the engine must be dropped and opened again.
  virtual status apply(const record_batch& batch) = 0;
  virtual status commit() = 0; // no-op when nothing is uncommitted
  virtual status sync() = 0;   // commits and makes the store's commits survive a power loss
  // Commits, and copies the store to `path`; see shard_store::checkpoint. errc::cannot: the store cannot, or not there.
  virtual status checkpoint(const std::string& path) = 0;

  virtual int64_t next_offset() const noexcept = 0;
  // The newest record below next_offset() whose hash is known; committed with the state that it led to. None before the first.
  virtual record_mark last_record() const noexcept = 0;
  virtual int64_t synced_offset() const noexcept = 0; // the log must not be trimmed past it
  virtual bool dirty() const noexcept = 0;
  virtual int64_t clock_ms() const noexcept = 0; // H
  virtual bool has_control() const noexcept = 0;
  virtual const control& current_control() const noexcept = 0;
  virtual const fates_by_type& fates() const noexcept = 0; // since this engine was opened
  virtual size_t memory_bytes() const noexcept = 0;

  // What became of the event with that identity; errc::not_found when the dedupe window holds none. errc::io / corrupt: as apply.
  virtual result<event_fate> fate_of(const identity& id) const = 0;

  // For a question about those ads; about all when empty. One by groups needs a view with them. errc::io / corrupt: as apply.
  virtual result<std::shared_ptr<const shard_view>> view(std::span<const uint64_t> ads = {}, bool groups = false) = 0;

  // Visitors that are the alias here, while the log before the record still knows them. Then log_erased() says that it no longer
  // does, purge(), from any thread, takes them off the store's disk, and purged() ends it. errc::io: as apply.
  virtual std::vector<pending_erasure> erasures() const = 0;
  virtual status log_erased(int64_t offset) = 0;
  virtual status purge() = 0;
  virtual status purged(int64_t offset) = 0;

  virtual result<shard_digest> digest() = 0;                  // at next_offset(); errc::io / corrupt: as apply
  virtual std::vector<shard_digest> kept_digests() const = 0; // at the last multiples of 65,536, oldest first, a few hundred
};

} // namespace adtrack::storage
