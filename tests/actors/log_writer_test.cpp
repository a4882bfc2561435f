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

BOOST_AUTO_TEST_SUITE_END()
