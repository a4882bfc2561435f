#include "actors/front_door.hpp"

#include <boost/test/unit_test.hpp>

#include "tests/support/actor_fixture.hpp"

using namespace adtrack;
using namespace adtrack::actors;
using adtrack::testing::actor_fixture;
using adtrack::testing::click;
using adtrack::testing::ticket_of;

namespace {

struct fixture : actor_fixture {
  fixture()
      : actor_fixture(1, [](node_options& o) {
          o.max_in_flight_events = 2;
          o.max_waiting_queries = 1;
        }) {
    front_door_ports ports;
    ports.ingest = [this](ingest_ptr batch) { taken.push_back(std::move(batch)); };
    ports.query = [this](analytics_query, reply_ptr reply) { asked.push_back(std::move(reply)); };
    door = std::make_unique<front_door>(context, std::move(ports));
  }
  failure why(uint64_t serial) { return std::get<failed>(sink.only(serial)).why; }
  void serve() {
    context->status->set_phase(0, shard_phase::serving);
    context->status->control_logged(0);
    context->status->caught_up(0);
    context->status->set_catalogue_loaded(true);
  }

  std::vector<ingest_ptr> taken;
  std::vector<reply_ptr> asked;
  std::unique_ptr<front_door> door;
};

} // namespace

BOOST_AUTO_TEST_SUITE(front_door_rules)

BOOST_AUTO_TEST_CASE(no_event_is_taken_before_every_partition_holds_a_control_record) {
  fixture f;
  BOOST_TEST(f.door->submit({click(1, 1, "a")}));
  BOOST_TEST((f.why(1) == failure::overloaded));
  f.serve();
  BOOST_TEST(f.door->submit({click(2, 1, "a")}));
  BOOST_TEST(f.taken.size() == 1u);
}

BOOST_AUTO_TEST_CASE(all_or_none_of_the_items_are_taken) {
  fixture f;
  f.serve();
  BOOST_TEST(f.door->submit({click(1, 1, "a")}));
  BOOST_TEST(!f.door->submit({click(2, 1, "b"), click(3, 1, "c")}));
  BOOST_TEST(f.sink.count() == 0u); // no completion comes for a refused call
  BOOST_TEST(f.door->in_flight() == 1u);
  f.taken.clear();
  BOOST_TEST(f.door->submit({click(2, 1, "b"), click(3, 1, "c")}));
}

BOOST_AUTO_TEST_CASE(a_batch_is_taken_or_refused_as_a_whole_and_answered_once) {
  fixture f;
  f.serve();
  BOOST_TEST(f.door->submit({click(1, 1, "a")}));
  BOOST_TEST(!f.door->submit_batch(ticket_of(9), {click(2, 1, "b"), click(3, 1, "c")}));
  BOOST_TEST(f.sink.count() == 0u);
  f.taken.clear();
  BOOST_TEST((f.why(1) == failure::not_durable));
  BOOST_TEST(f.door->submit_batch(ticket_of(9), {click(2, 1, "b"), click(3, 1, "c")}));
  BOOST_TEST(f.door->in_flight() == 2u);
  f.taken.clear(); // lost on its way
  BOOST_TEST((f.why(9) == failure::not_durable));
  f.door->close();
  BOOST_TEST(f.door->submit_batch(ticket_of(10), {click(2, 1, "b"), click(3, 1, "c")}));
  BOOST_TEST((f.why(10) == failure::stopping));
  BOOST_TEST(f.sink.count() == 3u);
}

BOOST_AUTO_TEST_CASE(a_clock_that_jumped_refuses_events_and_readiness_until_it_is_back) {
  fixture f;
  f.serve();
  BOOST_TEST(f.door->ready().ready);
  f.now_ms += 301'000;
  BOOST_TEST(f.door->submit({click(1, 1, "a")}));
  BOOST_TEST((f.why(1) == failure::clock_jumped));
  BOOST_TEST(!f.door->ready().ready);
  f.now_ms -= 602'000;
  BOOST_TEST(f.door->submit({click(2, 1, "a")}));
  BOOST_TEST((f.why(2) == failure::clock_jumped));
  f.now_ms += 301'000;
  BOOST_TEST(f.door->submit({click(3, 1, "a")}));
  BOOST_TEST(f.taken.size() == 1u);
  BOOST_TEST(f.door->ready().ready);
}

BOOST_AUTO_TEST_CASE(a_closed_door_refuses_with_stopping) {
  fixture f;
  f.serve();
  f.door->close();
  BOOST_TEST(f.door->submit({click(1, 1, "a")}));
  f.door->query(ticket_of(2), {});
  BOOST_TEST((f.why(1) == failure::stopping));
  BOOST_TEST((f.why(2) == failure::stopping));
  BOOST_TEST(f.taken.empty());
}

BOOST_AUTO_TEST_CASE(questions_beyond_the_bound_are_refused_as_overloaded) {
  fixture f;
  f.door->query(ticket_of(1), {});
  f.door->query(ticket_of(2), {});
  BOOST_TEST(f.asked.size() == 1u);
  BOOST_TEST((f.why(2) == failure::overloaded));
}

BOOST_AUTO_TEST_CASE(a_log_that_refuses_to_be_written_makes_it_not_ready) {
  fixture f;
  f.serve();
  f.log->next = adtrack::testing::scripted_log::mood::fail;
  f.log->append({{0, "x"}}, [](auto) {});
  BOOST_TEST(f.door->ready().reason == "the log refuses to be written");
  f.log->anothers = true;
  BOOST_TEST(f.door->ready().reason == "this node answers from another one's log and takes no events");
}

BOOST_AUTO_TEST_SUITE_END()
