#include "model/word_finder.hpp"

#include <algorithm>
#include <cctype>
#include <set>
#include <string>
#include <vector>

#include <boost/test/unit_test.hpp>

#include "tests/support/seeded.hpp"

using namespace adtrack;

namespace {

std::vector<int> found(const word_finder& finder, std::string_view text) {
  std::vector<int> out{99}; // what is there before is gone after
  finder.find(text, out);
  return out;
}

} // namespace

BOOST_AUTO_TEST_SUITE(words_in_a_text)

BOOST_AUTO_TEST_CASE(words_are_found_inside_and_at_the_end_of_one_another) {
  const word_finder finder({"he", "she", "hers", "his"});
  BOOST_TEST(found(finder, "ushers") == (std::vector<int>{0, 1, 2}), boost::test_tools::per_element());
  BOOST_TEST(found(finder, "this") == (std::vector<int>{3}), boost::test_tools::per_element());
  BOOST_TEST(found(finder, "hi").empty());
  BOOST_TEST(found(finder, "").empty());
}

BOOST_AUTO_TEST_CASE(the_case_of_letters_does_not_matter) {
  const word_finder finder({"GoogleBot", "x/1"});
  BOOST_TEST(found(finder, "a GOOGLEBOT X/1") == (std::vector<int>{0, 1}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(without_words_nothing_is_found) { BOOST_TEST(found(word_finder(), "anything").empty()); }

BOOST_AUTO_TEST_CASE(random_texts_agree_with_a_search_word_by_word) {
  auto random = test::seeded();
  const auto text_of = [&random](size_t size, std::string_view letters) {
    std::string out;
    for (size_t i = 0; i < size; ++i) out += letters[random() % letters.size()];
    return out;
  };
  for (int round = 0; round < 300; ++round) {
    std::set<std::string> distinct;
    for (size_t i = 0; i < 1 + random() % 30; ++i) distinct.insert(text_of(1 + random() % 6, "abc\xff"));
    const std::vector<std::string> words(distinct.begin(), distinct.end());
    const word_finder finder(words);
    for (int i = 0; i < 20; ++i) {
      auto text = text_of(random() % 60, "aAbBcCz\xff");
      const auto got = found(finder, text);
      std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
      std::vector<int> expected;
      for (size_t w = 0; w < words.size(); ++w)
        if (text.find(words[w]) != text.npos) expected.push_back(static_cast<int>(w));
      BOOST_REQUIRE(got == expected);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()
