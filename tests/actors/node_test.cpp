// The whole node with real threads, on a log and stores in memory. Waits are on conditions, bounded; nothing sleeps.
#include "actors/node.hpp"

#include <boost/test/unit_test.hpp>

#include <condition_variable>
#include <future>
#include <map>
#include <thread>

#include "config/telemetry.hpp"
#include "model/partitioner.hpp"
#include "storage/catalogue.hpp"
#include "storage/memory_log.hpp"
#include "storage/memory_stream.hpp"
#include "storage/quarantine.hpp"
#include "storage/shard_store.hpp"
#include "tests/support/actor_fixture.hpp"

using namespace adtrack;
using namespace adtrack::actors;
using adtrack::testing::click;
using adtrack::testing::ticket_of;

namespace {

constexpr auto patience = std::chrono::seconds(30);

class waiting_sink final : public completion_sink {
public:
  void complete(std::vector<completion> completions) override {
    std::lock_guard lock(mutex_);
    for (auto& one : completions) got_[one.to.serial].push_back(std::move(one.what));
    arrived_.notify_all();
  }
  outcome wait_for(uint64_t serial) {
    std::unique_lock lock(mutex_);
    BOOST_REQUIRE_MESSAGE(arrived_.wait_for(lock, patience, [&] { return got_.contains(serial); }),
                          "ticket " << serial << " did not complete");
    return got_[serial].front();
  }
  bool wait_count(size_t tickets) {
    std::unique_lock lock(mutex_);
    return arrived_.wait_for(lock, patience, [&] { return got_.size() >= tickets; });
  }
  size_t most_completions_of_a_ticket() {
    std::lock_guard lock(mutex_);
    size_t most = 0;
    for (const auto& [serial, outcomes] : got_) most = std::max(most, outcomes.size());
    return most;
  }

private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::map<uint64_t, std::vector<outcome>> got_;
};

int64_t wall_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

struct running_node {
  static constexpr uint32_t shards = 4;
  explicit running_node(std::shared_ptr<storage::event_log> on = storage::make_memory_log(shards, wall_ms),
                        bool keep_quarantine = true, const std::function<void(uint32_t)>& before_open = {})
      : log(std::move(on)) {
    config::set_log_level(config::log_level::error);
    node_options options;
    options.node_id = "test";
    options.ingest_timeout_ms = 60'000;
    options.query_timeout_ms = 30'000;
    node_parts parts;
    parts.log = log;
    parts.open_engine = [before_open](uint32_t shard) {
      if (before_open) before_open(shard);
      storage::shard_options o;
      o.shard = shard;
      return storage::shard_engine::open(storage::make_memory_shard_store(), o);
    };
    parts.open_catalogue = []() -> storage::result<std::unique_ptr<storage::ads_catalogue>> {
      return std::make_unique<storage::ads_catalogue>(storage::make_memory_stream(wall_ms), storage::random_token, wall_ms);
    };
    if (keep_quarantine) {
      auto opened = storage::quarantine::open(
          []() -> storage::result<std::unique_ptr<storage::shard_store>> { return storage::make_memory_shard_store(); }, {});
      BOOST_REQUIRE_MESSAGE(opened.ok(), opened.why.message);
      parts.quarantine = std::move(*opened);
    }
    parts.metrics = &metrics;
    parts.wanted.visitor_key_id = parts.key.id();
    parts.wanted.repeat_click_s = 0; // these clicks are all one visitor's
    parts.now_ms = wall_ms;
    std::string error;
    running = node::start(options, std::move(parts), error);
    BOOST_REQUIRE_MESSAGE(running, error);
    running->door().bind(&sink);
  }
  // Becoming ready has no event of its own: asks again, and lets the others run in between.
  void wait_ready() {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (!running->door().ready().ready) {
      BOOST_REQUIRE_MESSAGE(std::chrono::steady_clock::now() < deadline, running->door().ready().reason);
      std::this_thread::yield();
    }
  }
  bool stop() { return running->stop(std::chrono::steady_clock::now() + std::chrono::seconds(10)); }

  config::metrics metrics;
  waiting_sink sink;
  std::shared_ptr<storage::event_log> log;
  std::unique_ptr<node> running;
};

} // namespace

BOOST_AUTO_TEST_SUITE(node_with_real_threads)

BOOST_AUTO_TEST_CASE(an_event_is_counted_once_and_read_back_at_its_position) {
  running_node n;
  n.wait_ready();
  BOOST_REQUIRE(n.running->door().submit({click(1, 32, "one"), click(2, 32, "two"), click(3, 32, "one")}));
  for (uint64_t serial : {1, 2}) BOOST_TEST(std::holds_alternative<ingested>(n.sink.wait_for(serial)));
  const auto last = std::get<ingested>(n.sink.wait_for(3));
  BOOST_TEST(last.offset >= 3); // behind the control record
  analytics_query q;
  q.ad_ids = {32};
  q.min_positions = {{last.shard, last.offset}};
  n.running->door().query(ticket_of(4), q);
  const auto answer = std::get<analytics_result>(n.sink.wait_for(4));
  BOOST_TEST(answer->complete);
  BOOST_REQUIRE(answer->rows.size() == 1u);
  BOOST_TEST(answer->rows[0].count[metric::valid_clicks] == 2u);
  BOOST_TEST(answer->rows[0].count[metric::duplicates] == 1u);
  BOOST_TEST(n.stop());
}

