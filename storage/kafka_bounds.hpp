// What is known of where each partition begins and ends, and since when. Facts come from acknowledgements, from fetched records
// and from the leaders' answers; only the last confirm an end, as of the moment before they were asked. Thread-safe. Internal to
// storage/kafka_*.
#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>

#include "storage/append_marks.hpp"
#include "storage/event_log.hpp"

namespace adtrack::storage::kafka {

class bounds {
public:
  explicit bounds(uint32_t partitions) : each_(partitions) {}

  struct view {
    int64_t begin = 0;
    int64_t end = 0;
    int64_t confirmed_ms = -1;
  };
  view of(uint32_t partition) const;

  // The end as readers see it: not past a stretch at the end that is known to hold no record (as after another producer's
  // transaction), which nobody could ever read up to.
  log_end reachable_end(uint32_t partition) const;

  void at_least(uint32_t partition, int64_t end);                         // a record stands just below `end`
  void acknowledged(uint32_t partition, int64_t offset, int64_t time_ms); // a record at it, of that log time
  void empty_between(uint32_t partition, int64_t from, int64_t to);
  void begins_at(uint32_t partition, int64_t begin);

  // The leader's answer to a question sent at `asked_ms`, when the end was already known to be `before`. False when it went
  // backwards: then what was known is forgotten. `wall_ms` is the same moment by the wall clock.
  bool confirm(uint32_t partition, int64_t end, int64_t before, int64_t asked_ms, int64_t wall_ms);

  std::optional<int64_t> appended_ms(uint32_t partition, int64_t offset) const;

private:
  struct state {
    mutable std::mutex mutex;
    view known;
    int64_t empty_from = -1, empty_to = -1;
    append_marks marks;
  };
  std::deque<state> each_;
};

} // namespace adtrack::storage::kafka
