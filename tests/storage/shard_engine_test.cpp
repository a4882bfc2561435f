#include "storage/shard_engine.hpp"

#include <filesystem>
#include <numeric>
#include <optional>

#include <boost/test/unit_test.hpp>

#include "tests/support/engine_fixture.hpp"

using namespace adtrack;
using namespace adtrack::storage;
using namespace adtrack::test;

namespace {

uint64_t total(const fates_by_type& of, uint64_t fate_counts::*what) {
  uint64_t n = 0;
  for (const auto& type : of) n += type.*what;
  return n;
}

void check_answer(shard_engine& e, const shard_oracle& oracle, const std::vector<uint64_t>& ads, time_window w) {
  analytics_query q;
  q.ad_ids = ads;
  q.window = w;
  q.limit = 1'000;
  auto got = (*e.view(ads))->answer(q);
  BOOST_REQUIRE_MESSAGE(got.ok(), got.why.message);
  std::set<uint64_t> wanted(ads.begin(), ads.end());
  resolution finest = resolution::second;
  auto window = oracle.widened(wanted, w, finest);
  BOOST_TEST((got->window == window));
  BOOST_TEST((got->finest == finest));
  auto rows = oracle.rows(wanted, window);
  BOOST_REQUIRE_EQUAL(got->rows.size(), rows.size());
  BOOST_TEST(got->total == rows.size());
  size_t i = 0;
  for (const auto& [ad, row] : rows) {
    const auto& r = got->rows[i++];
    BOOST_TEST(r.ad_id == ad);
    BOOST_TEST((r.count == row.count), "ad " << ad << " window " << window.since_s << " " << window.until_s);
    if (r.unique_error == 0)
      BOOST_TEST(r.unique_clicks == static_cast<double>(row.visitors.size()));
    else
      BOOST_TEST(std::abs(r.unique_clicks - static_cast<double>(row.visitors.size())) <
                 5 * r.unique_error * static_cast<double>(row.visitors.size()));
  }
}

void check_many_answers(shard_engine& e, const shard_oracle& oracle, uint64_t seed, int n, const stream_options& o) {
  std::mt19937_64 rng(seed);
  auto span = o.step_ms_max * static_cast<int64_t>(o.records) / 2'000 + 10;
  for (int i = 0; i < n; ++i) {
    int64_t a = o.start_ms / 1'000 - 200 + static_cast<int64_t>(rng() % static_cast<uint64_t>(span));
    if (rng() % 8 == 0) a -= static_cast<int64_t>(rng() % (uint64_t{120} * 86'400)); // among the late ones
    int64_t b = a + 1 + static_cast<int64_t>(rng() % (1ull << (rng() % 24)));
    std::vector<uint64_t> ads;
    if (rng() % 3) ads = {1 + rng() % o.ads};
    time_window w{a, b};
    if (rng() % 10 == 0) w.since_s = time_window::unbounded_since;
    if (rng() % 10 == 0) w.until_s = time_window::unbounded_until;
    check_answer(e, oracle, ads, w);
  }
}

// What became of every event of the stream so far; how many of them the window has passed.
size_t check_fates(const shard_engine& e, const shard_oracle& oracle, const random_stream& s, size_t upto) {
  size_t expired = 0;
  for (size_t i = 0; i < upto; ++i) {
    const auto& r = s.records[i];
    if (r.what != shard_record::kind::event) continue;
    const auto wanted = oracle.fate_of(r.id);
    auto got = e.fate_of(r.id);
    BOOST_REQUIRE_EQUAL(got.ok(), wanted.verdict != event_verdict::unknown);
    if (!got.ok()) {
      BOOST_REQUIRE((got.why.code == errc::not_found));
      ++expired;
      continue;
    }
    BOOST_TEST((got->verdict == wanted.verdict));
    BOOST_TEST((got->reason == wanted.reason));
    BOOST_TEST(got->at.offset == wanted.at.offset);
    BOOST_TEST(got->time_s == wanted.time_s);
    BOOST_TEST(got->duplicates == wanted.duplicates);
    BOOST_TEST(got->conflicts == wanted.conflicts);
  }
  return expired;
}

} // namespace

BOOST_AUTO_TEST_SUITE(shard_engine_suite)

BOOST_AUTO_TEST_CASE(the_fate_of_every_event_is_known_for_the_window_over_commits_merges_and_restarts) {
  stream_options o;
  o.records = 20'000;
  o.step_ms_max = 40'000; // four and a half days
  o.window_s = 2 * 86'400;
  o.duplicates = 0.4;
  auto s = make_stream(61, o);
  shard_oracle oracle;
  rocks r;
  auto in_memory = open(make_memory_shard_store(), {.commit_records = 900});
  std::unique_ptr<shard_engine> e;
  for (size_t stop : {7'000, 13'000, 20'000}) {
    if (e) require(e->sync());
    e.reset();
    e = open(r.open(), {.shard = 3, .commit_records = 700, .dedupe_bytes = 1 << 18, .worker = std::make_shared<background>()});
    random_stream head{{s.records.begin(), s.records.begin() + static_cast<long>(stop)}, s.controls};
    feed(*in_memory, head, 300, stop, &oracle);
    feed(*e, head, 400, stop);
    const auto expired = check_fates(*e, oracle, s, stop);
    BOOST_TEST(check_fates(*in_memory, oracle, s, stop) == expired);
    BOOST_TEST((expired > 0) == (stop > 10'000));
  }
  const auto some =
      std::find_if(s.records.rbegin(), s.records.rend(), [](const auto& x) { return x.what == shard_record::kind::event; });
  BOOST_TEST(e->fate_of(some->id)->at.shard == 3u);
  BOOST_TEST((e->fate_of({1, 2}).why.code == errc::not_found));
}

BOOST_AUTO_TEST_CASE(a_group_ends_at_a_digests_mark_where_all_is_settled_anyway) {
  const shard_options large{.commit_records = 100'000};
  rocks r;
  auto e = open(r.open(), large);
  constexpr int64_t of_a_batch = 4'000; // as when a shard catches up
  const auto feed_to = [&](int64_t end) {
    while (e->next_offset() < end) {
      record_batch batch;
      batch.first_offset = e->next_offset();
      for (auto offset = batch.first_offset; offset < batch.first_offset + of_a_batch; ++offset) {
        shard_record one;
        one.offset = offset;
        one.ad_id = 1 + static_cast<uint64_t>(offset) % 7;
        one.id = {static_cast<uint64_t>(offset), 1};
        one.log_time_ms = 1'700'000'000'000 + offset;
        one.time_s = one.log_time_ms / 1'000;
        batch.records.push_back(one);
      }
      batch.next_offset = batch.first_offset + of_a_batch;
      require(e->apply(batch));
    }
  };
  const auto open_again = [&] { // without a commit
    e.reset();
    e = open(r.open(), large);
  };
  feed_to(64'000);
  open_again();
  BOOST_TEST(e->next_offset() == 0);
  feed_to(72'000);
  open_again();
  BOOST_TEST(e->next_offset() == 68'000);
}

BOOST_AUTO_TEST_CASE(the_first_rows_of_any_order_are_the_first_of_all_rows) {
  stream_options o;
  o.records = 3'000;
  o.ads = 60;
  auto s = make_stream(71, o);
  auto e = open(make_memory_shard_store(), {});
  // Most rows stand in the store, some in memory too, some there alone.
  feed(*e, {{s.records.begin(), s.records.begin() + 2'700}, s.controls, s.names}, 500, 71);
  require(e->commit());
  feed(*e, s, 500, 72);
  const int64_t start_s = o.start_ms / 1'000;
  for (const auto& window : {time_window{}, {start_s / 60 * 60, start_s + 300}, {start_s + 7, start_s + 200}}) {
    for (uint8_t k = 0; k <= static_cast<uint8_t>(sort_key::restated); ++k) {
      for (bool descending : {false, true}) {
        analytics_query q;
        q.order = {static_cast<sort_key>(k), descending};
        q.window = window;
        q.limit = 1'000;
        auto all = (*e->view())->answer(q)->rows;
        BOOST_TEST(
            std::is_sorted(all.begin(), all.end(), [&](const auto& a, const auto& b) { return stands_before(a, b, q.order); }));
        q.limit = 4;
        q.page = 3;
        auto top = *(*e->view())->answer(q);
        BOOST_TEST(top.total == all.size());
        BOOST_REQUIRE_EQUAL(top.rows.size(), 12u);
        for (size_t i = 0; i < 12; ++i) {
          BOOST_TEST(top.rows[i].ad_id == all[i].ad_id);
          BOOST_TEST((top.rows[i].count == all[i].count));
          BOOST_TEST(top.rows[i].unique_clicks == all[i].unique_clicks);
          BOOST_TEST(top.rows[i].unique_error == all[i].unique_error);
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(answers_agree_with_the_plain_definitions) {
  for (uint64_t seed : {1, 2, 3}) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      stream_options o;
      o.records = 6'000;
      o.visitors = seed == 3 ? 4'000 : 200;
      auto s = make_stream(seed, o);
      shard_oracle oracle;
      auto e = open(make_memory_shard_store(), {.commit_records = 777});
      feed(*e, s, 500, seed, &oracle);
      BOOST_TEST(total(e->fates(), &fate_counts::counted) == oracle.counted_seen);
      BOOST_TEST(total(e->fates(), &fate_counts::duplicates) == oracle.duplicates_seen);
      for (const auto& fates : e->fates()) {
        const auto& by_reason = fates.invalid;
        BOOST_TEST(std::accumulate(by_reason.begin(), by_reason.end(), uint64_t{0}) == fates.counted);
        BOOST_TEST((fates.counted == 0 || by_reason[static_cast<size_t>(invalid_reason::bot)] > 0));
      }
      check_many_answers(*e, oracle, seed, 150, o);
    }
  }
}

BOOST_AUTO_TEST_CASE(expired_seconds_and_minutes_widen_the_window_and_nothing_else) {
  stream_options o;
  o.records = 6'000;
  o.step_ms_max = 100'000; // the stream spans months
  o.late = 0.3;
  o.ads = 4;
  rocks r;
  auto s = make_stream(11, o);
  s.controls[0].second_days = 2;
  s.controls[0].minute_days = 10;
  shard_oracle oracle;
  auto e = open(r.open(), {.commit_records = 500});
  feed(*e, s, 300, 11, &oracle);
  check_many_answers(*e, oracle, 12, 400, o);
  require(e->sync());
  e.reset();
  e = open(r.open(), {});
  check_many_answers(*e, oracle, 13, 200, o);
}

BOOST_AUTO_TEST_CASE(two_stores_that_replay_one_log_have_equal_digests_whatever_the_batches) {
  // Across the edge of the dedupe window (the stream spans twelve days), and with a clock that once jumps a year ahead.
  stream_options o;
  o.records = 200'000;
  o.step_ms_max = 10'000;
  o.duplicates = 0.3;
  o.jump_at = 90'000;
  o.ads = 200;
  auto s = make_stream(21, o);
  shard_oracle oracle;
  auto plain = open(make_memory_shard_store(), {.commit_records = 20'000});
  feed(*plain, s, 3'000, 1, &oracle);
  BOOST_TEST(total(plain->fates(), &fate_counts::counted) == oracle.counted_seen);
  BOOST_TEST(total(plain->fates(), &fate_counts::duplicates) == oracle.duplicates_seen);
  auto marks = plain->kept_digests();
  BOOST_REQUIRE_GE(marks.size(), 3u);
  BOOST_TEST(marks[0].offset == 65'536);
  BOOST_TEST(marks[0].value != marks[1].value);

  rocks r;
  auto worker = std::make_shared<background>();
  // Little memory: rows are evicted, the open identities sealed and merged all the time.
  shard_options small{.commit_records = 1'013, .cache_bytes = 1 << 20, .dedupe_bytes = 1 << 18, .worker = worker};
  std::unique_ptr<shard_engine> e;
  for (size_t stop : {30'000, 110'000, 200'000}) { // two restarts, each forgetting what was not committed
    e.reset();
    e = open(r.open(), small);
    random_stream head{{s.records.begin(), s.records.begin() + static_cast<long>(stop)}, s.controls, s.names};
    feed(*e, head, 700, stop);
  }
  auto other = e->kept_digests();
  BOOST_REQUIRE_EQUAL(other.size(), marks.size());
  for (size_t i = 0; i < marks.size(); ++i) {
    BOOST_TEST(other[i].offset == marks[i].offset);
    BOOST_TEST(other[i].value == marks[i].value);
  }
  BOOST_TEST(e->digest()->value == plain->digest()->value);
  check_many_answers(*e, oracle, 5, 20, o);
}

BOOST_AUTO_TEST_CASE(one_record_more_or_one_fate_different_gives_another_digest) {
  stream_options o;
  o.records = 1'000;
  auto s = make_stream(31, o);
  auto a = open(make_memory_shard_store(), {});
  auto b = open(make_memory_shard_store(), {});
  feed(*a, s, 100, 1);
  auto t = s;
  auto& r =
      *std::find_if(t.records.begin() + 500, t.records.end(), [](const auto& x) { return x.what == shard_record::kind::event; });
  r.visitor ^= r.type == event_type::click ? 1 : 0;
  r.invalid = r.invalid == invalid_reason::none ? invalid_reason::datacenter : invalid_reason::none;
  feed(*b, t, 100, 1);
  // Both halves: the chain of fates, and the sums of the rows.
  BOOST_TEST(a->digest()->value.substr(0, 16) != b->digest()->value.substr(0, 16));
  BOOST_TEST(a->digest()->value.substr(16) != b->digest()->value.substr(16));
  auto before = a->digest()->value;
  t.records.back().offset += 1;
  require(a->apply(cut(t, t.records.size() - 1, t.records.size(), a->next_offset())));
  BOOST_TEST(a->digest()->value != before);
}

BOOST_AUTO_TEST_CASE(an_identity_counts_again_once_the_window_has_passed) {
  auto e = open(make_memory_shard_store(), {});
  random_stream s;
  control c;
  c.dedupe_window_s = 86'400;
  s.controls.push_back(c);
  auto at = [&](int64_t offset, int64_t log_ms) {
    shard_record r;
    if (offset == 0) r.what = shard_record::kind::control;
    r.offset = offset;
    r.id = {1, 1};
    r.ad_id = 5;
    r.time_s = 1'700'000'000;
    r.log_time_ms = log_ms;
    s.records.push_back(r);
  };
  int64_t t = 1'700'000'000'000 / 3'600'000 * 3'600'000, hour = 3'600'000;
  at(0, t);
  at(1, t);
  // H rises an hour a record at most.
  for (int64_t i = 1; i <= 24; ++i) at(1 + i, t + i * hour);
  at(26, t + 25 * hour); // first record that the window has passed
  at(27, t + 25 * hour);
  feed(*e, s, 3, 1);
  BOOST_TEST(total(e->fates(), &fate_counts::counted) == 2u);
  BOOST_TEST(total(e->fates(), &fate_counts::duplicates) == 25u);
}

BOOST_AUTO_TEST_CASE(a_clock_that_jumps_a_year_moves_the_window_by_an_hour_only) {
  auto e = open(make_memory_shard_store(), {});
  stream_options o;
  o.records = 2;
  auto s = make_stream(1, o);
  s.records[1].log_time_ms = s.records[0].log_time_ms + int64_t{365} * 86'400'000;
  feed(*e, s, 2, 1);
  BOOST_TEST(e->clock_ms() == s.records[0].log_time_ms + 3'600'000);
}

BOOST_AUTO_TEST_CASE(a_control_record_of_unknown_logic_stops_the_shard_before_it) {
  auto e = open(make_memory_shard_store(), {});
  stream_options o;
  o.records = 10;
  o.duplicates = 0;
  auto s = make_stream(1, o);
  control future;
  future.logic = logic_version + 1;
  s.controls.push_back(future);
  s.records[5].what = shard_record::kind::control;
  s.records[5].index = 1;
  auto why = e->apply(cut(s, 0, 10, 0));
  BOOST_TEST((why.code == errc::mismatch));
  BOOST_TEST(e->next_offset() == s.records[4].offset + 1);
  BOOST_TEST(why.message.find("upgrade") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(what_came_an_hour_late_restates_its_bucket_and_not_so_in_a_log_of_older_logic) {
  for (const auto logic : {logic_version, uint32_t{3}}) {
    auto e = open(make_memory_shard_store(), {});
    stream_options o;
    o.records = 4;
    o.duplicates = 0;
    o.ads = 1;
    auto s = make_stream(1, o);
    s.controls.push_back({});
    s.controls.back().logic = logic;
    s.records[0].what = shard_record::kind::control;
    s.records[0].index = static_cast<uint32_t>(s.controls.size() - 1);
    const auto now_ms = (s.records[3].log_time_ms / 1'000 + 1) * 1'000;
    const int64_t late_s[] = {0, 0, 3'600, 3'601};
    for (size_t i = 1; i < 4; ++i) {
      s.records[i].ad_id = 1;
      s.records[i].log_time_ms = now_ms;
      s.records[i].time_s = now_ms / 1'000 - late_s[i];
    }
    feed(*e, s, 4, 1);
    const uint64_t one[] = {1};
    auto view = e->view(one);
    analytics_query q;
    q.ad_ids = {1};
    auto all = (*view)->answer(q);
    BOOST_REQUIRE(all.ok() && all->rows.size() == 1);
    BOOST_TEST(all->rows[0].count[metric::restated] == (logic == logic_version ? 1u : 0u));
    q.window = {s.records[3].time_s, s.records[3].time_s + 1};
    auto own = (*view)->answer(q);
    BOOST_REQUIRE(own.ok() && own->rows.size() == 1);
    BOOST_TEST(own->rows[0].count[metric::restated] == (logic == logic_version ? 1u : 0u));
    BOOST_TEST(own->rows[0].count.any_event());
  }
}

BOOST_AUTO_TEST_CASE(a_batch_that_does_not_start_where_the_shard_stands_is_refused) {
  auto e = open(make_memory_shard_store(), {});
  auto s = make_stream(1, {});
  BOOST_TEST((e->apply(cut(s, 5, 10, 7)).code == errc::out_of_range));
  BOOST_TEST(e->next_offset() == 0);
}

BOOST_AUTO_TEST_CASE(what_was_not_committed_is_applied_again_after_a_restart_and_counts_once) {
  rocks r;
  stream_options o;
  o.records = 5'000;
  auto s = make_stream(41, o);
  shard_oracle oracle;
  for (size_t i = 0; i < s.records.size(); ++i) oracle.apply(s.records[i], s.controls, s.names);
  auto e = open(r.open(), {.commit_records = 1'000});
  random_stream head{{s.records.begin(), s.records.begin() + 2'200}, s.controls, s.names};
  feed(*e, head, 300, 1);
  require(e->commit());
  require(e->apply(cut(s, 2'200, 2'500, e->next_offset()))); // too many for an early commit, too few for a group
  auto stood = e->next_offset();
  e.reset(); // without a commit
  e = open(r.open(), {.commit_records = 1'000});
  BOOST_TEST(e->next_offset() < stood);
  BOOST_TEST(e->next_offset() > 0);
  feed(*e, s, 300, 2);
  check_many_answers(*e, oracle, 3, 100, o);
}

BOOST_AUTO_TEST_CASE(the_last_record_of_what_was_committed_is_known_after_a_restart) {
  rocks r;
  stream_options o;
  o.records = 3'000;
  auto s = make_stream(43, o);
  const auto marked = [&](size_t from, size_t to, int64_t at) {
    auto b = cut(s, from, to, at);
    b.last = {b.records.back().offset, 1'000'000 + b.records.size() * static_cast<uint64_t>(to)};
    return b;
  };
  auto e = open(r.open(), {.commit_records = 1'000});
  BOOST_TEST(e->last_record().offset == -1);
  // A batch fills the group half way: what is committed ends with the batch, whose last record is known.
  require(e->apply(marked(0, 700, 0)));
  const auto second = marked(700, 1'400, e->next_offset());
  require(e->apply(second));
  BOOST_TEST(!e->dirty());
  require(e->apply(marked(1'400, 1'410, e->next_offset())));
  BOOST_TEST(e->last_record().offset == s.records[1'409].offset);
  e.reset(); // without a commit
  e = open(r.open(), {.commit_records = 1'000});
  BOOST_TEST(e->next_offset() == s.records[1'399].offset + 1);
  BOOST_TEST((e->last_record() == second.last));
  // A batch without records, as behind a stretch of the log that holds none, changes nothing of it.
  record_batch none;
  none.first_offset = e->next_offset();
  none.next_offset = e->next_offset() + 5;
  require(e->apply(none));
  BOOST_TEST((e->last_record() == second.last));
}

BOOST_AUTO_TEST_CASE(a_view_keeps_its_numbers_while_the_engine_goes_on) {
  rocks r;
  stream_options o;
  o.records = 4'000;
  auto s = make_stream(51, o);
  auto e = open(r.open(), {.commit_records = 500});
  random_stream head{{s.records.begin(), s.records.begin() + 2'000}, s.controls, s.names};
  shard_oracle oracle;
  feed(*e, head, 300, 1, &oracle);
  auto all = *e->view();
  std::vector<uint64_t> some{1, 2, 3};
  auto few = *e->view(some);
  feed(*e, s, 300, 1);
  require(e->commit());
  analytics_query q;
  q.limit = 1'000;
  auto got = all->answer(q);
  BOOST_REQUIRE(got.ok());
  auto rows = oracle.rows({}, {});
  BOOST_REQUIRE_EQUAL(got->rows.size(), rows.size());
  for (const auto& row : got->rows) BOOST_TEST((row.count == rows.at(row.ad_id).count));
  q.ad_ids = some;
  got = few->answer(q);
  BOOST_REQUIRE(got.ok());
  for (const auto& row : got->rows) BOOST_TEST((row.count == rows.at(row.ad_id).count));
}

// Clicks ten ms apart, in batches of ten as a shard gets them that keeps up; how often dirty() fell back without a commit() from
// here.
size_t early_commits(shard_engine& e, size_t records, const std::function<uint64_t(size_t)>& ad_of) {
  random_stream s;
  s.controls.emplace_back();
  for (size_t i = 0; i < records; ++i) {
    shard_record c;
    if (i == 0) c.what = shard_record::kind::control;
    c.offset = static_cast<int64_t>(i);
    c.ad_id = ad_of(i);
    c.id = {i * 0x9E3779B97F4A7C15ull, i * 0xD6E8FEB86659FD93ull};
    c.visitor = i;
    c.log_time_ms = 1'700'000'000'000 + static_cast<int64_t>(i) * 10;
    c.time_s = c.log_time_ms / 1'000;
    s.records.push_back(c);
  }
  size_t committed = 0;
  for (size_t at = 0; at < records; at += 10) {
    require(e.apply(cut(s, at, std::min(records, at + 10), e.next_offset())));
    committed += e.dirty() ? 0 : 1;
  }
  return committed;
}

BOOST_AUTO_TEST_CASE(a_shard_that_keeps_up_commits_early_when_no_event_shares_a_row_with_another) {
  const shard_options o{.commit_records = 100'000};
  BOOST_TEST(early_commits(*open(make_memory_shard_store(), o), 2'000, [](size_t i) { return 1 + i; }) >= 80u);
  BOOST_TEST(early_commits(*open(make_memory_shard_store(), o), 2'000, [](size_t i) { return 1 + i % 5; }) == 0u);
}

BOOST_AUTO_TEST_CASE(ads_that_come_in_turn_are_not_committed_early_again_and_again) {
  const shard_options o{.commit_records = 100'000};
  BOOST_TEST(early_commits(*open(make_memory_shard_store(), o), 2'000, [](size_t i) { return 1 + i % 60; }) == 3u);
}

BOOST_AUTO_TEST_CASE(rows_beyond_the_cache_leave_memory_and_count_on) {
  rocks r;
  const shard_options tight{.commit_records = 100'000, .cache_bytes = 1 << 18}, wide{.commit_records = 100'000};
  auto ad_of = [](size_t i) { return 1 + i * 7 % 1'000; };
  auto small = open(r.open(), tight);
  auto large = open(make_memory_shard_store(), wide);
  early_commits(*small, 5'000, ad_of);
  early_commits(*large, 5'000, ad_of);
  require(small->commit());
  require(large->commit());
  BOOST_TEST(large->memory_bytes() > small->memory_bytes() + (1u << 20));
  BOOST_TEST(small->digest()->value == large->digest()->value);
}

BOOST_AUTO_TEST_CASE(an_ad_with_many_visitors_keeps_its_sketch_over_commits_evictions_and_restarts) {
  rocks r;
  random_stream s;
  s.controls.emplace_back();
  for (int64_t i = 0; i < 60'000; ++i) {
    shard_record c;
    if (i == 0) c.what = shard_record::kind::control;
    c.offset = i;
    c.ad_id = 1 + static_cast<uint64_t>(i % 7 == 0);
    c.id = {static_cast<uint64_t>(i) * 0x9E3779B97F4A7C15ull, static_cast<uint64_t>(i) * 0xD6E8FEB86659FD93ull};
    c.visitor = static_cast<uint64_t>(i / 2) * 0xD6E8FEB86659FD93ull;
    c.time_s = 1'700'000'000 + i / 100;
    c.log_time_ms = c.time_s * 1'000;
    s.records.push_back(c);
  }
  shard_options tight{.commit_records = 500, .cache_bytes = 1 << 16};
  auto e = open(r.open(), tight);
  random_stream head{{s.records.begin(), s.records.begin() + 31'000}, s.controls, s.names};
  feed(*e, head, 900, 1);
  e.reset();
  e = open(r.open(), tight);
  feed(*e, s, 900, 2);
  auto plain = open(make_memory_shard_store(), {});
  feed(*plain, s, 900, 3);
  analytics_query q;
  for (auto w : {time_window{}, time_window{1'700'000'007, 1'700'000'531}}) {
    q.window = w;
    auto a = (*e->view())->answer(q), b = (*plain->view())->answer(q);
    BOOST_REQUIRE(a.ok() && b.ok());
    BOOST_REQUIRE_EQUAL(a->rows.size(), 2u);
    for (size_t i = 0; i < 2; ++i) {
      BOOST_TEST(a->rows[i].unique_clicks == b->rows[i].unique_clicks);
      BOOST_TEST(a->rows[i].unique_error > 0);
      BOOST_TEST((a->rows[i].count == b->rows[i].count));
    }
  }
  BOOST_TEST(e->digest()->value == plain->digest()->value);
}

BOOST_AUTO_TEST_SUITE_END()
