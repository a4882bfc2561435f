#include "model/time_grid.hpp"

#include <boost/test/unit_test.hpp>

#include "model/timestamp.hpp"
#include "tests/support/seeded.hpp"

using namespace adtrack;

namespace {

int64_t at(std::string_view text) {
  int64_t us = 0;
  BOOST_REQUIRE(parse_rfc3339(text, {}, us));
  return us / 1'000'000;
}

time_zone zone(std::string_view name) {
  time_zone out;
  BOOST_REQUIRE(time_zone::load(name, out));
  return out;
}

// The starts of the points from `from` to `to`, on the zone's clock.
std::vector<std::string> starts(granularity step, std::string_view tz, std::string_view from, std::string_view to) {
  std::vector<std::string> out;
  const time_grid grid(step, zone(tz));
  for (auto t = at(from); t < at(to); t = grid.point_of(t).until_s)
    out.push_back(format_rfc3339_s(grid.point_of(t).since_s, zone(tz)));
  return out;
}

using list = std::vector<std::string>;

} // namespace

BOOST_AUTO_TEST_SUITE(model_time_grid)

BOOST_AUTO_TEST_CASE(a_day_is_from_midnight_to_midnight_of_the_zone_whatever_its_length) {
  const struct {
    const char* tz;
    const char* within;
    int64_t hours;
  } cases[] = {
      {"UTC", "2025-03-30T12:00:00Z", 24},
      {"Europe/Paris", "2025-03-30T12:00:00Z", 23},
      {"Europe/Paris", "2025-10-26T12:00:00Z", 25},
      {"America/New_York", "2025-03-09T12:00:00Z", 23},
      {"America/New_York", "2025-11-02T12:00:00Z", 25},
      {"America/Sao_Paulo", "2018-11-04T12:00:00Z", 23}, // midnight was skipped
      {"Africa/Cairo", "2025-04-25T12:00:00Z", 23},      // likewise
      {"America/Havana", "2024-11-03T12:00:00Z", 25},    // midnight came twice
      {"America/St_Johns", "2010-11-07T03:00:00Z", 25},  // 00:01 became 23:01 of the date before: still the new day
      {"Asia/Kathmandu", "2025-01-01T12:00:00Z", 24},
  };
  for (const auto& c : cases) {
    const auto day = time_grid(granularity::day, zone(c.tz)).point_of(at(c.within));
    BOOST_TEST((day.until_s - day.since_s) == c.hours * 3'600, c.tz << ' ' << c.within);
  }
  BOOST_TEST(starts(granularity::day, "Africa/Cairo", "2025-04-24T10:00:00Z", "2025-04-26T10:00:00Z") ==
                 (list{"2025-04-24T00:00:00+02:00", "2025-04-25T01:00:00+03:00", "2025-04-26T00:00:00+03:00"}),
             boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_date_that_never_was_has_no_point) {
  BOOST_TEST(starts(granularity::day, "Pacific/Apia", "2011-12-29T20:00:00Z", "2011-12-31T20:00:00Z") ==
                 (list{"2011-12-29T00:00:00-10:00", "2011-12-31T00:00:00+14:00", "2012-01-01T00:00:00+14:00"}),
             boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(hours_are_those_of_the_zones_clock) {
  BOOST_TEST(starts(granularity::hour, "Europe/Paris", "2025-10-25T23:30:00Z", "2025-10-26T02:00:00Z") ==
                 (list{"2025-10-26T01:00:00+02:00", "2025-10-26T02:00:00+02:00", "2025-10-26T02:00:00+01:00"}),
             boost::test_tools::per_element());
  BOOST_TEST(starts(granularity::hour, "Asia/Kathmandu", "2025-01-01T00:14:59Z", "2025-01-01T01:15:00Z") ==
                 (list{"2025-01-01T05:00:00+05:45", "2025-01-01T06:00:00+05:45"}),
             boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(an_hour_ends_early_where_the_clock_changes_by_half_an_hour) {
  // Lord Howe: 02:00+10:30 became 02:30+11, and 02:00+11 became 01:30+10:30.
  BOOST_TEST(starts(granularity::hour, "Australia/Lord_Howe", "2025-10-04T14:30:00Z", "2025-10-04T17:00:00Z") ==
                 (list{"2025-10-05T01:00:00+10:30", "2025-10-05T02:30:00+11:00", "2025-10-05T03:00:00+11:00"}),
             boost::test_tools::per_element());
  BOOST_TEST(starts(granularity::hour, "Australia/Lord_Howe", "2025-04-05T14:00:00Z", "2025-04-05T16:00:00Z") ==
                 (list{"2025-04-06T01:00:00+11:00", "2025-04-06T01:30:00+10:30", "2025-04-06T02:00:00+10:30"}),
             boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(points_tile_time_in_every_zone) {
  auto random = test::seeded();
  std::uniform_int_distribution<int64_t> when(-1'000'000'000, 4'000'000'000);
  for (auto tz : {"UTC", "Europe/Paris", "America/New_York", "Asia/Kathmandu", "America/St_Johns", "Australia/Lord_Howe",
                  "Pacific/Apia", "Africa/Monrovia", "America/Sao_Paulo", "Africa/Cairo", "America/Havana", "Asia/Tehran"}) {
    for (auto step : {granularity::second, granularity::minute, granularity::hour, granularity::day}) {
      const time_grid grid(step, zone(tz));
      for (int i = 0; i < 300; ++i) {
        const auto t = when(random);
        const auto point = grid.point_of(t);
        BOOST_REQUIRE_MESSAGE((point.since_s <= t && t < point.until_s), tz << ' ' << t);
        BOOST_REQUIRE_MESSAGE(point.until_s - point.since_s <= longest_point_s(step), tz << ' ' << t);
        BOOST_REQUIRE_MESSAGE((grid.point_of(point.since_s) == point), tz << ' ' << t);
        BOOST_REQUIRE_MESSAGE((grid.point_of(point.until_s - 1) == point), tz << ' ' << t);
        BOOST_REQUIRE_MESSAGE(grid.point_of(point.until_s).since_s == point.until_s, tz << ' ' << t);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(points_are_counted_up_to_a_bound) {
  const time_grid hours(granularity::hour, zone("Europe/Paris"));
  BOOST_TEST(count_points(hours, at("2025-10-25T22:00:00Z"), at("2025-10-26T23:00:00Z"), 1'000) == 25u);
  BOOST_TEST(count_points(hours, at("2025-10-25T22:30:00Z"), at("2025-10-25T23:00:01Z"), 1'000) == 2u);
  BOOST_TEST(count_points(hours, at("0001-01-01"), at("9999-12-31"), 10'000) == 10'001u);
  BOOST_TEST(count_points(hours, 7, 7, 10) == 0u);
}

BOOST_AUTO_TEST_SUITE_END()
