// Records that other producers hand in, waiting to be checked and taken into the event log. Remembers how far they were taken:
// what was read and not committed is read again by whoever opens the inbox next. One thread calls it; nothing here waits long.
// Never looks into a record.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "storage/status.hpp"

namespace adtrack::storage {

struct inbox_record {
  uint32_t partition = 0;
  int64_t offset = 0;
  int64_t time_ms = 0; // unix ms, as the inbox gives it; <= 0: it has none
  std::string value;
};

struct inbox_position {
  uint32_t partition = 0;
  int64_t next = 0; // every record below it is taken
};

struct inbox_lag {
  int64_t records = 0; // of this reader's partitions, not committed yet
  uint64_t lost = 0;   // since it was opened: gone by the inbox's own retention before they could be read
};

class inbox {
public:
  virtual ~inbox() = default;

  // What is there and was not given yet: at most `max_records` and about `max_bytes` of values (at least one record when there is
  // one), in order within a partition. Empty: nothing at the moment. errc::read_only: it must be opened again; any other error
  // passes.
  virtual result<std::vector<inbox_record>> read(size_t max_records, size_t max_bytes) = 0;

  // To be called every now and then while nothing is read, so that the reader keeps its place among others.
  virtual void serve() {}

  // Durable when it returns ok. A position of a partition that another reader has taken over meanwhile is left out: that one
  // reads the records again, so taking them in twice must be harmless.
  virtual status commit(std::span<const inbox_position> positions) = 0;

  virtual result<inbox_lag> lag() = 0;
};

} // namespace adtrack::storage
