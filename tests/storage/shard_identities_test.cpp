#include "storage/shard_identities.hpp"

#include <map>
#include <random>

#include <boost/test/unit_test.hpp>

#include "storage/rocksdb_shard_store.hpp"
#include "tests/support/scratch_dir.hpp"

using namespace adtrack;
using namespace adtrack::storage;

namespace {

identity_row row(uint64_t n, uint32_t segment, int64_t offset) {
  // Few high words, so that equal ones meet at the edges of chunks.
  return {{n % 97, n * 0x9E3779B97F4A7C15ull}, offset, static_cast<uint32_t>(offset), static_cast<uint32_t>(n), segment, 0};
}

void commit(shard_store& store, shard_identities& ids, int64_t offset, uint32_t horizon) {
  auto batch = store.new_batch();
  auto why = ids.stage(*batch, offset, horizon);
  BOOST_REQUIRE_MESSAGE(why.ok(), why.message);
  BOOST_REQUIRE(store.write(*batch).ok());
  ids.settled();
}

// What must be known: the live row of each identity.
struct plain {
  std::map<uint64_t, identity_row> rows;
  bool live(uint64_t n, uint32_t horizon) const {
    auto it = rows.find(n);
    return it != rows.end() && it->second.segment >= horizon;
  }
};

void check(const shard_identities& ids, const plain& known, uint64_t n, uint32_t horizon) {
  identity_row found;
  auto got = ids.find(row(n, 0, 0).id, horizon, found);
  BOOST_REQUIRE_EQUAL(got.ok(), known.live(n, horizon));
  if (!got.ok()) {
    BOOST_REQUIRE((got.code == errc::not_found));
    return;
  }
  const auto& want = known.rows.at(n);
  BOOST_REQUIRE_EQUAL(found.offset, want.offset);
  BOOST_REQUIRE_EQUAL(found.segment, want.segment);
  BOOST_REQUIRE_EQUAL(found.fields_hash, want.fields_hash);
}

} // namespace

BOOST_AUTO_TEST_SUITE(shard_identities_suite)

BOOST_AUTO_TEST_CASE(a_packed_row_comes_back) {
  identity_row r{{1, ~0ull}, int64_t{1} << 40, 4'000'000'000u, 7, 500'000, 3};
  std::string bytes;
  pack(r, bytes);
  BOOST_TEST(bytes.size() == identity_row_bytes);
  auto back = unpack(bytes.data());
  BOOST_TEST((back.id == r.id));
  BOOST_TEST(back.offset == r.offset);
  BOOST_TEST(back.time_s == r.time_s);
  BOOST_TEST(back.fields_hash == r.fields_hash);
  BOOST_TEST(back.segment == r.segment);
  BOOST_TEST(back.fate == r.fate);
}

BOOST_AUTO_TEST_CASE(the_filter_never_misses_and_seldom_errs) {
  constexpr uint64_t n = 100'000;
  identity_filter filter(n);
  std::mt19937_64 rng(1);
  std::vector<identity> in;
  for (uint64_t i = 0; i < n; ++i) in.push_back({rng(), rng()});
  for (const auto& id : in) filter.add(id);
  for (const auto& id : in) BOOST_REQUIRE(filter.may_hold(id));
  int wrong = 0;
  for (uint64_t i = 0; i < n; ++i) wrong += filter.may_hold({rng(), rng()});
  BOOST_TEST(wrong < 1'000); // 1 %; 0.2 % expected
  identity_filter copy;
  for (size_t p = 0; !filter.part(p).empty(); ++p) copy.append_part(filter.part(p));
  for (const auto& id : in) BOOST_REQUIRE(copy.may_hold(id));
}

BOOST_AUTO_TEST_CASE(what_was_seen_is_found_until_its_hour_has_passed_over_seals_merges_and_restarts) {
  for (bool in_background : {false, true}) {
    test::scratch_dir dir;
    auto budget = std::make_shared<shard_store_budget>(8 << 20, 8 << 20);
    auto worker = in_background ? std::make_shared<background>() : nullptr;
    constexpr uint32_t window_h = 48;
    std::mt19937_64 rng(5);
    plain known;
    uint64_t next = 0;
    int64_t offset = 0;
    uint32_t segment = 1'000;
    uint64_t next_run = 1;
    size_t most_runs = 0;
    for (int life = 0; life < 4; ++life) {
      auto opened = open_rocksdb_shard_store({dir.path() + "/s", budget, nullptr});
      BOOST_REQUIRE_MESSAGE(opened.ok(), opened.why.message);
      auto& store = **opened;
      shard_identities ids(store, 1, worker); // the least memory: sealed at 1,024 rows, no filter fits
      BOOST_REQUIRE(ids.load(next_run).ok());
      for (int group = 0; group < 60; ++group) {
        segment += static_cast<uint32_t>(rng() % 3);
        uint32_t horizon = segment - window_h;
        for (int i = 0; i < 300; ++i) {
          uint64_t n = rng() % 3 ? next++ : rng() % (next + 1);
          check(ids, known, n, horizon);
          if (known.live(n, horizon)) continue;
          known.rows[n] = row(n, segment, offset++);
          ids.insert(known.rows[n]);
        }
        commit(store, ids, offset, horizon);
        next_run = ids.next_run();
        most_runs = std::max(most_runs, ids.runs());
      }
      for (uint64_t n = 0; n < next; n += 1 + rng() % 5) check(ids, known, n, segment - window_h);
    }
    BOOST_TEST(most_runs > 2u);
    BOOST_TEST(most_runs < 30u);
  }
}

BOOST_AUTO_TEST_CASE(runs_that_have_expired_leave_the_store) {
  auto store = make_memory_shard_store();
  shard_identities ids(*store, 1, nullptr);
  BOOST_REQUIRE(ids.load(1).ok());
  uint64_t n = 0;
  for (uint32_t segment = 0; segment < 400; ++segment) {
    for (int i = 0; i < 200; ++i, ++n) ids.insert(row(n, segment, static_cast<int64_t>(n)));
    commit(*store, ids, static_cast<int64_t>(n), segment > 24 ? segment - 24 : 0);
  }
  BOOST_TEST(ids.size() < 200u * 100u);
  size_t chunks = 0;
  auto why = store->scan("C", "D", [&](auto, auto) { return ++chunks > 0; });
  BOOST_TEST(why.ok());
  BOOST_TEST(chunks * identity_run::chunk_rows < size_t{200} * 100 + 64 * identity_run::chunk_rows);
}

BOOST_AUTO_TEST_CASE(chunks_of_a_seal_that_was_cut_short_are_cleaned_away) {
  auto store = make_memory_shard_store();
  run_writer orphan(*store, 7, 10);
  for (uint64_t i = 0; i < 10; ++i) BOOST_REQUIRE(orphan.add({{i, i}, 0, 0, 0, 5, 0}).ok());
  BOOST_REQUIRE(orphan.finish().ok());
  shard_identities ids(*store, 1, nullptr);
  BOOST_REQUIRE(ids.load(9).ok());
  identity_row found;
  BOOST_TEST((ids.find({3, 3}, 0, found).code == errc::not_found));
  bool any = false;
  BOOST_REQUIRE(store->scan("C", "G", [&](auto, auto) { return any = true; }).ok());
  BOOST_TEST(!any);
}

BOOST_AUTO_TEST_SUITE_END()
