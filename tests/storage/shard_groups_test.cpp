#include <boost/test/unit_test.hpp>

#include "tests/support/engine_fixture.hpp"

using namespace adtrack;
using namespace adtrack::storage;
using namespace adtrack::test;

namespace {

void check_groups(shard_engine& e, const shard_oracle& oracle, const std::vector<uint64_t>& ads, time_window w,
                  group_dimension by) {
  analytics_query q;
  q.ad_ids = ads;
  q.window = w;
  q.by = by;
  q.limit = 100'000;
  auto got = (*e.view(ads, true))->answer(q);
  BOOST_REQUIRE_MESSAGE(got.ok(), got.why.message);
  const auto window = shard_oracle::widened_to_hours(w);
  BOOST_TEST((got->window == window));
  BOOST_TEST((got->finest == resolution::hour));
  const auto wanted = oracle.groups(by, {ads.begin(), ads.end()}, window);
  BOOST_REQUIRE_EQUAL(got->rows.size(), wanted.size());
  BOOST_TEST(got->total == wanted.size());
  size_t i = 0;
  for (const auto& [key, row] : wanted) {
    const auto& r = got->rows[i++];
    BOOST_TEST_CONTEXT("by " << to_string(by) << ", ad " << key.first << ", group " << key.second) {
      BOOST_TEST(r.ad_id == key.first);
      BOOST_TEST(r.group == key.second);
      BOOST_TEST((r.count == row.count));
      const auto visitors = static_cast<double>(row.visitors.size());
      BOOST_TEST(std::abs(r.unique_clicks - visitors) <= 5 * r.unique_error * visitors);
    }
  }
}

void check_many_groups(shard_engine& e, const shard_oracle& oracle, uint64_t seed, int n, const stream_options& o) {
  std::mt19937_64 rng(seed);
  const auto span = static_cast<uint64_t>(o.step_ms_max) * o.records / 2'000 + 10;
  for (int i = 0; i < n; ++i) {
    const auto by = static_cast<group_dimension>(1 + i % 6);
    const int64_t from = o.start_ms / 1'000 - 4'000 + static_cast<int64_t>(rng() % span);
    time_window w{from, from + 1 + static_cast<int64_t>(rng() % span)};
    if (rng() % 3 == 0) w.since_s = time_window::unbounded_since;
    if (rng() % 3 == 0) w.until_s = time_window::unbounded_until;
    std::vector<uint64_t> ads;
    if (rng() % 2) ads = {1 + rng() % o.ads};
    check_groups(e, oracle, ads, w, by);
  }
}

} // namespace

BOOST_AUTO_TEST_SUITE(shard_groups)

BOOST_AUTO_TEST_CASE(groups_agree_with_the_plain_definitions) {
  stream_options o;
  o.records = 6'000;
  o.step_ms_max = 10'000;
  o.ads = 5;
  auto s = make_stream(81, o);
  s.controls[0].second_days = s.controls[0].minute_days = 1; // hours and their groups are kept for ever
  shard_oracle oracle;
  rocks r;
  auto e = open(r.open(), {.commit_records = 500});
  feed(*e, s, 300, 81, &oracle);
  check_many_groups(*e, oracle, 82, 60, o);
  require(e->sync());
  e.reset();
  e = open(r.open(), {});
  check_many_groups(*e, oracle, 83, 60, o);
}

BOOST_AUTO_TEST_CASE(the_first_values_of_an_hour_in_log_order_have_groups_and_the_rest_is_other) {
  stream_options o;
  o.records = 12'000;
  o.ads = 3;
  o.families = 150; // of which 64 browsers are kept
  o.late = 0;
  o.visitors = 5'000; // more than an exact set holds
  auto s = make_stream(91, o);
  shard_oracle oracle;
  auto whole = open(make_memory_shard_store(), {});
  feed(*whole, s, 3'000, 91, &oracle);
  const auto groups = oracle.groups(group_dimension::browser, {1}, {});
  BOOST_TEST(groups.count({1, "other"}) == 1u);
  BOOST_TEST(groups.size() >= 65u);
  check_many_groups(*whole, oracle, 92, 30, o);
  // The same over other batches, commits, evictions and restarts.
  rocks r;
  const shard_options tight{.commit_records = 200, .cache_bytes = 1 << 16};
  auto small = open(r.open(), tight);
  feed(*small, {{s.records.begin(), s.records.begin() + 7'000}, s.controls, s.names}, 90, 93);
  small.reset();
  small = open(r.open(), tight);
  feed(*small, s, 150, 94);
  check_many_groups(*small, oracle, 95, 30, o);
  BOOST_TEST(small->digest()->value == whole->digest()->value);
}

BOOST_AUTO_TEST_CASE(the_first_groups_of_any_order_are_the_first_of_all_groups) {
  stream_options o;
  o.records = 3'000;
  o.ads = 30;
  auto s = make_stream(101, o);
  auto e = open(make_memory_shard_store(), {});
  feed(*e, {{s.records.begin(), s.records.begin() + 2'700}, s.controls, s.names}, 500, 101);
  require(e->commit());
  feed(*e, s, 500, 102);
  for (auto key : {sort_key::ad_id, sort_key::click_count, sort_key::unique_clicks, sort_key::ctr}) {
    for (auto by : {group_dimension::os, group_dimension::invalid_reason}) {
      analytics_query q;
      q.order = {key, true};
      q.by = by;
      q.limit = 1'000;
      const auto all = (*e->view({}, true))->answer(q)->rows;
      const auto before = [&](const auto& a, const auto& b) { return stands_before(a, b, q.order); };
      BOOST_TEST(std::is_sorted(all.begin(), all.end(), before));
      q.limit = 4;
      q.page = 3;
      const auto top = *(*e->view({}, true))->answer(q);
      BOOST_TEST(top.total == all.size());
      BOOST_REQUIRE_EQUAL(top.rows.size(), 12u);
      for (size_t i = 0; i < 12; ++i) {
        BOOST_TEST(top.rows[i].ad_id == all[i].ad_id);
        BOOST_TEST(top.rows[i].group == all[i].group);
        BOOST_TEST((top.rows[i].count == all[i].count));
        BOOST_TEST(top.rows[i].unique_clicks == all[i].unique_clicks);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(a_group_of_another_name_gives_another_digest) {
  stream_options o;
  o.records = 500;
  auto s = make_stream(111, o);
  auto a = open(make_memory_shard_store(), {}), b = open(make_memory_shard_store(), {});
  feed(*a, s, 100, 1);
  s.names[2] += '!';
  feed(*b, s, 100, 1);
  BOOST_TEST(a->digest()->value.substr(0, 16) == b->digest()->value.substr(0, 16)); // the same fates
  BOOST_TEST(a->digest()->value.substr(16) != b->digest()->value.substr(16));
}

BOOST_AUTO_TEST_SUITE_END()
