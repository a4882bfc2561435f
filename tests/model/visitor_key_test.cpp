#include "model/visitor_key.hpp"

#include <numeric>
#include <set>
#include <vector>

#include <boost/test/unit_test.hpp>

using namespace adtrack;

namespace {

// SipHash-2-4 under the key 00 01 ... 0f of the inputs (), (00), (00 01), ... as bytes in the order of output.
constexpr const char* siphash_vectors[64] = {
    "310E0EDD47DB6F72", "FD67DC93C539F874", "5A4FA9D909806C0D", "2D7EFBD796666785", "B7877127E09427CF", "8DA699CD64557618",
    "CEE3FE586E46C9CB", "37D1018BF50002AB", "6224939A79F5F593", "B0E4A90BDF82009E", "F3B9DD94C5BB5D7A", "A7AD6B22462FB3F4",
    "FBE50E86BC8F1E75", "903D84C02756EA14", "EEF27A8E90CA23F7", "E545BE4961CA29A1", "DB9BC2577FCC2A3F", "9447BE2CF5E99A69",
    "9CD38D96F0B3C14B", "BD6179A71DC96DBB", "98EEA21AF25CD6BE", "C7673B2EB0CBF2D0", "883EA3E395675393", "C8CE5CCD8C030CA8",
    "94AF49F6C650ADB8", "EAB8858ADE92E1BC", "F315BB5BB835D817", "ADCF6B0763612E2F", "A5C91DA7ACAA4DDE", "716595876650A2A6",
    "28EF495C53A387AD", "42C341D8FA92D832", "CE7CF2722F512771", "E37859F94623F3A7", "381205BB1AB0E012", "AE97A10FD434E015",
    "B4A31508BEFF4D31", "81396229F0907902", "4D0CF49EE5D4DCCA", "5C73336A76D8BF9A", "D0A704536BA93E0E", "925958FCD6420CAD",
    "A915C29BC8067318", "952B79F3BC0AA6D4", "F21DF2E41D4535F9", "87577519048F53A9", "10A56CF5DFCD9ADB", "EB75095CCD986CD0",
    "51A9CB9ECBA312E6", "96AFADFC2CE666C7", "72FE52975A4364EE", "5A1645B276D592A1", "B274CB8EBF87870A", "6F9BB4203DE7B381",
    "EAECB2A30B22A87F", "9924A43CC1315724", "BD838D3AAFBF8DB7", "0B1A2A3265D51AEA", "135079A3231CE660", "932B2846E4D70666",
    "E1915F5CB1ECA46C", "F325965CA16D629F", "575FF28E60381BE5", "724506EB4C328A95"};

visitor_key counting_key() {
  visitor_key key;
  std::iota(key.secret.begin(), key.secret.end(), uint8_t{0});
  return key;
}

submission full_submission() {
  submission s;
  s.type = event_type::click;
  s.ad_id = 32;
  s.event_id = "e-1";
  s.address = parse_ip_address("192.168.1.77");
  s.agent = "Mozilla/5.0";
  s.time_s = 1'753'200'972;
  s.play_time_secs = 30;
  s.watched_percent = 80;
  s.address_given = s.agent_given = s.time_given = true;
  return s;
}

} // namespace

BOOST_AUTO_TEST_SUITE(visitor_keys)

BOOST_AUTO_TEST_CASE(siphash_gives_the_authors_64_vectors) {
  std::vector<uint8_t> input;
  for (size_t size = 0; size < 64; ++size) {
    const uint64_t hash = siphash24(counting_key().secret, input);
    std::string text;
    for (int i = 0; i < 8; ++i) {
      const auto byte = static_cast<uint8_t>(hash >> (8 * i));
      text += "0123456789ABCDEF"[byte >> 4];
      text += "0123456789ABCDEF"[byte & 15];
    }
    BOOST_TEST(text == siphash_vectors[size], "at length " << size);
    input.push_back(static_cast<uint8_t>(size));
  }
}

BOOST_AUTO_TEST_CASE(siphash_gives_the_papers_vector) {
  std::vector<uint8_t> input(15);
  std::iota(input.begin(), input.end(), uint8_t{0});
  BOOST_TEST(siphash24(counting_key().secret, input) == 0xa129ca6149be45e5u);
}

BOOST_AUTO_TEST_CASE(stored_hashes_are_the_same_in_every_release) {
  const auto key = counting_key();
  BOOST_TEST(key.id() == "93dc67fd");
  BOOST_TEST(visitor_of(key, parse_ip_address("192.168.1.77"), "Mozilla/5.0") == 0x2c84cfdc81a943d9u);
  BOOST_TEST(fields_hash_of(key, full_submission()) == 0x9f15cdbfu);
}

