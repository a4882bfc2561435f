#include <boost/test/unit_test.hpp>

#include "model/time_grid.hpp"
#include "tests/support/engine_fixture.hpp"

using namespace adtrack;
using namespace adtrack::storage;
using namespace adtrack::test;

namespace {

// A series against the definition: each point is the answer to a question about its own span alone, and nothing is missing. When
// a point's edge cuts what is kept as a whole only, there is no series, and only then. Says whether there was one.
bool check_series(shard_engine& e, const shard_oracle& oracle, const analytics_query& q) {
  auto got = (*e.view(q.ad_ids))->answer(q);
  BOOST_REQUIRE_MESSAGE(got.ok(), got.why.message);
  time_zone zone;
  BOOST_REQUIRE(time_zone::load(q.tz, zone));
  const time_grid grid(q.step, zone);
  bool all_kept = true;
  for (const auto& row : got->rows) {
    bool kept = true;
    for (auto at = got->window.since_s; kept && at < got->window.until_s; at = grid.point_of(at).until_s) {
      const time_window point{at, std::min(grid.point_of(at).until_s, got->window.until_s)};
      auto finest = resolution::second;
      kept = oracle.widened({row.ad_id}, point, finest) == point;
    }
    BOOST_REQUIRE_EQUAL(row.fault_of_series == series_fault::none, kept);
    all_kept = all_kept && kept;
    counters sum;
    for (const auto& p : row.series) {
      const time_window point{p.start_s, std::min(grid.point_of(p.start_s).until_s, got->window.until_s)};
      auto wanted = oracle.rows({row.ad_id}, point);
      BOOST_REQUIRE_EQUAL(wanted.size(), 1u);
      BOOST_TEST((p.count == wanted[row.ad_id].count), "ad " << row.ad_id << " point " << p.start_s);
      BOOST_TEST(p.unique_clicks == static_cast<double>(wanted[row.ad_id].visitors.size()));
      sum += p.count;
    }
    BOOST_TEST((sum == (kept ? row.count : counters{})));
  }
  return all_kept;
}

int check_many_series(shard_engine& e, const shard_oracle& oracle, uint64_t seed, int n, const stream_options& o) {
  std::mt19937_64 rng(seed);
  const char* zones[] = {"", "Europe/Paris", "Asia/Kathmandu", "Australia/Lord_Howe", "America/New_York"};
  const int64_t lengths[] = {1, 60, 3'600, 86'400};
  auto span = o.step_ms_max * static_cast<int64_t>(o.records) / 2'000 + 10;
  int whole = 0;
  for (int i = 0; i < n; ++i) {
    analytics_query q;
    const auto step = rng() % 4;
    q.step = static_cast<granularity>(step + 1);
    q.tz = zones[rng() % std::size(zones)];
    q.window.since_s = o.start_ms / 1'000 - 200 + static_cast<int64_t>(rng() % static_cast<uint64_t>(span));
    q.window.until_s = q.window.since_s + 1 + static_cast<int64_t>(rng() % 200) * lengths[step];
    if (rng() % 3) q.ad_ids = {1 + rng() % o.ads};
    q.limit = 3;
    whole += check_series(e, oracle, q);
  }
  return whole;
}

} // namespace

BOOST_AUTO_TEST_SUITE(shard_series)

BOOST_AUTO_TEST_CASE(series_agree_with_the_plain_definitions_point_by_point) {
  stream_options o;
  o.records = 4'000;
  o.step_ms_max = 20'000;
  o.ads = 5;
  auto s = make_stream(41, o);
  shard_oracle oracle;
  auto e = open(make_memory_shard_store(), {.commit_records = 777});
  feed(*e, s, 500, 41, &oracle);
  BOOST_TEST(check_many_series(*e, oracle, 42, 60, o) == 60);
}

BOOST_AUTO_TEST_CASE(a_series_that_would_cut_what_has_expired_is_refused_and_no_other) {
  stream_options o;
  o.records = 4'000;
  o.step_ms_max = 100'000;
  o.late = 0.3;
  o.ads = 4;
  auto s = make_stream(51, o);
  s.controls[0].second_days = 1;
  s.controls[0].minute_days = 2;
  shard_oracle oracle;
  auto e = open(make_memory_shard_store(), {.commit_records = 500});
  feed(*e, s, 300, 51, &oracle);
  const auto whole = check_many_series(*e, oracle, 52, 80, o);
  BOOST_TEST(whole > 20);
  BOOST_TEST(whole < 80);
}

// Rows are found by the minute in which they start: one that starts in the window's last, cut minute is in it.
BOOST_AUTO_TEST_CASE(a_window_that_ends_within_the_first_minute_of_a_day_has_that_minute) {
  constexpr int64_t day_s = 1'700'006'400;
  static_assert(day_s % 86'400 == 0);
  auto e = open(make_memory_shard_store(), {});
  record_batch batch;
  for (int64_t offset = 0; offset < 2; ++offset) {
    shard_record one;
    one.offset = offset;
    one.ad_id = 1;
    one.id = {static_cast<uint64_t>(offset), 1};
    one.time_s = day_s - 30 + 40 * offset; // one on either side of midnight
    one.log_time_ms = 1'700'010'000'000;
    batch.records.push_back(one);
  }
  batch.next_offset = 2;
  require(e->apply(batch));
  require(e->commit()); // or the view has the rows in memory
  for (int64_t until_s : {day_s + 46, day_s + 60, day_s + 70}) {
    analytics_query q;
    q.window = {day_s - 60, until_s};
    q.step = granularity::minute;
    q.max_points = 10;
    auto view = e->view();
    BOOST_REQUIRE(view.ok());
    auto got = (*view)->answer(q);
    BOOST_REQUIRE(got.ok());
    BOOST_REQUIRE_EQUAL(got->rows.size(), 1u);
    BOOST_TEST(got->rows[0].count[metric::valid_clicks] == 2u);
    BOOST_REQUIRE_EQUAL(got->rows[0].series.size(), 2u);
    BOOST_TEST(got->rows[0].series[1].start_s == day_s);
  }
}

BOOST_AUTO_TEST_CASE(series_have_a_bound_on_their_points) {
  stream_options o;
  o.records = 500;
  o.ads = 1;
  auto s = make_stream(61, o);
  auto e = open(make_memory_shard_store(), {});
  feed(*e, s, 100, 61);
  analytics_query q;
  q.step = granularity::minute;
  q.max_points = 10;
  for (auto w : {time_window{o.start_ms / 1'000 - 300, o.start_ms / 1'000 + 301}, time_window{}}) { // the stream is minutes long
    q.window = w;
    auto got = (*e->view())->answer(q);
    BOOST_REQUIRE(got.ok());
    BOOST_REQUIRE(got->rows.size() == 1u);
    BOOST_TEST((got->rows[0].fault_of_series == series_fault::too_many));
    BOOST_TEST(got->rows[0].series.empty());
  }
  q.window = {o.start_ms / 1'000 / 60 * 60, o.start_ms / 1'000 / 60 * 60 + 600};
  BOOST_TEST(((*e->view())->answer(q)->rows[0].fault_of_series == series_fault::none));
}

BOOST_AUTO_TEST_SUITE_END()
