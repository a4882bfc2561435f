#include "actors/lag.hpp"

#include <algorithm>

namespace adtrack::actors {

shard_lag lag_meter::measure(storage::event_log& log, uint32_t partition, int64_t applied, int64_t now_ms, int64_t steady_ms) {
  const auto end = log.end(partition);
  const bool known = end.confirmed_ms >= 0 && steady_ms - end.confirmed_ms <= end_confirmed_within_ms;
  if (!known) return {std::max<int64_t>(0, end.offset - applied), -1};
  if (applied == end.offset) return {};
  // A shard past the end of its log, or below its start, is a matter for the reader to report; its lag is not known.
  if (applied > end.offset) return {0, -1};
  if (offset_ != applied) {
    auto head = log.read(partition, applied, 1, 1);
    if (!head.ok() || head->empty()) return {end.offset - applied, -1};
    offset_ = applied;
    time_ms_ = head->front().time_ms;
  }
  // A record counts as at least 1 ms old: 0 says that there is none.
  return {end.offset - applied, std::max<int64_t>(1, now_ms - time_ms_)};
}

} // namespace adtrack::actors
