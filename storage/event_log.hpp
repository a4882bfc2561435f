// The durable, partitioned, ordered record of accepted events: the truth that everything else is a view of.
// Thread-safe: one thread appends, any number read. Implementations: memory_log, rocksdb_log, kafka_log, remote_log, and
// spooled_log, which stands before another one.
// Never applies, filters or decides anything.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "storage/status.hpp"

namespace adtrack::storage {

struct log_record {
  uint32_t partition = 0;
  std::string value;
};

struct stored_record {
  int64_t offset = 0;
  int64_t time_ms = 0; // unix ms, given by the log
  std::string value;
};

enum class append_fate : uint8_t {
  durable, // on stable storage
  spooled, // durable in this node's spool, not yet in the log
  refused, // certainly not in the log
  unknown, // may or may not be in the log: the client must retry
};

struct append_outcome {
  append_fate fate = append_fate::unknown;
  int64_t offset = -1; // -1: not known
};

// Called exactly once an append, with one outcome a record in the order given; from any thread, possibly before append returns.
using append_done = std::function<void(std::vector<append_outcome>)>;

struct log_end {
  int64_t offset = 0;       // the next offset that will be given; every durable record is below it
  int64_t confirmed_ms = 0; // monotonic ms (steady clock) when this was last known to be true; -1 never
};

// What a record's value is replaced by; nothing: it stays. Calls nothing of the log.
using record_change = std::function<std::optional<std::string>(const stored_record&)>;

class event_log {
public:
  virtual ~event_log() = default;
  virtual uint32_t partitions() const noexcept = 0;

  // Appends in order within a partition; all records of one call share one fsync (group commit).
  virtual void append(std::vector<log_record> records, append_done done) = 0;

  // Durable records of `partition` with offset >= from, in order: at most `max_records` and about `max_bytes` of values
  // (at least one record when there is one). Offsets increase, not necessarily by one. Empty: nothing there yet.
  // errc::out_of_range when `from` is below begin() or past end().
  virtual result<std::vector<stored_record>> read(uint32_t partition, int64_t from, size_t max_records, size_t max_bytes) = 0;

  // When the record at `offset` was appended or became readable, or a moment before that (Unix ms); nothing when there is none or it is not known.
  // Reads the record unless that costs more than a look: a log that others hold says what it knows without.
  virtual std::optional<int64_t> appended_ms(uint32_t partition, int64_t offset) {
    auto found = read(partition, offset, 1, 1);
    if (!found.ok() || found->empty()) return {};
    return found->front().time_ms;
  }

  virtual int64_t begin(uint32_t partition) = 0; // first offset kept
  virtual log_end end(uint32_t partition) = 0;

  // Removes the records below `below` (never past end); begin() becomes `below`.
  virtual status trim(uint32_t partition, int64_t below) = 0;

  // Whether rewrite() works: false of a log whose records nobody can change (Kafka, another node's).
  virtual bool rewrites() const noexcept { return false; }

  // Replaces values of durable records in [from, to) where `change` gives another one; offsets, times and order stay. Does a
  // bounded part and returns where to go on; `to` when it is done. A part is atomic, and durable when this returns; after an
  // error it may have been done or not. Records below begin() are passed over. Any thread, one at a time; beside appends, reads
  // and trims.
  virtual result<int64_t> rewrite(uint32_t /*partition*/, int64_t /*from*/, int64_t /*to*/, const record_change& /*change*/) {
    return status{errc::cannot, "the records of this log cannot be replaced"};
  }

  // Takes the values that were replaced before off the disk, wherever the log keeps them; what a read under way still holds goes
  // when it ends. May take long; any thread, beside everything else. After an error it has to be asked for again.
  virtual status purge(uint32_t /*partition*/) { return {errc::cannot, "the records of this log cannot be replaced"}; }

  // A log like this one at `path`, which must not exist but in whose directory it is made, with every record that is durable when
  // this is called. Shares what it can with this one; whole when it returns ok, over a power loss too. Any thread; may take long.
  virtual status checkpoint(const std::string& /*path*/) {
    return {errc::cannot, "the records of this log are kept elsewhere: what keeps them has to be backed up there"};
  }

  // After a failed write the log is read-only; this tries to bring it back. Cheap when writable() already.
  virtual status reopen() = 0;
  virtual bool writable() const noexcept = 0;

  // False of a log that takes no records from here, ever.
  virtual bool takes_records() const noexcept { return true; }

  // Registers the one callback that is told, from any thread, that there may be something new to read.
  virtual void on_appended(std::function<void()> callback) = 0;

  // Grows whenever what stands below the end may have become something else: another leader, a new connection, a topic made anew.
  // It has grown before read() gives a record from there, so a reader asks for it after each read: when it is not what it was,
  // nothing that was read is used before the last applied record was read again and found the same.
  virtual uint64_t generation(uint32_t /*partition*/) { return 0; }

  // Records that are durable on this node and acknowledged, but not in the log yet, so that nobody can have counted them. Any
  // thread.
  virtual uint64_t waiting() { return 0; }

  // Not ok when the log no longer has the shape that it was opened with: a sentence for the operator.
  virtual status health() { return {}; }
};

} // namespace adtrack::storage
