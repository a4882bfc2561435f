#include "model/identity.hpp"

#include <set>
#include <string>

#include <boost/test/unit_test.hpp>
#include <xxhash.h>

#include "model/event.hpp"

using namespace adtrack;

BOOST_AUTO_TEST_SUITE(identities)

BOOST_AUTO_TEST_CASE(an_identity_is_the_hash_of_type_ad_and_event_id_at_every_length) {
  for (size_t size = 0; size <= 300; ++size) {
    const std::string event_id(size, 'x');
    std::string bytes("\x02\x15\xcd\x5b\x07\x00\x00\x00\x00", 9); // playback, 123456789 little-endian
    bytes += event_id;
    const auto expected = XXH3_128bits(bytes.data(), bytes.size());
    const auto id = identity_of(event_type::playback, 123456789, event_id);
    BOOST_TEST((id == identity{expected.high64, expected.low64}), "at length " << size);
  }
}

BOOST_AUTO_TEST_CASE(an_identity_is_the_same_in_every_release) { // it is stored
  const auto id = identity_of(event_type::click, 32, "11f83d6e-8b2b-4d0c-9f5c-0d5f0ad27ee1");
  BOOST_TEST(id.high == 0x3d87d1fc206d320eu);
  BOOST_TEST(id.low == 0x813e180e62012b50u);
}

BOOST_AUTO_TEST_CASE(each_of_the_three_parts_makes_another_identity) {
  std::set<identity> seen;
  for (const auto type : {event_type::click, event_type::impression, event_type::playback}) {
    for (const uint64_t ad_id : {uint64_t{1}, uint64_t{2}, uint64_t{256}, max_ad_id}) {
      for (const char* event_id : {"a", "b", "aa", "1"}) seen.insert(identity_of(type, ad_id, event_id));
    }
  }
  BOOST_TEST(seen.size() == 3u * 4u * 4u);
}

BOOST_AUTO_TEST_SUITE_END()
