// Copies of a node's stores as they were at one moment, for backups and for other nodes. Plain values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace adtrack {

struct shard_checkpoint {
  uint32_t shard = 0;
  int64_t offset = 0; // all records below it are applied in the copy, and none from it on
  std::string digest; // of the shard there, 32 hex digits
  std::string path;   // a directory of this node
};

// Of the embedded log and the catalogue of ads, in the directories `log` and `ads` of `path`.
struct log_checkpoint {
  std::string path;
  std::vector<int64_t> ends; // by shard: the copy holds every record below it, and perhaps more
};

} // namespace adtrack
