// A run of log records of one partition, in order, as the log reader hands it to the shard.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/control.hpp"
#include "model/event.hpp"

namespace adtrack {

// Names one record of a partition and what it says, so that it is known again when it is read another time.
struct record_mark {
  int64_t offset = -1; // -1: no record
  uint64_t hash = 0;   // XXH3-64 of its value
  bool operator==(const record_mark&) const = default;
};

// A record that no rule could read; the shard goes on past it.
struct skipped_record {
  static constexpr size_t value_bytes_max = 1'024;

  int64_t offset = 0;
  std::string reason; // of a small fixed set: "syntax", "schema", "stamps", "partition"
  int64_t log_time_ms = 0;
  uint64_t size = 0; // bytes of the whole value
  std::string value; // the first value_bytes_max of them
};

struct record_batch {
  uint32_t shard = 0;
  int64_t first_offset = 0; // position read from: the shard must stand exactly here
  int64_t next_offset = 0;  // where reading goes on (offsets need not be dense)
  record_mark last;         // of this batch, for fork detection; none when it holds no record
  std::vector<shard_record> records;
  std::vector<control> controls;
  std::vector<skipped_record> skipped;
  std::vector<std::string> names; // of browsers, systems and countries; the first is empty, unless there are none at all
};

} // namespace adtrack
