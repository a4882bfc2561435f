#include "storage/memory_inbox.hpp"

#include <utility>

namespace adtrack::storage {
namespace {

class inbox_in_memory final : public inbox {
public:
  explicit inbox_in_memory(std::shared_ptr<memory_inbox_topic> topic) : topic_(std::move(topic)), given_(topic_->committed) {}

  result<std::vector<inbox_record>> read(size_t max_records, size_t max_bytes) override {
    std::vector<inbox_record> out;
    size_t bytes = 0;
    for (const auto& record : topic_->records) {
      if (record.offset < given_[record.partition]) continue;
      bytes += record.value.size();
      if (out.size() == max_records || (!out.empty() && bytes > max_bytes)) break;
      given_[record.partition] = record.offset + 1;
      out.push_back(record);
    }
    return out;
  }

  status commit(std::span<const inbox_position> positions) override {
    for (const auto& each : positions) topic_->committed[each.partition] = each.next;
    return {};
  }

  result<inbox_lag> lag() override {
    inbox_lag out;
    for (const auto& record : topic_->records)
      if (record.offset >= topic_->committed[record.partition]) ++out.records;
    return out;
  }

private:
  const std::shared_ptr<memory_inbox_topic> topic_;
  std::map<uint32_t, int64_t> given_;
};

} // namespace

void memory_inbox_topic::add(uint32_t partition, std::string value, int64_t time_ms) {
  records.push_back({partition, next_[partition]++, time_ms, std::move(value)});
}

std::unique_ptr<inbox> make_memory_inbox(std::shared_ptr<memory_inbox_topic> topic) {
  return std::make_unique<inbox_in_memory>(std::move(topic));
}

} // namespace adtrack::storage