BOOST_AUTO_TEST_CASE(many_threads_submit_and_every_ticket_completes_once) {
  running_node n;
  n.wait_ready();
  constexpr uint64_t per_thread = 2'000, threads = 4;
  std::vector<std::thread> clients;
  for (uint64_t t = 0; t < threads; ++t) {
    clients.emplace_back([&n, t] {
      for (uint64_t i = 0; i < per_thread; ++i) {
        const auto serial = 1 + t * per_thread + i;
        while (!n.running->door().submit({click(serial, 1 + serial % 50, "e" + std::to_string(serial))}))
          std::this_thread::yield();
      }
    });
  }
  for (auto& client : clients) client.join();
  BOOST_REQUIRE(n.sink.wait_count(per_thread * threads));
  BOOST_TEST(n.sink.most_completions_of_a_ticket() == 1u);
  analytics_query all;
  for (uint32_t shard = 0; shard < running_node::shards; ++shard)
    all.min_positions.push_back({shard, n.log->end(shard).offset - 1});
  n.running->door().query(ticket_of(1'000'000), all);
  const auto answer = std::get<analytics_result>(n.sink.wait_for(1'000'000));
  BOOST_TEST(answer->complete);
  uint64_t clicks = 0;
  for (const auto& row : answer->rows) clicks += row.count[metric::valid_clicks];
  BOOST_TEST(clicks == per_thread * threads);
  BOOST_TEST(n.stop());
}

BOOST_AUTO_TEST_CASE(stopping_answers_what_is_in_flight_and_refuses_what_is_new) {
  running_node n;
  n.wait_ready();
  std::vector<ingest_item> items;
  for (uint64_t serial = 1; serial <= 500; ++serial) items.push_back(click(serial, serial, "e" + std::to_string(serial)));
  const bool taken = n.running->door().submit(std::move(items));
  BOOST_REQUIRE(taken);
  BOOST_TEST(n.stop());
  BOOST_REQUIRE(n.sink.wait_count(500));
  for (uint64_t serial = 1; serial <= 500; ++serial) BOOST_TEST(std::holds_alternative<ingested>(n.sink.wait_for(serial)));
  BOOST_REQUIRE(n.running->door().submit({click(501, 1, "late")}));
  BOOST_TEST((std::get<failed>(n.sink.wait_for(501)).why == failure::stopping));
  BOOST_TEST(!n.running->door().ready().ready);
  BOOST_TEST(n.sink.most_completions_of_a_ticket() == 1u);
}

BOOST_AUTO_TEST_CASE(a_node_on_the_same_log_counts_the_same_again) {
  std::shared_ptr<storage::event_log> log = storage::make_memory_log(running_node::shards, wall_ms);
  {
    running_node first(log);
    first.wait_ready();
    BOOST_REQUIRE(first.running->door().submit({click(1, 7, "a"), click(2, 7, "b")}));
    first.sink.wait_for(2);
    BOOST_TEST(first.stop());
  }
  running_node second(log);
  second.wait_ready();
  analytics_query q;
  q.ad_ids = {7};
  second.running->door().query(ticket_of(1), q);
  const auto answer = std::get<analytics_result>(second.sink.wait_for(1));
  BOOST_REQUIRE(answer->rows.size() == 1u);
  BOOST_TEST(answer->rows[0].count[metric::valid_clicks] == 2u);
  // Its settings are the same, so no second control record was logged.
  const auto shard = shard_of(7, running_node::shards);
  BOOST_TEST(log->end(shard).offset == 3);
  BOOST_TEST(second.stop());
}

BOOST_AUTO_TEST_CASE(the_catalogue_answers_through_the_door) {
  running_node n;
  n.wait_ready();
  ad_fields fields;
  fields.title = "one";
  fields.url = "https://example.org/";
  n.running->door().create_ad(ticket_of(1), fields);
  const auto made = std::get<ad_written>(n.sink.wait_for(1)).value;
  n.running->door().get_ad(ticket_of(2), made.id);
  BOOST_TEST((std::get<ad>(n.sink.wait_for(2)) == made));
  BOOST_TEST(n.stop());
}

