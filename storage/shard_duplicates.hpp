// How often each event of the dedupe window was sent again. An entry exists for those only that were; the store adds up what the
// commits give it, and forgets what the window has passed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <absl/container/flat_hash_map.h>

#include "storage/identity_run.hpp"
#include "storage/shard_store.hpp"

namespace adtrack::storage {

struct duplicate_count {
  uint64_t duplicates = 0;
  uint64_t conflicts = 0; // of them, those whose fields differed
};

class shard_duplicates {
public:
  explicit shard_duplicates(const shard_store& store) : store_(store) {}

  // One more of the event that `first` tells of.
  void add(const identity_row& first, bool conflict);
  result<duplicate_count> of(const identity_row& first) const;
  // Puts what was added since into the batch.
  void stage(store_batch& batch);
  size_t memory_bytes() const noexcept;

private:
  struct pending {
    uint32_t segment = 0;
    duplicate_count more;
  };
  const shard_store& store_;
  absl::flat_hash_map<int64_t, pending> pending_; // by the first one's offset; at most a record of the commit group each
};

// The store's merge rule for these entries, into `out`; false when one is malformed.
bool merge_duplicates(std::string_view older, std::string_view newer, std::string& out);

} // namespace adtrack::storage
