#include "actors/lag.hpp"

#include <boost/test/unit_test.hpp>

#include "tests/support/actor_fixture.hpp"

using namespace adtrack;
using namespace adtrack::actors;

namespace {

struct fixture {
  int64_t now_ms = 1'000'000;
  adtrack::testing::scripted_log log{1, [this] { return now_ms; }};
  handed_batches handed{1, 2};
  lag_meter meter;
  void append() {
    log.append({{0, "x"}}, [](auto) {});
  }
  shard_lag measure(int64_t applied, int64_t steady_ms) { return meter.measure(log, handed, 0, applied, now_ms, steady_ms); }
  int64_t steady() { return log.end(0).confirmed_ms; }
};

} // namespace

BOOST_AUTO_TEST_SUITE(lag_of_a_shard)

BOOST_AUTO_TEST_CASE(it_is_zero_at_the_end_of_the_log) {
  fixture f;
  f.append();
  const auto lag = f.measure(1, f.steady());
  BOOST_TEST(lag.records == 0);
  BOOST_TEST(lag.ms == 0);
}

BOOST_AUTO_TEST_CASE(it_is_the_age_of_the_oldest_record_not_applied) {
  fixture f;
  f.append();
  f.now_ms += 250;
  f.append();
  f.now_ms += 50;
  BOOST_TEST(f.measure(0, f.steady()).ms == 300);
  BOOST_TEST(f.measure(0, f.steady()).records == 2);
  BOOST_TEST(f.measure(1, f.steady()).ms == 50);
}

BOOST_AUTO_TEST_CASE(a_record_of_this_very_millisecond_still_counts_as_lag) {
  fixture f;
  f.append();
  BOOST_TEST(f.measure(0, f.steady()).ms == 1);
}

BOOST_AUTO_TEST_CASE(it_is_unknown_when_the_end_was_not_confirmed_lately) {
  fixture f;
  f.append();
  BOOST_TEST(f.measure(1, f.steady() + end_confirmed_within_ms + 1'000).ms == -1);
}

BOOST_AUTO_TEST_CASE(it_is_unknown_past_the_end_and_when_the_record_cannot_be_read) {
  fixture f;
  f.append();
  BOOST_TEST(f.measure(2, f.steady()).ms == -1);
  f.log.reads_fail = true;
  BOOST_TEST(f.measure(0, f.steady()).ms == -1);
}

BOOST_AUTO_TEST_CASE(records_on_their_way_are_not_read_for_it) {
  fixture f;
  for (int i = 0; i < 4; ++i) f.append();
  f.log.reads_fail = true;
  f.handed.add(0, 0, 1, f.now_ms - 900);
  f.handed.add(0, 1, 3, f.now_ms - 500);
  BOOST_TEST(f.measure(0, f.steady()).ms == 900);
  BOOST_TEST(f.measure(1, f.steady()).ms == 500);
  BOOST_TEST(f.measure(2, f.steady()).ms == 500); // of the batch's oldest
  BOOST_TEST(f.measure(3, f.steady()).ms == -1);
  f.handed.add(0, 3, 4, f.now_ms - 20); // the oldest is forgotten
  BOOST_TEST(f.measure(3, f.steady()).ms == 20);
  BOOST_TEST(f.measure(0, f.steady()).ms == -1);
  f.handed.forget(0);
  BOOST_TEST(f.measure(1, f.steady()).ms == -1);
}

BOOST_AUTO_TEST_CASE(nor_are_those_whose_time_the_log_knows) {
  fixture f;
  f.append();
  f.log.reads_fail = true;
  f.log.known_time = f.now_ms - 70;
  BOOST_TEST(f.measure(0, f.steady()).ms == 70);
}

BOOST_AUTO_TEST_SUITE_END()
