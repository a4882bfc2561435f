// An inbox in memory, for tests. The topic outlives its readers, as brokers would, and keeps what they committed; one reader at a
// time. One thread uses it.
#pragma once

#include <map>
#include <memory>

#include "storage/inbox.hpp"

namespace adtrack::storage {

class memory_inbox_topic {
public:
  void add(uint32_t partition, std::string value, int64_t time_ms);

  std::vector<inbox_record> records; // in the order in which they came
  std::map<uint32_t, int64_t> committed;

private:
  std::map<uint32_t, int64_t> next_;
};

// Starts behind what is committed.
std::unique_ptr<inbox> make_memory_inbox(std::shared_ptr<memory_inbox_topic> topic);

} // namespace adtrack::storage
