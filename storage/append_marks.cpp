#include "storage/append_marks.hpp"

#include <algorithm>
#include <iterator>

namespace adtrack::storage {
namespace {

constexpr size_t kept = 1'024;
constexpr int64_t apart_ms =
    10; // with them 10 s and more; who is further behind has as a rule been handed the records themselves
constexpr int64_t step_back_ms = 1'000;

} // namespace

void append_marks::add(int64_t offset, int64_t time_ms) {
  if (!marks_.empty()) {
    const auto last = marks_.back();
    if (offset < last.offset) return;
    if (time_ms + step_back_ms < last.time_ms)
      marks_.clear();
    else if (time_ms <= last.time_ms || (offset > last.offset && time_ms < last.time_ms + apart_ms))
      return;
    else if (offset == last.offset)
      marks_.pop_back();
  }
  if (marks_.size() == kept) marks_.pop_front();
  marks_.push_back({offset, time_ms});
}

std::optional<int64_t> append_marks::appended_ms(int64_t offset) const {
  const auto past = [](int64_t value, const mark& m) { return value < m.offset; };
  const auto after = std::upper_bound(marks_.begin(), marks_.end(), offset, past);
  if (after == marks_.begin()) return {};
  return std::prev(after)->time_ms;
}

} // namespace adtrack::storage
