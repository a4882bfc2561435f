#include "actors/log_reader.hpp"

#include <boost/test/unit_test.hpp>

#include <prometheus/gauge.h>

#include "config/telemetry.hpp"
#include "storage/record_codec.hpp"
#include "tests/support/actor_fixture.hpp"

using namespace adtrack;
using namespace adtrack::actors;
using adtrack::testing::actor_fixture;
using std::chrono::milliseconds;

namespace {

struct probe_log {
  int64_t from = 0; // where open_atom seeks to, and behind which record
  record_mark last;
  std::vector<std::pair<uint64_t, log_finding>> found;
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
      [=](open_atom) { self->send(reader, seek_atom_v, number, ++self->state.epoch, log->from, log->last); },
      [=](apply_atom, uint64_t epoch, const record_batch& batch) { log->got.emplace_back(epoch, batch); },
      [=](found_atom, uint64_t epoch, const log_finding& finding) { log->found.emplace_back(epoch, finding); },
      [=](commit_atom) { self->send(reader, credit_atom_v, number, self->state.epoch); },
      [=](sync_atom) { self->send(reader, credit_atom_v, number, self->state.epoch - 1); },
      [](control_atom) {},
      [](expire_atom) {},
      [](copy_atom, const reply_ptr&) {},
      [](done_atom, int64_t, bool) {},
      [](query_atom, const lone_query_ptr&) {},
      [](query_atom, const analytics_query&) { return shard_answer{}; },
      [](get_atom, const event_question&) { return event_fate{}; },
      [](get_atom, const digest_question&) { return shard_digest{}; },
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
  // As a shard that stands behind the record at `offset`.
  void stand_behind(uint32_t shard, int64_t offset) {
    auto read = log->read(shard, offset, 1, 1);
    BOOST_REQUIRE(read.ok() && read->size() == 1u);
    logs[shard]->from = offset + 1;
    logs[shard]->last = {offset, storage::hash_of_value(read->front().value)};
  }
  const log_finding& only_finding(uint32_t shard) {
    BOOST_REQUIRE_EQUAL(logs[shard]->found.size(), 1u);
    return logs[shard]->found[0].second;
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

BOOST_AUTO_TEST_CASE(it_is_known_how_old_the_batches_on_their_way_are) {
  fixture f;
  f.fill(0, 10);
  const auto first_ms = f.now_ms;
  f.now_ms += 300;
  f.fill(0, 15);
  f.seek(0);
  f.advance(milliseconds(10));
  const auto& handed = *f.context->handed;
  BOOST_REQUIRE(f.logs[0]->got.size() == 2u);
  BOOST_TEST(handed.time_of(0, 0).value_or(-1) == first_ms);
  BOOST_TEST(handed.time_of(0, 19).value_or(-1) == first_ms + 300);
  BOOST_TEST(!handed.time_of(0, 20)); // not handed yet
  BOOST_TEST(!handed.time_of(1, 0));
  f.logs[0]->from = 25;
  f.seek(0); // what was on its way is of no use to it
  f.advance(milliseconds(10));
  BOOST_TEST(!handed.time_of(0, 0));
}

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

BOOST_AUTO_TEST_CASE(the_metric_says_how_many_batches_wait) {
  fixture f;
  const auto waiting = [&](uint32_t shard) { return f.metrics.shard_batches_waiting(shard).Value(); };
  f.fill(0, 35);
  BOOST_TEST(waiting(0) == 0);
  f.seek(0);
  f.advance(milliseconds(10));
  BOOST_TEST(waiting(0) == 2);
  BOOST_TEST(waiting(1) == 0);
  f.credit(0); // and the next batch takes it
  BOOST_TEST(waiting(0) == 2);
  f.credit(0);
  f.credit(0);
  BOOST_TEST(waiting(0) == 1);
  f.credit(0);
  BOOST_TEST(waiting(0) == 0);
  f.seek(0);
  f.advance(milliseconds(10));
  BOOST_TEST(waiting(0) == 2); // what it was handed before is void
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
  for (int i = 0; i < 4; ++i) f.advance(milliseconds(3));
  BOOST_REQUIRE(f.logs[0]->got.size() == 2u);
  BOOST_TEST(f.logs[0]->got[1].second.records.size() == 2u);
}

BOOST_AUTO_TEST_CASE(under_load_the_partitions_are_read_in_parts_and_none_is_forgotten) {
  fixture f;
  f.log->on_appended([wake = f.wake] { wake->ring(); });
  f.seek(0);
  f.seek(1);
  f.advance(milliseconds(10));
  f.advance(milliseconds(10));
  f.fill(0, 1);
  f.fill(1, 1);
  f.run(); // after a rest: all
  BOOST_TEST(f.logs[0]->got.size() == 1u);
  BOOST_TEST(f.logs[1]->got.size() == 1u);
  f.fill(0, 1);
  f.fill(1, 1);
  f.advance(milliseconds(3));
  BOOST_TEST(f.logs[0]->got.size() + f.logs[1]->got.size() == 3u); // one of the two
  f.credit(0);
  f.credit(1);
  f.fill(0, 1); // behind it, or before it: either way it comes with the next round
  f.fill(1, 1);
  for (int i = 0; i < 6; ++i) f.advance(milliseconds(3));
  for (int p : {0, 1}) {
    int64_t records = 0;
    for (const auto& [epoch, batch] : f.logs[p]->got) records += static_cast<int64_t>(batch.records.size());
    BOOST_TEST(records == 3);
  }
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

BOOST_AUTO_TEST_CASE(a_log_that_still_holds_the_last_record_is_told_so_and_read_behind_it) {
  fixture f;
  f.fill(0, 8);
  f.stand_behind(0, 4);
  f.seek(0);
  f.advance(milliseconds(10));
  BOOST_TEST((f.only_finding(0).fault == log_fault::none));
  BOOST_REQUIRE(f.logs[0]->got.size() == 1u);
  BOOST_TEST(f.logs[0]->got[0].second.first_offset == 5);
  f.seek(0); // each epoch is told once
  f.advance(milliseconds(500));
  BOOST_TEST(f.logs[0]->found.size() == 2u);
  BOOST_TEST(f.logs[0]->found[1].first == 2u);
}

BOOST_AUTO_TEST_CASE(a_log_that_ends_below_the_last_record_has_forked) {
  fixture f;
  f.fill(0, 8);
  f.stand_behind(0, 7);
  for (int64_t end : {7, 3, 0}) { // also when it lacks just the last one
    BOOST_TEST_CONTEXT("end " << end) {
      f.logs[0]->found.clear();
      f.log->fork(0, end, {});
      f.seek(0);
      f.advance(milliseconds(110));
      const auto& finding = f.only_finding(0);
      BOOST_TEST((finding.fault == log_fault::fork));
      BOOST_TEST(finding.detail == "it ends at offset " + std::to_string(end) + ", but the record at offset 7 was applied");
    }
  }
  BOOST_TEST(f.logs[0]->got.empty());
}

BOOST_AUTO_TEST_CASE(another_record_in_the_place_of_the_last_one_is_a_fork_and_nothing_behind_it_is_read) {
  fixture f;
  f.fill(0, 8);
  f.fill(1, 3);
  f.stand_behind(0, 4);
  f.log->fork(0, 4, {"another", "and", "more"});
  f.seek(0);
  f.seek(1);
  f.advance(milliseconds(110));
  f.advance(milliseconds(5'000));
  BOOST_TEST((f.only_finding(0).fault == log_fault::fork));
  BOOST_TEST(f.only_finding(0).detail == "the record at offset 4 is not the one that was applied");
  BOOST_TEST(f.logs[0]->got.empty());
  BOOST_TEST(f.logs[1]->got.size() == 1u); // the other partitions go on
}

BOOST_AUTO_TEST_CASE(records_that_were_removed_before_they_were_read_are_a_gap) {
  fixture f;
  f.fill(0, 8);
  f.stand_behind(0, 2);
  BOOST_REQUIRE(f.log->trim(0, 6).ok());
  f.seek(0);
  f.advance(milliseconds(110));
  BOOST_TEST((f.only_finding(0).fault == log_fault::gap));
  BOOST_TEST(f.only_finding(0).detail == "the records from offset 3 to 5 were removed before they were applied");
  BOOST_TEST(f.logs[0]->got.empty());
}

BOOST_AUTO_TEST_CASE(a_last_record_that_was_trimmed_cannot_be_compared_and_reading_goes_on) {
  fixture f;
  f.fill(0, 8);
  f.stand_behind(0, 2);
  BOOST_REQUIRE(f.log->trim(0, 3).ok());
  f.seek(0);
  f.advance(milliseconds(110));
  BOOST_TEST((f.only_finding(0).fault == log_fault::none));
  BOOST_TEST(f.logs[0]->got.size() == 1u);
}

BOOST_AUTO_TEST_CASE(records_that_go_while_it_reads_are_a_gap_too) {
  fixture f;
  f.fill(0, 20); // two batches, which are all its credit
  f.seek(0);
  f.advance(milliseconds(10));
  BOOST_REQUIRE(f.logs[0]->got.size() == 2u);
  f.fill(0, 10);
  BOOST_REQUIRE(f.log->trim(0, 25).ok());
  f.credit(0);
  f.advance(milliseconds(110));
  BOOST_REQUIRE(f.logs[0]->found.size() == 2u);
  BOOST_TEST((f.logs[0]->found[1].second.fault == log_fault::gap));
  BOOST_TEST(f.logs[0]->got.size() == 2u);
}

BOOST_AUTO_TEST_CASE(a_new_generation_is_looked_at_before_what_was_read_is_used) {
  fixture f;
  f.fill(0, 5);
  f.seek(0);
  f.advance(milliseconds(10));
  BOOST_REQUIRE(f.logs[0]->got.size() == 1u);
  f.fill(0, 1);
  f.log->before_read = [&f] { // in the middle of a read everything becomes something else
    f.log->fork(0, 3, {"a", "b", "c", "d", "e", "f"});
    ++f.log->next_generation;
  };
  f.advance(milliseconds(110));
  f.advance(milliseconds(110));
  BOOST_REQUIRE(f.logs[0]->found.size() == 2u);
  BOOST_TEST((f.logs[0]->found[1].second.fault == log_fault::fork));
  BOOST_TEST(f.logs[0]->got.size() == 1u);
}

BOOST_AUTO_TEST_CASE(a_new_generation_that_holds_the_same_changes_nothing_and_a_fork_is_seen_when_nothing_is_appended) {
  fixture f;
  f.fill(0, 5);
  f.seek(0);
  f.advance(milliseconds(10));
  ++f.log->next_generation;
  f.fill(0, 1);
  f.advance(milliseconds(110));
  BOOST_TEST(f.logs[0]->got.size() == 2u);
  BOOST_TEST(f.logs[0]->found.size() == 1u);
  f.log->fork(0, 5, {"another"});
  ++f.log->next_generation;
  f.advance(milliseconds(110));
  BOOST_REQUIRE(f.logs[0]->found.size() == 2u);
  BOOST_TEST((f.logs[0]->found[1].second.fault == log_fault::fork));
}

BOOST_AUTO_TEST_CASE(a_fault_heals_once_the_record_is_found_the_same_again) {
  fixture f;
  f.fill(0, 8);
  f.stand_behind(0, 4);
  auto kept = f.log->read(0, 4, 4, 10'000);
  BOOST_REQUIRE(kept.ok() && kept->size() == 4u);
  f.log->fork(0, 4, {}); // a broker that lags
  f.seek(0);
  f.advance(milliseconds(110));
  f.log->fork(0, 4, {kept->at(0).value, kept->at(1).value});
  f.advance(milliseconds(5'000));
  BOOST_TEST(f.logs[0]->found.size() == 1u);
  f.advance(milliseconds(5'000));
  f.advance(milliseconds(110));
  BOOST_REQUIRE(f.logs[0]->found.size() == 2u);
  BOOST_TEST((f.logs[0]->found[1].second.fault == log_fault::none));
  BOOST_REQUIRE(f.logs[0]->got.size() == 1u);
  BOOST_TEST(f.logs[0]->got[0].second.first_offset == 5);
}

BOOST_AUTO_TEST_CASE(a_log_that_cannot_say_is_asked_again_and_shown_when_that_lasts) {
  fixture f;
  f.fill(0, 8);
  f.stand_behind(0, 4);
  f.log->reads_nothing = true; // not fetched yet
  f.seek(0);
  f.advance(milliseconds(110));
  BOOST_TEST(f.logs[0]->found.empty());
  BOOST_TEST(f.context->status->report().degraded.empty());
  f.advance(milliseconds(10'000));
  f.advance(milliseconds(110));
  BOOST_REQUIRE(f.context->status->report().degraded.size() == 1u);
  f.log->reads_nothing = false;
  f.advance(milliseconds(1'000));
  f.advance(milliseconds(110));
  BOOST_TEST((f.only_finding(0).fault == log_fault::none));
  BOOST_TEST(f.logs[0]->got.size() == 1u);
  BOOST_TEST(f.context->status->report().degraded.empty());
}

BOOST_AUTO_TEST_CASE(a_log_that_cannot_be_read_says_nothing_of_a_fork) {
  fixture f;
  f.fill(0, 8);
  f.stand_behind(0, 4);
  f.log->reads_fail = true;
  f.seek(0);
  f.advance(milliseconds(110));
  f.advance(milliseconds(30'000));
  BOOST_TEST(f.logs[0]->found.empty());
  BOOST_TEST(f.context->status->report().degraded.size() == 1u);
}

BOOST_AUTO_TEST_SUITE_END()
