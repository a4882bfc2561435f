#include "http/render.hpp"

#include <boost/test/unit_test.hpp>

#include <functional>

#include "http/json_text.hpp"

using namespace adtrack;
using namespace adtrack::http;

namespace {

analytics_answer sample() {
  analytics_answer a;
  a.total = 1;
  a.generated_at_ms = 1'754'898'558'342;
  a.shards_total = a.shards_answered = 16;
  analytics_row row;
  row.ad_id = 32;
  row.unique_clicks = 2;
  row.count[metric::valid_clicks] = 2;
  row.count[metric::valid_impressions] = 200;
  row.count[metric::invalid_clicks] = 1;
  row.count[metric::duplicates] = 5;
  row.count[metric::play_time_count] = 2;
  row.count[metric::play_time_sum] = 60;
  row.count[metric::watched_count] = 1;
  row.count[metric::watched_sum] = 80;
  row.count[metric::restated] = 6;
  row.count[metric::playback_progress] = 4;
  row.count.values[static_cast<size_t>(metric::playback_progress) + 4] = 3;
  row.count.last_counted_ms = 1'753'200'972'879;
  a.rows.push_back(row);
  return a;
}

std::string rendered(const analytics_answer& a, bool explain = false) {
  std::string out;
  render_analytics(out, a, explain);
  return out;
}

} // namespace

BOOST_AUTO_TEST_SUITE(http_render)

BOOST_AUTO_TEST_CASE(an_answer_has_the_contracts_fields_in_its_order) {
  BOOST_TEST(
      rendered(sample()) ==
      R"({"data":[{"ad_id":32,"click_count":2,"unique_clicks":2,"avg_playback_time":30.0,"avg_watch_percent":80.0,)"
      R"("last_updated":"2025-07-22T16:16:12.879Z","impressions":200,"ctr":0.01,"gross_clicks":3,"invalid_clicks":{"bot":1},)"
      R"("duplicates":5,"conflicts":0,"restated":6,"unique_error":0,)"
      R"("playbacks":{"start":4,"first_quartile":0,"midpoint":0,"third_quartile":0,"complete":3}}],"total":1,"generated_at":"2025-08-11T07:49:18.342Z","is_real_time":true,)"
      R"("since":null,"until":null,"resolution":"second","lag_ms":0,"complete":true,"shards":{"total":16,"answered":16}})");
}

BOOST_AUTO_TEST_CASE(what_is_unknown_is_null_and_an_estimate_is_whole) {
  auto a = sample();
  a.rows[0].count = {};
  a.rows[0].unique_clicks = 1'234.6;
  a.rows[0].unique_error = 0.0081;
  a.window = {1'753'200'960, 1'753'201'020};
  a.finest = resolution::minute;
  a.lag_ms = -1;
  a.real_time = a.complete = false;
  auto text = rendered(a);
  for (auto part :
       {R"("last_updated":null)", R"("ctr":null)", R"("avg_playback_time":0.0)", R"("unique_clicks":1235)",
        R"("unique_error":0.0081)",
        R"("since":"2025-07-22T16:16:00Z","until":"2025-07-22T16:17:00Z","resolution":"minute","lag_ms":null,"complete":false)",
        R"("is_real_time":false)", R"("invalid_clicks":{})"})
    BOOST_TEST_CONTEXT(part) BOOST_TEST(text.find(part) != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_row_of_a_group_names_it_and_has_no_duplicates) {
  auto a = sample();
  a.by = group_dimension::device;
  a.finest = resolution::hour;
  a.rows[0].group = "phone";
  const auto text = rendered(a);
  auto has = [&](std::string_view part) { return text.find(part) != std::string::npos; };
  BOOST_TEST(has(R"({"data":[{"ad_id":32,"group":"phone","click_count":2,)"));
  BOOST_TEST(has(R"("invalid_clicks":{"bot":1},"restated":6,"unique_error":0,)"));
  BOOST_TEST(has(R"("resolution":"hour","group_by":"device","lag_ms":0)"));
  BOOST_TEST(!has("duplicates"));
  BOOST_TEST(!has("conflicts"));
  const auto tag = entity_tag(a, false);
  a.rows[0].group = "tablet";
  BOOST_TEST(entity_tag(a, false) != tag);
}

BOOST_AUTO_TEST_CASE(a_series_has_its_points_on_the_zones_clock_and_the_answer_names_both) {
  auto a = sample();
  a.step = granularity::hour;
  a.tz = "Europe/Paris";
  series_point point;
  point.start_s = 1'761'440'400; // the second 02:00 of that night
  point.count[metric::valid_clicks] = 2;
  a.rows[0].series = {point};
  auto has = [&](std::string_view part) { return rendered(a).find(part) != std::string::npos; };
  BOOST_TEST(has(R"("complete":3},"series":[{"start":"2025-10-26T02:00:00+01:00","click_count":2,)"));
  BOOST_TEST(has(R"("resolution":"second","granularity":"hour","tz":"Europe/Paris","lag_ms":0)"));
  a.tz.clear();
  BOOST_TEST(has(R"("start":"2025-10-26T01:00:00Z")"));
  BOOST_TEST(has(R"("tz":"UTC")"));
  a.tz = "Asia/Kathmandu";
  BOOST_TEST(has(R"("start":"2025-10-26T06:45:00+05:45")"));
  BOOST_TEST(rendered(sample()).find("series") == std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_tag_changes_with_positions_completeness_format_and_rows_and_with_nothing_else) {
  auto a = sample();
  a.shards.resize(1);
  const auto tag = entity_tag(a, false);
  auto same = a;
  same.generated_at_ms += 1'000;
  same.lag_ms = 5;
  same.shards[0].took_us = 9;
  BOOST_TEST(entity_tag(same, false) == tag);
  BOOST_TEST(entity_tag(a, true) != tag);
  auto changes = [&](const std::function<void(analytics_answer&)>& change) {
    auto other = a;
    change(other);
    return entity_tag(other, false) != tag;
  };
  BOOST_TEST(changes([](auto& o) { ++o.shards[0].applied; }));
  BOOST_TEST(changes([](auto& o) { o.shards[0].fault = log_fault::gap; }));
  BOOST_TEST(changes([](auto& o) { o.complete = false; }));
  BOOST_TEST(changes([](auto& o) { o.real_time = false; }));
  BOOST_TEST(changes([](auto& o) { o.window.since_s = 5; }));
  BOOST_TEST(changes([](auto& o) { ++o.rows[0].count[metric::valid_clicks]; }));
}

BOOST_AUTO_TEST_CASE(explain_adds_positions_of_the_newest_record_and_the_shards) {
  auto a = sample();
  a.shards.resize(2);
  a.shards[0].shard = 7;
  a.shards[0].applied = 12'346;
  a.shards[0].lag_ms = 3;
  a.shards[0].took_us = 88;
  a.shards[0].node = "a\"b";
  a.shards[1].shard = 8;
  auto text = rendered(a, true);
  auto expected = R"(,"positions":{"7":12345},"explain":[{"shard":7,"node":"a\"b","position":"7:12345","lag_ms":3,"took_us":88},)"
                  R"({"shard":8,"node":"","position":null,"lag_ms":null,"took_us":0}]})";
  BOOST_TEST(text.substr(text.find(",\"positions\"")) == expected);
}

