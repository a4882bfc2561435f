#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <boost/test/unit_test.hpp>

#include "model/varint.hpp"
#include "tests/support/engine_fixture.hpp"

using namespace adtrack;
using namespace adtrack::storage;
using namespace adtrack::test;

namespace {

// A stream with an erasure in it, and the same as the log holds it once its records are rewritten.
struct erased_streams {
  random_stream as_it_came, rewritten;
  erasure what;
  int64_t offset = 0;
};

uint64_t most_frequent_visitor(const random_stream& s, size_t upto) {
  std::map<uint64_t, size_t> seen;
  for (size_t i = 1; i < upto; ++i)
    if (s.records[i].visitor != 0) ++seen[s.records[i].visitor];
  return std::max_element(seen.begin(), seen.end(), [](const auto& a, const auto& b) { return a.second < b.second; })->first;
}

erased_streams make_erased(uint64_t seed, const stream_options& o, size_t at) {
  erased_streams out;
  out.as_it_came = make_stream(seed, o);
  out.what.visitor = most_frequent_visitor(out.as_it_came, at);
  out.what.alias = alias_of(out.what.visitor, seed * 0x9E3779B97F4A7C15ull);
  auto& r = out.as_it_came.records[at];
  out.offset = r.offset;
  shard_record control_record;
  control_record.what = shard_record::kind::control;
  control_record.offset = r.offset;
  control_record.log_time_ms = r.log_time_ms;
  control_record.index = static_cast<uint32_t>(out.as_it_came.controls.size());
  r = control_record;
  out.as_it_came.controls.push_back(out.as_it_came.controls[0]);
  out.as_it_came.controls.back().erased = out.what;
  out.rewritten = out.as_it_came;
  out.rewritten.controls.back().erased.visitor = 0;
  for (size_t i = 0; i < at; ++i)
    if (out.rewritten.records[i].visitor == out.what.visitor) out.rewritten.records[i].visitor = out.what.alias;
  return out;
}

std::string bytes_of(uint64_t visitor) {
  std::string out;
  put_fixed64(out, visitor);
  return out;
}

// Files of the directory that hold the bytes.
size_t files_with(const std::filesystem::path& dir, const std::string& bytes) {
  size_t n = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(dir)) {
    if (!entry.is_regular_file()) continue;
    std::ifstream in(entry.path(), std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    n += text.find(bytes) != std::string::npos;
  }
  return n;
}

void check_equal(shard_engine& a, shard_engine& b, const shard_oracle& oracle) {
  BOOST_TEST(a.digest()->value == b.digest()->value);
  const auto marks = a.kept_digests(), others = b.kept_digests();
  BOOST_REQUIRE_EQUAL(marks.size(), others.size());
  for (size_t i = 0; i < marks.size(); ++i) BOOST_TEST(marks[i].value == others[i].value, "at " << marks[i].offset);
  const auto rows = oracle.rows({}, {});
  for (auto* e : {&a, &b}) {
    for (auto by : {group_dimension::none, group_dimension::browser}) {
      analytics_query q;
      q.limit = 10'000;
      q.by = by;
      auto view = e->view({}, by != group_dimension::none);
      BOOST_REQUIRE(view.ok());
      auto got = (*view)->answer(q);
      BOOST_REQUIRE(got.ok());
      const auto groups = oracle.groups(by, {}, {});
      for (const auto& row : got->rows) {
        const auto& wanted = by == group_dimension::none ? rows.at(row.ad_id) : groups.at({row.ad_id, row.group});
        BOOST_TEST(row.count[metric::valid_clicks] == wanted.count[metric::valid_clicks]);
        const auto visitors = static_cast<double>(wanted.visitors.size());
        BOOST_TEST(std::abs(row.unique_clicks - visitors) <= 4 * row.unique_error * visitors);
      }
    }
  }
}

} // namespace

BOOST_AUTO_TEST_SUITE(shard_erasure)

