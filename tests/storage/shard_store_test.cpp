// One suite for every shard store.
#include "storage/shard_store.hpp"

#include <set>

#include <boost/mpl/list.hpp>
#include <boost/test/unit_test.hpp>

#include "storage/rocksdb_shard_store.hpp"
#include "storage/row_value.hpp"
#include "storage/shard_keys.hpp"
#include "tests/support/scratch_dir.hpp"
#include "tests/support/seeded.hpp"

using namespace adtrack;
using namespace adtrack::storage;

namespace {

struct memory_fixture {
  std::unique_ptr<shard_store> store = make_memory_shard_store();
};

struct rocksdb_fixture {
  test::scratch_dir dir;
  std::shared_ptr<shard_store_budget> budget = std::make_shared<shard_store_budget>(8 << 20, 8 << 20);
  std::unique_ptr<shard_store> store;
  rocksdb_fixture() { open(); }
  void open() {
    store.reset();
    auto opened = open_rocksdb_shard_store({dir.path() + "/store", budget, nullptr});
    BOOST_REQUIRE_MESSAGE(opened.ok(), opened.why.message);
    store = std::move(*opened);
  }
};

using fixtures = boost::mpl::list<memory_fixture, rocksdb_fixture>;

std::string row_with(uint64_t clicks, std::initializer_list<uint64_t> members, uint8_t merges = 0) {
  bucket_row row;
  row.count[metric::valid_clicks] = clicks;
  for (auto m : members) row.clickers.add(m);
  std::string out;
  encode(row, row.clickers, merges, out);
  return out;
}

void write(shard_store& store, const std::function<void(store_batch&)>& fill) {
  auto batch = store.new_batch();
  fill(*batch);
  auto why = store.write(*batch);
  BOOST_REQUIRE_MESSAGE(why.ok(), why.message);
}

std::vector<std::string> keys_between(const store_reader& store, std::string_view from, std::string_view to) {
  std::vector<std::string> out;
  auto why = store.scan(from, to, [&](std::string_view key, std::string_view) {
    out.emplace_back(key);
    return true;
  });
  BOOST_REQUIRE(why.ok());
  return out;
}

} // namespace

BOOST_AUTO_TEST_SUITE(shard_store_suite)

