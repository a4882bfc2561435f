#include "storage/log_tail.hpp"

#include <algorithm>

namespace adtrack::storage {

void log_tail::push(stored_record record) {
  std::lock_guard lock(mutex_);
  if (!records_.empty() && records_.back().offset + 1 != record.offset) {
    records_.clear();
    bytes_ = 0;
  }
  bytes_ += cost(record);
  records_.push_back(std::move(record));
  while (bytes_ > bytes_max_) {
    bytes_ -= cost(records_.front());
    records_.pop_front();
  }
}

bool log_tail::read(int64_t from, int64_t end, size_t max_records, size_t max_bytes, std::vector<stored_record>& out) const {
  std::lock_guard lock(mutex_);
  if (records_.empty() || from < records_.front().offset || from > records_.back().offset) return false;
  size_t bytes = 0;
  for (auto at = static_cast<size_t>(from - records_.front().offset); at < records_.size() && out.size() < max_records; ++at) {
    const auto& record = records_[at];
    bytes += record.value.size();
    if (record.offset >= end || (!out.empty() && bytes > max_bytes)) break;
    out.push_back(record);
  }
  return true;
}

void log_tail::drop_through(int64_t offset) {
  std::lock_guard lock(mutex_);
  while (!records_.empty() && records_.front().offset <= offset) {
    bytes_ -= cost(records_.front());
    records_.pop_front();
  }
}

void log_tail::clear() {
  std::lock_guard lock(mutex_);
  records_.clear();
  bytes_ = 0;
}

} // namespace adtrack::storage
