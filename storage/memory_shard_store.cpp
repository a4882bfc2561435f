// The memory twin of the RocksDB shard store: for tests, and for the oracle that replays a log. Snapshots copy.
#include <map>
#include <mutex>
#include <vector>

#include "storage/shard_store.hpp"
#include "storage/store_merge.hpp"

namespace adtrack::storage {

namespace {

using table = std::map<std::string, std::string, std::less<>>;

struct operation {
  enum class kind : uint8_t { put, merge, erase, erase_range } what;
  std::string key, value;
};

class memory_batch final : public store_batch {
public:
  void put(std::string_view key, std::string_view value) override { add(operation::kind::put, key, value); }
  void merge(std::string_view key, std::string_view value) override { add(operation::kind::merge, key, value); }
  void erase(std::string_view key) override { add(operation::kind::erase, key, {}); }
  void erase_range(std::string_view from, std::string_view to) override { add(operation::kind::erase_range, from, to); }
  size_t bytes() const noexcept override { return bytes_; }
  std::vector<operation> operations;

private:
  void add(operation::kind what, std::string_view key, std::string_view value) {
    operations.push_back({what, std::string(key), std::string(value)});
    bytes_ += key.size() + value.size();
  }
  size_t bytes_ = 0;
};

result<std::string> find(const table& t, std::string_view key) {
  auto it = t.find(key);
  if (it == t.end()) return status{errc::not_found, {}};
  return it->second;
}

void visit_range(const table& t, std::string_view from, std::string_view to,
                 const std::function<bool(std::string_view, std::string_view)>& visit) {
  for (auto it = t.lower_bound(from); it != t.end() && it->first < to; ++it)
    if (!visit(it->first, it->second)) return;
}

class memory_snapshot final : public store_reader {
public:
  explicit memory_snapshot(table t) : table_(std::move(t)) {}
  result<std::string> get(std::string_view key) const override { return find(table_, key); }
  status scan(std::string_view from, std::string_view to,
              const std::function<bool(std::string_view, std::string_view)>& visit) const override {
    visit_range(table_, from, to, visit);
    return status::success();
  }

private:
  table table_;
};

class memory_store final : public shard_store {
public:
  std::unique_ptr<store_batch> new_batch() override { return std::make_unique<memory_batch>(); }

  status write(store_batch& batch) override {
    std::lock_guard lock(mutex_);
    for (auto& op : static_cast<memory_batch&>(batch).operations) {
      switch (op.what) {
      case operation::kind::put: table_[op.key] = op.value; break;
      case operation::kind::erase: table_.erase(op.key); break;
      case operation::kind::erase_range: table_.erase(table_.lower_bound(op.key), table_.lower_bound(op.value)); break;
      case operation::kind::merge:
        if (auto why = merge(op); !why.ok()) return why;
      }
    }
    return status::success();
  }

  status sync() override { return status::success(); }
  status purge(std::string_view, std::string_view) override { return status::success(); }
  void set_horizons(const store_horizons&) override {}

  result<std::string> get(std::string_view key) const override {
    std::lock_guard lock(mutex_);
    return find(table_, key);
  }

  status scan(std::string_view from, std::string_view to,
              const std::function<bool(std::string_view, std::string_view)>& visit) const override {
    std::lock_guard lock(mutex_);
    visit_range(table_, from, to, visit);
    return status::success();
  }

  std::shared_ptr<const store_reader> snapshot() override {
    std::lock_guard lock(mutex_);
    return std::make_shared<memory_snapshot>(table_);
  }

private:
  status merge(const operation& op) {
    auto [it, made] = table_.try_emplace(op.key, op.value);
    if (made) return status::success();
    std::string merged;
    if (!merge_values(op.key, it->second, op.value, merged)) return {errc::corrupt, "a stored value does not decode"};
    it->second = std::move(merged);
    return status::success();
  }

  mutable std::mutex mutex_;
  table table_;
};

} // namespace

std::unique_ptr<shard_store> make_memory_shard_store() { return std::make_unique<memory_store>(); }

} // namespace adtrack::storage
