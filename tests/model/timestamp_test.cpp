#include "model/timestamp.hpp"

#include <limits>

#include <boost/test/unit_test.hpp>

#include "tests/support/seeded.hpp"

using namespace adtrack;

namespace {

constexpr int64_t million = 1'000'000;

struct instant {
  const char* text;
  int64_t unix_us;
};

} // namespace

BOOST_AUTO_TEST_SUITE(timestamps)

BOOST_AUTO_TEST_CASE(rfc3339_texts_are_read) {
  const instant cases[] = {
      {"1970-01-01T00:00:00Z", 0},
      {"1969-12-31T23:59:59Z", -1 * million},
      {"2025-08-11T07:49:18Z", 1754898558 * million},
      {"2025-08-11t07:49:18z", 1754898558 * million},
      {"2025-08-11 07:49:18Z", 1754898558 * million},
      {"2025-08-11T09:49:18+02:00", 1754898558 * million},
      {"2025-08-11T13:34:18+05:45", 1754898558 * million},
      {"2025-08-10T23:49:18-08:00", 1754898558 * million},
      {"2025-08-11T07:49:18-00:00", 1754898558 * million},
      {"2025-08-12T07:48:18+23:59", 1754898558 * million},
      {"2025-08-11T07:49:18.3Z", 1754898558300000},
      {"2025-08-11T07:49:18.342Z", 1754898558342000},
      {"2025-08-11T07:49:18.342000+00:00", 1754898558342000},
      {"2025-08-11T07:49:18.000001Z", 1754898558000001},
      {"2025-08-11T07:49:18.0000010000000000000000000000Z", 1754898558000001},
      {"2025-08-11T07:49:18.0000000000000000000000000001Z", 1754898558000001}, // past the microsecond: up
      {"2025-08-11T07:49:18.9999999Z", 1754898559000000},
      {"1969-12-31T23:59:59.5Z", -500000},
      {"0001-01-01T00:00:00Z", -62135596800 * million},
      {"9999-12-31T23:59:59.999999Z", 253402300799 * million + 999999},
      {"0001-01-01T00:00:00+23:59", (-62135596800 - 86340) * million},
      {"2000-02-29T00:00:00Z", 951782400 * million},
      {"2024-02-29T00:00:00Z", 1709164800 * million},
      {"2016-12-31T23:59:60Z", 1483228800 * million}, // leap seconds
      {"2016-12-31T23:59:60.5Z", 1483228800 * million + 500000},
      {"2016-12-31T15:59:60-08:00", 1483228800 * million},
      {"2017-01-01T05:29:60+05:30", 1483228800 * million},
  };
  for (const auto& c : cases) {
    int64_t us = 42;
    BOOST_TEST(parse_rfc3339(c.text, "", us), c.text);
    BOOST_TEST(us == c.unix_us, c.text << " gave " << us);
  }
}

