// The newest records of one partition, in memory, bounded in bytes: a reader at the tail gets them without asking the store.
// Thread-safe: one thread pushes, any number read. Never holds what is not durable: the log pushes after its fsync.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <vector>

#include "storage/event_log.hpp"

namespace adtrack::storage {

class log_tail {
public:
  // Once, before the first push; 0 holds nothing.
  void set_capacity(size_t bytes_max) { bytes_max_ = bytes_max; }

  // Offsets are dense; one that does not follow the last starts anew.
  void push(stored_record record);

  // Fills `out` with records [from, end) under event_log::read's bounds; false when it does not hold `from`.
  bool read(int64_t from, int64_t end, size_t max_records, size_t max_bytes, std::vector<stored_record>& out) const;

  // Drops the records up to this offset: they have become others.
  void drop_through(int64_t offset);

  void clear();

private:
  static size_t cost(const stored_record& record) { return sizeof(stored_record) + record.value.size(); }

  mutable std::mutex mutex_;
  std::deque<stored_record> records_;
  size_t bytes_ = 0;
  size_t bytes_max_ = 0;
};

} // namespace adtrack::storage
