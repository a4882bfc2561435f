// A log in memory that has moods: it refuses, says nothing, or does not know, as its script says. For tests of what stands before it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <boost/test/unit_test.hpp>

#include "storage/event_log.hpp"
#include "storage/memory_log.hpp"

namespace adtrack::storage {

inline constexpr int64_t start_ms = 1'753'200'972'000;
inline constexpr uint32_t shards = 3;

enum class mood : uint8_t {
  durable,
  refused,       // certainly not in the log
  unknown,       // not in the log, which does not say so
  unknown_there, // in the log, which does not say so
  silent,        // not in the log; no outcome until answer(), or never
};

// A memory log in a mood. Shared with its test, which outlives it. Thread-safe.
struct log_script {
  std::mutex mutex;
  mood how = mood::durable;
  int dead_partition = -1; // its records end unknown, whatever the mood
  bool is_writable = true;
  bool reopens = true;      // reopen() makes it writable
  int64_t confirmed_ms = 0; // of every partition
  bool rewritten = false;   // its records can be replaced
  size_t appends = 0, reopened = 0, purges = 0;
  std::deque<std::pair<size_t, append_done>> silent;
  bool answers_at_end = true; // in its destructor
  std::unique_ptr<event_log> kept = make_memory_log(shards, [] { return start_ms; });

  // The first one without an outcome gets it.
  void answer(append_fate fate) {
    BOOST_REQUIRE(!silent.empty());
    auto [records, done] = std::move(silent.front());
    silent.pop_front();
    done(std::vector<append_outcome>(records, {fate, -1}));
  }
  std::vector<std::string> values(uint32_t partition = 0) {
    auto read = kept->read(partition, 0, SIZE_MAX, SIZE_MAX);
    BOOST_REQUIRE(read.ok());
    std::vector<std::string> out;
    for (auto& record : *read) out.push_back(std::move(record.value));
    return out;
  }
};

class troubled_log final : public event_log {
public:
  explicit troubled_log(log_script& s) : script_(s) {}
  ~troubled_log() override {
    while (script_.answers_at_end && !script_.silent.empty()) script_.answer(append_fate::unknown);
  }
  uint32_t partitions() const noexcept override { return shards; }
  void append(std::vector<log_record> records, append_done done) override {
    std::unique_lock lock(script_.mutex);
    ++script_.appends;
    const auto how = script_.how;
    if (how == mood::silent) {
      script_.silent.emplace_back(records.size(), std::move(done));
      return;
    }
    std::vector<append_outcome> outcomes(records.size(),
                                         {how == mood::refused ? append_fate::refused : append_fate::unknown, -1});
    for (size_t i = 0; i < records.size(); ++i) {
      if (static_cast<int>(records[i].partition) == script_.dead_partition) {
        outcomes[i] = {};
      } else if (how == mood::durable || how == mood::unknown_there) {
        script_.kept->append({std::move(records[i])}, [&](std::vector<append_outcome> one) {
          if (how == mood::durable) outcomes[i] = one[0];
        });
      }
    }
    lock.unlock();
    done(std::move(outcomes));
  }
  result<std::vector<stored_record>> read(uint32_t partition, int64_t from, size_t max_records, size_t max_bytes) override {
    return script_.kept->read(partition, from, max_records, max_bytes);
  }
  int64_t begin(uint32_t partition) override { return script_.kept->begin(partition); }
  log_end end(uint32_t partition) override { return {script_.kept->end(partition).offset, script_.confirmed_ms}; }
  status trim(uint32_t partition, int64_t below) override { return script_.kept->trim(partition, below); }
  status reopen() override {
    std::lock_guard lock(script_.mutex);
    ++script_.reopened;
    if (!script_.reopens) return {errc::io, "still broken"};
    script_.is_writable = true;
    return {};
  }
  bool writable() const noexcept override {
    std::lock_guard lock(script_.mutex);
    return script_.is_writable;
  }
  void on_appended(std::function<void()> callback) override { script_.kept->on_appended(std::move(callback)); }
  bool rewrites() const noexcept override { return script_.rewritten; }
  result<int64_t> rewrite(uint32_t partition, int64_t from, int64_t to, const record_change& change) override {
    return script_.rewritten ? script_.kept->rewrite(partition, from, to, change)
                             : event_log::rewrite(partition, from, to, change);
  }
  status purge(uint32_t partition) override {
    ++script_.purges;
    return {errc::io, "purged partition " + std::to_string(partition)};
  }

private:
  log_script& script_;
};

} // namespace adtrack::storage
