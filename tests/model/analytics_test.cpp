#include "model/analytics.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>

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

BOOST_AUTO_TEST_CASE(orders_are_named_as_the_rows_members_with_a_minus_from_the_largest) {
  row_order order;
  BOOST_TEST(parse("-click_count", order));
  BOOST_TEST((order == row_order{sort_key::click_count, true}));
  BOOST_TEST(parse("ad_id", order));
  BOOST_TEST((order == row_order{}));
  for (uint8_t k = 0; k <= static_cast<uint8_t>(sort_key::restated); ++k) {
    BOOST_TEST(parse(to_string(static_cast<sort_key>(k)), order));
    BOOST_TEST((order == row_order{static_cast<sort_key>(k), false}));
  }
  for (const std::string_view text : {"", "-", "--ctr", "+ctr", "CTR", "ctr ", "invalid_clicks", "none", "series"})
    BOOST_TEST(!parse(text, order), text);
}

BOOST_AUTO_TEST_CASE(null_stands_last_either_way_and_ties_go_by_ad_id) {
  auto row = [](uint64_t ad, uint64_t clicks, uint64_t impressions) {
    analytics_row out;
    out.ad_id = ad;
    out.count[metric::valid_clicks] = clicks;
    out.count[metric::valid_impressions] = impressions;
    return out;
  };
  auto sorted = [&](sort_key key, bool descending) {
    std::vector<analytics_row> rows = {row(9, 1, 2), row(3, 2, 4), row(7, 5, 0), row(5, 0, 4), row(1, 3, 3), row(2, 1, 0)};
    std::sort(rows.begin(), rows.end(), [&](const auto& a, const auto& b) { return stands_before(a, b, {key, descending}); });
    std::vector<uint64_t> ads;
    for (const auto& r : rows) ads.push_back(r.ad_id);
    return ads;
  };
  using ads = std::vector<uint64_t>;
  BOOST_TEST(sorted(sort_key::ctr, true) == (ads{1, 3, 9, 5, 2, 7}), boost::test_tools::per_element());
  BOOST_TEST(sorted(sort_key::ctr, false) == (ads{5, 3, 9, 1, 2, 7}), boost::test_tools::per_element());
  BOOST_TEST(sorted(sort_key::click_count, true) == (ads{7, 1, 3, 2, 9, 5}), boost::test_tools::per_element());
  BOOST_TEST(sorted(sort_key::ad_id, true) == (ads{9, 7, 5, 3, 2, 1}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(groups_of_one_ad_stand_in_the_order_of_their_names_whichever_way_the_ads_go) {
  analytics_row a, b;
  a.ad_id = b.ad_id = 7;
  a.group = "phone";
  b.group = "tablet";
  for (auto key : {sort_key::ad_id, sort_key::click_count})
    for (bool descending : {false, true}) {
      BOOST_TEST(stands_before(a, b, {key, descending}));
      BOOST_TEST(!stands_before(b, a, {key, descending}));
    }
  b.count[metric::valid_clicks] = 1;
  BOOST_TEST(stands_before(b, a, {sort_key::click_count, true}));
}

BOOST_AUTO_TEST_SUITE_END()