BOOST_AUTO_TEST_CASE(faults_of_the_log_stand_behind_the_shards_and_are_left_out_when_there_are_none) {
  auto a = sample();
  BOOST_TEST(rendered(a).find("log_faults") == std::string::npos);
  a.log_faults = {{7, log_fault::fork}, {9, log_fault::gap}};
  const std::string shards = R"("shards":{"total":16,"answered":16})";
  const std::string faults = R"({"shard":7,"kind":"fork"},{"shard":9,"kind":"gap"})";
  BOOST_TEST(rendered(a).ends_with(shards + R"(,"log_faults":[)" + faults + "]}"));
  a.log_changed = true;
  BOOST_TEST(rendered(a).ends_with(shards + R"(,"log_faults":[)" + faults + R"(,{"shard":null,"kind":"changed"}]})"));
  a.log_faults.clear();
  BOOST_TEST(rendered(a).ends_with(shards + R"(,"log_faults":[{"shard":null,"kind":"changed"}]})"));
  BOOST_TEST(rendered(a, true).find(R"(}],"positions":)") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(the_quarantine_is_valid_json_whatever_bytes_it_holds) {
  quarantine_page page;
  std::string out;
  render_quarantine(out, page);
  BOOST_TEST(out == R"({"data":[],"total":0,"next":null})");
  page.entries.push_back(
      {quarantine_source::events, 7, 123, 1'753'200'972'000, "syntax", std::string("a\"\xff\0\xe2\x82", 6), 17});
  page.entries.push_back({quarantine_source::inbox, 8, 0, 1'753'200'972'001, "stamps", "{}", 2});
  page.total = 12;
  page.more = true;
  page.next = {8, 5};
  out.clear();
  render_quarantine(out, page);
  BOOST_TEST(out ==
             R"({"data":[{"source":"events","position":"7:123","time":"2025-07-22T16:16:12.000Z","reason":"syntax","size":17,)"
             "\"value\":\"a\\\"\xef\xbf\xbd\\u0000\xef\xbf\xbd\xef\xbf\xbd\"},"
             R"({"source":"inbox","position":"8:0","time":"2025-07-22T16:16:12.001Z","reason":"stamps","size":2,"value":"{}"}],)"
             R"("total":12,"next":"8:5"})");
}

BOOST_AUTO_TEST_CASE(ads_are_written_with_their_pagination) {
  actors::ads_page page;
  ad a;
  a.id = 3;
  a.fields.title = "T";
  a.fields.url = "https://x.example/";
  a.fields.metadata = R"({"k":1})";
  a.created_ms = a.updated_ms = 1'753'200'972'000;
  page.ads.push_back(a);
  page.total = 21;
  std::string out;
  render_ads_page(out, page, 3, 10);
  BOOST_TEST(out ==
             R"({"ads":[{"id":3,"title":"T","description":"","url":"https://x.example/","created_at":"2025-07-22T16:16:12.000Z",)"
             R"("updated_at":"2025-07-22T16:16:12.000Z","advertiser":"","campaign":"","metadata":{"k":1}}],)"
             R"("pagination":{"page":3,"limit":10,"total":21,"total_pages":3}})");
}

BOOST_AUTO_TEST_CASE(strings_are_escaped_and_bytes_that_are_not_utf8_are_replaced) {
  std::string out;
  append_json_string(out, std::string_view("a\"\\\n\x01\x7f\0é\xff", 10));
  BOOST_TEST(out == "\"a\\\"\\\\\\n\\u0001\\u007f\\u0000é\xef\xbf\xbd\"");
}

BOOST_AUTO_TEST_CASE(numbers_read_back_the_same) {
  std::string out;
  for (double d : {30.0, 0.01, 1e300, 0.1 + 0.2}) {
    out.clear();
    append_double(out, d);
    BOOST_TEST(std::stod(out) == d);
  }
  out.clear();
  append_double(out, 30);
  BOOST_TEST(out == "30.0");
}

BOOST_AUTO_TEST_SUITE_END()
