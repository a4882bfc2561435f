#include "storage/memory_stream.hpp"

#include <map>
#include <unordered_map>

namespace adtrack::storage {
namespace {

class memory_stream final : public compacted_stream {
public:
  explicit memory_stream(std::function<int64_t()> now_ms) : now_ms_(std::move(now_ms)) {}

  result<int64_t> append(std::string_view key, std::string_view value) override {
    std::string name(key);
    if (const auto old = newest_.find(name); old != newest_.end()) entries_.erase(old->second);
    const int64_t offset = next_++;
    if (value.empty()) { // a tombstone: nothing older is left that it would have to hide
      newest_.erase(name);
      return offset;
    }
    entries_[offset] = {offset, now_ms_(), name, std::string(value)};
    newest_[std::move(name)] = offset;
    return offset;
  }

  status read_all(const std::function<void(const entry&)>& visit) override {
    for (const auto& [offset, kept] : entries_) visit(kept);
    return {};
  }

  status reopen() override { return {}; }

private:
  int64_t next_ = 0;
  std::map<int64_t, entry> entries_;
  std::unordered_map<std::string, int64_t> newest_; // key to its offset
  std::function<int64_t()> now_ms_;
};

} // namespace

std::unique_ptr<compacted_stream> make_memory_stream(std::function<int64_t()> now_ms) {
  return std::make_unique<memory_stream>(std::move(now_ms));
}

} // namespace adtrack::storage