BOOST_AUTO_TEST_CASE(other_texts_are_refused) {
  for (const char* text : {"",
                           " ",
                           "now",
                           "2025",
                           "2025-08",
                           "2025-8-11",
                           "25-08-11",
                           "02025-08-11",
                           "2025/08/11",
                           "20250811",
                           "2025-08-11T",
                           "2025-08-11 ",
                           " 2025-08-11",
                           "2025-00-11",
                           "2025-13-11",
                           "2025-08-00",
                           "2025-08-32",
                           "2025-04-31",
                           "2025-06-31",
                           "2025-09-31",
                           "2025-11-31",
                           "2025-02-29",
                           "2100-02-29",
                           "1900-02-29",
                           "2024-02-30",
                           "0000-01-01",
                           "-001-01-01",
                           "+2025-08-11",
                           "2025-08-11T07:49:18",
                           "2025-08-11T07:49Z",
                           "2025-08-11T07Z",
                           "2025-08-11T7:49:18Z",
                           "2025-08-11T07:49:18ZZ",
                           "2025-08-11T07:49:18Z ",
                           "2025-08-11T24:00:00Z",
                           "2025-08-11T07:60:00Z",
                           "2025-08-11T07:49:61Z",
                           "2025-08-11T07:49:60Z",
                           "2025-08-11T23:59:60Z",
                           "2016-12-31T23:59:60+01:00",
                           "2025-08-11T07:49:18.Z",
                           "2025-08-11T07:49:18,5Z",
                           "2025-08-11T07:49:18.5",
                           "2025-08-11T07:49:18.5.5Z",
                           "2025-08-11T07:49:18+02",
                           "2025-08-11T07:49:18+0200",
                           "2025-08-11T07:49:18+2:00",
                           "2025-08-11T07:49:18+24:00",
                           "2025-08-11T07:49:18+02:60",
                           "2025-08-11T07:49:18 02:00",
                           "2025-08-11T07:49:18+02:00Z",
                           "2025-08-11_07:49:18Z",
                           "2025-08-11T07:49:18 Z",
                           "2025-08-11T-7:49:18Z",
                           "2025-08-11T07:+9:18Z",
                           "2025-08-1\xd9\xa1",
                           "2025-08-11Z",
                           "1754898558"}) {
    int64_t us = 42;
    BOOST_TEST(!parse_rfc3339(text, "", us), "accepted \"" << text << '"');
    BOOST_TEST(us == 42, "a refused text changed the value");
  }
  int64_t us = 42;
  BOOST_TEST(!parse_rfc3339(std::string_view("2025-08-11\0", 11), "", us));
}

