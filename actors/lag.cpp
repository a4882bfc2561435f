#include "actors/lag.hpp"

#include <algorithm>

namespace adtrack::actors {

void handed_batches::add(uint32_t partition, int64_t first, int64_t next, int64_t time_ms) {
  auto& of = each_[partition];
  std::lock_guard lock(of.mutex);
  if (of.batches.size() == kept_) of.batches.pop_front();
  of.batches.push_back({first, next, time_ms});
}

void handed_batches::forget(uint32_t partition) {
  auto& of = each_[partition];
  std::lock_guard lock(of.mutex);
  of.batches.clear();
}

std::optional<int64_t> handed_batches::time_of(uint32_t partition, int64_t offset) const {
  const auto& of = each_[partition];
  std::lock_guard lock(of.mutex);
  for (const auto& one : of.batches)
    if (offset >= one.first && offset < one.next) return one.time_ms;
  return {};
}

shard_lag lag_meter::measure(storage::event_log& log, const handed_batches& handed, uint32_t partition, int64_t applied,
                             int64_t now_ms, int64_t steady_ms) {
  const auto end = log.end(partition);
  const bool known = end.confirmed_ms >= 0 && steady_ms - end.confirmed_ms <= end_confirmed_within_ms;
  if (!known) return {std::max<int64_t>(0, end.offset - applied), -1};
  if (applied == end.offset) return {};
  // A shard past the end of its log, or below its start, is a matter for the reader to report; its lag is not known.
  if (applied > end.offset) return {0, -1};
  if (offset_ != applied) {
    auto time_ms = handed.time_of(partition, applied);
    if (!time_ms) time_ms = log.appended_ms(partition, applied);
    if (!time_ms) return {end.offset - applied, -1};
    offset_ = applied;
    time_ms_ = *time_ms;
  }
  // A record counts as at least 1 ms old: 0 says that there is none.
  return {end.offset - applied, std::max<int64_t>(1, now_ms - time_ms_)};
}

} // namespace adtrack::actors
