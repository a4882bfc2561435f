#include "http/auth.hpp"

#include <boost/test/unit_test.hpp>

#include <string>

using namespace adtrack;
using namespace adtrack::http;

namespace {

key_ring ring(const std::vector<std::string>& tokens) {
  std::vector<key> keys;
  for (const auto& t : tokens) keys.push_back({t, sha256(t), nullptr, nullptr});
  return key_ring(std::move(keys));
}

} // namespace

BOOST_AUTO_TEST_SUITE(http_auth)

BOOST_AUTO_TEST_CASE(sha256_is_the_one_of_fips_180) {
  // The one-block message of its example.
  const config::sha256_digest abc = {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40,
                                     0xde, 0x5d, 0xae, 0x22, 0x23, 0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17,
                                     0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad};
  BOOST_TEST((sha256("abc") == abc));
  BOOST_TEST((sha256("abc") == abc)); // the context is used again
}

BOOST_AUTO_TEST_CASE(only_whole_tokens_open) {
  auto keys = ring({"alpha", "beta"});
  BOOST_REQUIRE(keys.find("alpha") != nullptr);
  BOOST_TEST(keys.find("alpha")->name == "alpha");
  BOOST_TEST(keys.find("beta")->name == "beta");
  for (auto bad : {"", "alph", "alphaa", "alphaalpha", "Alpha", "alpha ", "betA", "x"})
    BOOST_TEST_CONTEXT(bad) BOOST_TEST(keys.find(bad) == nullptr);
  BOOST_TEST(ring({""}).find("") == nullptr);
  BOOST_TEST(ring({}).find("x") == nullptr);
  // What stands in the file opens nothing.
  BOOST_TEST(keys.find("8ed3f6ad685b959ead7022518e1af76cd816f8e8ec7ccdda1ed4018e8f2223f8") == nullptr);
}

BOOST_AUTO_TEST_CASE(a_token_has_at_most_1024_bytes) {
  std::string longest(1'024, 'k'), too_long(1'025, 'k');
  auto keys = ring({longest, too_long});
  BOOST_TEST(keys.find(longest) != nullptr);
  BOOST_TEST(keys.find(too_long) == nullptr);
}

BOOST_AUTO_TEST_CASE(a_digest_that_differs_in_one_bit_is_another_key) {
  for (size_t byte = 0; byte < 32; ++byte) {
    key k{"k", sha256("t"), nullptr, nullptr};
    k.digest[byte] ^= 1;
    BOOST_TEST_CONTEXT(byte) BOOST_TEST(key_ring({k}).find("t") == nullptr);
  }
}

BOOST_AUTO_TEST_CASE(a_bearer_token_is_taken_from_its_header) {
  BOOST_TEST(bearer_token("Bearer abc") == "abc");
  BOOST_TEST(bearer_token("bearer  abc") == "abc");
  for (auto bad : {"", "Bearer", "Bearer ", "Basic abc", "Bearerabc", "abc"})
    BOOST_TEST_CONTEXT(bad) BOOST_TEST(bearer_token(bad).empty());
}

BOOST_AUTO_TEST_SUITE_END()
