#include "actors/supervisor.hpp"

#include <boost/test/unit_test.hpp>

#include <prometheus/gauge.h>

#include "tests/support/actor_fixture.hpp"

using namespace adtrack;
using namespace adtrack::actors;
using adtrack::testing::actor_fixture;
using adtrack::testing::click;
using std::chrono::milliseconds;

namespace {

// With an argument: CAF 0.17.6 takes a reference to no arguments out of a null pointer.
caf::behavior bystander(caf::event_based_actor*, const std::string& last_words) {
  return {[last_words](tick_atom) { throw std::runtime_error(last_words); }};
}

struct fixture : actor_fixture {
  explicit fixture(const std::function<void(node_options&)>& change = {}) : actor_fixture(1, change) {
    auto parts = context->parts;
    parts.fatal = [this](const std::string& why) { deaths.push_back(why); };
    parts.every_second = [this] { ++seconds; };
    parts.troubles = [this] { return troubles; };
    std::string error;
    context = make_context(context->options, std::move(parts), error);
    context->flights->bind(&sink);
    watched = keep(system->spawn(bystander, "broken"));
    keep(system->spawn(supervisor, context, std::vector{caf::actor_cast<caf::strong_actor_ptr>(watched)}));
    run();
  }
  std::vector<std::string> deaths;
  int seconds = 0;
  std::vector<std::pair<std::string, std::string>> troubles;
  caf::actor watched;
};

} // namespace

BOOST_AUTO_TEST_SUITE(supervisor_behaviour)

BOOST_AUTO_TEST_CASE(an_actor_that_dies_of_an_exception_is_fatal) {
  fixture f;
  caf::anon_send(f.watched, tick_atom_v);
  f.run();
  BOOST_TEST(f.deaths.size() == 1u);
}

BOOST_AUTO_TEST_CASE(an_actor_that_ends_while_the_node_stops_is_not) {
  fixture f;
  f.context->status->set_stopping();
  caf::anon_send_exit(f.watched, caf::exit_reason::user_shutdown);
  f.run();
  BOOST_TEST(f.deaths.empty());
}

BOOST_AUTO_TEST_CASE(a_question_that_its_shard_leaves_unanswered_is_completed) {
  fixture f;
  analytics_query q;
  q.ad_ids = {7};
  q.timeout_ms = 0;
  const auto lone = std::make_shared<lone_query>(f.context, 0, q, f.reply(1));
  f.context->lone->add(lone);
  f.advance(milliseconds(200));
  BOOST_TEST(!std::get<analytics_result>(f.sink.only(1))->complete);
}

BOOST_AUTO_TEST_CASE(what_is_past_its_deadline_is_completed) {
  fixture f([](node_options& o) { o.ingest_timeout_ms = 0; });
  auto batch = f.admit({click(1, 1, "a")});
  BOOST_TEST(f.sink.count() == 0u);
  f.advance(milliseconds(200));
  BOOST_TEST((std::get<failed>(f.sink.only(1)).why == failure::timed_out));
}

BOOST_AUTO_TEST_CASE(lag_is_published_and_a_large_one_degrades) {
  fixture f;
  f.log->append({{0, "x"}, {0, "y"}}, [](auto) {});
  f.advance(milliseconds(1'000));
  BOOST_TEST(f.metrics.shard_lag_records(0).Value() == 0.0); // where it stands is not known before it is open
  f.context->status->set_phase(0, shard_phase::serving);
  f.now_ms += 20'000;
  f.advance(milliseconds(1'000));
  BOOST_TEST(f.metrics.shard_lag_records(0).Value() == 2.0);
  BOOST_TEST(f.metrics.shard_lag_seconds(0).Value() == 20.0);
  BOOST_REQUIRE(f.context->status->report().degraded.size() == 1u);
  BOOST_TEST(f.context->status->report().degraded[0] == "shard 0: lags behind the log");
  f.context->status->set_applied(0, 2);
  f.advance(milliseconds(1'000));
  BOOST_TEST(f.metrics.shard_lag_seconds(0).Value() == 0.0);
  BOOST_TEST(f.context->status->report().degraded.empty());
}

BOOST_AUTO_TEST_CASE(a_log_that_changed_its_shape_degrades_with_its_own_sentence) {
  fixture f;
  f.log->shape = {storage::errc::mismatch, "the topic has 5 partitions now, not 4"};
  f.advance(milliseconds(1'000));
  BOOST_REQUIRE(f.context->status->report().degraded.size() == 1u);
  BOOST_TEST(f.context->status->report().degraded[0] == "shape of the log: the topic has 5 partitions now, not 4");
  f.log->shape = {};
  f.advance(milliseconds(1'000));
  BOOST_TEST(f.context->status->report().degraded.empty());
}

BOOST_AUTO_TEST_CASE(what_waits_in_the_spool_is_published_and_degrades) {
  fixture f;
  f.log->waiting_records = 3;
  f.advance(milliseconds(1'000));
  BOOST_TEST(f.metrics.spool_records().Value() == 3.0);
  BOOST_REQUIRE(f.context->status->report().degraded.size() == 1u);
  BOOST_TEST(f.context->status->report().degraded[0] == "spool: 3 records wait in the spool for the log");
  f.log->waiting_records = 0;
  f.advance(milliseconds(1'000));
  BOOST_TEST(f.metrics.spool_records().Value() == 0.0);
  BOOST_TEST(f.context->status->report().degraded.empty());
}

BOOST_AUTO_TEST_CASE(what_the_caller_knows_to_be_degraded_is_said_until_it_is_not) {
  fixture f;
  f.troubles = {{"list of agents", "line 2 is no expression"}, {"list of countries", ""}};
  f.advance(milliseconds(1'000));
  BOOST_REQUIRE(f.context->status->report().degraded.size() == 1u);
  BOOST_TEST(f.context->status->report().degraded[0] == "list of agents: line 2 is no expression");
  f.troubles[0].second.clear();
  f.advance(milliseconds(1'000));
  BOOST_TEST(f.context->status->report().degraded.empty());
}

BOOST_AUTO_TEST_CASE(the_caller_is_called_every_second) {
  fixture f;
  const int before = f.seconds;
  for (int i = 0; i < 3; ++i) f.advance(milliseconds(1'000));
  BOOST_TEST(f.seconds == before + 3);
}

BOOST_AUTO_TEST_SUITE_END()
