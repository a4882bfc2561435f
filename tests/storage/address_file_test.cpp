#include "storage/address_file.hpp"

#include <boost/test/unit_test.hpp>

using namespace adtrack;

BOOST_AUTO_TEST_SUITE(files_of_addresses)

BOOST_AUTO_TEST_CASE(networks_addresses_and_ranges_are_read) {
  address_trie trie;
  const auto read = storage::parse_address_list("list",
                                                "# data centers\n"
                                                "192.0.2.0/24\n"
                                                "\n"
                                                "  2001:db8::/32   ; documentation\r\n"
                                                "198.51.100.7\n"
                                                "2001:db9::7\n"
                                                "203.0.113.0-203.0.113.9\n"
                                                "203.0.113.20 - 203.0.113.29 # with blanks\n"
                                                "203.0.113.40,203.0.113.49,Some Hoster,https://hoster.example/\n"
                                                "2001:dba::1-2001:dba::ff\n"
                                                "::ffff:100.64.0.0/106\n"
                                                "10.0.0.0/8,a network of a table",
                                                trie);
  BOOST_REQUIRE_MESSAGE(read.ok(), read.message);
  for (const char* in : {"192.0.2.200", "2001:db8:1::", "198.51.100.7", "2001:db9::7", "203.0.113.0", "203.0.113.9",
                         "203.0.113.25", "203.0.113.40", "203.0.113.49", "2001:dba::ff", "100.127.0.0", "10.255.255.255"})
    BOOST_TEST(trie.contains(parse_ip_address(in)), in);
  for (const char* out : {"192.0.3.0", "2001:db7::", "198.51.100.8", "2001:db9::8", "203.0.113.10", "203.0.113.39",
                          "203.0.113.50", "2001:dba::", "2001:dba::100", "100.128.0.0", "11.0.0.0"})
    BOOST_TEST(!trie.contains(parse_ip_address(out)), out);
}

BOOST_AUTO_TEST_CASE(nothing_is_a_list) {
  address_trie trie;
  BOOST_TEST(storage::parse_address_list("list", "", trie).ok());
  BOOST_TEST(storage::parse_address_list("list", "\n# only\n;comments", trie).ok());
  BOOST_TEST(trie.networks() == 0u);
}

BOOST_AUTO_TEST_CASE(a_line_that_is_no_entry_is_named_by_its_number) {
  for (const char* bad : {"word", "1.2.3", "1.2.3.4/33", "1.2.3.4/", "1.2.3.4/-1", "1.2.3.4/8x", "/8", "::/129", "1.2.3.4-",
                          "1.2.3.4-::1", "1.2.3.9-1.2.3.4", "1.2.3.4,", "1.2.3.4 1.2.3.5", "::ffff:1.2.3.4/95", "example.com"}) {
    address_trie trie;
    const auto read = storage::parse_address_list("list.txt", std::string("10.0.0.0/8\n\n") + bad + "\n", trie);
    BOOST_TEST((read.code == storage::errc::corrupt), bad);
    BOOST_TEST(read.message.find("list.txt, line 3") != read.message.npos, bad << ": " << read.message);
  }
}

BOOST_AUTO_TEST_SUITE_END()
