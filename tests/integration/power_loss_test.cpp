// Power goes, at random and at each named point of an event's way, under a client that keeps a ledger and retries. The whole node runs
// (log, actors, shards); every store stands on the fault-injecting Env, and all that was not synced is gone after each loss.
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <thread>

#include <boost/test/unit_test.hpp>

#include "actors/node.hpp"
#include "config/telemetry.hpp"
#include "storage/background.hpp"
#include "storage/catalogue.hpp"
#include "storage/memory_stream.hpp"
#include "storage/rocksdb_log.hpp"
#include "storage/rocksdb_shard_store.hpp"
#include "tests/support/faulty_env.hpp"
#include "tests/support/scratch_dir.hpp"

using namespace adtrack;
using namespace adtrack::actors;
using namespace std::chrono_literals;

namespace {

constexpr uint32_t shards = 3;
constexpr uint64_t ads = 40;

int64_t wall_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// What the client knows of the events it sent.
class ledger final : public completion_sink {
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

ingest_item event_of(uint64_t serial) {
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
  life(test::faulty_env& env, const std::string& dir, ledger& sink) {
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
    parts.open_engine = [&env, dir, budget = budget, worker = worker](uint32_t shard) -> storage::result<std::unique_ptr<storage::shard_engine>> {
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
  bool wait_ready(const test::faulty_env& env) {
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

enum class point : uint8_t { random, before_append, after_append_before_ack, before_shard_batch, after_shard_batch, points };

bool is_wal(const std::string& path) { return path.size() > 4 && path.compare(path.size() - 4, 4, ".log") == 0; }

// Arms the loss; `after` I/Os of the named kind are let through first.
void arm(test::faulty_env& env, point where, uint64_t after, ledger& sink) {
  if (where == point::random) {
    env.power_loss_at(1 + after * 7);
    env.on_io([&env, &sink](const auto&) {
      if (!env.powered()) sink.wake();
    });
    return;
  }
  auto left = std::make_shared<std::atomic<int64_t>>(static_cast<int64_t>(after));
  env.on_io([&env, where, left, &sink](const test::faulty_env::io& io) {
    using kind = test::faulty_env::io_kind;
    if (!env.powered()) return sink.wake();
    if (!is_wal(io.path)) return;
    bool in_log = io.path.find("/log/") != std::string::npos;
    bool hit = where == point::before_append             ? in_log && io.kind == kind::append
               : where == point::after_append_before_ack ? in_log && io.kind == kind::sync
                                                         : !in_log && io.kind == kind::append;
    if (!hit || left->fetch_sub(1) > 0) return;
    if (where == point::before_append || where == point::before_shard_batch) {
      env.power_loss();
    } else if (where == point::after_append_before_ack) {
      env.power_loss_at(1); // this very sync, which may just have happened
    } else {
      env.power_loss_at(2); // the I/O after the shard's batch
    }
    sink.wake();
  });
}

void send(life& now, const std::vector<uint64_t>& serials) {
  for (size_t i = 0; i < serials.size(); i += 20) {
    std::vector<ingest_item> items;
    for (size_t j = i; j < std::min(serials.size(), i + 20); ++j) items.push_back(event_of(serials[j]));
    if (!now.running->door().submit(std::move(items))) return; // overloaded: they stay unacknowledged
  }
}

// Everything sent is counted exactly once, acknowledged or retried until it was.
void check_counts(life& now, ledger& sink, uint64_t sent, uint64_t query_serial) {
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
    BOOST_TEST(row.count.gross(event_type::click) + row.count.gross(event_type::impression) == expected[row.ad_id], "ad " << row.ad_id);
}

} // namespace

BOOST_AUTO_TEST_SUITE(power_loss)

BOOST_AUTO_TEST_CASE(a_hundred_losses_of_power_lose_nothing_and_count_nothing_twice) {
  config::set_log_level(config::log_level::error);
  uint64_t seed = 20'261'122;
  if (const char* given = std::getenv("SEED")) seed = std::strtoull(given, nullptr, 10);
  int rounds = 100;
  if (const char* given = std::getenv("ROUNDS")) rounds = std::atoi(given);
  BOOST_TEST_MESSAGE("seed " << seed << ", rounds " << rounds);
  std::mt19937_64 rng(seed);
  test::scratch_dir dir, stash;
  test::faulty_env env(stash.path(), seed);
  ledger sink;
  uint64_t sent = 0, query = ledger::first_query;
  int losses = 0;
  std::map<point, int> losses_at;
  std::vector<uint64_t> open; // sent, not acknowledged
  for (int round = 0; round < rounds; ++round) {
    auto where = static_cast<point>(static_cast<uint64_t>(round) % static_cast<uint64_t>(point::points));
    {
      life now(env, dir.path(), sink);
      // Now and then power goes while the node is still opening what an earlier loss left.
      bool early = where == point::random && rng() % 3 == 0;
      if (early) arm(env, where, rng() % 60, sink);
      if (now.wait_ready(env)) {
        if (!early) arm(env, where, rng() % 12, sink);
        std::vector<uint64_t> wave = open;
        for (int i = 0; i < 400; ++i) wave.push_back(++sent);
        for (int i = 0; i < 40 && sent > 400; ++i) wave.push_back(1 + rng() % sent); // repeats of any age
        send(now, wave);
        sink.wait(5s, [&] { return !env.powered(); });
        if (env.powered()) env.power_loss();
      }
      ++losses;
      ++losses_at[where];
    }
    env.on_io({});
    env.restore(rng() % 2 ? test::faulty_env::unsynced::torn : test::faulty_env::unsynced::dropped);
    open.clear();
    for (uint64_t serial = 1; serial <= sent; ++serial)
      if (!sink.acked(serial)) open.push_back(serial);
    if (round % 20 != 19 && round != rounds - 1) continue;
    life now(env, dir.path(), sink); // a whole life without a loss: retry what is open, then count
    BOOST_REQUIRE(now.wait_ready(env));
    send(now, open);
    auto deadline = std::chrono::steady_clock::now() + 20s;
    while (sink.acks() < sent && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
    BOOST_REQUIRE_EQUAL(sink.acks(), sent);
    open.clear();
    check_counts(now, sink, sent, ++query);
  }
  BOOST_TEST(losses == rounds);
  for (const auto& [where, n] : losses_at) BOOST_TEST_MESSAGE("point " << static_cast<int>(where) << ": " << n << " losses");
  BOOST_TEST_MESSAGE(sent << " events");
}

BOOST_AUTO_TEST_SUITE_END()
