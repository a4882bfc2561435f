#include "config/log_repeats.hpp"

#include <boost/test/unit_test.hpp>

using adtrack::config::log_repeats;

BOOST_AUTO_TEST_SUITE(config_log_repeats)

BOOST_AUTO_TEST_CASE(a_burst_is_written_and_the_next_window_says_how_many_were_left_out) {
  log_repeats repeats(3, 100, 10);
  for (int64_t i = 0; i < 3; ++i) {
    const auto said = repeats.ask("log", "append_failed", 1'000 + i);
    BOOST_TEST(said.write);
    BOOST_TEST(said.last == (i == 2));
    BOOST_TEST(said.left_out == 0u);
  }
  for (int i = 0; i < 7; ++i) BOOST_TEST(!repeats.ask("log", "append_failed", 1'099).write);
  const auto next = repeats.ask("log", "append_failed", 1'100);
  BOOST_TEST(next.write);
  BOOST_TEST(next.left_out == 7u);
  BOOST_TEST(repeats.ask("log", "append_failed", 1'101).left_out == 0u);
}

BOOST_AUTO_TEST_CASE(events_do_not_count_for_each_other) {
  log_repeats repeats(1, 100, 10);
  BOOST_TEST(repeats.ask("log", "a", 0).write);
  BOOST_TEST(!repeats.ask("log", "a", 1).write);
  BOOST_TEST(repeats.ask("log", "b", 1).write);
  BOOST_TEST(repeats.ask("http", "a", 1).write);
}

BOOST_AUTO_TEST_CASE(a_clock_that_goes_back_begins_a_new_window) {
  log_repeats repeats(1, 100, 10);
  BOOST_TEST(repeats.ask("log", "a", 1'000).write);
  BOOST_TEST(!repeats.ask("log", "a", 1'001).write);
  BOOST_TEST(repeats.ask("log", "a", 500).write);
}

BOOST_AUTO_TEST_CASE(beyond_what_it_remembers_nothing_is_left_out) {
  log_repeats repeats(1, 100, 1);
  BOOST_TEST(repeats.ask("log", "a", 0).write);
  for (int i = 0; i < 3; ++i) BOOST_TEST(repeats.ask("log", "b", 0).write);
  BOOST_TEST(!repeats.ask("log", "a", 0).write);
}

BOOST_AUTO_TEST_SUITE_END()
