// A durable, bounded queue on this node's disk for records that the log cannot take: in the order of their positions, each with
// the time when it was accepted. Owned by spooled_log. Thread-safe; disk work is one at a time. What append() called spooled is
// there after kill -9 and power loss; what it called refused is certainly not stored. Never drops a record by itself: what must
// not be drained any more is moved aside (held) for an operator, in the same bound.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "storage/event_log.hpp"

namespace rocksdb {
class Env;
}

namespace adtrack::storage {

struct spool_options {
  std::string path;         // a directory of its own; made when missing
  uint32_t partitions = 16; // of the log that it is for; fixed when the spool is created
  uint64_t max_bytes =
      uint64_t{1} << 30;                 // of values and spool_entry_overhead each, waiting and held; beyond, appends are refused
  rocksdb::Env* env = nullptr;           // null: the default one
  size_t write_buffer_bytes = 16u << 20; // newest records held in memory
  size_t block_cache_bytes = 4u << 20;
};

// What a record is taken to need on the disk beside its value.
inline constexpr uint64_t spool_entry_overhead = 32;

struct spool_entry {
  int64_t position = 0;    // dense over the waiting ones, never used again
  int64_t accepted_ms = 0; // unix ms
  uint32_t partition = 0;
  std::string value;
};

struct spool_depth {
  uint64_t records = 0, bytes = 0;           // waiting
  uint64_t held_records = 0, held_bytes = 0; // moved aside
  int64_t oldest_accepted_ms = -1;           // of the first one waiting; -1: none
};

class spool {
public:
  // errc::mismatch when it was created for another number of partitions or by a later version; errc::locked when it is open
  // already.
  static result<std::unique_ptr<spool>> open(spool_options options);
  ~spool();
  spool(const spool&) = delete;
  spool& operator=(const spool&) = delete;

  // All of the records or none, one fsync. `spooled`: durable. `refused`: certainly not stored (full, or read-only since a write
  // failed, or a partition that the log does not have). `unknown`: the write failed; what there is of it shows after reopen().
  append_fate append(const std::vector<log_record>& records, int64_t accepted_ms);

  // The first waiting records: at most `max_records` and about `max_bytes` of values, at least one when there is one.
  result<std::vector<spool_entry>> read_front(size_t max_records, size_t max_bytes);

  // Removes those below `position`, or moves them aside; durable when it returns ok. What was to be removed when the disk failed
  // is not shown again by this object, but may be by the next process.
  status remove_below(int64_t position);
  status hold_below(int64_t position);

  // For the operator: those moved aside, by position from `from`, bounded as read_front; their removal; and their way back: as if
  // accepted now, at the end of the queue. Both say of how many.
  result<std::vector<spool_entry>> read_held(int64_t from, size_t max_records, size_t max_bytes);
  result<uint64_t> remove_held_below(int64_t position);
  result<uint64_t> release_held_below(int64_t position, int64_t now_ms);

  spool_depth depth() const; // never waits for the disk
  // Whether `bytes` more of values in `records` records fit; never waits for the disk.
  bool has_room(uint64_t records, uint64_t bytes) const;

  // After a failed write the spool refuses until this brings it back. Cheap when writable() already.
  status reopen();
  bool writable() const noexcept;

private:
  struct impl;
  explicit spool(std::unique_ptr<impl> parts);
  std::unique_ptr<impl> impl_;
};

} // namespace adtrack::storage
