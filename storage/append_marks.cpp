#include "storage/append_marks.hpp"

#include <algorithm>
#include <iterator>

namespace adtrack::storage {
namespace {

constexpr size_t kept = 1'024; // a ms apart or more; who is further behind has been handed the records themselves

} // namespace

void append_marks::add(int64_t offset, int64_t time_ms) {
  if (!marks_.empty() && (offset < marks_.back().offset || time_ms <= marks_.back().time_ms)) return;
  if (!marks_.empty() && offset == marks_.back().offset) marks_.pop_back();
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
