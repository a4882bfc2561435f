#include "model/varint.hpp"

#include <boost/test/unit_test.hpp>

#include "tests/support/seeded.hpp"

using namespace adtrack;
using namespace std::string_view_literals;

BOOST_AUTO_TEST_SUITE(varints)

BOOST_AUTO_TEST_CASE(numbers_of_every_size_are_read_back) {
  auto random = test::seeded();
  for (int bits = 0; bits <= 64; ++bits) {
    for (int i = 0; i < 200; ++i) {
      const uint64_t value = bits == 0 ? 0 : random() >> (64 - bits);
      std::string text;
      put_varint(text, value);
      BOOST_REQUIRE(text.size() <= 10u);
      text += "rest";
      std::string_view in = text;
      uint64_t back = 1;
      BOOST_REQUIRE(get_varint(in, back));
      BOOST_REQUIRE(back == value);
      BOOST_REQUIRE(in == "rest");
    }
  }
}

BOOST_AUTO_TEST_CASE(cut_over_long_and_too_large_numbers_are_refused) {
  for (const auto text :
       {""sv, "\x80"sv, "\xff\xff"sv, "\x80\x00"sv, "\x81\x80\x00"sv, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"sv,
        "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x81\x00"sv, "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00"sv}) {
    std::string_view in = text;
    uint64_t value = 77;
    BOOST_TEST(!get_varint(in, value));
    BOOST_TEST(value == 77u);
    BOOST_TEST(in.size() == text.size());
  }
}

BOOST_AUTO_TEST_CASE(fixed_numbers_are_little_endian) {
  std::string text;
  put_fixed64(text, 0x0102030405060708u);
  BOOST_TEST(text == "\x08\x07\x06\x05\x04\x03\x02\x01");
  std::string_view in = text;
  uint64_t value = 0;
  BOOST_TEST(get_fixed64(in, value));
  BOOST_TEST(value == 0x0102030405060708u);
  BOOST_TEST(in.empty());
  in = std::string_view(text).substr(1);
  BOOST_TEST(!get_fixed64(in, value));
  BOOST_TEST(in.size() == 7u);
}

BOOST_AUTO_TEST_CASE(big_endian_keys_sort_as_their_numbers) {
  std::string low, high;
  put_big_endian<8>(low, 0x00ffu);
  put_big_endian<8>(high, 0x0100u);
  BOOST_TEST(low < high);
  std::string four;
  put_big_endian<4>(four, 0x01020304u);
  BOOST_TEST(four == "\x01\x02\x03\x04");
  BOOST_TEST(read_big_endian<4>(four) == 0x01020304u);
  BOOST_TEST(read_big_endian<8>(high) == 0x0100u);
}

BOOST_AUTO_TEST_SUITE_END()
