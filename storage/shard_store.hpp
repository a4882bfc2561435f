// Where one shard keeps what it remembers: an ordered byte store with atomic batches, snapshots and a merge rule by the kind of
// key (store_merge.hpp). Knows nothing of events. Owned by one shard_engine; snapshots may be read on other threads.
// Implementations: memory, RocksDB. One suite of tests runs against both.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "storage/status.hpp"

namespace adtrack::storage {

class store_batch {
public:
  virtual ~store_batch() = default;
  virtual void put(std::string_view key, std::string_view value) = 0;
  virtual void merge(std::string_view key, std::string_view value) = 0; // on top of what the key holds, by its kind's rule
  virtual void erase(std::string_view key) = 0;
  // What the store holds in [from, to) as of this call; reads it, so it is for few or rare keys.
  virtual void erase_range(std::string_view from, std::string_view to) = 0;
  virtual size_t bytes() const noexcept = 0;
};

// What lies before these may be freed; they only rise. Readers treat it as gone already.
struct store_horizons {
  int64_t seconds_ms = 0; // minute buckets last written before (shard's clock, unix ms): their seconds
  int64_t minutes_ms = 0; // likewise, all of them
  uint32_t segment = 0;   // duplicates of events first seen in earlier segments
};

class store_reader {
public:
  virtual ~store_reader() = default;
  // errc::not_found when there is none.
  virtual result<std::string> get(std::string_view key) const = 0;
  // Visits [from, to) in key order until `visit` returns false.
  virtual status scan(std::string_view from, std::string_view to,
                      const std::function<bool(std::string_view key, std::string_view value)>& visit) const = 0;
};

class shard_store : public store_reader {
public:
  virtual std::unique_ptr<store_batch> new_batch() = 0;
  // All or nothing, also over a kill -9; over a power loss only what was synced, but always a prefix of the commits.
  // After a write that failed nothing is written any more: drop the store and open it again. From any thread.
  virtual status write(store_batch& batch) = 0;
  virtual status sync() = 0; // every earlier write survives a power loss
  // Takes what was overwritten or erased in [from, to) off the disk. May take long; from any thread, beside everything else.
  virtual status purge(std::string_view from, std::string_view to) = 0;
  // A store like this one at `path`, which must not exist but in whose directory it is made: what was written so far and nothing of
  // later writes that this one would not keep. Shares what it can with this one; whole when it returns ok, over a power loss too.
  virtual status checkpoint(const std::string& /*path*/) { return {errc::cannot, "this store is in memory only"}; }
  virtual void set_horizons(const store_horizons& horizons) = 0;
  // A frozen reader, for one thread at a time; may outlive later writes but not the store.
  virtual std::shared_ptr<const store_reader> snapshot() = 0;
};

std::unique_ptr<shard_store> make_memory_shard_store();

} // namespace adtrack::storage
