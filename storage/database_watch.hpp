// What open RocksDB databases hold and do at this moment, together, for metrics. A database enrolls while it is open. Thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <set>

namespace rocksdb {
class DB;
}

namespace adtrack::storage {

struct database_levels {
  uint64_t size_bytes = 0;               // of live table files
  uint64_t memtables_bytes = 0;          // not yet in a file
  uint64_t table_readers_bytes = 0;      // indexes and filters outside the block cache
  uint64_t block_cache_bytes = 0;        // in use; databases that are watched together share one cache
  uint64_t pending_compaction_bytes = 0; // estimated
  uint64_t running = 0;                  // flushes and compactions
  uint64_t write_stopped = 0;            // databases that take no writes until compaction has caught up
};

class database_watch {
public:
  database_watch() : state_(std::make_shared<state>()) {}

  // Watched until the returned object goes, which must be before the database does. It may outlive the watch.
  [[nodiscard]] std::shared_ptr<void> enroll(rocksdb::DB& database);
  database_levels levels() const;

private:
  struct state {
    std::mutex mutex;
    std::set<rocksdb::DB*> open;
  };
  const std::shared_ptr<state> state_;
};

} // namespace adtrack::storage
