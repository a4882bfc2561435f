#include "http/client_address.hpp"

#include <boost/test/unit_test.hpp>

using namespace adtrack;
using namespace adtrack::http;

namespace {

std::string client(const std::vector<std::string>& trusted, std::string_view peer, std::string_view headers) {
  proxy_list proxies;
  std::string error;
  BOOST_REQUIRE(proxies.add(trusted, error));
  std::string bytes = "GET / HTTP/1.1\r\nHost: h\r\n" + std::string(headers) + "\r\n";
  framer f;
  BOOST_REQUIRE((f.advance(bytes, {}) == framer::state::complete));
  return to_string(proxies.client(parse_ip_address(peer), bytes, f.head()));
}

} // namespace

BOOST_AUTO_TEST_SUITE(http_client_address)

BOOST_AUTO_TEST_CASE(a_stranger_is_not_believed) {
  BOOST_TEST(client({}, "9.9.9.9", "X-Forwarded-For: 1.1.1.1\r\n") == "9.9.9.9");
  BOOST_TEST(client({"10.0.0.0/8"}, "9.9.9.9", "X-Forwarded-For: 1.1.1.1\r\n") == "9.9.9.9");
}

BOOST_AUTO_TEST_CASE(entries_are_counted_from_the_right_behind_trusted_proxies_only) {
  BOOST_TEST(client({"10.0.0.0/8"}, "10.1.1.1", "X-Forwarded-For: 6.6.6.6, 1.1.1.1\r\n") == "1.1.1.1");
  BOOST_TEST(client({"10.0.0.0/8"}, "10.1.1.1", "X-Forwarded-For: 6.6.6.6, 1.1.1.1, 10.2.2.2\r\n") == "1.1.1.1");
  BOOST_TEST(client({"10.0.0.0/8"}, "10.1.1.1", "X-Forwarded-For: 6.6.6.6, 1.1.1.1\r\nX-Forwarded-For: 10.2.2.2\r\n") ==
             "1.1.1.1");
  BOOST_TEST(client({"10.0.0.0/8"}, "10.1.1.1", "X-Forwarded-For: 10.3.3.3, 10.2.2.2\r\n") == "10.3.3.3");
  BOOST_TEST(client({"10.0.0.0/8"}, "10.1.1.1", "") == "10.1.1.1");
}

BOOST_AUTO_TEST_CASE(an_entry_that_is_no_address_ends_the_walk) {
  BOOST_TEST(client({"10.0.0.0/8"}, "10.1.1.1", "X-Forwarded-For: 1.1.1.1, unknown, 10.2.2.2\r\n") == "10.2.2.2");
  BOOST_TEST(client({"10.0.0.0/8"}, "10.1.1.1", "X-Forwarded-For:\r\n") == "10.1.1.1");
}

BOOST_AUTO_TEST_CASE(ports_and_ipv6_are_understood) {
  BOOST_TEST(client({"::1"}, "::1", "X-Forwarded-For: 1.1.1.1:555\r\n") == "1.1.1.1");
  BOOST_TEST(client({"fd00::/9"}, "fd01::1", "X-Forwarded-For: [2001:db8::5]:80\r\n") == "2001:db8::5");
}

BOOST_AUTO_TEST_CASE(an_ipv4_address_within_ipv6_is_the_ipv4_one) {
  BOOST_TEST(client({"10.0.0.0/8"}, "10.1.1.1", "X-Forwarded-For: 6.6.6.6, ::ffff:1.1.1.1, ::ffff:10.9.9.9\r\n") == "1.1.1.1");
}

BOOST_AUTO_TEST_CASE(garbage_is_no_address_however_it_begins) {
  for (auto bad : {"[::1",        "::1]",     "[::1]x",    "[::1]:",    "[::1]:port",      "[1.1.1.1]",        "[]",
                   "[",           "]",        "1.1.1.1:",  "1.1.1.1:x", "1.1.1.1:1:1",     "1.1.1.1:123456",   "1.1.1",
                   "1.1.1.1.1",   "01.1.1.1", "1.1.1.256", "1.1.1.1/8", "fe80::1%eth0",    "2001:db8::5:80:x", "\"1.1.1.1\"",
                   "for=1.1.1.1", "_hidden",  "unknown",   "-",         "1.1.1.1 2.2.2.2", "\xff\xff",         ","})
    BOOST_TEST_CONTEXT(bad)
  BOOST_TEST(client({"10.0.0.0/8"}, "10.1.1.1", "X-Forwarded-For: 6.6.6.6, " + std::string(bad) + "\r\n") == "10.1.1.1");
}

BOOST_AUTO_TEST_CASE(many_lines_and_entries_are_walked_in_order) {
  std::string lines = "x-forwarded-for: 6.6.6.6\r\nX-FORWARDED-FOR: 1.1.1.1\r\n";
  for (int i = 0; i < 40; ++i)
    lines += "X-Forwarded-For: 10.0.0." + std::to_string(i) + "\t,10.0.1." + std::to_string(i) + " \r\n";
  BOOST_TEST(client({"10.0.0.0/8"}, "10.1.1.1", lines) == "1.1.1.1");
}

BOOST_AUTO_TEST_CASE(prefixes_are_compared_by_the_bit) {
  proxy_list proxies;
  std::string error;
  BOOST_REQUIRE(proxies.add({"10.0.0.128/25", "0.0.0.0/32"}, error));
  BOOST_TEST(proxies.trusts(parse_ip_address("10.0.0.200")));
  BOOST_TEST(!proxies.trusts(parse_ip_address("10.0.0.127")));
  for (auto bad : {"x", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/x", ""})
    BOOST_TEST_CONTEXT(bad) BOOST_TEST(!proxies.add({bad}, error));
}

BOOST_AUTO_TEST_SUITE_END()
