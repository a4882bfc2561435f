#include "actors/log_writer.hpp"

#include <boost/test/unit_test.hpp>

#include <numeric>

#include <prometheus/counter.h>

#include "storage/record_codec.hpp"
#include "tests/support/actor_fixture.hpp"

using namespace adtrack;
using namespace adtrack::actors;
using adtrack::testing::actor_fixture;
using adtrack::testing::click;
using adtrack::testing::scripted_log;
using adtrack::testing::ticket_of;
using std::chrono::milliseconds;

namespace {

struct fixture : actor_fixture {
  explicit fixture(size_t batch_records = 10'000)
      : actor_fixture(2, [batch_records](node_options& o) { o.log_batch_records = batch_records; }) {
    writer = keep(system->spawn(log_writer, context));
  }
  // One submit call's worth of records, all for partition 1.
  void send(std::initializer_list<uint64_t> serials) {
    std::vector<ingest_item> items;
    for (auto serial : serials) items.push_back(click(serial, 1, "e" + std::to_string(serial)));
    auto job = std::make_shared<append_job>();
    job->batch = admit(std::move(items));
    for (auto serial : serials) job->records.push_back({1, "record " + std::to_string(serial)});
    caf::anon_send(writer, append_atom_v, std::move(job));
  }
  // A batch under the ticket `serial`, a record a partition that is named.
  void send_batch(uint64_t serial, std::initializer_list<uint32_t> partitions) {
    caf::anon_send(writer, append_atom_v, batch_job(serial, partitions));
  }
  append_ptr batch_job(uint64_t serial, std::initializer_list<uint32_t> partitions) {
    std::vector<ingest_item> items;
    for (size_t i = 0; i < partitions.size(); ++i) items.push_back(click(1'000 + i, 1, "b" + std::to_string(i)));
    auto job = std::make_shared<append_job>();
    job->batch = admit(std::move(items), ticket_of(serial));
    for (auto partition : partitions) job->records.push_back({partition, "record"});
    return job;
  }
  // What the batch of ticket 1 is told when the log says this of its records in partitions 0, 1, 0 and 1.
  outcome told(const std::vector<storage::append_outcome>& said) {
    append_group group;
    group.jobs.push_back({0, batch_job(1, {0, 1, 0, 1})});
    group.records = 4;
    group.flights = context->flights;
    const bool fine = group.finish(said, {});
    auto got = sink.only(1);
    BOOST_TEST(fine == std::holds_alternative<batch_ingested>(got));
    return got;
  }
  int64_t offset(uint64_t serial) {
    const auto got = std::get<ingested>(sink.only(serial));
    BOOST_TEST(got.shard == 1u);
    return got.offset;
  }
  failure why(uint64_t serial) { return std::get<failed>(sink.only(serial)).why; }

  log_writer_actor writer;
};

} // namespace

BOOST_AUTO_TEST_SUITE(log_writer_behaviour)

BOOST_AUTO_TEST_CASE(all_that_arrived_meanwhile_shares_one_append_and_one_completion) {
  fixture f;
  f.send({1});
  f.send({2, 3});
  f.send({4});
  f.run();
  BOOST_TEST(f.log->append_sizes == std::vector<size_t>{4}, boost::test_tools::per_element());
  BOOST_TEST(f.sink.calls() == 1u);
  for (uint64_t serial = 1; serial <= 4; ++serial) BOOST_TEST(f.offset(serial) == static_cast<int64_t>(serial - 1));
  BOOST_TEST(f.context->flights->count() == 0u);
  BOOST_TEST(f.metrics.events("click", "accepted").Value() == 4.0);
}

BOOST_AUTO_TEST_CASE(an_append_is_bounded_and_never_splits_a_submit_call) {
  fixture f(3);
  f.send({1, 2});
  f.send({3, 4});
  f.send({5});
  f.send({6, 7, 8, 9});
  f.run();
  BOOST_TEST(f.log->append_sizes == (std::vector<size_t>{2, 3, 4}), boost::test_tools::per_element());
  BOOST_TEST(f.sink.count() == 9u);
}

BOOST_AUTO_TEST_CASE(nothing_is_acknowledged_before_the_log_has_answered) {
  fixture f;
  f.log->next = scripted_log::mood::hold;
  f.send({1});
  f.run();
  BOOST_TEST(f.sink.count() == 0u);
  f.log->release();
  BOOST_TEST(f.offset(1) == 0);
}

BOOST_AUTO_TEST_CASE(an_answer_after_the_deadline_is_dropped) {
  fixture f;
  f.log->next = scripted_log::mood::hold;
  f.send({1});
  f.run();
  f.context->flights->sweep(steady_clock::now() + std::chrono::seconds(60));
  BOOST_TEST((f.why(1) == failure::timed_out));
  f.log->release();
  f.run();
  BOOST_TEST(f.sink.count() == 1u);
  BOOST_TEST(f.context->flights->count() == 0u);
}

BOOST_AUTO_TEST_CASE(an_append_that_the_log_forgets_completes_as_not_durable) {
  fixture f;
  f.log->next = scripted_log::mood::lose;
  f.send({1});
  f.run();
  BOOST_TEST((f.why(1) == failure::not_durable));
}

BOOST_AUTO_TEST_CASE(a_failed_append_is_not_durable_and_the_log_is_reopened_every_second) {
  fixture f;
  f.log->next = scripted_log::mood::fail;
  f.log->reopens = false;
  f.send({1});
  f.run();
  BOOST_TEST((f.why(1) == failure::not_durable));
  BOOST_TEST(!f.context->status->report().degraded.empty());
  BOOST_TEST(f.log->reopen_calls == 0);
  f.advance(milliseconds(1'000));
  BOOST_TEST(f.log->reopen_calls == 1);
  f.send({2}); // refused at once while it is read-only
  f.run();
  BOOST_TEST((f.why(2) == failure::not_durable));
  f.log->reopens = true;
  f.advance(milliseconds(1'000));
  BOOST_TEST(f.log->reopen_calls == 2);
  BOOST_TEST(f.context->status->report().degraded.empty());
  f.send({3});
  f.run();
  BOOST_TEST(f.offset(3) == 0);
  f.advance(milliseconds(5'000));
  BOOST_TEST(f.log->reopen_calls == 2);
}

BOOST_AUTO_TEST_CASE(a_control_record_is_logged_among_events_and_its_offset_is_told) {
  fixture f;
  f.send({1});
  caf::scoped_actor self{*f.system};
  auto request = self->request(f.writer, std::chrono::seconds(1), control_atom_v, uint32_t{1}, f.wanted);
  f.run();
  BOOST_TEST(f.log->append_sizes == std::vector<size_t>{2}, boost::test_tools::per_element());
  request.receive([](int64_t offset) { BOOST_TEST(offset == 1); }, [](const caf::error&) { BOOST_ERROR("no offset"); });
  auto stored = f.log->read(1, 1, 1, 1'000);
  BOOST_REQUIRE(stored.ok() && stored->size() == 1u);
  BOOST_TEST(stored->front().value == storage::encode(f.wanted));
  BOOST_TEST(f.metrics.events("click", "accepted").Value() == 1.0);
}

BOOST_AUTO_TEST_CASE(a_control_record_that_is_not_durable_is_an_error) {
  fixture f;
  f.log->next = scripted_log::mood::fail;
  caf::scoped_actor self{*f.system};
  auto request = self->request(f.writer, std::chrono::seconds(1), control_atom_v, uint32_t{1}, f.wanted);
  f.run();
  request.receive([](int64_t) { BOOST_ERROR("it was acknowledged"); },
                  [](const caf::error& why) { BOOST_TEST((why == make_error(trouble::not_durable))); });
}

BOOST_AUTO_TEST_CASE(what_is_spooled_is_accepted_without_a_position_but_for_a_control_record) {
  fixture f;
  f.log->next = scripted_log::mood::spool;
  f.send({1});
  caf::scoped_actor self{*f.system};
  auto request = self->request(f.writer, std::chrono::seconds(1), control_atom_v, uint32_t{1}, f.wanted);
  f.run();
  const auto event = std::get<ingested>(f.sink.only(1));
  BOOST_TEST(event.spooled);
  BOOST_TEST(event.offset == -1);
  BOOST_TEST(f.metrics.events("click", "accepted").Value() == 1.0);
  BOOST_TEST(f.log->reopen_calls == 0);
  request.receive([](int64_t) { BOOST_ERROR("events would be judged before it is in force"); },
                  [](const caf::error& why) { BOOST_TEST((why == make_error(trouble::not_durable))); });
}

BOOST_AUTO_TEST_CASE(a_batch_has_one_outcome_with_the_highest_offset_of_each_shard) {
  fixture f;
  f.send({1});
  f.send_batch(2, {1, 0, 1, 1});
  f.send({3});
  f.run();
  BOOST_TEST(f.log->append_sizes == std::vector<size_t>{6}, boost::test_tools::per_element());
  BOOST_TEST(f.sink.count() == 3u);
  const auto batch = std::get<batch_ingested>(f.sink.only(2));
  BOOST_TEST(batch.events == 4u);
  BOOST_TEST(!batch.spooled);
  BOOST_REQUIRE(batch.positions.size() == 2u);
  BOOST_TEST((batch.positions[0].shard == 0 && batch.positions[0].offset == 0));
  BOOST_TEST((batch.positions[1].shard == 1 && batch.positions[1].offset == 3));
  BOOST_TEST(f.offset(1) == 0);
  BOOST_TEST(f.offset(3) == 4);
  BOOST_TEST(f.metrics.events("click", "accepted").Value() == 6.0);
  BOOST_TEST(f.context->flights->count() == 0u);
}

BOOST_AUTO_TEST_CASE(a_batch_fails_as_a_whole_when_one_record_is_not_durable) {
  using storage::append_fate;
  for (auto bad : {append_fate::unknown, append_fate::refused})
    for (size_t at = 0; at < 4; ++at) {
      fixture f;
      std::vector<storage::append_outcome> said(4, {append_fate::durable, 7});
      said[at] = {bad, -1};
      BOOST_TEST((std::get<failed>(f.told(said)).why == failure::not_durable));
      BOOST_TEST(f.sink.count() == 1u);
    }
}

BOOST_AUTO_TEST_CASE(a_batch_of_which_the_log_says_too_little_is_not_durable) {
  for (size_t told = 0; told < 4; ++told) {
    fixture f;
    std::vector<storage::append_outcome> said(told, {storage::append_fate::durable, 7});
    BOOST_TEST((std::get<failed>(f.told(said)).why == failure::not_durable));
  }
}

BOOST_AUTO_TEST_CASE(a_shard_of_which_an_offset_is_not_known_has_no_position) {
  using storage::append_fate;
  for (size_t at : {0u, 2u}) {
    fixture f;
    std::vector<storage::append_outcome> said(4, {append_fate::durable, 7});
    said[at].offset = -1;
    const auto batch = std::get<batch_ingested>(f.told(said));
    BOOST_TEST(!batch.spooled);
    BOOST_REQUIRE(batch.positions.size() == 1u);
    BOOST_TEST(batch.positions[0].shard == 1u);
    BOOST_TEST(batch.positions[0].offset == 7);
  }
  fixture f;
  const auto spooled = std::get<batch_ingested>(
      f.told({{append_fate::durable, 7}, {append_fate::durable, 3}, {append_fate::spooled, -1}, {append_fate::durable, 2}}));
  BOOST_TEST(spooled.spooled);
  BOOST_REQUIRE(spooled.positions.size() == 1u);
  BOOST_TEST(spooled.positions[0].offset == 3);
}

BOOST_AUTO_TEST_CASE(a_batch_completes_once_whatever_becomes_of_its_append) {
  fixture late;
  late.log->next = scripted_log::mood::hold;
  late.send_batch(1, {0, 1});
  late.run();
  BOOST_TEST(late.sink.count() == 0u);
  late.context->flights->sweep(steady_clock::now() + std::chrono::seconds(60));
  BOOST_TEST((late.why(1) == failure::timed_out));
  late.log->release();
  late.run();
  BOOST_TEST(late.sink.count() == 1u);
  fixture lost;
  lost.log->next = scripted_log::mood::lose;
  lost.send_batch(1, {0, 1});
  lost.run();
  BOOST_TEST((lost.why(1) == failure::not_durable));
  fixture broken;
  broken.log->next = scripted_log::mood::fail;
  broken.send_batch(1, {0, 1});
  broken.run();
  BOOST_TEST((broken.why(1) == failure::not_durable));
  fixture stopped;
  stopped.log->next = scripted_log::mood::hold;
  stopped.send_batch(1, {0, 1});
  stopped.run();
  stopped.context->flights->abandon(failure::stopping, "");
  BOOST_TEST((stopped.why(1) == failure::stopping));
}

BOOST_AUTO_TEST_SUITE_END()
