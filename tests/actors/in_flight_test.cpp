#include "actors/in_flight.hpp"

#include <boost/test/unit_test.hpp>

#include <future>
#include <thread>

#include "tests/support/actor_fixture.hpp"

using namespace adtrack;
using namespace adtrack::actors;
using adtrack::testing::click;
using adtrack::testing::collecting_sink;
using adtrack::testing::ticket_of;

namespace {

struct fixture {
  explicit fixture(uint64_t events = 10) {
    in_flight_limits limits;
    limits.events = events;
    limits.bytes = 1u << 20;
    limits.asks = 2;
    limits.ingest_timeout = std::chrono::milliseconds(1'000);
    flights = std::make_shared<in_flight>(limits, nullptr);
    flights->bind(&sink);
  }
  ingest_ptr admit(std::initializer_list<uint64_t> serials) {
    std::vector<ingest_item> items;
    for (auto serial : serials) items.push_back(click(serial, 1, "e" + std::to_string(serial)));
    return flights->admit(items);
  }
  failure why(uint64_t serial) { return std::get<failed>(sink.only(serial)).why; }

  collecting_sink sink;
  std::shared_ptr<in_flight> flights;
};

} // namespace

BOOST_AUTO_TEST_SUITE(in_flight_rules)

BOOST_AUTO_TEST_CASE(one_of_two_claims_wins) {
  fixture f;
  auto batch = f.admit({1});
  BOOST_TEST(batch->claim());
  BOOST_TEST(!batch->claim());
  batch->fail(failure::timed_out, "");
  BOOST_TEST(f.sink.count() == 0u);
}

BOOST_AUTO_TEST_CASE(what_is_past_its_deadline_is_timed_out_and_completes_once) {
  fixture f;
  auto batch = f.admit({1, 2});
  f.flights->sweep(steady_clock::now());
  BOOST_TEST(f.sink.count() == 0u);
  f.flights->sweep(steady_clock::now() + std::chrono::seconds(2));
  BOOST_TEST((f.why(1) == failure::timed_out));
  BOOST_TEST((f.why(2) == failure::timed_out));
  // The log's late answer finds the batch claimed.
  BOOST_TEST(!batch->claim());
  f.flights->sweep(steady_clock::now() + std::chrono::seconds(3));
  BOOST_TEST(f.sink.count() == 2u);
}

BOOST_AUTO_TEST_CASE(room_is_held_until_the_batch_is_gone_even_when_it_timed_out) {
  fixture f(2);
  auto batch = f.admit({1, 2});
  BOOST_TEST(!f.admit({3}));
  f.flights->sweep(steady_clock::now() + std::chrono::seconds(2));
  BOOST_TEST(!f.admit({3})); // the log still holds its records
  batch.reset();
  BOOST_TEST(f.flights->count() == 0u);
  BOOST_TEST(static_cast<bool>(f.admit({3})));
}

BOOST_AUTO_TEST_CASE(bytes_are_bounded_too) {
  in_flight_limits limits;
  limits.bytes = 600;
  auto flights = std::make_shared<in_flight>(limits, nullptr);
  std::vector<ingest_item> first{click(1, 1, std::string(100, 'x'))};
  std::vector<ingest_item> second{click(2, 1, std::string(100, 'x')), click(3, 1, std::string(100, 'x'))};
  auto held = flights->admit(first);
  BOOST_TEST(static_cast<bool>(held));
  BOOST_TEST(!flights->admit(second));
  BOOST_TEST(second.size() == 2u); // a refused call leaves the items alone
  BOOST_TEST(flights->count() == 1u);
  held.reset();
  BOOST_TEST(static_cast<bool>(flights->admit(second))); // alone it fits, whatever the limit
}

BOOST_AUTO_TEST_CASE(a_batch_that_is_lost_on_its_way_completes_as_not_durable) {
  fixture f;
  f.admit({1}).reset();
  BOOST_TEST((f.why(1) == failure::not_durable));
}

BOOST_AUTO_TEST_CASE(a_question_that_is_lost_on_its_way_completes_as_stopping) {
  fixture f;
  f.flights->admit(ticket_of(7)).reset();
  BOOST_TEST((f.why(7) == failure::stopping));
}

BOOST_AUTO_TEST_CASE(a_question_completes_once) {
  fixture f;
  auto reply = f.flights->admit(ticket_of(7));
  reply->complete(ads_page{});
  reply->fail(failure::timed_out, "");
  reply.reset();
  BOOST_TEST(std::holds_alternative<ads_page>(f.sink.only(7)));
}

BOOST_AUTO_TEST_CASE(questions_are_bounded) {
  fixture f;
  auto first = f.flights->admit(ticket_of(1)), second = f.flights->admit(ticket_of(2));
  BOOST_TEST(!f.flights->admit(ticket_of(3)));
  first.reset();
  auto third = f.flights->admit(ticket_of(3));
  BOOST_REQUIRE(third);
  BOOST_TEST(!f.flights->admit(ticket_of(4)));
  third->fail(failure::timed_out, ""); // whoever holds it still
  BOOST_TEST(static_cast<bool>(f.flights->admit(ticket_of(4))));
  second.reset();
  third.reset();
  BOOST_TEST(f.flights->count() == 0u);
}

BOOST_AUTO_TEST_CASE(abandoning_completes_all_that_is_left) {
  fixture f;
  auto first = f.admit({1}), second = f.admit({2, 3});
  BOOST_TEST(first->claim());
  f.flights->abandon(failure::stopping, "");
  BOOST_TEST(f.sink.count() == 2u);
  BOOST_TEST((f.why(3) == failure::stopping));
}

BOOST_AUTO_TEST_CASE(a_detached_sink_is_told_nothing) {
  fixture f;
  auto batch = f.admit({1});
  f.flights->bind(nullptr);
  batch.reset();
  BOOST_TEST(f.sink.count() == 0u);
}

BOOST_AUTO_TEST_CASE(detaching_waits_for_a_completion_that_is_being_delivered) {
  struct slow_sink final : completion_sink {
    std::promise<void> entered;
    std::promise<void> detached;
    bool detached_meanwhile = false;
    void complete(std::vector<completion>) override {
      entered.set_value();
      // Bounded: bind() must not come back while this runs, so the promise is not kept meanwhile.
      detached_meanwhile = detached.get_future().wait_for(std::chrono::milliseconds(100)) == std::future_status::ready;
    }
  } slow;
  fixture f;
  f.flights->bind(&slow);
  std::thread delivering([&] { f.flights->deliver({{ticket_of(1), ads_page{}}}); });
  slow.entered.get_future().wait();
  f.flights->bind(nullptr);
  slow.detached.set_value();
  delivering.join();
  BOOST_TEST(!slow.detached_meanwhile);
}

BOOST_AUTO_TEST_CASE(waiting_for_idle_ends_when_the_last_is_gone_or_at_the_deadline) {
  fixture f;
  auto batch = f.admit({1});
  BOOST_TEST(!f.flights->wait_idle(steady_clock::now()));
  batch.reset();
  BOOST_TEST(f.flights->wait_idle(steady_clock::now()));
}

BOOST_AUTO_TEST_SUITE_END()
