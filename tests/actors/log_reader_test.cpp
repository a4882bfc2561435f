#include "actors/log_reader.hpp"

#include <boost/test/unit_test.hpp>

#include "storage/record_codec.hpp"
#include "tests/support/actor_fixture.hpp"

using namespace adtrack;
using namespace adtrack::actors;
using adtrack::testing::actor_fixture;
using std::chrono::milliseconds;

namespace {

struct probe_log {
  std::vector<std::pair<uint64_t, record_batch>> got; // epoch, batch
};

struct probe_state {
  static constexpr const char* name = "probe_shard";
  uint64_t epoch = 0;
};

// A shard that only remembers what it is sent. open_atom seeks to the beginning in a new epoch; commit_atom returns one credit.
shard_actor::behavior_type probe_shard(shard_actor::stateful_pointer<probe_state> self, uint32_t number, log_reader_actor reader,
                                       std::shared_ptr<probe_log> log) {
  return {
      [=](open_atom) { self->send(reader, seek_atom_v, number, ++self->state.epoch, int64_t{0}); },
      [=](apply_atom, uint64_t epoch, const record_batch& batch) { log->got.emplace_back(epoch, batch); },
      [=](commit_atom) { self->send(reader, credit_atom_v, number, self->state.epoch); },
      [=](sync_atom) { self->send(reader, credit_atom_v, number, self->state.epoch - 1); },
      [](control_atom) {},
      [](expire_atom) {},
      [](query_atom, const analytics_query&) { return shard_answer{}; },
      [](stop_atom) {},
  };
}

struct fixture : actor_fixture {
  fixture()
      : actor_fixture(2, [](node_options& o) {
          o.reader_batch_records = 10;
          o.reader_credit_batches = 2;
        }) {
    reader = keep(system->spawn(log_reader, context, wake));
    wake->attach(reader);
    for (uint32_t i = 0; i < 2; ++i) {
      logs.push_back(std::make_shared<probe_log>());
      shards.push_back(keep(system->spawn(probe_shard, i, reader, logs.back())));
    }
    run();
  }
  ~fixture() { wake->close(); }
  void fill(uint32_t partition, size_t records) {
    for (size_t i = 0; i < records; ++i) log->append({{partition, storage::encode(wanted)}}, [](auto) {});
  }
  void seek(uint32_t shard) { caf::anon_send(shards[shard], open_atom_v); }
  void credit(uint32_t shard) {
    caf::anon_send(shards[shard], commit_atom_v);
    run();
  }

  std::shared_ptr<log_wake> wake = std::make_shared<log_wake>();
  log_reader_actor reader;
  std::vector<std::shared_ptr<probe_log>> logs;
  std::vector<shard_actor> shards;
};

} // namespace

BOOST_AUTO_TEST_SUITE(log_reader_behaviour)

BOOST_AUTO_TEST_CASE(a_shard_gets_no_more_batches_than_it_has_credit_and_all_in_order) {
  fixture f;
  f.fill(0, 35);
  f.seek(0);
  f.advance(milliseconds(10));
  BOOST_REQUIRE(f.logs[0]->got.size() == 2u);
  f.advance(milliseconds(500)); // looking again does not help
  BOOST_TEST(f.logs[0]->got.size() == 2u);
  f.credit(0);
  BOOST_TEST(f.logs[0]->got.size() == 3u);
  f.credit(0);
  BOOST_REQUIRE(f.logs[0]->got.size() == 4u);
  int64_t next = 0;
  size_t records = 0;
  for (const auto& [epoch, batch] : f.logs[0]->got) {
    BOOST_TEST(epoch == 1u);
    BOOST_TEST(batch.first_offset == next);
    next = batch.next_offset;
    records += batch.records.size();
  }
  BOOST_TEST(next == 35);
  BOOST_TEST(records == 35u);
}

BOOST_AUTO_TEST_CASE(partitions_take_turns) {
  fixture f;
  f.fill(0, 40);
  f.fill(1, 40);
  f.seek(0);
  f.seek(1);
  f.advance(milliseconds(10));
  BOOST_REQUIRE(f.log->reads.size() == 4u);
  // Whoever is first, neither gets its second batch before the other's first.
  BOOST_TEST(f.log->reads[0].first != f.log->reads[1].first);
  BOOST_TEST(f.log->reads[2].first != f.log->reads[3].first);
}

BOOST_AUTO_TEST_CASE(a_seek_starts_over_and_credit_of_the_earlier_epoch_is_void) {
  fixture f;
  f.fill(0, 50);
  f.seek(0);
  f.advance(milliseconds(10));
  f.seek(0);
  f.advance(milliseconds(10));
  BOOST_REQUIRE(f.logs[0]->got.size() == 4u);
  BOOST_TEST(f.logs[0]->got[2].first == 2u);
  BOOST_TEST(f.logs[0]->got[2].second.first_offset == 0);
  caf::anon_send(f.shards[0], sync_atom_v); // credit of epoch 1
  f.run();
  BOOST_TEST(f.logs[0]->got.size() == 4u);
  f.credit(0);
  BOOST_TEST(f.logs[0]->got.size() == 5u);
}

BOOST_AUTO_TEST_CASE(an_append_wakes_it_and_many_appends_wake_it_once) {
  fixture f;
  f.log->on_appended([wake = f.wake] { wake->ring(); });
  f.seek(0);
  f.advance(milliseconds(10)); // the look that the seek asked for
  f.advance(milliseconds(10));
  f.fill(0, 5);
  BOOST_TEST(f.sched->jobs.size() == 1u);
  f.run();
  BOOST_REQUIRE(f.logs[0]->got.size() == 1u); // at once: nothing was read just before
  BOOST_TEST(f.logs[0]->got[0].second.records.size() == 5u);
  f.fill(0, 1);
  f.run();
  BOOST_TEST(f.logs[0]->got.size() == 1u); // it lingers, so that a busy log is read in larger batches
  f.fill(0, 1);
  f.advance(milliseconds(5));
  BOOST_REQUIRE(f.logs[0]->got.size() == 2u);
  BOOST_TEST(f.logs[0]->got[1].second.records.size() == 2u);
}

BOOST_AUTO_TEST_CASE(it_looks_every_100_ms_even_if_nobody_wakes_it) {
  fixture f;
  f.seek(0);
  f.advance(milliseconds(50));
  f.fill(0, 1);
  f.run();
  BOOST_TEST(f.logs[0]->got.empty());
  f.advance(milliseconds(100));
  BOOST_TEST(f.logs[0]->got.size() == 1u);
}

BOOST_AUTO_TEST_CASE(a_read_that_fails_is_shown_and_tried_again) {
  fixture f;
  f.fill(0, 3);
  f.log->reads_fail = true;
  f.seek(0);
  f.advance(milliseconds(100));
  BOOST_TEST(f.logs[0]->got.empty());
  BOOST_REQUIRE(f.context->status->report().degraded.size() == 1u);
  BOOST_TEST(f.context->status->report().degraded[0] == "reader of shard 0: the disk does not answer");
  f.log->reads_fail = false;
  f.advance(milliseconds(1'100));
  f.advance(milliseconds(100));
  BOOST_TEST(f.logs[0]->got.size() == 1u);
  BOOST_TEST(f.context->status->report().degraded.empty());
}

BOOST_AUTO_TEST_SUITE_END()
