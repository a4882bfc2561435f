#include "model/window_cover.hpp"

#include <random>

#include <boost/test/unit_test.hpp>

using namespace adtrack;

namespace {

// The pieces in order, disjoint, together the window, each made of whole buckets.
void check_cover(const time_window& w) {
  int64_t at = std::max<int64_t>(0, w.since_s), end = std::min(w.until_s, cover_end_s);
  auto pieces = cover(w);
  BOOST_TEST(pieces.size() <= 9u);
  for (const auto& p : pieces) {
    BOOST_TEST(p.from_s == at);
    BOOST_TEST(p.to_s > p.from_s);
    BOOST_TEST(p.from_s % p.bucket_s == 0);
    BOOST_TEST(p.to_s % p.bucket_s == 0);
    if (p.bucket_s == 1) BOOST_TEST((p.from_s / 60 == (p.to_s - 1) / 60));
    at = p.to_s;
  }
  BOOST_TEST(at == std::max(end, std::max<int64_t>(0, w.since_s)));
}

} // namespace

BOOST_AUTO_TEST_SUITE(window_cover)

BOOST_AUTO_TEST_CASE(whole_days_are_one_piece) {
  std::vector<cover_piece> expected{{86'400, 86'400, 259'200}};
  BOOST_TEST((cover({86'400, 259'200}) == expected));
}

BOOST_AUTO_TEST_CASE(an_open_window_is_all_days) {
  std::vector<cover_piece> expected{{86'400, 0, cover_end_s}};
  BOOST_TEST((cover({}) == expected));
}

BOOST_AUTO_TEST_CASE(an_empty_window_has_no_pieces) { BOOST_TEST(cover({500, 500}).empty()); }

BOOST_AUTO_TEST_CASE(a_second_within_a_minute_is_one_piece) {
  std::vector<cover_piece> expected{{1, 61, 62}};
  BOOST_TEST((cover({61, 62}) == expected));
}

BOOST_AUTO_TEST_CASE(hours_around_a_midnight_are_one_piece_and_seconds_around_a_minute_are_two) {
  std::vector<cover_piece> hours{{3'600, 82'800, 90'000}}, seconds{{1, 59, 60}, {1, 60, 61}};
  BOOST_TEST((cover({82'800, 90'000}) == hours));
  BOOST_TEST((cover({59, 61}) == seconds));
}

BOOST_AUTO_TEST_CASE(every_window_is_covered_exactly_once) {
  std::mt19937_64 rng(7);
  for (int i = 0; i < 20'000; ++i) {
    int64_t a = 1'700'000'000 + static_cast<int64_t>(rng() % 400'000),
            b = a + 1 + static_cast<int64_t>(rng() % (1ull << (rng() % 20)));
    check_cover({a, b});
    check_cover({time_window::unbounded_since, b});
    check_cover({a, time_window::unbounded_until});
  }
}

BOOST_AUTO_TEST_SUITE_END()
