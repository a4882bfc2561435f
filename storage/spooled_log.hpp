// An event log that outlives an outage of the one behind it (Kafka): while that one takes nothing, records which were never handed
// to it go to this node's spool, and from there into it once it takes records again, beside live traffic. A record that was handed
// over is never spooled: its fate stays what the log behind says, `unknown` included. Thread-safe as event_log says; owns a drain
// thread (or none: then step() does its work). The log behind must take appends from two threads at a time, and give every append
// its outcome at the latest in its destructor.
//
// Outage: the oldest append handed over has had no outcome for longer than outage_after_ms, or every append ended refused or
// unknown for that long, or writable() was false for that long. From then on live records take the spool until an append, as a
// rule the drain's, became durable as a whole and none is overdue: only that proves that the log takes records again (a leader
// short of replicas confirms its end all the while). With an empty spool there is nothing to prove it with; then state() stops
// calling it an outage once the log is writable() and has confirmed its end since the last trouble, and the next records still
// take the spool, whose drain is the proof. With `reject` that look of health is enough to try again.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "storage/event_log.hpp"
#include "storage/spool.hpp"

namespace adtrack::storage {

enum class outage_policy : uint8_t { spool, reject };

struct spooled_log_options {
  outage_policy policy = outage_policy::spool;
  int64_t outage_after_ms = 2'000;
  int64_t max_wait_ms = 6 * 86'400'000LL; // the dedupe window minus a day; who waited longer is held
  size_t batch_records = 10'000;          // one drain append
  size_t batch_bytes = 8u << 20;          // about, of values
  size_t probe_records = 500; // one drain append while the log is in doubt: its fate may stay unknown, and it is repeated
  int64_t retry_ms_min = 100; // rest after a failed drain append or reopen, doubled each time
  int64_t retry_ms_max = 2'000;
  int64_t tick_ms = 100;              // how often the drain thread looks when nothing wakes it
  bool thread = true;                 // false: the owner calls step()
  std::function<int64_t()> now_ms;    // unix ms; any thread
  std::function<int64_t()> steady_ms; // monotonic ms, the clock of log_end::confirmed_ms; any thread
};

struct spool_state {
  uint64_t records = 0, bytes = 0;           // waiting for the log
  uint64_t held_records = 0, held_bytes = 0; // moved aside for the operator
  int64_t oldest_age_ms = 0;                 // of the first one waiting; 0: none
  bool outage = false;
  bool writable = true; // the spool takes records: its disk works and it is not full
};

class spooled_log : public event_log {
public:
  virtual spool_state state() const = 0; // never waits for the disk or the log

  // One round of what the drain thread does: looks for an outage, brings back what failed, drains a batch. Never called while the
  // thread runs. True when there may be more to do at once.
  virtual bool step() = 0;

  // For the operator: what was moved aside, its removal, and its way into the log after all. As spool.
  virtual result<std::vector<spool_entry>> read_held(int64_t from, size_t max_records, size_t max_bytes) = 0;
  virtual result<uint64_t> remove_held_below(int64_t position) = 0;
  virtual result<uint64_t> release_held_below(int64_t position) = 0;
};

// Both are given away: they end with the decorator, the log first. `queue` was opened for inner->partitions().
std::unique_ptr<spooled_log> make_spooled_log(std::unique_ptr<event_log> inner, std::unique_ptr<spool> queue,
                                              spooled_log_options options);

} // namespace adtrack::storage
