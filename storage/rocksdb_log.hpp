// The embedded event log: one RocksDB, durable by one fsync an append call (group commit is the caller's batch).
// Thread-safe as event_log says. After any failed write it refuses appends until reopen(), and still reads.
// Never shows a reader a record that is not on stable storage.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "storage/database_watch.hpp"
#include "storage/event_log.hpp"

namespace rocksdb {
class Env;
}

namespace adtrack::storage {

struct rocksdb_log_options {
  std::string path;                             // a directory of its own; made when missing
  uint32_t partitions = 16;                     // fixed when the log is created
  rocksdb::Env* env = nullptr;                  // null: the default one
  std::function<int64_t()> now_ms;              // log time, unix ms; called by the appending thread
  size_t write_buffer_bytes = 64u << 20;        // newest records held in memory, over all partitions
  size_t partition_buffer_bytes_min = 1u << 20; // raises it where partitions are many: less makes many small files
  size_t tail_cache_bytes = 16u << 20;          // newest records kept for readers at the tail, over all partitions; 0: none
  size_t block_cache_bytes = 16u << 20;
  int open_files_max = 512;
  std::shared_ptr<database_watch> watch;         // may be null
  std::function<void(double seconds)> on_synced; // after each sync of the write-ahead log, by the thread that did it; may be null
};

// errc::mismatch when the log was created with another number of partitions or by a later version; errc::locked when it is open
// already.
result<std::unique_ptr<event_log>> open_rocksdb_log(rocksdb_log_options options);

} // namespace adtrack::storage
