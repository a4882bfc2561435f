#include "model/counters.hpp"

#include <boost/test/unit_test.hpp>

#include "tests/support/seeded.hpp"

using namespace adtrack;

namespace {

shard_record record(event_type type, int64_t log_time_ms = 1'000) {
  shard_record r;
  r.type = type;
  r.log_time_ms = log_time_ms;
  return r;
}

uint64_t sum_of(const counters& c) {
  uint64_t sum = 0;
  for (const uint64_t v : c.values) sum += v;
  return sum;
}

counters random_counters(std::mt19937_64& random) {
  counters c;
  for (uint64_t& v : c.values) v = random() % 3 == 0 ? random() >> random() % 64 : 0;
  c.last_counted_ms = static_cast<int64_t>(random() >> 20);
  return c;
}

} // namespace

BOOST_AUTO_TEST_SUITE(counters_of_a_bucket)

BOOST_AUTO_TEST_CASE(metrics_keep_their_numbers) { // stored rows name them so
  BOOST_TEST(static_cast<int>(metric::valid_clicks) == 0);
  BOOST_TEST(static_cast<int>(metric::valid_playbacks) == 2);
  BOOST_TEST(static_cast<int>(metric::invalid_clicks) == 3);
  BOOST_TEST(static_cast<int>(metric::invalid_impressions) == 8);
  BOOST_TEST(static_cast<int>(metric::invalid_playbacks) == 13);
  BOOST_TEST(static_cast<int>(metric::playback_progress) == 18);
  BOOST_TEST(static_cast<int>(metric::duplicates) == 23);
  BOOST_TEST(static_cast<int>(metric::conflicts) == 24);
  BOOST_TEST(static_cast<int>(metric::play_time_count) == 25);
  BOOST_TEST(static_cast<int>(metric::watched_sum) == 28);
  BOOST_TEST(static_cast<int>(metric::restated) == 29);
}

