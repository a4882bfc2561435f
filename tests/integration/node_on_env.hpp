// A whole node (log, actors, shards) on the fault-injecting Env, and a client that keeps a ledger of what it sent and what was
// acknowledged. For the tests that take power, space or fsync away.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include <boost/test/unit_test.hpp>

#include "actors/node.hpp"
#include "config/telemetry.hpp"
#include "storage/background.hpp"
#include "storage/catalogue.hpp"
#include "storage/memory_stream.hpp"
#include "storage/rocksdb_log.hpp"
#include "storage/rocksdb_shard_store.hpp"
#include "tests/support/faulty_env.hpp"

namespace adtrack::test {

using namespace std::chrono_literals;
using namespace actors;

inline constexpr uint32_t shards = 3;
inline constexpr uint64_t ads = 40;

inline int64_t wall_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// What the client knows of the events it sent.
class ledger : public completion_sink {
public:
  void complete(std::vector<completion> completions) override {
    std::lock_guard lock(mutex_);
    for (auto& c : completions) {
      if (std::holds_alternative<ingested>(c.what)) acked_.insert(c.to.serial);
      if (auto* a = std::get_if<analytics_result>(&c.what)) answers_[c.to.serial] = *a;
      if (auto* f = std::get_if<failed>(&c.what); f && c.to.serial >= first_query) answers_[c.to.serial] = nullptr;
    }
    changed_.notify_all();
  }
  bool acked(uint64_t serial) {
    std::lock_guard lock(mutex_);
    return acked_.count(serial) > 0;
  }
  size_t acks() {
    std::lock_guard lock(mutex_);
    return acked_.size();
  }
  analytics_result wait_answer(uint64_t serial) {
    std::unique_lock lock(mutex_);
    BOOST_REQUIRE(changed_.wait_for(lock, 30s, [&] { return answers_.count(serial) > 0; }));
    return answers_[serial];
  }
  template <class P>
  bool wait(std::chrono::milliseconds within, P done) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, within, done);
  }
  void wake() {
    std::lock_guard lock(mutex_);
    changed_.notify_all();
  }
  static constexpr uint64_t first_query = 1'000'000'000;

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::set<uint64_t> acked_;
  std::map<uint64_t, analytics_result> answers_;
};

inline ingest_item event_of(uint64_t serial) {
  ingest_item item;
  item.from.serial = serial;
  item.what.type = serial % 3 ? event_type::click : event_type::impression;
  item.what.ad_id = 1 + serial % ads;
  item.what.event_id = "event-" + std::to_string(serial);
  item.what.time_s = wall_ms() / 1'000;
  item.what.agent = "client";
  return item;
}

// One life of the node between two losses of power.
struct life {
  life(faulty_env& env, const std::string& dir, ledger& sink) {
    storage::rocksdb_log_options lo;
    lo.path = dir + "/log";
    lo.partitions = shards;
    lo.env = &env;
    lo.now_ms = wall_ms;
    auto opened = storage::open_rocksdb_log(lo);
    BOOST_REQUIRE_MESSAGE(opened.ok(), opened.why.message); // it opens every time
    log = std::move(*opened);
    node_options options;
    options.node_id = "test";
    options.commit_ms = 20;
    options.sync_ms = 60;
    options.retry_ms = 20;
    node_parts parts;
    parts.log = log;
    parts.open_engine = [&env, dir, budget = budget,
                         worker = worker](uint32_t shard) -> storage::result<std::unique_ptr<storage::shard_engine>> {
      auto store = storage::open_rocksdb_shard_store({dir + "/shards/" + std::to_string(shard), budget, &env});
      if (!store.ok()) return store.why;
      storage::shard_options o;
      o.shard = shard;
      o.commit_records = 200;
      o.dedupe_bytes = 1; // sealed at 1,024 rows, so that seals and merges meet the loss too
      o.worker = worker;
      return storage::shard_engine::open(std::move(*store), o);
    };
    parts.open_catalogue = []() -> storage::result<std::unique_ptr<storage::ads_catalogue>> {
      return std::make_unique<storage::ads_catalogue>(storage::make_memory_stream(wall_ms), storage::random_token, wall_ms);
    };
    parts.metrics = &metrics;
    parts.wanted.visitor_key_id = parts.key.id();
    parts.now_ms = wall_ms;
    std::string error;
    running = node::start(options, std::move(parts), error);
    BOOST_REQUIRE_MESSAGE(running, error);
    running->door().bind(&sink);
  }
  ~life() {
    BOOST_TEST(running->stop(std::chrono::steady_clock::now() + 20s));
    running.reset();
    log.reset();
  }
  bool wait_ready(const faulty_env& env) {
    auto deadline = std::chrono::steady_clock::now() + 30s;
    while (!running->door().ready().ready) {
      if (!env.powered()) return false;
      BOOST_REQUIRE_MESSAGE(std::chrono::steady_clock::now() < deadline, running->door().ready().reason);
      std::this_thread::yield();
    }
    return true;
  }

  std::shared_ptr<storage::shard_store_budget> budget = std::make_shared<storage::shard_store_budget>(4 << 20, 4 << 20);
  std::shared_ptr<storage::background> worker = std::make_shared<storage::background>();
  config::metrics metrics;
  std::shared_ptr<storage::event_log> log;
  std::unique_ptr<node> running;
};

inline void send(life& now, const std::vector<uint64_t>& serials) {
  for (size_t i = 0; i < serials.size(); i += 20) {
    std::vector<ingest_item> items;
    for (size_t j = i; j < std::min(serials.size(), i + 20); ++j) items.push_back(event_of(serials[j]));
    if (!now.running->door().submit(std::move(items))) return; // overloaded: they stay unacknowledged
  }
}

// Everything sent is counted exactly once, acknowledged or retried until it was.
inline void check_counts(life& now, ledger& sink, uint64_t sent, uint64_t query_serial) {
  analytics_query q;
  q.limit = 1'000;
  q.timeout_ms = 20'000;
  for (uint32_t s = 0; s < shards; ++s) q.min_positions.push_back({s, now.log->end(s).offset - 1});
  ticket t;
  t.serial = query_serial;
  now.running->door().query(t, q);
  auto answer = sink.wait_answer(query_serial);
  BOOST_REQUIRE(answer);
  BOOST_TEST(answer->complete);
  std::map<uint64_t, uint64_t> expected;
  for (uint64_t serial = 1; serial <= sent; ++serial) ++expected[1 + serial % ads];
  BOOST_TEST(answer->rows.size() == expected.size());
  for (const auto& row : answer->rows)
    BOOST_TEST(row.count.gross(event_type::click) + row.count.gross(event_type::impression) == expected[row.ad_id],
               "ad " << row.ad_id);
}

} // namespace adtrack::test