BOOST_AUTO_TEST_CASE(every_day_of_eight_centuries_is_valid_or_not_as_the_calendar_says) {
  constexpr int days_of[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  int64_t expected_s = -11676096000; // 1600-01-01
  for (int year = 1600; year < 2400; ++year) {
    const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    for (int month = 1; month <= 12; ++month) {
      const int days = days_of[month - 1] + (leap && month == 2);
      for (int day = 1; day <= 31; ++day) {
        char text[24];
        snprintf(text, sizeof text, "%04d-%02d-%02d", year % 10'000, month % 100, day % 100);
        int64_t us = 0;
        const bool accepted = parse_rfc3339(text, "", us);
        BOOST_REQUIRE_MESSAGE(accepted == (day <= days), text);
        if (!accepted) continue;
        BOOST_REQUIRE_MESSAGE(us == expected_s * million, text);
        BOOST_REQUIRE(format_rfc3339_s(expected_s) == std::string(text) + "T00:00:00Z");
        expected_s += 86'400;
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(a_bare_date_is_midnight_in_the_zone) {
  const struct {
    const char* date;
    const char* zone;
    int64_t unix_s;
  } cases[] = {
      {"2025-08-11", "", 1754870400},
      {"2025-08-11", "UTC", 1754870400},
      {"2025-08-11", "Europe/Paris", 1754863200},
      {"2025-03-30", "Europe/Paris", 1743289200}, // the days of the changes
      {"2025-10-26", "Europe/Paris", 1761429600},
      {"2018-11-04", "America/Sao_Paulo", 1541300400}, // midnight was skipped: the day began at 01:00
      {"1919-03-31", "America/Toronto", -1601753400},  // 23:30 to 00:30 was skipped: the day began at 00:30
      {"2024-11-03", "America/Havana", 1730606400},    // 00:00 to 01:00 came twice: the first
      {"2025-01-01", "Asia/Kathmandu", 1735668900},    // +05:45
      {"2025-01-01", "Australia/Eucla", 1735658100},   // +08:45
      {"2011-12-30", "Pacific/Apia", 1325239200},      // a day that never was: the next one's start
  };
  for (const auto& c : cases) {
    int64_t us = 42;
    BOOST_TEST(parse_rfc3339(c.date, c.zone, us), c.date << ' ' << c.zone);
    BOOST_TEST(us == c.unix_s * million, c.date << ' ' << c.zone << " gave " << us);
  }
}

BOOST_AUTO_TEST_CASE(the_zone_does_not_move_a_time_with_an_offset) {
  int64_t us = 0;
  BOOST_TEST(parse_rfc3339("2025-08-11T07:49:18Z", "Asia/Tokyo", us));
  BOOST_TEST(us == 1754898558 * million);
}

BOOST_AUTO_TEST_CASE(what_is_not_a_zone_of_the_database_is_refused) {
  for (const char* zone : {"Europe/Nowhere",
                           "Mars",
                           "europe/paris",
                           "Europe",
                           "Europe/",
                           "/Europe/Paris",
                           "Europe//Paris",
                           "Europe/./Paris",
                           "../zoneinfo/Europe/Paris",
                           "/etc/passwd",
                           "/usr/share/zoneinfo/Europe/Paris",
                           "file:/etc/passwd",
                           "localtime",
                           "posix/Europe/Paris",
                           "right/Europe/Paris",
                           "zone.tab",
                           "tzdata.zi",
                           "+02:00",
                           "Fixed/UTC+01:00:00",
                           " ",
                           "UTC ",
                           "Europe/Paris\n"}) {
    int64_t us = 42;
    BOOST_TEST(!is_time_zone(zone), "accepted \"" << zone << '"');
    BOOST_TEST(!parse_rfc3339("2025-08-11", zone, us), "accepted \"" << zone << '"');
    BOOST_TEST(!parse_rfc3339("2025-08-11T07:49:18Z", zone, us), "accepted \"" << zone << '"');
    BOOST_TEST(us == 42);
  }
  BOOST_TEST(!is_time_zone(std::string(100'000, 'a')));
  BOOST_TEST(!is_time_zone(std::string_view("UTC\0", 4)));
  for (const char* zone : {"", "UTC", "Europe/Paris", "America/Argentina/Buenos_Aires", "Etc/GMT+5", "America/Port-au-Prince"}) {
    BOOST_TEST(is_time_zone(zone), zone);
  }
}

BOOST_AUTO_TEST_CASE(instants_are_written_in_utc) {
  BOOST_TEST(format_rfc3339_ms(1754898558342) == "2025-08-11T07:49:18.342Z");
  BOOST_TEST(format_rfc3339_ms(0) == "1970-01-01T00:00:00.000Z");
  BOOST_TEST(format_rfc3339_ms(-1) == "1969-12-31T23:59:59.999Z");
  BOOST_TEST(format_rfc3339_ms(-1000) == "1969-12-31T23:59:59.000Z");
  BOOST_TEST(format_rfc3339_s(1754898558) == "2025-08-11T07:49:18Z");
  BOOST_TEST(format_rfc3339_s(-1) == "1969-12-31T23:59:59Z");
  BOOST_TEST(format_rfc3339_s(951782399) == "2000-02-28T23:59:59Z");
}

BOOST_AUTO_TEST_CASE(instants_past_the_calendar_are_shown_as_its_ends) {
  using limits = std::numeric_limits<int64_t>;
  BOOST_TEST(format_rfc3339_ms(limits::min()) == "0001-01-01T00:00:00.000Z");
  BOOST_TEST(format_rfc3339_ms(limits::max()) == "9999-12-31T23:59:59.999Z");
  BOOST_TEST(format_rfc3339_s(limits::min()) == "0001-01-01T00:00:00Z");
  BOOST_TEST(format_rfc3339_s(limits::max()) == "9999-12-31T23:59:59Z");
}

BOOST_AUTO_TEST_CASE(what_is_written_is_read_back) {
  auto random = test::seeded();
  std::uniform_int_distribution<int64_t> any_ms(-62135596800'000, 253402300799'999);
  for (int i = 0; i < 20'000; ++i) {
    const int64_t ms = any_ms(random);
    int64_t us = 0;
    BOOST_REQUIRE(parse_rfc3339(format_rfc3339_ms(ms), "", us));
    BOOST_REQUIRE(us == ms * 1'000);
  }
}

BOOST_AUTO_TEST_SUITE_END()