BOOST_AUTO_TEST_CASE_TEMPLATE(a_batch_is_read_back, F, fixtures) {
  F f;
  write(*f.store, [](store_batch& b) {
    b.put("a", "1");
    b.put("b", std::string("\0x", 2));
    b.erase("a");
    BOOST_TEST(b.bytes() > 0u);
  });
  BOOST_TEST((f.store->get("a").why.code == errc::not_found));
  BOOST_TEST(*f.store->get("b") == std::string("\0x", 2));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(an_empty_batch_has_no_bytes_and_changes_nothing, F, fixtures) {
  F f;
  write(*f.store, [](store_batch& b) { BOOST_TEST(b.bytes() == 0u); });
  BOOST_TEST(keys_between(*f.store, "", "\xff").empty());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_scan_is_half_open_in_key_order_and_stops_when_told, F, fixtures) {
  F f;
  write(*f.store, [](store_batch& b) {
    for (auto k : {"d", "b", "a", "c"}) b.put(k, k);
  });
  BOOST_TEST((keys_between(*f.store, "b", "d") == std::vector<std::string>{"b", "c"}));
  int seen = 0;
  auto why = f.store->scan("a", "z", [&](auto, auto) { return ++seen < 2; });
  BOOST_TEST(why.ok());
  BOOST_TEST(seen == 2);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(scans_of_a_snapshot_are_the_same_whatever_was_scanned_before_or_is_being_scanned, F, fixtures) {
  F f;
  auto random = test::seeded();
  std::set<std::string> all;
  const auto some_key = [&] { return std::to_string(1'000 + random() % 500); };
  write(*f.store, [&](store_batch& b) {
    for (int i = 0; i < 200; ++i) b.put(*all.insert(some_key()).first, "x");
  });
  const auto snapshot = f.store->snapshot();
  const auto expected = [&](const std::string& from, const std::string& to, size_t most) {
    std::vector<std::string> out;
    for (auto it = all.lower_bound(from); it != all.end() && *it < to && out.size() < most; ++it) out.push_back(*it);
    return out;
  };
  std::string ended;
  for (int i = 0; i < 3'000; ++i) {
    // Mostly going on from where the one before ended.
    std::string from = random() % 4 == 0 || ended.empty() ? some_key() : ended, to = some_key(), inner = some_key();
    if (to < from) std::swap(from, to);
    const size_t most = random() % 3 == 0 ? 1 + random() % 3 : 1'000;
    const bool nested = random() % 5 == 0;
    std::vector<std::string> seen;
    BOOST_REQUIRE(snapshot
                      ->scan(from, to,
                             [&](std::string_view key, std::string_view) {
                               seen.emplace_back(key);
                               if (nested) BOOST_REQUIRE((keys_between(*snapshot, inner, "2") == expected(inner, "2", 1'000)));
                               return seen.size() < most;
                             })
                      .ok());
    BOOST_REQUIRE((seen == expected(from, to, most)));
    ended = to;
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_range_goes_at_once_and_what_is_put_after_it_stays, F, fixtures) {
  F f;
  write(*f.store, [](store_batch& b) {
    for (auto k : {"a", "b", "c", "d"}) b.put(k, k);
  });
  write(*f.store, [](store_batch& b) {
    b.erase_range("b", "d");
    b.put("c", "new");
  });
  BOOST_TEST((keys_between(*f.store, "", "z") == std::vector<std::string>{"a", "c", "d"}));
  BOOST_TEST(*f.store->get("c") == "new");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(rows_merge_to_the_newest_numbers_and_the_union_of_visitors, F, fixtures) {
  F f;
  auto key = keys::bucket({7, bucket_level::day, 86'400});
  write(*f.store, [&](store_batch& b) { b.merge(key, row_with(2, {1, 2})); });
  write(*f.store, [&](store_batch& b) { b.merge(key, row_with(3, {2, 3}, 1)); });
  write(*f.store, [&](store_batch& b) { b.merge(key, row_with(5, {4}, 2)); });
  BOOST_TEST(*f.store->get(key) == row_with(5, {1, 2, 3, 4}, 2));
  write(*f.store, [&](store_batch& b) { b.put(key, row_with(6, {9})); });
  BOOST_TEST(*f.store->get(key) == row_with(6, {9}));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(rows_of_groups_merge_cell_by_cell, F, fixtures) {
  F f;
  const auto key = keys::bucket({7, bucket_level::hour_groups, 3'600});
  bucket_row row;
  const auto count = [&](std::string_view name, uint64_t visitor) {
    auto& cells = row.groups.cells;
    group_visit visit{visitor};
    for (auto d : {group_dimension::device, group_dimension::browser, group_dimension::os, group_dimension::country}) {
      const auto at = cell_of(cells, d, d == group_dimension::os ? name : "any");
      ++cells[at].count[metric::valid_clicks];
      cells[at].changed = true;
      visit.set_cell(d, at);
    }
    row.groups.visitors.add_all({&visit, 1}, cells);
    row.groups.added.add_all({&visit, 1}, cells);
    row.written_ms += 10;
  };
  const auto staged = [&](bool whole, uint8_t merges) {
    std::string value;
    if (whole)
      encode(row, row.clickers, merges, value);
    else
      encode_added(row, merges, value);
    for (auto& cell : row.groups.cells) cell.changed = false;
    row.groups.added = {};
    return value;
  };
  count("iOS", 1);
  write(*f.store, [&](store_batch& b) { b.put(key, staged(true, 0)); });
  count("iOS", 2);
  count("Linux", 1);
  write(*f.store, [&](store_batch& b) { b.merge(key, staged(false, 1)); });
  count("Linux", 3);
  write(*f.store, [&](store_batch& b) { b.merge(key, staged(false, 2)); });
  BOOST_TEST(*f.store->get(key) == staged(true, 2));
}

BOOST_AUTO_TEST_CASE(merging_rows_is_associative_and_refuses_what_does_not_decode) {
  auto a = row_with(1, {1}), b = row_with(2, {2}, 1), c = row_with(3, {3}, 2);
  std::string ab, ab_c, bc, a_bc;
  BOOST_TEST((merge_rows(a, b, ab) && merge_rows(ab, c, ab_c) && merge_rows(b, c, bc) && merge_rows(a, bc, a_bc)));
  BOOST_TEST(ab_c == a_bc);
  std::string out;
  BOOST_TEST(!merge_rows(a, "x", out));
  BOOST_TEST(!merge_rows("x", a, out));
}

BOOST_AUTO_TEST_CASE(when_a_row_was_written_is_read_without_the_rest) {
  bucket_row row;
  for (int64_t at : {int64_t{0}, int64_t{127}, int64_t{1'700'000'000'123}}) {
    row.written_ms = at;
    std::string value;
    encode(row, row.clickers, 3, value);
    BOOST_TEST(written_ms_of(value) == at);
    for (size_t cut = 0; cut < 3; ++cut) BOOST_TEST(written_ms_of(value.substr(0, cut)) == -1);
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_snapshot_stays_as_it_was, F, fixtures) {
  F f;
  write(*f.store, [](store_batch& b) { b.put("a", "old"); });
  auto frozen = f.store->snapshot();
  write(*f.store, [](store_batch& b) {
    b.put("a", "new");
    b.put("b", "new");
  });
  BOOST_TEST(*frozen->get("a") == "old");
  BOOST_TEST((keys_between(*frozen, "", "z") == std::vector<std::string>{"a"}));
}

BOOST_AUTO_TEST_CASE(what_was_written_is_there_after_a_reopen) {
  rocksdb_fixture f;
  write(*f.store, [](store_batch& b) { b.put("logged", "1"); });
  f.open();
  BOOST_TEST(f.store->get("logged").ok());
}

BOOST_AUTO_TEST_CASE(one_store_is_not_opened_twice) {
  rocksdb_fixture f;
  auto again = open_rocksdb_shard_store({f.dir.path() + "/store", f.budget, nullptr});
  BOOST_TEST(!again.ok());
  BOOST_TEST((again.why.code == errc::locked));
}

BOOST_AUTO_TEST_SUITE_END()
