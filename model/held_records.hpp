// Records that waited in this node's spool until sending them on could have counted them twice, and what the operator does with
// them. Plain values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace adtrack {

enum class held_action : uint8_t {
  list,
  release, // they go to the end of the queue for the log
  remove
};

struct held_question {
  held_action what = held_action::list;
  int64_t from = 0;   // list: the first position of interest
  uint32_t max = 100; // list: records
  int64_t below = 0;  // release, remove: of the records with smaller positions
};

struct held_record {
  int64_t position = 0;    // in the spool
  int64_t accepted_ms = 0; // unix ms
  uint32_t shard = 0;
  std::string value; // as the log would have it
};

struct held_page {
  held_action what = held_action::list;
  std::vector<held_record> records; // list: by position
  uint64_t total = 0;               // held now
  int64_t next = -1;                // list: where to go on; -1: that is all
  uint64_t done = 0;                // release, remove: so many records
};

} // namespace adtrack
