#include "config/keys.hpp"

#include <boost/test/unit_test.hpp>

#include "tests/config/temporary_file.hpp"

using namespace adtrack::config;

BOOST_AUTO_TEST_SUITE(keys_test)

BOOST_AUTO_TEST_CASE(tokens_stand_one_a_line_between_blanks_and_comments) {
  const temporary_file file("# admins\n\nfirst-key\r\n  second.key== \n#third\nlast");
  const auto keys = load_keys(file.path());
  BOOST_TEST(keys.error == "");
  const std::vector<std::string> wanted = {"first-key", "second.key==", "last"};
  BOOST_TEST(keys.tokens == wanted, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_file_without_a_key_is_refused) {
  for (const char* text : {"", "\n\n", "# nothing\n"}) {
    const temporary_file file(text);
    const auto keys = load_keys(file.path());
    BOOST_TEST(keys.error == "key file " + file.path() + " holds no key: write one a line, or leave the setting out");
    BOOST_TEST(keys.tokens.empty());
  }
}

BOOST_AUTO_TEST_CASE(a_missing_file_or_a_directory_is_refused_by_name) {
  BOOST_TEST(load_keys("/nowhere/keys").error == "cannot read the key file /nowhere/keys: No such file or directory");
  BOOST_TEST(load_keys("/").error == "cannot read the key file /: Is a directory");
}

BOOST_AUTO_TEST_CASE(a_bad_token_is_refused_by_line_and_never_shown) {
  for (const std::string bad : {"two words", "k\xc3\xa4y", "semi;colon", "\"quoted\""}) {
    const temporary_file file("good\n" + bad + "\n");
    const auto keys = load_keys(file.path());
    BOOST_TEST(keys.error.find(file.path() + ", line 2: ") != std::string::npos);
    BOOST_TEST(keys.error.find(bad) == std::string::npos);
    BOOST_TEST(keys.tokens.empty());
  }
  const temporary_file longest(std::string(1'024, 'k'));
  BOOST_TEST(load_keys(longest.path()).error == "");
  const temporary_file too_long(std::string(1'025, 'k'));
  BOOST_TEST(load_keys(too_long.path()).error != "");
}

BOOST_AUTO_TEST_SUITE_END()
