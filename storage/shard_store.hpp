// Where one shard keeps what it remembers: an ordered byte store with atomic batches, snapshots and one merge rule (bucket rows:
// the newer's numbers, the union of their visitors, see storage/row_value.hpp). Knows nothing of events. Owned by one shard_engine; snapshots may be read on other threads.
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
  virtual void merge(std::string_view key, std::string_view row) = 0; // an encoded row_value on top of what the key holds
  virtual void erase(std::string_view key) = 0;
  // What the store holds in [from, to) as of this call; reads it, so it is for few or rare keys.
  virtual void erase_range(std::string_view from, std::string_view to) = 0;
  virtual size_t bytes() const noexcept = 0;
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
  // Minute buckets last written before these (shard's clock, unix ms) may be freed: their seconds, or all of them.
  virtual void set_row_horizons(int64_t seconds_ms, int64_t minutes_ms) = 0;
  // A frozen reader; may outlive later writes but not the store.
  virtual std::shared_ptr<const store_reader> snapshot() = 0;
};

std::unique_ptr<shard_store> make_memory_shard_store();

} // namespace adtrack::storage
