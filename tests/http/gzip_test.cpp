// Bodies that are gzip, say that they are, or are too much of it.
#include "http/gzip.hpp"

#include <boost/test/unit_test.hpp>

#include <string>

#include "tests/http/gzip_text.hpp"

using namespace adtrack::http;
using adtrack::tests::gzipped;

namespace {

gunzip_verdict verdict(std::string_view packed, size_t bytes_max = 1 << 20) {
  std::string out;
  return gunzip(packed, bytes_max, out);
}
std::string text_of(std::string_view packed, size_t bytes_max = 1 << 20) {
  std::string out;
  BOOST_TEST((gunzip(packed, bytes_max, out) == gunzip_verdict::whole));
  return out;
}
std::string sample(size_t size) {
  std::string out;
  for (unsigned x = 1; out.size() < size; x = x * 1'664'525 + 1'013'904'223) out += std::to_string(x);
  out.resize(size);
  return out;
}

} // namespace

BOOST_AUTO_TEST_SUITE(http_gzip)

BOOST_AUTO_TEST_CASE(what_was_packed_comes_back) {
  for (size_t size : {0u, 1u, 63u, 64u, 65'535u, 65'536u, 65'537u, 500'000u})
    for (int level : {0, 1, 9}) BOOST_TEST((text_of(gzipped(sample(size), level)) == sample(size)));
}

BOOST_AUTO_TEST_CASE(members_in_a_row_are_one_text) {
  BOOST_TEST(text_of(gzipped("ab") + gzipped("") + gzipped("cd")) == "abcd");
  BOOST_TEST((verdict(gzipped("ab") + gzipped("cd"), 4) == gunzip_verdict::whole));
  BOOST_TEST((verdict(gzipped("ab") + gzipped("cd"), 3) == gunzip_verdict::too_large));
}

BOOST_AUTO_TEST_CASE(the_bound_is_exact) {
  for (size_t size : {1u, 1'000u, 65'536u, 300'000u}) {
    BOOST_TEST((verdict(gzipped(sample(size)), size) == gunzip_verdict::whole));
    BOOST_TEST((verdict(gzipped(sample(size)), size - 1) == gunzip_verdict::too_large));
  }
}

BOOST_AUTO_TEST_CASE(a_bomb_is_stopped_while_it_inflates) {
  const auto bomb = gzipped(std::string(200 << 20, '0'), 9); // a thousandth of that
  BOOST_TEST(bomb.size() < 1u << 20);
  std::string out;
  BOOST_TEST((gunzip(bomb, 8 << 20, out) == gunzip_verdict::too_large));
  BOOST_TEST(out.capacity() <= (8u << 20) + 64);
  std::string many;
  for (int i = 0; i < 100; ++i) many += gzipped(std::string(1 << 20, '0'), 9);
  BOOST_TEST((verdict(many, 8 << 20) == gunzip_verdict::too_large));
}

BOOST_AUTO_TEST_CASE(what_is_damaged_cut_off_or_goes_on_is_broken) {
  const auto good = gzipped(sample(5'000));
  for (size_t size = 0; size < good.size(); ++size) BOOST_TEST((verdict(good.substr(0, size)) == gunzip_verdict::broken));
  for (std::string_view after : {"x", "\r\n", "\x1f", "\x1f\x8b"})
    BOOST_TEST((verdict(good + std::string(after)) == gunzip_verdict::broken));
  for (size_t zeros : {1u, 8u}) BOOST_TEST((verdict(good + std::string(zeros, '\0')) == gunzip_verdict::broken));
  auto sum = good;
  sum[sum.size() - 8] ^= 1; // CRC-32
  BOOST_TEST((verdict(sum) == gunzip_verdict::broken));
  auto length = good;
  length[length.size() - 1] ^= 1;
  BOOST_TEST((verdict(length) == gunzip_verdict::broken));
  BOOST_TEST((verdict("{\"type\":\"click\"}") == gunzip_verdict::broken));
  BOOST_TEST((verdict("\x78\x9c\x03\x00\x00\x00\x00\x01") == gunzip_verdict::broken)); // zlib's own format
}

BOOST_AUTO_TEST_SUITE_END()
