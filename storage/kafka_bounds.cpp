#include "storage/kafka_bounds.hpp"

#include <algorithm>

namespace adtrack::storage::kafka {

bounds::view bounds::of(uint32_t partition) const {
  const auto& at = each_[partition];
  std::lock_guard lock(at.mutex);
  return at.known;
}

log_end bounds::reachable_end(uint32_t partition) const {
  const auto& at = each_[partition];
  std::lock_guard lock(at.mutex);
  return {at.empty_to == at.known.end && at.empty_from >= 0 ? at.empty_from : at.known.end, at.known.confirmed_ms};
}

void bounds::at_least(uint32_t partition, int64_t end) {
  auto& at = each_[partition];
  std::lock_guard lock(at.mutex);
  at.known.end = std::max(at.known.end, end);
}

void bounds::acknowledged(uint32_t partition, int64_t offset, int64_t time_ms) {
  auto& at = each_[partition];
  std::lock_guard lock(at.mutex);
  at.known.end = std::max(at.known.end, offset + 1);
  if (time_ms >= 0) at.marks.add(offset, time_ms);
}

std::optional<int64_t> bounds::appended_ms(uint32_t partition, int64_t offset) const {
  const auto& at = each_[partition];
  std::lock_guard lock(at.mutex);
  return at.marks.appended_ms(offset);
}

void bounds::empty_between(uint32_t partition, int64_t from, int64_t to) {
  auto& at = each_[partition];
  std::lock_guard lock(at.mutex);
  at.known.end = std::max(at.known.end, to);
  at.empty_from = from;
  at.empty_to = to;
}

void bounds::begins_at(uint32_t partition, int64_t begin) {
  auto& at = each_[partition];
  std::lock_guard lock(at.mutex);
  at.known.begin = begin;
}

bool bounds::confirm(uint32_t partition, int64_t end, int64_t before, int64_t asked_ms, int64_t wall_ms) {
  auto& at = each_[partition];
  std::lock_guard lock(at.mutex);
  at.known.confirmed_ms = asked_ms;
  if (end >= before) {
    at.known.end = std::max(at.known.end, end);
    at.marks.add(end, wall_ms); // it ended there when it was asked, or later
    return true;
  }
  at.marks.clear();
  at.known.end = end;
  at.empty_from = at.empty_to = -1;
  return false;
}

} // namespace adtrack::storage::kafka
