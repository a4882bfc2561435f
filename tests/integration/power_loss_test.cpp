// Power goes, at random and at each named point of an event's way, under a client that keeps a ledger and retries. The whole node
// runs (log, actors, shards); every store stands on the fault-injecting Env, and all that was not synced is gone after each loss.
#include <atomic>
#include <random>

#include "tests/integration/node_on_env.hpp"
#include "tests/support/scratch_dir.hpp"

using namespace adtrack;
using namespace adtrack::test;

namespace {

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

} // namespace

BOOST_AUTO_TEST_SUITE(power_loss)

BOOST_AUTO_TEST_CASE(a_hundred_losses_of_power_lose_nothing_and_count_nothing_twice) {
  config::set_log_level(config::log_level::error);
  uint64_t seed = 20'261'122;
  if (const char* given = std::getenv("SEED")) seed = std::strtoull(given, nullptr, 10);
  uint64_t rounds = 100;
  if (const char* given = std::getenv("ROUNDS")) rounds = std::strtoull(given, nullptr, 10);
  BOOST_TEST_MESSAGE("seed " << seed << ", rounds " << rounds);
  std::mt19937_64 rng(seed);
  test::scratch_dir dir, stash;
  test::faulty_env env(stash.path(), seed);
  ledger sink;
  uint64_t sent = 0, query = ledger::first_query;
  uint64_t losses = 0;
  std::map<point, int> losses_at;
  std::vector<uint64_t> open; // sent, not acknowledged
  for (uint64_t round = 0; round < rounds; ++round) {
    auto where = static_cast<point>(round % static_cast<uint64_t>(point::points));
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
        sink.wait(400ms, [&] { return !env.powered(); }); // else it goes now, wherever the node is
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
