#include "model/analytics.hpp"

#include <boost/test/unit_test.hpp>

using namespace adtrack;

BOOST_AUTO_TEST_SUITE(analytics_values)

BOOST_AUTO_TEST_CASE(resolutions_have_the_names_of_the_api) {
  BOOST_TEST(to_string(resolution::second) == "second");
  BOOST_TEST(to_string(resolution::minute) == "minute");
  BOOST_TEST(to_string(resolution::quarter_hour) == "quarter_hour");
  BOOST_TEST(to_string(resolution::hour) == "hour");
  BOOST_TEST(to_string(resolution::day) == "day");
}

BOOST_AUTO_TEST_CASE(a_position_is_read_back_as_written) {
  for (const position p : {position{0, 0}, position{7, 12345}, position{4294967295u, 9223372036854775807}}) {
    position back;
    BOOST_TEST(parse(to_string(p), back));
    BOOST_TEST(back.shard == p.shard);
    BOOST_TEST(back.offset == p.offset);
  }
  BOOST_TEST(to_string(position{7, 12345}) == "7:12345");
}

BOOST_AUTO_TEST_CASE(what_is_not_two_plain_decimals_is_no_position) {
  for (const std::string_view text :
       {"",     ":",    "7",    "7:",   ":5",   "7:5:6", "7:-5", "-7:5",  "+7:5",  "7:+5",         "07:5",
        "7:05", "00:0", "7: 5", " 7:5", "7:5 ", "7:0x5", "a:5",  "7:5.0", "7:1e3", "4294967296:5", "7:9223372036854775808",
        "7;5"}) {
    position p{3, 4};
    BOOST_TEST(!parse(text, p), "accepted \"" << text << '"');
    BOOST_TEST((p.shard == 3 && p.offset == 4), "a refused text changed the value");
  }
}

BOOST_AUTO_TEST_SUITE_END()
