#include "http/auth.hpp"

#include <boost/test/unit_test.hpp>

using namespace adtrack::http;

BOOST_AUTO_TEST_SUITE(http_auth)

BOOST_AUTO_TEST_CASE(only_whole_tokens_open) {
  key_ring keys({"alpha", "beta", ""});
  BOOST_TEST(keys.holds("alpha"));
  BOOST_TEST(keys.holds("beta"));
  for (auto bad : {"", "alph", "alphaa", "alphaalpha", "Alpha", "alpha ", "betA", "x"})
    BOOST_TEST_CONTEXT(bad) BOOST_TEST(!keys.holds(bad));
  BOOST_TEST(key_ring({""}).empty());
}

BOOST_AUTO_TEST_CASE(a_bearer_token_is_taken_from_its_header) {
  BOOST_TEST(bearer_token("Bearer abc") == "abc");
  BOOST_TEST(bearer_token("bearer  abc") == "abc");
  for (auto bad : {"", "Bearer", "Bearer ", "Basic abc", "Bearerabc", "abc"})
    BOOST_TEST_CONTEXT(bad) BOOST_TEST(bearer_token(bad).empty());
}

BOOST_AUTO_TEST_SUITE_END()
