#include "http/analytics_request.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>

using namespace adtrack;
using namespace adtrack::http;

namespace {

struct asked {
  bool ok = false;
  analytics_query query;
  answer_format format = answer_format::unsaid;
  std::vector<field_error> errors;
  bool names(std::string_view field) const {
    return !ok && std::any_of(errors.begin(), errors.end(), [&](const auto& e) { return e.field == field; });
  }
};

constexpr int64_t now_ms = 1'754'898'558'342; // 2025-08-11T07:49:18.342Z

asked read(std::string_view text) {
  std::vector<query_parameter> parameters;
  std::string error;
  BOOST_REQUIRE(parse_query_string(text, parameters, error));
  asked a;
  a.ok = read_analytics_query(parameters, http_options{}, now_ms, a.query, a.format, a.errors);
  return a;
}

std::vector<field_error> page_errors(std::string_view text, page_request& page) {
  std::vector<query_parameter> parameters;
  std::string error;
  std::vector<field_error> errors;
  BOOST_REQUIRE(parse_query_string(text, parameters, error));
  bool ok = read_ads_page(parameters, page, errors);
  BOOST_TEST(ok == errors.empty());
  return errors;
}

} // namespace

BOOST_AUTO_TEST_SUITE(http_analytics_request)

BOOST_AUTO_TEST_CASE(without_parameters_everything_has_its_default) {
  auto a = read("");
  BOOST_REQUIRE(a.ok);
  BOOST_TEST(a.query.ad_ids.empty());
  BOOST_TEST((a.query.window == time_window{}));
  BOOST_TEST(a.query.page == 1u);
  BOOST_TEST(a.query.limit == 100u);
  BOOST_TEST(a.query.timeout_ms == 5'000u);
  BOOST_TEST(!a.query.explain);
}

BOOST_AUTO_TEST_CASE(ad_ids_repeat_and_come_out_sorted_and_unique) {
  auto a = read("ad_id=32&ad_id=7&ad_id=32");
  BOOST_TEST(a.query.ad_ids == (std::vector<uint64_t>{7, 32}), boost::test_tools::per_element());
  for (auto bad : {"ad_id=0", "ad_id=-1", "ad_id=x", "ad_id=", "ad_id=1.0", "ad_id=01", "ad_id=9007199254740992", "ad_id=1%20",
                   "ad_id=99999999999999999999"})
    BOOST_TEST_CONTEXT(bad) BOOST_TEST(read(bad).names("ad_id"));
}

BOOST_AUTO_TEST_CASE(times_are_rfc_3339_with_any_offset_or_a_date) {
  auto since = [](std::string_view text) { return read("since=" + std::string(text)).query.window.since_s; };
  BOOST_TEST(since("2025-07-22T16:16:12Z") == 1'753'200'972);
  BOOST_TEST(since("2025-07-22T18:16:12%2B02:00") == 1'753'200'972);
  BOOST_TEST(since("2025-07-22T18:16:12+02:00") == 1'753'200'972); // the plus was not escaped
  BOOST_TEST(since("2025-07-22T08:16:12-08:00") == 1'753'200'972);
  BOOST_TEST(since("2025-07-22T16:16:11.001Z") == 1'753'200'972); // a fraction rounds up
  BOOST_TEST(since("2025-07-22") == 1'753'142'400);
  BOOST_TEST(since("1969-12-31T23:59:58.5Z") == -1);
  for (auto bad :
       {"since=", "since=x", "since=2025-02-30", "since=2025-07-22T25:00:00Z", "since=2025-07-22T16:16:12", "since=1753200972"})
    BOOST_TEST_CONTEXT(bad) BOOST_TEST(read(bad).names("since"));
}

BOOST_AUTO_TEST_CASE(since_must_be_before_until) {
  BOOST_TEST(read("since=2025-01-01&until=2025-01-02").ok);
  BOOST_TEST(read("since=2025-01-01&until=2025-01-01").names("until"));
  BOOST_TEST(read("since=2025-01-02&until=2025-01-01").names("until"));
}

BOOST_AUTO_TEST_CASE(a_date_is_midnight_in_tz_wherever_tz_stands) {
  for (auto text : {"since=2025-07-22&until=2025-07-23&tz=Europe/Paris", "tz=Europe%2FParis&until=2025-07-23&since=2025-07-22"}) {
    auto a = read(text);
    BOOST_REQUIRE(a.ok);
    BOOST_TEST(a.query.tz == "Europe/Paris");
    BOOST_TEST(a.query.window.since_s == 1'753'135'200);
    BOOST_TEST(a.query.window.until_s == 1'753'135'200 + 86'400);
  }
  BOOST_TEST(read("since=2025-07-22T00:00:00Z&tz=Asia/Tokyo").query.window.since_s == 1'753'142'400);
  auto spring = read("since=2025-03-30&until=2025-03-31&tz=Europe/Paris").query.window;
  BOOST_TEST(spring.until_s - spring.since_s == 23 * 3'600);
  auto autumn = read("since=2025-10-26&until=2025-10-27&tz=Europe/Paris").query.window;
  BOOST_TEST(autumn.until_s - autumn.since_s == 25 * 3'600);
  for (auto bad : {"tz=", "tz=Mars/Olympus", "tz=UTC%2B1", "tz=UTC&tz=UTC", "tz=../zoneinfo/UTC"})
    BOOST_TEST_CONTEXT(bad) BOOST_TEST(read(bad).names("tz"));
  auto a = read("tz=Mars/Olympus&since=2025-07-22");
  BOOST_TEST(a.errors.size() == 1u); // the date is well
}

BOOST_AUTO_TEST_CASE(last_is_a_window_that_ends_with_the_current_second) {
  const struct {
    const char* text;
    int64_t length_s;
  } cases[] = {{"last=1s", 1}, {"last=15m", 900}, {"last=24h", 86'400}, {"last=7d", 604'800}};
  for (const auto& c : cases) {
    auto a = read(c.text);
    BOOST_REQUIRE(a.ok);
    BOOST_TEST(a.query.window.until_s == 1'754'898'559);
    BOOST_TEST(a.query.window.since_s == 1'754'898'559 - c.length_s);
  }
  for (auto bad :
       {"last=", "last=15", "last=m", "last=0m", "last=-1m", "last=1.5h", "last=1w", "last=1M", "last=01m", "last=1m&last=1m",
        "last=99999999999999d", "last=36601d", "last=15m&since=2025-01-01", "last=15m&until=2026-01-01"})
    BOOST_TEST_CONTEXT(bad) BOOST_TEST(read(bad).names("last"));
}

BOOST_AUTO_TEST_CASE(pages_limits_and_timeouts_are_bounded) {
  BOOST_TEST(read("limit=1000&page=100&timeout_ms=9500").ok);
  for (auto bad : {"limit=0", "limit=1001", "limit=x", "limit=", "limit=-1"})
    BOOST_TEST_CONTEXT(bad) BOOST_TEST(read(bad).names("limit"));
  for (auto bad : {"page=0", "page=1000001", "page=1.5", "page=101&limit=1000", "page=1001"})
    BOOST_TEST_CONTEXT(bad) BOOST_TEST(read(bad).names("page"));
  for (auto bad : {"timeout_ms=0", "timeout_ms=9501"}) BOOST_TEST_CONTEXT(bad) BOOST_TEST(read(bad).names("timeout_ms"));
}

BOOST_AUTO_TEST_CASE(granularity_sort_and_format_are_named_values) {
  auto a = read("granularity=hour&sort=-ctr&format=csv&last=7d");
  BOOST_REQUIRE(a.ok);
  BOOST_TEST((a.query.step == granularity::hour));
  BOOST_TEST((a.query.order == row_order{sort_key::ctr, true}));
  BOOST_TEST((a.format == answer_format::csv));
  BOOST_TEST((read("").format == answer_format::unsaid));
  for (auto bad : {"granularity=", "granularity=week", "granularity=none", "granularity=Hour", "granularity=day&granularity=day"})
    BOOST_TEST_CONTEXT(bad) BOOST_TEST(read(bad).names("granularity"));
  for (auto bad : {"sort=", "sort=-", "sort=clicks", "sort=ctr,ad_id", "sort=invalid_clicks", "sort=ctr&sort=ctr"})
    BOOST_TEST_CONTEXT(bad) BOOST_TEST(read(bad).names("sort"));
  for (auto bad : {"format=", "format=xml", "format=CSV"}) BOOST_TEST_CONTEXT(bad) BOOST_TEST(read(bad).names("format"));
}

BOOST_AUTO_TEST_CASE(group_by_names_one_dimension_and_what_it_does_not_go_with_is_said) {
  for (size_t i = 1; i < group_dimension_count; ++i) {
    const auto by = static_cast<group_dimension>(i);
    auto a = read("sort=-ctr&last=7d&group_by=" + std::string(to_string(by)));
    BOOST_REQUIRE(a.ok);
    BOOST_TEST((a.query.by == by));
  }
  for (auto bad : {"group_by=", "group_by=none", "group_by=city", "group_by=Device", "group_by=os&group_by=os",
                   "group_by=os&granularity=hour"})
    BOOST_TEST_CONTEXT(bad) BOOST_TEST(read(bad).names("group_by"));
  for (auto bad : {"group_by=os&sort=duplicates", "sort=-conflicts&group_by=os"})
    BOOST_TEST_CONTEXT(bad) BOOST_TEST(read(bad).names("sort"));
}

BOOST_AUTO_TEST_CASE(a_series_of_too_many_points_is_refused_before_anybody_is_asked) {
  BOOST_TEST(read("granularity=second&since=2025-01-01T00:00:00Z&until=2025-01-01T02:46:40Z").ok);
  BOOST_TEST(read("granularity=second&since=2025-01-01T00:00:00Z&until=2025-01-01T02:46:41Z").names("granularity"));
  BOOST_TEST(read("granularity=minute&since=2025-01-01&until=2025-02-01").names("granularity"));
  BOOST_TEST(read("granularity=day&since=0001-01-01&until=9999-12-31").names("granularity"));
  BOOST_TEST(read("granularity=second").ok); // what there is decides
}

BOOST_AUTO_TEST_CASE(positions_repeat_and_explain_is_a_boolean) {
  auto a = read("min_position=7:12345&min_position=3:0&explain=true");
  BOOST_REQUIRE(a.ok);
  BOOST_TEST(a.query.min_positions.size() == 2u);
  BOOST_TEST(a.query.min_positions[0].offset == 12'345);
  BOOST_TEST(a.query.explain);
  for (auto bad : {"min_position=7", "min_position=7:", "min_position=:1", "min_position=7:-1", "min_position=x:y"})
    BOOST_TEST_CONTEXT(bad) BOOST_TEST(read(bad).names("min_position"));
  BOOST_TEST(read("explain=1").names("explain"));
}

BOOST_AUTO_TEST_CASE(unknown_and_repeated_parameters_are_named_and_all_findings_come_at_once) {
  BOOST_TEST(read("colour=red").names("colour"));
  auto a = read("limit=0&limit=5&page=x&foo=1&since=2025-01-01&since=2025-01-02");
  for (auto field : {"limit", "page", "foo", "since"}) BOOST_TEST_CONTEXT(field) BOOST_TEST(a.names(field));
}

BOOST_AUTO_TEST_CASE(the_ads_list_takes_page_and_limit) {
  page_request page;
  BOOST_TEST(page_errors("page=2&limit=100", page).empty());
  BOOST_TEST(page.page == 2u);
  BOOST_TEST(page.limit == 100u);
  BOOST_TEST(page_errors("", page).empty());
  BOOST_TEST(page.limit == 10u);
  for (auto bad : {"page=0", "limit=0", "limit=101", "limit=x", "foo=1", "page=1&page=1"})
    BOOST_TEST_CONTEXT(bad) BOOST_TEST(page_errors(bad, page).size() == 1u);
}

BOOST_AUTO_TEST_SUITE_END()
