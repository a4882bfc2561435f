// Records of one partition of the log, as they are asked for and answered. Plain values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace adtrack {

struct log_question {
  uint32_t shard = 0;
  int64_t from = -1;    // first offset of interest; -1: the first that is kept
  uint32_t max = 1'000; // records; 0: only the bounds
  uint32_t timeout_ms = 5'000;
};

struct log_line {
  int64_t offset = 0;
  int64_t time_ms = 0; // unix ms, given by the log
  std::string value;   // any bytes
};

struct log_page {
  uint32_t shards = 0;         // that the log has
  int64_t begin = 0;           // the first offset kept
  int64_t end = 0;             // every durable record is below it
  int64_t next = 0;            // where to go on
  std::vector<log_line> lines; // by offset; none of them: there was nothing up to the end, or not in time
};

} // namespace adtrack
