#include "storage/memory_log.hpp"

#include <algorithm>
#include <chrono>
#include <deque>
#include <mutex>

namespace adtrack::storage {
namespace {

constexpr int64_t rewrite_records_max = 10'000; // a part

int64_t monotonic_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

class memory_log final : public event_log {
public:
  memory_log(uint32_t partitions, std::function<int64_t()> now_ms) : partitions_(partitions), now_ms_(std::move(now_ms)) {}

  uint32_t partitions() const noexcept override { return static_cast<uint32_t>(partitions_.size()); }

  void append(std::vector<log_record> records, append_done done) override {
    std::vector<append_outcome> outcomes;
    outcomes.reserve(records.size());
    std::function<void()> appended;
    {
      std::lock_guard lock(mutex_);
      const int64_t now = now_ms_();
      // All of the records or none, as in the logs that are durable.
      const bool known =
          std::all_of(records.begin(), records.end(), [&](const auto& r) { return r.partition < partitions_.size(); });
      for (auto& record : records) {
        if (!known) {
          outcomes.push_back({append_fate::refused, -1});
          continue;
        }
        auto& to = partitions_[record.partition];
        outcomes.push_back({append_fate::durable, to.end()});
        to.records.push_back({to.end(), now, std::move(record.value)});
      }
      appended = appended_;
    }
    const bool any = !outcomes.empty() && outcomes.front().fate == append_fate::durable;
    done(std::move(outcomes));
    if (any && appended) appended();
  }

  result<std::vector<stored_record>> read(uint32_t partition, int64_t from, size_t max_records, size_t max_bytes) override {
    std::lock_guard lock(mutex_);
    if (partition >= partitions_.size()) return no_partition(partition);
    const auto& of = partitions_[partition];
    if (from < of.begin || from > of.end())
      return status{errc::out_of_range, "offset " + std::to_string(from) + " of partition " + std::to_string(partition) +
                                            " is outside " + std::to_string(of.begin) + "-" + std::to_string(of.end())};
    std::vector<stored_record> out;
    size_t bytes = 0;
    for (auto at = static_cast<size_t>(from - of.begin); at < of.records.size() && out.size() < max_records; ++at) {
      bytes += of.records[at].value.size();
      if (!out.empty() && bytes > max_bytes) break;
      out.push_back(of.records[at]);
    }
    return out;
  }

  int64_t begin(uint32_t partition) override {
    std::lock_guard lock(mutex_);
    return partition < partitions_.size() ? partitions_[partition].begin : 0;
  }

  log_end end(uint32_t partition) override {
    std::lock_guard lock(mutex_);
    if (partition >= partitions_.size()) return {0, -1};
    return {partitions_[partition].end(), monotonic_ms()};
  }

  status trim(uint32_t partition, int64_t below) override {
    std::lock_guard lock(mutex_);
    if (partition >= partitions_.size() || below > partitions_[partition].end())
      return {errc::out_of_range, "cannot trim partition " + std::to_string(partition) + " below " + std::to_string(below) +
                                      ": that is past its end"};
    auto& of = partitions_[partition];
    while (of.begin < below) {
      of.records.pop_front();
      ++of.begin;
    }
    return {};
  }

  bool rewrites() const noexcept override { return true; }
  result<int64_t> rewrite(uint32_t partition, int64_t from, int64_t to, const record_change& change) override {
    std::lock_guard lock(mutex_);
    if (partition >= partitions_.size()) return no_partition(partition);
    auto& of = partitions_[partition];
    const int64_t first = std::max(from, of.begin), last = std::min(to, of.end());
    if (first >= last) return to;
    const int64_t next = std::min(last, first + rewrite_records_max);
    for (int64_t offset = first; offset < next; ++offset) {
      auto& record = of.records[static_cast<size_t>(offset - of.begin)];
      if (auto value = change(record)) record.value = std::move(*value);
    }
    return next == last ? to : next;
  }
  status purge(uint32_t partition) override { return partition < partitions_.size() ? status{} : no_partition(partition); }

  status reopen() override { return {}; }
  bool writable() const noexcept override { return true; }

  void on_appended(std::function<void()> callback) override {
    std::lock_guard lock(mutex_);
    appended_ = std::move(callback);
  }

private:
  struct partition_log {
    int64_t begin = 0;
    std::deque<stored_record> records; // offsets are dense from begin
    int64_t end() const { return begin + static_cast<int64_t>(records.size()); }
  };

  static status no_partition(uint32_t partition) {
    return {errc::out_of_range, "the log has no partition " + std::to_string(partition)};
  }

  mutable std::mutex mutex_;
  std::vector<partition_log> partitions_;
  std::function<int64_t()> now_ms_;
  std::function<void()> appended_;
};

} // namespace

std::unique_ptr<event_log> make_memory_log(uint32_t partitions, std::function<int64_t()> now_ms) {
  return std::make_unique<memory_log>(partitions, std::move(now_ms));
}

} // namespace adtrack::storage
