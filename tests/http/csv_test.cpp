#include "http/csv.hpp"

#include <boost/test/unit_test.hpp>

using namespace adtrack;
using namespace adtrack::http;

namespace {

std::string cell(std::string_view text) {
  std::string out;
  append_csv_text(out, text);
  return out;
}

std::string rendered(const analytics_answer& a) {
  std::string out;
  render_analytics_csv(out, a);
  return out;
}

analytics_row sample() {
  analytics_row row;
  row.ad_id = 32;
  row.unique_clicks = 2;
  row.count[metric::valid_clicks] = 2;
  row.count[metric::valid_impressions] = 200;
  row.count[metric::invalid_clicks] = 1;
  row.count[metric::duplicates] = 5;
  row.count[metric::restated] = 4;
  row.count[metric::play_time_count] = 2;
  row.count[metric::play_time_sum] = 60;
  row.count[metric::playback_progress] = 7;
  row.count.last_counted_ms = 1'753'200'972'879;
  return row;
}

const std::string columns =
    "click_count,unique_clicks,avg_playback_time,avg_watch_percent,last_updated,impressions,ctr,gross_clicks,"
    "invalid_clicks_bot,invalid_clicks_no_agent,invalid_clicks_datacenter,invalid_clicks_prefetch,"
    "invalid_clicks_repeat,duplicates,conflicts,restated,unique_error,playbacks_start,playbacks_first_quartile,"
    "playbacks_midpoint,playbacks_third_quartile,playbacks_complete\r\n";

} // namespace

BOOST_AUTO_TEST_SUITE(http_csv)

BOOST_AUTO_TEST_CASE(a_row_is_a_line_under_a_header_with_reasons_and_stages_as_columns) {
  analytics_answer a;
  BOOST_TEST(rendered(a) == "ad_id," + columns);
  a.rows = {sample(), {}};
  BOOST_TEST(rendered(a) == "ad_id," + columns +
                                "32,2,2,30.0,0.0,2025-07-22T16:16:12.879Z,200,0.01,3,1,0,0,0,0,5,0,4,0.0,7,0,0,0,0\r\n" +
                                "0,0,0,0.0,0.0,,0,,0,0,0,0,0,0,0,0,0,0.0,0,0,0,0,0\r\n");
}

BOOST_AUTO_TEST_CASE(with_series_a_point_is_a_line) {
  analytics_answer a;
  a.step = granularity::day;
  a.tz = "America/New_York";
  a.rows = {sample()};
  series_point point;
  point.start_s = 1'753'156'800;
  point.count[metric::valid_clicks] = 2;
  a.rows[0].series = {point};
  BOOST_TEST(rendered(a) ==
             "ad_id,start," + columns + "32,2025-07-22T00:00:00-04:00,2,0,0.0,0.0,,0,,2,0,0,0,0,0,0,0,0,0.0,0,0,0,0,0\r\n");
}

BOOST_AUTO_TEST_CASE(a_group_is_a_column_that_begins_no_formula_and_has_no_duplicates) {
  analytics_answer a;
  a.by = group_dimension::browser;
  a.rows = {sample()};
  a.rows[0].group = "=Chrome, \"Mobile\"";
  auto without = columns;
  without.erase(without.find("duplicates,conflicts,"), std::string("duplicates,conflicts,").size());
  BOOST_TEST(rendered(a) ==
             "ad_id,group," + without +
                 "32,\"'=Chrome, \"\"Mobile\"\"\",2,2,30.0,0.0,2025-07-22T16:16:12.879Z,200,0.01,3,1,0,0,0,0,4,0.0,7,0,0,0,"
                 "0\r\n");
}

BOOST_AUTO_TEST_CASE(texts_are_quoted_where_need_be_and_never_a_formula) {
  BOOST_TEST(cell("plain text") == "plain text");
  BOOST_TEST(cell("a,b") == "\"a,b\"");
  BOOST_TEST(cell("say \"x\"") == "\"say \"\"x\"\"\"");
  BOOST_TEST(cell("two\r\nlines") == "\"two\r\nlines\"");
  for (auto bad : {"=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"}) BOOST_TEST(cell(bad) == "\"'" + std::string(bad) + "\"");
  BOOST_TEST(cell("=HYPERLINK(\"http://x\")") == "\"'=HYPERLINK(\"\"http://x\"\")\"");
  BOOST_TEST(cell("") == "");
}

BOOST_AUTO_TEST_CASE(accept_is_weighed) {
  for (auto csv : {"text/csv", "TEXT/CSV", "text/*", "application/json;q=0.5, text/csv", "text/csv;header=present, */*;q=0.1",
                   "*/*;q=0.1,text/csv;q=0.2", "application/json;q=0, */*"})
    BOOST_TEST((preferred_format(csv) == answer_format::csv), csv);
  for (auto json : {"", "*/*", "application/json", "text/html", "application/json, text/csv", "text/csv;q=0.5, application/json",
                    "text/csv;q=0, */*", "text/csv;q=0.001, application/*", ",;,q=", "text/csvx"})
    BOOST_TEST((preferred_format(json) == answer_format::json), json);
}

BOOST_AUTO_TEST_CASE(what_json_says_around_the_rows_stands_in_headers) {
  analytics_answer a;
  a.total = 7;
  a.window = {1'753'200'960, time_window::unbounded_until};
  a.lag_ms = -1;
  a.complete = false;
  a.log_faults = {{7, log_fault::fork}};
  a.log_changed = true;
  header_lines lines;
  add_analytics_headers(lines, a);
  auto value = [&](std::string_view name) {
    for (const auto& [n, v] : lines)
      if (n == name) return v;
    return std::string("none");
  };
  BOOST_TEST(value("Adtrack-Total") == "7");
  BOOST_TEST(value("Adtrack-Complete") == "false");
  BOOST_TEST(value("Adtrack-Since") == "2025-07-22T16:16:00Z");
  BOOST_TEST(value("Adtrack-Until") == "none");
  BOOST_TEST(value("Adtrack-Lag-Ms") == "none");
  BOOST_TEST(value("Adtrack-Log-Faults") == "changed, 7=fork");
}

BOOST_AUTO_TEST_SUITE_END()
