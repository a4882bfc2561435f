#include "http/rate_limit.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <thread>
#include <vector>

using namespace adtrack;
using namespace adtrack::http;

namespace {

constexpr int64_t second = 1'000'000'000;
constexpr int64_t begin = 1'000 * second; // as a steady clock may begin anywhere

ip_address v4(uint32_t n) {
  ip_address a;
  a.kind = ip_address::family::v4;
  for (int i = 0; i < 4; ++i) a.bytes[static_cast<size_t>(i)] = static_cast<uint8_t>(n >> (24 - 8 * i));
  return a;
}

} // namespace

BOOST_AUTO_TEST_SUITE(http_rate_limit)

BOOST_AUTO_TEST_CASE(a_burst_is_given_at_once_and_then_the_rate) {
  token_bucket b;
  rate r{10, 5};
  for (int i = 0; i < 5; ++i) BOOST_TEST(b.take(1, begin, r) == 0);
  BOOST_TEST(b.take(1, begin, r) == second / 10);
  BOOST_TEST(b.take(1, begin + second / 10 - 1, r) == 1);
  BOOST_TEST(b.take(1, begin + second / 10, r) == 0); // exactly what it said
  BOOST_TEST(b.take(2, begin + second / 10, r) == second / 5);
  for (int i = 0; i < 5; ++i) BOOST_TEST(b.take(1, begin + 10 * second, r) == 0); // never more than the burst
  BOOST_TEST(b.take(1, begin + 10 * second, r) > 0);
}

BOOST_AUTO_TEST_CASE(without_a_burst_a_second_s_worth_is_given_at_once) {
  token_bucket b;
  BOOST_TEST(b.take(7, begin, {7, 0}) == 0);
  BOOST_TEST(b.take(1, begin, {7, 0}) > 0);
}

BOOST_AUTO_TEST_CASE(what_was_refused_costs_nothing) {
  token_bucket b;
  rate r{1, 1};
  BOOST_TEST(b.take(1, begin, r) == 0);
  for (int i = 0; i < 1'000; ++i) BOOST_TEST(b.take(1, begin + i, r) == second - i);
  BOOST_TEST(b.take(1, begin + second, r) == 0);
}

BOOST_AUTO_TEST_CASE(more_than_the_burst_is_given_when_the_bucket_is_full_and_paid_for_after) {
  token_bucket b;
  rate r{10, 5};
  BOOST_TEST(b.take(1, begin, r) == 0);
  BOOST_TEST(b.take(100, begin, r) == second / 10); // until it is full
  BOOST_TEST(b.take(100, begin + second / 10, r) == 0);
  BOOST_TEST(b.take(1, begin + second / 10, r) == 10 * second - 5 * second / 10 + second / 10);
}

BOOST_AUTO_TEST_CASE(the_highest_rates_do_not_overflow) {
  token_bucket b;
  rate r{1'000'000, 1'000'000'000};
  BOOST_TEST(b.take(1'000'000'000, begin, r) == 0);
  BOOST_TEST(b.take(1, begin, r) == 1'000);
  token_bucket slow;
  BOOST_TEST(slow.take(1'000'000'000, begin, {1, 1'000'000'000}) == 0);
  BOOST_TEST(slow.take(1, begin, {1, 1'000'000'000}) == second);
}

BOOST_AUTO_TEST_CASE(many_threads_take_no_more_than_there_is) {
  token_bucket b;
  rate r{1, 10'000};
  std::atomic<int> got{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 5'000; ++i) got += b.take(1, begin, r) == 0 ? 1 : 0;
    });
  for (auto& t : threads) t.join();
  BOOST_TEST(got == 10'000);
}

BOOST_AUTO_TEST_CASE(addresses_have_buckets_of_their_own_and_ipv6_shares_a_64) {
  address_buckets table(1'000, 42);
  rate r{1, 1};
  auto take = [&](std::string_view text) { return table.take(parse_ip_address(text), 1, begin, r) == 0; };
  BOOST_TEST(take("192.0.2.1"));
  BOOST_TEST(!take("192.0.2.1"));
  BOOST_TEST(!take("::ffff:192.0.2.1")); // the same address
  BOOST_TEST(take("192.0.2.2"));
  BOOST_TEST(take("2001:db8:0:1::1"));
  BOOST_TEST(!take("2001:db8:0:1:ffff:ffff:ffff:ffff"));
  BOOST_TEST(take("2001:db8:0:2::1"));
  BOOST_TEST(take("c000:0201::")); // begins with the bytes of 192.0.2.1
}

BOOST_AUTO_TEST_CASE(a_flood_of_addresses_neither_slows_others_nor_frees_the_one_that_owes_most) {
  address_buckets table(1'024, 7);
  rate r{1, 100};
  auto abuser = v4(1), quiet = v4(2);
  BOOST_TEST(table.take(abuser, 100, begin, r) == 0);
  for (uint32_t i = 0; i < 100'000; ++i) {
    if (table.take(v4(1'000 + i), 1, begin, r) != 0) BOOST_ERROR("a new address is refused: " << i);
    if (i % 1'000 == 0) BOOST_TEST(table.take(quiet, 1, begin + i / 1'000 * second, r) == 0);
  }
  BOOST_TEST(table.take(abuser, 1, begin, r) == second);
}

BOOST_AUTO_TEST_CASE(full_buckets_are_forgotten_first) {
  address_buckets table(8, 7); // one group
  rate r{1, 10};
  for (uint32_t i = 0; i < 8; ++i) BOOST_TEST(table.take(v4(i), i == 3 ? 1 : 10, begin, r) == 0);
  BOOST_TEST(table.take(v4(100), 10, begin + 2 * second, r) == 0); // takes the place of 3, which is full again
  for (uint32_t i = 0; i < 8; ++i)
    if (i != 3) BOOST_TEST_CONTEXT(i) BOOST_TEST(table.take(v4(i), 10, begin + 2 * second, r) > 0);
}

BOOST_AUTO_TEST_CASE(tokens_are_taken_from_both_buckets_or_from_neither) {
  rate_options o;
  o.key = {1, 3};
  o.address = {1, 2};
  rate_limiter limiter(o);
  token_bucket key;
  auto from = v4(1);
  BOOST_TEST(limiter.take(&key, from, 2, begin) == 0);
  BOOST_TEST(limiter.take(&key, from, 1, begin) == second); // by the address
  BOOST_TEST(limiter.take(&key, v4(2), 1, begin) == 0);     // the key's third was given back
  BOOST_TEST(limiter.take(&key, v4(3), 1, begin) == second);
  BOOST_TEST(limiter.take(nullptr, v4(3), 2, begin) == 0); // and the refusal took nothing from the address
}

BOOST_AUTO_TEST_CASE(nothing_is_limited_unless_it_is_asked_for) {
  rate_limiter limiter({});
  token_bucket key;
  BOOST_TEST(!limiter.active());
  for (int i = 0; i < 1'000; ++i) BOOST_TEST(limiter.take(&key, v4(1), 1'000'000, begin) == 0);
}

BOOST_AUTO_TEST_SUITE_END()