// Uniques stay, and who replays the log after it was rewritten comes to the same state, at every digest's mark.
BOOST_AUTO_TEST_CASE(an_erased_visitor_is_another_one_as_if_it_had_always_been) {
  for (uint64_t visitors : {40u, 4'000u}) { // sets only; sketches too
    stream_options o;
    o.records = 150'000;
    o.ads = 4;
    o.step_ms_max = 200;
    o.visitors = visitors;
    o.again = 0.2;
    const auto s = make_erased(visitors, o, 100'000);
    shard_oracle oracle;
    auto replayed = open(make_memory_shard_store(), {.commit_records = 7'000});
    feed(*replayed, s.rewritten, 900, 1, &oracle);
    auto at_once = open(make_memory_shard_store(), {.commit_records = 30'000});
    feed(*at_once, s.as_it_came, 40'000, 2);
    check_equal(*at_once, *replayed, oracle);
    rocks r;
    std::unique_ptr<shard_engine> live;
    for (size_t stop : {60'000u, 99'990u, 100'003u, 150'000u}) {
      live.reset(); // what was not committed comes again
      live = open(r.open(), {.commit_records = 3'000, .cache_bytes = 1 << 20});
      random_stream head{{s.as_it_came.records.begin(), s.as_it_came.records.begin() + static_cast<long>(stop)},
                         s.as_it_came.controls,
                         s.as_it_came.names};
      feed(*live, head, 500, stop);
    }
    check_equal(*live, *replayed, oracle);
    BOOST_TEST(oracle.rows({}, {}).begin()->second.visitors.count(s.what.alias) == 1u);
    BOOST_TEST(oracle.rows({}, {}).begin()->second.visitors.count(s.what.visitor) == 1u); // a new visitor since
  }
}

BOOST_AUTO_TEST_CASE(what_comes_after_it_is_a_new_visitors_and_no_repeat) {
  for (bool erased : {false, true}) {
    auto e = open(make_memory_shard_store(), {});
    record_batch batch;
    batch.controls = {{}, {}};
    if (erased) batch.controls[1].erased = {77, alias_of(77, 5)};
    for (int64_t offset = 0; offset < 4; ++offset) {
      shard_record one;
      one.offset = offset;
      one.log_time_ms = 1'700'000'000'000 + offset;
      if (offset % 2 == 0) {
        one.what = shard_record::kind::control;
        one.index = static_cast<uint32_t>(offset / 2);
      } else {
        one.ad_id = 1;
        one.visitor = 77;
        one.id = {static_cast<uint64_t>(offset), 1};
        one.time_s = 1'700'000'000;
      }
      batch.records.push_back(one);
    }
    batch.next_offset = 4;
    require(e->apply(batch));
    BOOST_TEST(e->fates()[static_cast<size_t>(event_type::click)].invalid[static_cast<size_t>(invalid_reason::repeat)] ==
               (erased ? 0u : 1u));
  }
}

BOOST_AUTO_TEST_CASE(an_erasure_is_pending_over_restarts_until_nothing_knows_the_visitor) {
  stream_options o;
  o.records = 30'000;
  o.ads = 5;
  o.visitors = 60;
  auto s = make_erased(9, o, 20'000);
  auto records = s.as_it_came.records; // no more of it after the erasure
  for (size_t i = 20'001; i < records.size(); ++i)
    if (records[i].visitor == s.what.visitor) records[i].visitor = 12'345;
  s.as_it_came.records = records;
  rocks r;
  const auto reopened = [&] {
    auto e = open(r.open(), {.commit_records = 1'000});
    return e;
  };
  auto e = reopened();
  feed(*e, s.as_it_came, 700, 3);
  require(e->sync());
  const auto before = e->digest()->value;
  BOOST_REQUIRE_EQUAL(e->erasures().size(), 1u);
  BOOST_TEST(e->erasures()[0].offset == s.offset);
  BOOST_TEST((e->erasures()[0].what == s.what));
  BOOST_TEST(files_with(r.dir.path(), bytes_of(s.what.visitor)) > 0u);
  e.reset();
  e = reopened();
  BOOST_REQUIRE_EQUAL(e->erasures().size(), 1u);
  require(e->log_erased(s.offset));
  require(e->sync());
  e.reset();
  e = reopened();
  BOOST_REQUIRE_EQUAL(e->erasures().size(), 1u);
  BOOST_TEST((e->erasures()[0].what == erasure{0, s.what.alias}));
  require(e->purge());
  BOOST_TEST(files_with(r.dir.path(), bytes_of(s.what.visitor)) == 0u);
  BOOST_TEST(files_with(r.dir.path(), bytes_of(s.what.alias)) > 0u);
  require(e->purged(s.offset));
  require(e->sync());
  e.reset();
  e = reopened();
  BOOST_TEST(e->erasures().empty());
  BOOST_TEST(e->digest()->value == before);
}

BOOST_AUTO_TEST_SUITE_END()