BOOST_AUTO_TEST_CASE(a_valid_event_adds_one_to_its_type_alone) {
  for (const auto type : {event_type::click, event_type::impression, event_type::playback}) {
    counters c;
    BOOST_TEST(!c.any_event());
    c.add(record(type), invalid_reason::none);
    BOOST_TEST(c.values[static_cast<size_t>(type)] == 1u);
    BOOST_TEST(sum_of(c) == 1u);
    BOOST_TEST(c.gross(type) == 1u);
    BOOST_TEST(c.any_event());
    BOOST_TEST(c.last_counted_ms == 1'000);
  }
}

BOOST_AUTO_TEST_CASE(an_invalid_event_counts_for_its_reason_alone) {
  for (const auto type : {event_type::click, event_type::impression, event_type::playback}) {
    for (const auto reason : {invalid_reason::bot, invalid_reason::no_agent, invalid_reason::datacenter, invalid_reason::prefetch,
                              invalid_reason::repeat}) {
      counters c;
      auto r = record(type);
      r.play_time_secs = 30;
      r.watched_percent = 80;
      r.progress = playback_progress::start;
      c.add(r, reason);
      BOOST_TEST(c.invalid(type, reason) == 1u);
      BOOST_TEST(sum_of(c) == 1u);
      BOOST_TEST(c.gross(type) == 1u);
      BOOST_TEST(c.any_event());
    }
  }
}

BOOST_AUTO_TEST_CASE(what_came_late_is_counted_beside_valid_or_not) {
  counters c;
  auto r = record(event_type::impression);
  r.restates = true;
  c.add(r, invalid_reason::none);
  c.add(r, invalid_reason::bot);
  BOOST_TEST(c[metric::restated] == 2u);
  BOOST_TEST(c.gross(event_type::impression) == 2u);
}

BOOST_AUTO_TEST_CASE(absent_is_not_zero_in_the_averages) {
  counters c;
  auto r = record(event_type::click);
  c.add(r, invalid_reason::none);
  r.play_time_secs = 0;
  c.add(r, invalid_reason::none);
  r.watched_percent = 0;
  c.add(r, invalid_reason::none);
  r.play_time_secs = 30;
  r.watched_percent = 80;
  c.add(r, invalid_reason::none);
  BOOST_TEST(c[metric::valid_clicks] == 4u);
  BOOST_TEST(c[metric::play_time_count] == 3u);
  BOOST_TEST(c[metric::play_time_sum] == 30u);
  BOOST_TEST(c[metric::watched_count] == 2u);
  BOOST_TEST(c[metric::watched_sum] == 80u);
}

BOOST_AUTO_TEST_CASE(averages_are_over_clicks_only) {
  counters c;
  auto r = record(event_type::playback);
  r.play_time_secs = 30;
  r.watched_percent = 80;
  c.add(r, invalid_reason::none);
  BOOST_TEST(sum_of(c) == 1u);
}

BOOST_AUTO_TEST_CASE(playbacks_count_by_progress) {
  for (const auto progress : {playback_progress::start, playback_progress::first_quartile, playback_progress::midpoint,
                              playback_progress::third_quartile, playback_progress::complete}) {
    counters c;
    auto r = record(event_type::playback);
    r.progress = progress;
    c.add(r, invalid_reason::none);
    BOOST_TEST(c.values[static_cast<size_t>(metric::playback_progress) + static_cast<size_t>(progress) - 1] == 1u);
    BOOST_TEST(c[metric::valid_playbacks] == 1u);
    BOOST_TEST(sum_of(c) == 2u);
  }
}

BOOST_AUTO_TEST_CASE(duplicates_are_not_events) {
  counters c;
  c.add_duplicate(false);
  c.add_duplicate(true);
  BOOST_TEST(c[metric::duplicates] == 2u);
  BOOST_TEST(c[metric::conflicts] == 1u);
  BOOST_TEST(!c.any_event());
  BOOST_TEST(c.gross(event_type::click) == 0u);
  BOOST_TEST(c.last_counted_ms == 0);
}

BOOST_AUTO_TEST_CASE(gross_is_valid_and_all_invalid_of_the_type) {
  counters c;
  for (size_t i = 0; i < metric_count; ++i) c.values[i] = uint64_t{1} << i;
  BOOST_TEST(c.gross(event_type::click) == (1u << 0 | 0x1fu << 3));
  BOOST_TEST(c.gross(event_type::impression) == (1u << 1 | 0x1fu << 8));
  BOOST_TEST(c.gross(event_type::playback) == (1u << 2 | 0x1fu << 13));
}

BOOST_AUTO_TEST_CASE(the_latest_log_time_stays_whatever_the_order) {
  counters c;
  c.add(record(event_type::click, 2'000), invalid_reason::none);
  c.add(record(event_type::click, 1'000), invalid_reason::none);
  BOOST_TEST(c.last_counted_ms == 2'000);
  counters later;
  later.add(record(event_type::click, 3'000), invalid_reason::bot);
  counters both = later;
  both += c;
  c += later;
  BOOST_TEST(c.last_counted_ms == 3'000);
  BOOST_TEST((c == both));
  BOOST_TEST(c.gross(event_type::click) == 3u);
}

BOOST_AUTO_TEST_CASE(the_compact_form_is_read_back_and_consumes_itself_alone) {
  auto random = test::seeded();
  for (int i = 0; i < 2'000; ++i) {
    const counters c = i == 0 ? counters{} : random_counters(random);
    std::string text;
    encode(c, text);
    text += "rest";
    std::string_view in = text;
    counters back;
    BOOST_REQUIRE(decode(in, back));
    BOOST_REQUIRE((back == c));
    BOOST_REQUIRE(in == "rest");
  }
}

BOOST_AUTO_TEST_CASE(a_cut_or_foreign_compact_form_is_refused) {
  auto random = test::seeded();
  std::string text;
  encode(random_counters(random), text);
  for (size_t size = 0; size < text.size(); ++size) {
    std::string_view in(text.data(), size);
    counters back;
    BOOST_REQUIRE(!decode(in, back));
    BOOST_REQUIRE(in.size() == size);
    BOOST_REQUIRE((back == counters{}));
  }
  using namespace std::string_view_literals;
  for (auto in : {"\x80\x80\x80\x80\x04\x01\x01"sv, // a metric that this build does not know
                  "\x01\x00\x01"sv,                 // a value that the mask should have left out
                  "\x80\x00\x00"sv}) {              // an over-long mask
    counters back;
    BOOST_TEST(!decode(in, back));
  }
}

BOOST_AUTO_TEST_CASE(random_bytes_never_do_harm_and_what_is_accepted_is_canonical) {
  auto random = test::seeded();
  for (int i = 0; i < 50'000; ++i) {
    std::string text(random() % 24, '\0');
    for (char& c : text) c = static_cast<char>(random() % 2 == 0 ? random() : random() % 4);
    std::string_view in = text;
    counters c;
    if (!decode(in, c)) continue;
    std::string again;
    encode(c, again);
    BOOST_REQUIRE(again == text.substr(0, text.size() - in.size()));
  }
}

BOOST_AUTO_TEST_SUITE_END()
