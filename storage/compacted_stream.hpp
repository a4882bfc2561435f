// A durable stream of keyed values of which only the newest a key need be kept: the shape of a compacted Kafka topic.
// Holds the ads catalogue. One thread appends; implementations: memory, RocksDB, later Kafka.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "storage/status.hpp"

namespace adtrack::storage {

class compacted_stream {
public:
  struct entry {
    int64_t offset = 0;
    int64_t time_ms = 0; // unix ms
    std::string key;
    std::string value; // empty: a tombstone
  };
  virtual ~compacted_stream() = default;

  // Durable when it returns ok. Gives the entry's offset; offsets increase by at least one and are never used again,
  // also after the newest entry was removed and over restarts.
  virtual result<int64_t> append(std::string_view key, std::string_view value) = 0;

  // Calls `visit` for every entry kept, by offset.
  virtual status read_all(const std::function<void(const entry&)>& visit) = 0;

  // As event_log::checkpoint.
  virtual status checkpoint(const std::string& /*path*/) { return {errc::cannot, "this stream is kept elsewhere"}; }

  // As event_log::reopen.
  virtual status reopen() = 0;
};

} // namespace adtrack::storage
