#include "actors/eraser.hpp"

#include <boost/test/unit_test.hpp>
#include <prometheus/gauge.h>

#include "actors/log_reader.hpp"
#include "actors/log_writer.hpp"
#include "actors/query_worker.hpp"
#include "actors/shard.hpp"
#include "storage/record_codec.hpp"
#include "tests/support/actor_fixture.hpp"

using namespace adtrack;
using namespace adtrack::actors;
using adtrack::testing::actor_fixture;
using adtrack::testing::scripted_log;
using std::chrono::milliseconds;

namespace {

constexpr uint64_t somebody = 0xfeedbeeffeedbeefu;
constexpr const char* somebody_hex = "feedbeeffeedbeef";

// Two shards with the real reader, writer and eraser over a scripted log and scripted engines.
struct fixture : actor_fixture {
  fixture() : actor_fixture(2) {
    writer = keep(system->spawn(log_writer, context));
    reader = keep(system->spawn(log_reader, context, wake));
    wake->attach(reader);
    log->on_appended([w = wake] { w->ring(); });
    target = keep(system->spawn(eraser, context, writer));
    const shard_peers peers{reader, writer, target, {keep(system->spawn(query_worker, context))}};
    for (uint32_t i = 0; i < 2; ++i) shards.push_back(keep(system->spawn(shard, context, i, peers)));
    for (const auto& one : shards) caf::anon_send(one, open_atom_v);
    settle();
  }
  ~fixture() { wake->close(); }
  // Past reading, applying, syncing and what follows from these.
  void settle() {
    for (int i = 0; i < 60; ++i) advance(milliseconds(500));
  }
  void append_event(uint32_t partition, uint64_t visitor) {
    event e;
    e.ad_id = adtrack::testing::ad_in_shard(partition, 2);
    e.event_id = "e" + std::to_string(++serial);
    e.time_s = 1'700'000'000;
    e.address = "203.0.113.0";
    e.agent = "Agent of somebody";
    e.visitor = visitor;
    log->append({{partition, storage::encode(e)}}, [](auto) {});
  }
  outcome erase(uint64_t visitor = somebody) {
    caf::anon_send(target, delete_atom_v, visitor, reply(++tickets));
    run();
    return sink.only(tickets);
  }
  failure refusal() { return std::get<failed>(erase()).why; }
  size_t records_with(const std::string& text) {
    size_t n = 0;
    for (uint32_t partition = 0; partition < 2; ++partition) {
      auto records = log->read(partition, 0, 1'000, 1 << 20);
      BOOST_REQUIRE(records.ok());
      for (const auto& record : *records) n += record.value.find(text) != std::string::npos;
    }
    return n;
  }
  double pending() { return metrics.erasures_pending().Value(); }

  std::shared_ptr<log_wake> wake = std::make_shared<log_wake>();
  log_writer_actor writer;
  log_reader_actor reader;
  eraser_actor target;
  std::vector<shard_actor> shards;
  uint64_t serial = 0, tickets = 0;
};

} // namespace

BOOST_AUTO_TEST_SUITE(eraser_suite)

BOOST_AUTO_TEST_CASE(a_visitor_is_gone_from_the_log_and_the_stores_and_others_stay) {
  fixture f;
  for (uint32_t partition : {0, 1, 0, 1}) f.append_event(partition, somebody);
  f.append_event(0, 7);
  f.settle();
  const auto ends = std::pair(f.log->end(0).offset, f.log->end(1).offset);
  const auto done = std::get<visitor_erased>(f.erase());
  BOOST_REQUIRE_EQUAL(done.positions.size(), 2u);
  BOOST_TEST((std::pair(done.positions[0].offset, done.positions[1].offset) == ends));
  BOOST_TEST(!done.log_keeps);
  BOOST_TEST(f.records_with(std::string("\"erase\":\"") + somebody_hex) == 2u);
  f.settle();
  BOOST_TEST(f.records_with(somebody_hex) == 0u);
  BOOST_TEST(f.records_with("Agent of somebody") == 1u); // the other one's
  BOOST_TEST(f.records_with("\"as\":\"") == 2u);
  BOOST_TEST(f.records_with("\"kind\":\"event\"") == 5u);
  BOOST_TEST(f.log->end(0).offset == ends.first + 2); // the settings once more, behind the erasure
  BOOST_TEST(f.log->purges == 2);
  for (const auto& engine : f.engines) {
    BOOST_TEST(engine->purges == 1);
    BOOST_TEST(engine->committed.erasures.empty());
  }
  BOOST_TEST(f.pending() == 0);
}

BOOST_AUTO_TEST_CASE(many_are_cleared_in_one_pass) {
  fixture f;
  for (uint64_t visitor = 1; visitor <= 20; ++visitor) f.append_event(visitor % 2, visitor * 0x0101010101010101u);
  f.settle();
  for (uint64_t visitor = 1; visitor <= 19; ++visitor) f.erase(visitor * 0x0101010101010101u);
  f.settle();
  BOOST_TEST(f.records_with("\"erase\"") == 0u);
  BOOST_TEST(f.records_with("\"as\":\"") == 38u);
  BOOST_TEST(f.records_with("Agent of somebody") == 1u);
  BOOST_TEST(f.log->purges <= 4);
  for (const auto& engine : f.engines) {
    BOOST_TEST(engine->purges <= 2);
    BOOST_TEST(engine->committed.erasures.empty());
  }
  BOOST_TEST(f.pending() == 0);
}

BOOST_AUTO_TEST_CASE(where_records_cannot_be_replaced_it_says_so_and_clears_the_stores) {
  fixture f;
  f.log->rewritable = false;
  f.append_event(0, somebody);
  f.settle();
  const auto done = std::get<visitor_erased>(f.erase());
  BOOST_TEST(done.log_keeps);
  f.settle();
  BOOST_TEST(f.records_with(somebody_hex) == 3u); // the event and two erasures
  for (const auto& engine : f.engines) {
    BOOST_TEST(engine->purges == 1);
    BOOST_TEST(engine->committed.erasures.empty());
  }
}

BOOST_AUTO_TEST_CASE(it_is_refused_while_it_could_not_reach_all) {
  fixture f;
  f.log->waiting_records = 1;
  BOOST_TEST((f.refusal() == failure::overloaded));
  f.log->waiting_records = 0;
  f.log->anothers = true;
  BOOST_TEST((f.refusal() == failure::overloaded));
  f.log->anothers = false;
  f.log->next = scripted_log::mood::fail;
  BOOST_TEST((f.refusal() == failure::not_durable));
  BOOST_TEST(f.records_with(somebody_hex) == 0u);
}

BOOST_AUTO_TEST_CASE(what_fails_is_shown_and_tried_again) {
  fixture f;
  f.append_event(0, somebody);
  f.settle();
  f.log->next_rewrite = {storage::errc::io, "the disk says no"};
  f.engines[1]->next_purge = {storage::errc::io, "the store's disk says no"};
  f.erase();
  bool shown = false;
  for (int i = 0; i < 600; ++i) {
    f.advance(milliseconds(50));
    const auto degraded = f.context->status->report().degraded;
    for (const auto& why : degraded) shown = shown || why.find("disk says no") != std::string::npos;
  }
  f.settle();
  BOOST_TEST(shown);
  BOOST_TEST(f.context->status->report().degraded.empty());
  BOOST_TEST(f.records_with(somebody_hex) == 0u);
  BOOST_TEST(f.engines[1]->purges == 2);
  BOOST_TEST(f.pending() == 0);
}

// The engine goes while its erasure waits to be cleared: it is handed over again by the next one.
BOOST_AUTO_TEST_CASE(a_shard_that_fails_goes_on_with_it_when_it_is_back) {
  fixture f;
  f.append_event(0, somebody);
  f.settle();
  f.erase();
  f.engines[0]->next_apply = {storage::errc::io, "the store fails"};
  f.append_event(0, 9);
  f.settle();
  f.settle();
  BOOST_TEST(f.engines[0]->opens == 2);
  BOOST_TEST(f.records_with(somebody_hex) == 0u);
  for (const auto& engine : f.engines) BOOST_TEST(engine->committed.erasures.empty());
}

BOOST_AUTO_TEST_SUITE_END()