BOOST_AUTO_TEST_CASE(a_key_is_named_by_eight_hex_digits_of_its_secret) {
  visitor_key other = counting_key();
  other.secret[15] ^= 1;
  BOOST_TEST(counting_key().id().size() == 8u);
  BOOST_TEST(counting_key().id().find_first_not_of("0123456789abcdef") == std::string::npos);
  BOOST_TEST(counting_key().id() == counting_key().id());
  BOOST_TEST(counting_key().id() != other.id());
}

BOOST_AUTO_TEST_CASE(a_visitor_is_an_address_and_an_agent_under_a_key) {
  const auto key = counting_key();
  visitor_key other = key;
  other.secret[0] ^= 1;
  std::set<uint64_t> seen;
  for (const char* address : {"", "1.2.3.4", "1.2.3.5", "102:304::", "2001:db8::1", "2001:db8::2"}) {
    for (const char* agent : {"", "a", "b", "aa"}) {
      seen.insert(visitor_of(key, parse_ip_address(address), agent));
      seen.insert(visitor_of(other, parse_ip_address(address), agent));
    }
  }
  BOOST_TEST(seen.size() == 2u * 6u * 4u);
  BOOST_TEST(visitor_of(key, parse_ip_address("::ffff:1.2.3.4"), "a") == visitor_of(key, parse_ip_address("1.2.3.4"), "a"));
  BOOST_TEST(visitor_of(key, parse_ip_address("2001:DB8:0::1"), "a") == visitor_of(key, parse_ip_address("2001:db8::1"), "a"));
}

BOOST_AUTO_TEST_CASE(no_byte_moves_between_address_and_agent_unseen) {
  const auto key = counting_key();
  ip_address v4, v6;
  v4.kind = ip_address::family::v4;
  v4.bytes = {'a', 'b', 'c', 'd'};
  v6.kind = ip_address::family::v6;
  v6.bytes = {'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o', 'p'};
  BOOST_TEST(visitor_of(key, v4, "efghijklmnop") != visitor_of(key, v6, ""));
  BOOST_TEST(visitor_of(key, ip_address{}, "abcd") != visitor_of(key, v4, ""));
}

BOOST_AUTO_TEST_CASE(every_field_that_the_client_gave_is_in_the_fields_hash) {
  const auto key = counting_key();
  std::set<uint32_t> seen{fields_hash_of(key, full_submission())};
  size_t variants = 1;
  const auto vary = [&](auto change) {
    submission s = full_submission();
    change(s);
    seen.insert(fields_hash_of(key, s));
    ++variants;
  };
  vary([](submission& s) { s.time_s += 1; });
  vary([](submission& s) { s.time_s += int64_t{1} << 40; });
  vary([](submission& s) { s.time_given = false; });
  vary([](submission& s) { s.address = parse_ip_address("192.168.1.78"); });
  vary([](submission& s) { s.address_given = false; });
  vary([](submission& s) { s.agent += "x"; });
  vary([](submission& s) { s.agent.clear(); }); // given as empty is not absent
  vary([](submission& s) { s.agent_given = false; });
  vary([](submission& s) { s.play_time_secs = 31; });
  vary([](submission& s) { s.play_time_secs = 0; });
  vary([](submission& s) { s.play_time_secs = absent; });
  vary([](submission& s) { s.watched_percent = 81; });
  vary([](submission& s) { s.watched_percent = 0; });
  vary([](submission& s) { s.watched_percent = absent; });
  vary([](submission& s) { std::swap(s.play_time_secs, s.watched_percent); });
  vary([](submission& s) { s.watched_percent = absent, s.play_time_secs = 80; });
  vary([](submission& s) { s.watched_percent = 80, s.play_time_secs = absent, s.time_given = false; });
  vary([](submission& s) { s.progress = playback_progress::start; });
  vary([](submission& s) { s.progress = playback_progress::complete; });
  BOOST_TEST(seen.size() == variants);
}

BOOST_AUTO_TEST_CASE(what_the_server_filled_in_is_not_in_the_fields_hash) {
  const auto key = counting_key();
  submission first = full_submission();
  first.address_given = first.agent_given = first.time_given = false;
  submission retry = first;
  retry.time_s += 5;
  retry.address = parse_ip_address("2001:db8::9");
  retry.agent = "another";
  retry.prefetch = true;
  BOOST_TEST(fields_hash_of(key, first) == fields_hash_of(key, retry));
}

BOOST_AUTO_TEST_SUITE_END()
