// A run of log records of one partition, in order, as the log reader hands it to the shard.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/control.hpp"
#include "model/event.hpp"

namespace adtrack {

// A record that no rule could read; the shard goes on past it.
struct skipped_record {
  int64_t offset = 0;
  std::string reason; // of a small fixed set: "syntax", "schema", "stamps", "partition"
};

struct record_batch {
  uint32_t shard = 0;
  int64_t first_offset = 0; // position read from: the shard must stand exactly here
  int64_t next_offset = 0;  // where reading goes on (offsets need not be dense)
  uint64_t last_hash = 0;   // XXH3-64 of the last record's value, for fork detection
  std::vector<shard_record> records;
  std::vector<control> controls;
  std::vector<skipped_record> skipped;
};

} // namespace adtrack
