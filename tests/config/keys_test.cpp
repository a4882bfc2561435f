#include "config/keys.hpp"

#include <boost/test/unit_test.hpp>

using namespace adtrack::config;

namespace {

const std::string digest_a(64, 'a');
const std::string digest_b(64, 'b');

} // namespace

BOOST_AUTO_TEST_SUITE(keys_test)

BOOST_AUTO_TEST_CASE(keys_stand_one_a_line_between_blanks_and_comments) {
  const auto list = parse_keys("F", "# partners\n\nacme sha256:" + digest_a + "\r\n  big-shop.eu_2 \t sha256:" + digest_b +
                                        "  \n#third\nacme sha256:0123456789abcdefABCDEF" + std::string(42, '0'));
  BOOST_TEST(list.error == "");
  BOOST_REQUIRE(list.keys.size() == 3u);
  BOOST_TEST(list.keys[0].name == "acme");
  BOOST_TEST(list.keys[1].name == "big-shop.eu_2");
  BOOST_TEST(list.keys[2].name == "acme"); // a client that changes its token has two
  BOOST_TEST(list.keys[0].digest[31] == 0xaa);
  BOOST_TEST(list.keys[2].digest[0] == 0x01);
  BOOST_TEST(list.keys[2].digest[10] == 0xef);
  BOOST_TEST(list.keys[2].digest[11] == 0);
}

BOOST_AUTO_TEST_CASE(a_file_without_a_key_is_refused) {
  for (const char* text : {"", "\n\n", "# nothing\n"}) {
    const auto list = parse_keys("F", text);
    BOOST_TEST(list.error == "key file F holds no key: scripts/make-key.sh NAME makes one");
    BOOST_TEST(list.keys.empty());
  }
}

BOOST_AUTO_TEST_CASE(a_line_of_another_form_is_refused_by_number_and_never_shown) {
  for (const std::string& bad :
       {std::string("a-plain-token"), "acme " + digest_a, std::string("acme sha256:"), "acme sha256:" + digest_a.substr(1),
        "acme sha256:" + digest_b + "b", "acme sha256:" + digest_b.substr(1) + "g", "acme SHA256:" + digest_b,
        "acme sha512:" + digest_b, "sha256:" + digest_b, "k\xc3\xa4se sha256:" + digest_b, "a,b sha256:" + digest_b,
        std::string(65, 'n') + " sha256:" + digest_b, "acme sha256:" + digest_b + " x"}) {
    const auto list = parse_keys("F", "good sha256:" + digest_a + "\n" + bad + "\n");
    BOOST_TEST_CONTEXT(bad) {
      BOOST_TEST(
          list.error ==
          "key file F, line 2: a line is NAME sha256:HEX with the SHA-256 of the token, as scripts/make-key.sh NAME prints it");
      BOOST_TEST(list.keys.empty());
    }
  }
}

BOOST_AUTO_TEST_CASE(a_key_that_stands_twice_is_refused) {
  const auto list = parse_keys("F", "one sha256:" + digest_a + "\ntwo sha256:" + digest_a + "\n");
  BOOST_TEST(list.error == "key file F, line 2: this key stands in the file already");
}

BOOST_AUTO_TEST_CASE(a_file_holds_at_most_1000_keys) {
  std::string text;
  const auto line = [](int i) {
    char digits[65];
    std::snprintf(digits, sizeof digits, "%064x", i);
    return "k sha256:" + std::string(digits) + "\n";
  };
  for (int i = 0; i < 1'000; ++i) text += line(i);
  BOOST_TEST(parse_keys("F", text).keys.size() == 1'000u);
  BOOST_TEST(parse_keys("F", text + line(1'000)).error == "key file F, line 1001: a file holds at most 1000 keys");
}

BOOST_AUTO_TEST_SUITE_END()