BOOST_AUTO_TEST_CASE(what_cannot_be_read_is_listed_through_the_door) {
  running_node n;
  n.wait_ready();
  n.log->append({{2, "garbage"}}, [](auto) {});
  const auto offset = n.log->end(2).offset - 1;
  analytics_query behind;
  behind.min_positions = {{2, offset}};
  n.running->door().query(ticket_of(1), behind);
  BOOST_TEST(std::holds_alternative<analytics_result>(n.sink.wait_for(1)));
  n.running->door().quarantine(ticket_of(2), {});
  const auto page = std::get<quarantine_page>(n.sink.wait_for(2));
  BOOST_TEST(page.total == 1u);
  BOOST_REQUIRE(page.entries.size() == 1u);
  BOOST_TEST(page.entries[0].partition == 2u);
  BOOST_TEST(page.entries[0].offset == offset);
  BOOST_TEST(page.entries[0].value == "garbage");
  BOOST_TEST(n.stop());
}

BOOST_AUTO_TEST_CASE(a_shard_that_stands_still_is_not_waited_for_and_holds_no_room) {
  std::promise<void> let_go;
  const auto held = let_go.get_future().share();
  const auto stuck = shard_of(32, running_node::shards);
  running_node n(storage::make_memory_log(running_node::shards, wall_ms), true, [=](uint32_t shard) {
    if (shard == stuck) held.wait();
  });
  analytics_query q;
  q.ad_ids = {32};
  q.timeout_ms = 1'000;
  n.running->door().query(ticket_of(1), q);
  const auto answer = std::get<analytics_result>(n.sink.wait_for(1));
  BOOST_TEST(!answer->complete);
  BOOST_TEST(answer->shards_answered == 0u);
  for (const auto until = std::chrono::steady_clock::now() + patience; n.running->door().in_flight() != 0;) {
    BOOST_REQUIRE(std::chrono::steady_clock::now() < until);
    std::this_thread::yield();
  }
  let_go.set_value();
  n.wait_ready();
  n.running->door().query(ticket_of(2), q);
  BOOST_TEST(std::get<analytics_result>(n.sink.wait_for(2))->complete);
  BOOST_TEST(n.stop());
}

BOOST_AUTO_TEST_CASE(records_of_the_log_are_read_through_the_door) {
  running_node n;
  n.wait_ready();
  std::vector<storage::log_record> records;
  for (int i = 0; i < 5; ++i) records.push_back({2, "record " + std::to_string(i)});
  n.log->append(std::move(records), [](auto) {});
  const auto end = n.log->end(2).offset;
  uint64_t serial = 0;
  const auto page = [&](log_question q) {
    n.running->door().read_log(ticket_of(++serial), q);
    return n.sink.wait_for(serial);
  };
  const auto whole = std::get<log_page>(page({2, -1, 100, 1'000}));
  BOOST_TEST(whole.begin == 0);
  BOOST_TEST(whole.end == end);
  BOOST_TEST(whole.next == end);
  BOOST_TEST(whole.shards == running_node::shards);
  BOOST_REQUIRE(whole.lines.size() == static_cast<size_t>(end)); // the control record stands before them
  BOOST_TEST(whole.lines.back().value == "record 4");
  const auto bounds = std::get<log_page>(page({2, -1, 0, 1'000}));
  BOOST_TEST(bounds.lines.empty());
  BOOST_TEST(bounds.next == 0);
  BOOST_TEST(bounds.end == end);
  const auto part = std::get<log_page>(page({2, end - 4, 3, 1'000}));
  BOOST_REQUIRE(part.lines.size() == 3u);
  BOOST_TEST(part.lines[0].offset == end - 4);
  BOOST_TEST(part.lines[0].value == "record 1");
  BOOST_TEST(part.next == end - 1);
  const auto last = std::get<log_page>(page({2, end, 3, 1'000}));
  BOOST_TEST(last.lines.empty());
  BOOST_TEST(last.next == end);
  const auto past = std::get<failed>(page({2, end + 1, 3, 1'000}));
  BOOST_TEST((past.why == failure::not_kept));
  BOOST_TEST(past.detail == "the log of shard 2 holds offsets from 0 to below " + std::to_string(end));
  BOOST_TEST((std::get<failed>(page({running_node::shards, -1, 3, 1'000})).why == failure::not_found));
  BOOST_REQUIRE(n.log->trim(2, 2).ok());
  BOOST_TEST((std::get<failed>(page({2, 1, 3, 1'000})).why == failure::not_kept));
  BOOST_TEST(std::get<log_page>(page({2, -1, 1, 1'000})).lines[0].offset == 2);
  BOOST_TEST(n.stop());
}

BOOST_AUTO_TEST_CASE(a_node_that_keeps_no_quarantine_says_so) {
  running_node n(storage::make_memory_log(running_node::shards, wall_ms), false);
  n.wait_ready();
  n.running->door().quarantine(ticket_of(1), {});
  BOOST_TEST((std::get<failed>(n.sink.wait_for(1)).why == failure::not_found));
  BOOST_TEST(n.stop());
}

BOOST_AUTO_TEST_CASE(parts_that_are_missing_are_named) {
  std::string error;
  BOOST_TEST(!node::start({}, {}, error));
  BOOST_TEST(error == "the node needs an event log");
}

BOOST_AUTO_TEST_SUITE_END()
