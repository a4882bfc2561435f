#include "model/address_trie.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include <boost/test/unit_test.hpp>

#include "tests/support/seeded.hpp"

using namespace adtrack;

namespace {

ip_address ip(std::string_view text) {
  const auto out = parse_ip_address(text);
  BOOST_REQUIRE_MESSAGE(out.kind != ip_address::family::none, text);
  return out;
}

size_t bytes_of(const ip_address& a) { return a.kind == ip_address::family::v4 ? 4 : 16; }

bool bit(const ip_address& a, unsigned i) { return (a.bytes[i / 8] >> (7 - i % 8) & 1) != 0; }

// The slow, plain rule.
struct listed {
  ip_address base;
  unsigned bits;
  bool holds(const ip_address& a) const {
    if (a.kind != base.kind) return false;
    for (unsigned i = 0; i < bits; ++i)
      if (bit(a, i) != bit(base, i)) return false;
    return true;
  }
};

struct range {
  ip_address first, last;
};

// Few distinct bits, so that networks lie in one another and addresses in networks.
ip_address random_address(std::mt19937_64& random) {
  ip_address out;
  out.kind = random() % 2 == 0 ? ip_address::family::v4 : ip_address::family::v6;
  for (size_t i = 0; i < bytes_of(out); ++i) {
    constexpr uint8_t common[] = {0, 1, 0x80, 0xff};
    out.bytes[i] = random() % 20 == 0 ? static_cast<uint8_t>(random()) : common[random() % (i < 2 ? 2 : 4)];
  }
  return out;
}

} // namespace

BOOST_AUTO_TEST_SUITE(trie_of_addresses)

BOOST_AUTO_TEST_CASE(the_longest_network_that_holds_an_address_is_found) {
  address_trie trie;
  trie.add(ip("10.0.0.0"), 8);
  trie.add(ip("10.1.2.0"), 24);
  trie.add(ip("10.1.2.3"), 32);
  trie.add(ip("2001:db8::"), 32);
  BOOST_TEST(trie.longest_match(ip("10.9.9.9")) == 8);
  BOOST_TEST(trie.longest_match(ip("10.1.2.4")) == 24);
  BOOST_TEST(trie.longest_match(ip("10.1.2.3")) == 32);
  BOOST_TEST(trie.longest_match(ip("::ffff:10.1.2.3")) == 32); // the same address
  BOOST_TEST(trie.longest_match(ip("11.0.0.0")) == -1);
  BOOST_TEST(trie.longest_match(ip("2001:db8:1::1")) == 32);
  BOOST_TEST(trie.longest_match(ip("2001:db9::1")) == -1);
  BOOST_TEST(trie.longest_match(ip("a00::")) == -1); // the bits of 10.0.0.0, in the other family
  BOOST_TEST(!trie.contains(ip_address{}));
  BOOST_TEST(trie.networks() == 4u);
  trie.add(ip("10.1.2.99"), 24); // the same network
  BOOST_TEST(trie.networks() == 4u);
}

BOOST_AUTO_TEST_CASE(an_empty_one_holds_nothing_and_one_of_no_bits_holds_its_whole_family) {
  address_trie trie;
  BOOST_TEST(!trie.contains(ip("0.0.0.0")));
  trie.add(ip("1.2.3.4"), 0);
  BOOST_TEST(trie.longest_match(ip("255.255.255.255")) == 0);
  BOOST_TEST(!trie.contains(ip("::")));
  trie.add_range(ip("::"), ip("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"));
  BOOST_TEST(trie.longest_match(ip("::")) == 0);
  BOOST_TEST(trie.networks() == 2u);
}

BOOST_AUTO_TEST_CASE(a_range_becomes_the_fewest_networks) {
  address_trie trie;
  trie.add_range(ip("10.0.0.0"), ip("10.0.1.255"));
  BOOST_TEST(trie.networks() == 1u);
  BOOST_TEST(trie.longest_match(ip("10.0.1.255")) == 23);
  address_trie odd;
  odd.add_range(ip("10.0.0.1"), ip("10.0.0.6")); // 1, 2-3, 4-5, 6
  BOOST_TEST(odd.networks() == 4u);
  BOOST_TEST(!odd.contains(ip("10.0.0.0")));
  BOOST_TEST(odd.contains(ip("10.0.0.1")));
  BOOST_TEST(odd.contains(ip("10.0.0.6")));
  BOOST_TEST(!odd.contains(ip("10.0.0.7")));
  address_trie most;
  most.add_range(ip("::1"), ip("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe"));
  BOOST_TEST(most.networks() == 254u);
  address_trie nothing;
  nothing.add_range(ip("10.0.0.2"), ip("10.0.0.1"));
  nothing.add_range(ip("10.0.0.2"), ip("::1"));
  BOOST_TEST(nothing.networks() == 0u);
}

BOOST_AUTO_TEST_CASE(random_networks_and_ranges_agree_with_a_scan_of_the_list) {
  auto random = test::seeded();
  for (int round = 0; round < 200; ++round) {
    address_trie trie;
    std::vector<listed> list;
    std::vector<range> ranges;
    for (size_t i = 0; i < random() % 60; ++i) {
      const auto base = random_address(random);
      const auto bits = static_cast<unsigned>(random() % (8 * bytes_of(base) + 1));
      list.push_back({base, bits});
      trie.add(base, bits);
    }
    const bool with_ranges = round % 2 == 0; // they have no length to compare
    for (size_t i = 0; with_ranges && i < random() % 20; ++i) {
      auto one = random_address(random), other = random_address(random);
      if (one.kind != other.kind) continue;
      ranges.push_back({std::min(one, other), std::max(one, other)});
      trie.add_range(ranges.back().first, ranges.back().last);
    }
    for (int i = 0; i < 300; ++i) {
      const auto address = random_address(random);
      int longest = -1;
      for (const auto& n : list)
        if (n.holds(address)) longest = std::max(longest, static_cast<int>(n.bits));
      const bool in_range = std::any_of(ranges.begin(), ranges.end(), [&](const range& r) {
        return r.first.kind == address.kind && r.first <= address && address <= r.last;
      });
      if (with_ranges)
        BOOST_REQUIRE(trie.contains(address) == (longest >= 0 || in_range));
      else
        BOOST_REQUIRE(trie.longest_match(address) == longest);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()
