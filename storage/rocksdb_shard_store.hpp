// The shard store on RocksDB: one database a shard, one column family, so that a recovered store is always a prefix of its
// commits. All shards of a node share one block cache and one write-buffer budget.
#pragma once

#include <memory>
#include <string>

#include "storage/database_watch.hpp"
#include "storage/shard_store.hpp"

namespace rocksdb {
class Env;
}

namespace adtrack::storage {

// What the stores of one node share; thread-safe.
class shard_store_budget {
public:
  shard_store_budget(size_t block_cache_bytes, size_t write_buffer_bytes);
  ~shard_store_budget();
  struct parts;
  const parts& get() const noexcept { return *parts_; }
  database_watch& watch() noexcept { return watch_; } // of the stores that are open

private:
  std::unique_ptr<parts> parts_;
  database_watch watch_;
};

struct rocksdb_shard_store_options {
  std::string path;
  std::shared_ptr<shard_store_budget> budget; // required
  rocksdb::Env* env = nullptr;                // null: the default one
};

result<std::unique_ptr<shard_store>> open_rocksdb_shard_store(const rocksdb_shard_store_options& options);

} // namespace adtrack::storage
