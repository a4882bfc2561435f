// A compacted stream on RocksDB: the newest entry a key, durable by one fsync an append, and a counter of offsets that only
// grows. One thread uses it. After a failed write it refuses appends until reopen(), and still reads. Never keeps a tombstone:
// the entry it hides is gone with the same batch.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "storage/compacted_stream.hpp"

namespace rocksdb {
class Env;
}

namespace adtrack::storage {

struct rocksdb_stream_options {
  std::string path;                // a directory of its own; made when missing
  rocksdb::Env* env = nullptr;     // null: the default one
  std::function<int64_t()> now_ms; // entry times, unix ms
};

result<std::unique_ptr<compacted_stream>> open_rocksdb_stream(rocksdb_stream_options options);

} // namespace adtrack::storage
