#include "model/ip_address.hpp"

#include <arpa/inet.h>

#include <boost/test/unit_test.hpp>

#include "tests/support/seeded.hpp"

using namespace adtrack;

BOOST_AUTO_TEST_SUITE(ip_addresses)

BOOST_AUTO_TEST_CASE(addresses_are_read_and_written_canonically) {
  const std::pair<const char*, const char*> cases[] = {
      {"0.0.0.0", "0.0.0.0"},
      {"192.168.1.77", "192.168.1.77"},
      {"255.255.255.255", "255.255.255.255"},
      {"::", "::"},
      {"::1", "::1"},
      {"1::", "1::"},
      {"2001:DB8::ABCD", "2001:db8::abcd"},
      {"2001:0db8:0000:0000:0000:0000:0000:0001", "2001:db8::1"},
      {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"}, // one zero group is not shortened
      {"2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},  // though "::" may be read for it
      {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},          // the longest run
      {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},    // the first of equal runs
      {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
      {"::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"},
      {"1:0:0:0:0:0:0:0", "1::"},
      {"::ffff:192.0.2.33", "192.0.2.33"}, // IPv4-mapped is IPv4
      {"::FFFF:c000:221", "192.0.2.33"},
      {"0:0:0:0:0:ffff:192.0.2.33", "192.0.2.33"},
      {"64:ff9b::192.0.2.33", "64:ff9b::c000:221"}, // NAT64 is not
      {"::192.0.2.33", "::c000:221"},
      {"1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"},
      {"fe80::1", "fe80::1"},
  };
  for (const auto& [text, canonical] : cases) {
    const auto address = parse_ip_address(text);
    BOOST_TEST((address.kind != ip_address::family::none), text);
    BOOST_TEST(to_string(address) == canonical, text << " gave " << to_string(address));
  }
}

BOOST_AUTO_TEST_CASE(other_texts_are_no_address) {
  for (const char* text : {"",
                           " ",
                           "1",
                           "1.2.3",
                           "1.2.3.4.5",
                           "1.2.3.",
                           ".1.2.3",
                           "1..2.3",
                           "256.1.1.1",
                           "1.1.1.256",
                           "01.2.3.4",
                           "1.2.3.04",
                           "1.2.3.4 ",
                           " 1.2.3.4",
                           "1.2.3.4\n",
                           "0x1.2.3.4",
                           "1.2.3.-4",
                           "1.2.3.4/24",
                           "1.2.3.1000",
                           "localhost",
                           ":",
                           ":::",
                           "1",
                           "1:2",
                           "1:2:3:4:5:6:7",
                           "1:2:3:4:5:6:7:8:9",
                           "1:2:3:4:5:6:7:8::",
                           "::1:2:3:4:5:6:7:8",
                           "1::2:3:4:5:6:7:8",
                           "1::2::3",
                           "1:2:3:4:5:6:7:",
                           ":1:2:3:4:5:6:7",
                           "12345::",
                           "g::",
                           "[::1]",
                           "fe80::1%eth0",
                           "::1.2.3",
                           "::1.2.3.4.5",
                           "::1.2.3.256",
                           "1.2.3.4::",
                           "::1.2.3.4:5",
                           "1:2:3:4:5:6:7:1.2.3.4",
                           "::ffff:01.2.3.4",
                           "::1 ",
                           "1: :2"}) {
    const auto address = parse_ip_address(text);
    BOOST_TEST((address == ip_address{}), "accepted \"" << text << '"');
  }
  BOOST_TEST((parse_ip_address(std::string_view("1.2.3.4\0", 8)) == ip_address{}));
}

BOOST_AUTO_TEST_CASE(masking_keeps_the_network) {
  BOOST_TEST(to_string(mask(parse_ip_address("203.0.113.255"))) == "203.0.113.0");
  BOOST_TEST(to_string(mask(parse_ip_address("::ffff:203.0.113.9"))) == "203.0.113.0");
  BOOST_TEST(to_string(mask(parse_ip_address("2001:db8:ffff:ffff:ffff::1"))) == "2001:db8:ffff::");
  BOOST_TEST((mask(ip_address{}) == ip_address{}));
}

BOOST_AUTO_TEST_CASE(no_address_has_no_text) { BOOST_TEST(to_string(ip_address{}).empty()); }

BOOST_AUTO_TEST_CASE(random_addresses_are_read_back_and_agree_with_the_system) {
  auto random = test::seeded();
  for (int i = 0; i < 20'000; ++i) {
    ip_address address;
    address.kind = random() % 4 == 0 ? ip_address::family::v4 : ip_address::family::v6;
    const size_t size = address.kind == ip_address::family::v4 ? 4 : 16;
    for (size_t b = 0; b < size; ++b) address.bytes[b] = random() % 3 == 0 ? static_cast<uint8_t>(random()) : 0;
    if (address.kind == ip_address::family::v6) address.bytes[0] |= 0x20; // keeps it from being IPv4-mapped
    const std::string text = to_string(address);
    BOOST_REQUIRE_MESSAGE(parse_ip_address(text) == address, text);
    uint8_t system[16];
    BOOST_REQUIRE(inet_pton(size == 4 ? AF_INET : AF_INET6, text.c_str(), system) == 1);
    BOOST_REQUIRE(std::equal(system, system + size, address.bytes.begin()));
  }
}

BOOST_AUTO_TEST_CASE(random_texts_are_accepted_exactly_when_the_system_accepts_them) {
  auto random = test::seeded();
  constexpr std::string_view alphabet = "0123456789afF::::::....";
  int accepted = 0;
  for (int i = 0; i < 300'000; ++i) {
    std::string text = random() % 2 == 0 ? "::" : "";
    for (size_t size = random() % 12; size > 0; --size) text += alphabet[random() % alphabet.size()];
    uint8_t system[16];
    const bool expected = inet_pton(AF_INET, text.c_str(), system) == 1 || inet_pton(AF_INET6, text.c_str(), system) == 1;
    accepted += expected;
    BOOST_REQUIRE_MESSAGE((parse_ip_address(text) != ip_address{}) == expected, text);
  }
  BOOST_TEST(accepted > 1'000);
}

BOOST_AUTO_TEST_SUITE_END()
