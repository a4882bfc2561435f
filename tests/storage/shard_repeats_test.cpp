#include "storage/shard_repeats.hpp"

#include <map>
#include <random>

#include <boost/test/unit_test.hpp>

#include "storage/shard_keys.hpp"

using namespace adtrack;
using namespace adtrack::storage;

namespace {

constexpr int64_t noon_s = 1'753'185'600;
constexpr int64_t hour_s = 3'600;

struct with_repeats {
  std::unique_ptr<shard_store> store = make_memory_shard_store();
  std::unique_ptr<shard_repeats> repeats = std::make_unique<shard_repeats>(*store);
  int64_t offset = 0;

  bool click(int64_t time_s, int64_t clock_s, uint64_t visitor = 7, uint64_t ad = 1) {
    return repeats->is_repeat(ad, visitor, time_s, 2, clock_s * 1'000 + 999);
  }
  void commit(int64_t clock_s) {
    auto batch = store->new_batch();
    repeats->stage(*batch, ++offset, clock_s * 1'000);
    BOOST_REQUIRE(store->write(*batch).ok());
  }
  void reopen(int64_t clock_s) {
    repeats = std::make_unique<shard_repeats>(*store);
    auto loaded = repeats->load(clock_s * 1'000);
    BOOST_REQUIRE_MESSAGE(loaded.ok(), loaded.message);
  }
  size_t blobs() {
    size_t n = 0;
    BOOST_REQUIRE(store->scan(keys::clicks(0), keys::clicks(-1), [&](auto, auto) { return ++n > 0; }).ok());
    return n;
  }
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(shard_repeats_test, with_repeats)

BOOST_AUTO_TEST_CASE(a_click_is_a_repeat_from_the_latest_valid_one_until_the_time_has_passed) {
  BOOST_TEST(!click(noon_s, noon_s));
  BOOST_TEST(click(noon_s, noon_s));
  BOOST_TEST(click(noon_s + 1, noon_s));
  BOOST_TEST(!click(noon_s + 2, noon_s)); // counted from the valid one, not from its repeats
  BOOST_TEST(click(noon_s + 3, noon_s));
  BOOST_TEST(!click(noon_s + 100, noon_s));
}

BOOST_AUTO_TEST_CASE(an_earlier_click_is_valid_and_leaves_the_latest_as_it_is) {
  BOOST_TEST(!click(noon_s, noon_s));
  BOOST_TEST(!click(noon_s - 1, noon_s));
  BOOST_TEST(!click(noon_s - 1, noon_s));
  BOOST_TEST(click(noon_s + 1, noon_s));
}

BOOST_AUTO_TEST_CASE(other_visitors_and_other_ads_have_their_own) {
  BOOST_TEST(!click(noon_s, noon_s, 1, 1));
  BOOST_TEST(!click(noon_s, noon_s, 2, 1));
  BOOST_TEST(!click(noon_s, noon_s, 1, 2));
  BOOST_TEST(!click(noon_s, noon_s, 2, 2));
  BOOST_TEST(click(noon_s, noon_s, 2, 2));
}

BOOST_AUTO_TEST_CASE(an_hour_of_the_clock_after_it_came_it_is_forgotten_whatever_its_own_time) {
  BOOST_TEST(!click(noon_s, noon_s));
  BOOST_TEST(click(noon_s + 1, noon_s + hour_s - 1));
  BOOST_TEST(!click(noon_s + 1, noon_s + hour_s));
  BOOST_TEST(!click(noon_s, noon_s + hour_s)); // an earlier one now
  BOOST_TEST(click(noon_s + 2, noon_s + hour_s + hour_s - 1));
}

BOOST_AUTO_TEST_CASE(a_restart_knows_what_was_committed) {
  BOOST_TEST(!click(noon_s, noon_s));
  commit(noon_s);
  BOOST_TEST(!click(noon_s + 5, noon_s + 10));
  commit(noon_s + 10);
  reopen(noon_s + 20);
  BOOST_TEST(click(noon_s + 6, noon_s + 20));
  BOOST_TEST(!click(noon_s + 4, noon_s + 20)); // the later blob's is the latest
  reopen(noon_s + 10 + hour_s);
  BOOST_TEST(repeats->size() == 0u);
}

BOOST_AUTO_TEST_CASE(what_the_clock_has_passed_leaves_the_store_and_the_memory) {
  for (uint64_t visitor = 0; visitor < 3'000; ++visitor) {
    click(noon_s, noon_s + static_cast<int64_t>(visitor), visitor);
    if (visitor % 100 == 99) commit(noon_s + static_cast<int64_t>(visitor));
  }
  BOOST_TEST(blobs() == 30u);
  BOOST_TEST(repeats->size() == 3'000u);
  const int64_t later = noon_s + hour_s + 1'999; // the first two thousand
  for (uint64_t visitor = 10'000; visitor < 12'000; ++visitor) click(noon_s, later, visitor);
  commit(later);
  BOOST_TEST(blobs() == 11u);
  commit(later);
  BOOST_TEST(repeats->size() == 3'000u);
}

BOOST_AUTO_TEST_CASE(many_small_commits_become_one_blob_and_lose_nothing) {
  int64_t now = noon_s;
  for (uint64_t visitor = 0; visitor < 4'200; ++visitor) {
    click(noon_s, now, visitor);
    commit(now);
    now += visitor % 3 == 0;
  }
  BOOST_TEST(blobs() < 200u);
  // The first came first and are the first to go, also out of the blob that holds them all.
  reopen(noon_s + hour_s);
  BOOST_TEST(!click(noon_s + 1, noon_s + hour_s, 0));
  BOOST_TEST(click(noon_s + 1, noon_s + hour_s, 4));
  BOOST_TEST(click(noon_s + 1, noon_s + hour_s, 4'199));
  commit(noon_s + hour_s);
  reopen(noon_s + hour_s);
  BOOST_TEST(click(noon_s + 1, noon_s + hour_s, 4'199));
}

BOOST_AUTO_TEST_CASE(when_it_commits_forgets_and_restarts_decides_nothing) {
  struct one {
    int64_t time_s, clock_s;
    uint64_t visitor, ad;
  };
  std::mt19937_64 rng(20'260'101);
  std::vector<one> clicks;
  int64_t clock = noon_s;
  for (int i = 0; i < 60'000; ++i) {
    clock += rng() % 3 == 0;
    clicks.push_back({clock - static_cast<int64_t>(rng() % 6), clock, rng() % 2 ? rng() % 10 : rng() % 2'000, 1 + rng() % 2});
  }
  std::vector<bool> plain;
  size_t repeated = 0;
  for (const auto& c : clicks) {
    plain.push_back(click(c.time_s, c.clock_s, c.visitor, c.ad));
    repeated += plain.back() ? 1 : 0;
  }
  BOOST_TEST(repeated > 1'000u);
  with_repeats other;
  for (size_t i = 0; i < clicks.size(); ++i) {
    const auto& c = clicks[i];
    BOOST_REQUIRE_EQUAL(other.click(c.time_s, c.clock_s, c.visitor, c.ad), plain[i]);
    const auto what = rng() % 1'000;
    if (what < 100) other.commit(c.clock_s);
    if (what == 0) other.reopen(c.clock_s);
  }
}

BOOST_AUTO_TEST_CASE(a_broken_blob_is_told) {
  auto batch = store->new_batch();
  batch->put(keys::clicks(5), "0123456789abcdefX");
  BOOST_REQUIRE(store->write(*batch).ok());
  BOOST_TEST(shard_repeats(*store).load(noon_s * 1'000).message == "the clicks before offset 5 do not decode");
}

BOOST_AUTO_TEST_SUITE_END()
