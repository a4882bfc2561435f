#include "model/partitioner.hpp"

#include <string>
#include <vector>

#include <boost/test/unit_test.hpp>
#include <librdkafka/rdkafka.h>

#include "model/event.hpp"
#include "tests/support/seeded.hpp"

using namespace adtrack;

BOOST_AUTO_TEST_SUITE(partitioner)

BOOST_AUTO_TEST_CASE(murmur2_gives_the_java_clients_numbers) { // of Apache Kafka's own UtilsTest
  BOOST_TEST(static_cast<int32_t>(murmur2("21")) == -973932308);
  BOOST_TEST(static_cast<int32_t>(murmur2("foobar")) == -790332482);
  BOOST_TEST(static_cast<int32_t>(murmur2("a-little-bit-long-string")) == -985981536);
  BOOST_TEST(static_cast<int32_t>(murmur2("a-little-bit-longer-string")) == -1486304829);
  BOOST_TEST(static_cast<int32_t>(murmur2("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8")) == -58897971);
  BOOST_TEST(static_cast<int32_t>(murmur2("abc")) == 479470107);
}

int32_t of_librdkafka(std::string_view key, int32_t partitions) {
  return rd_kafka_msg_partitioner_murmur2(nullptr, key.data(), key.size(), partitions, nullptr, nullptr);
}

BOOST_AUTO_TEST_CASE(random_keys_go_where_librdkafka_sends_them) {
  auto random = test::seeded();
  for (int i = 0; i < 50'000; ++i) {
    std::string key(random() % 40, '\0');
    for (char& c : key) c = static_cast<char>(random());
    const auto partitions = static_cast<int32_t>(1 + random() % 2'000);
    const auto ours = static_cast<int32_t>((murmur2(key) & 0x7fffffff) % static_cast<uint32_t>(partitions));
    BOOST_REQUIRE(ours == of_librdkafka(key, partitions));
  }
}

BOOST_AUTO_TEST_CASE(an_ad_goes_where_a_kafka_client_sends_its_decimal_text) {
  auto random = test::seeded();
  std::vector<uint64_t> ad_ids = {1, 9, 10, 99, 100, 4'294'967'295, 4'294'967'296, max_ad_id};
  for (int i = 0; i < 50'000; ++i) ad_ids.push_back((random() & max_ad_id) >> random() % 53);
  for (const uint64_t ad_id : ad_ids) {
    for (const uint32_t shards : {1u, 2u, 16u, 1'000u}) {
      BOOST_REQUIRE(shard_of(ad_id, shards) ==
                    static_cast<uint32_t>(of_librdkafka(std::to_string(ad_id), static_cast<int32_t>(shards))));
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()
