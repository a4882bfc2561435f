// Topics that do not fit, or stop fitting, on a real broker.
#include <map>

#include "tests/storage/kafka_fixtures.hpp"

namespace adtrack::storage {
namespace {

using test::eventually;
using settings = std::vector<std::pair<std::string, std::string>>;

const settings good_events = {{"message.timestamp.type", "LogAppendTime"}, {"retention.ms", "-1"}, {"retention.bytes", "-1"}};

settings with(settings base, const std::string& key, const std::string& value) {
  for (auto& each : base)
    if (each.first == key) {
      each.second = value;
      return base;
    }
  base.emplace_back(key, value);
  return base;
}

void append_durable(event_log& log, uint32_t partition, const std::string& value) {
  const auto fate = std::make_shared<std::atomic<int>>(-1);
  log.append({{partition, value}}, [fate](std::vector<append_outcome> o) { *fate = static_cast<int>(o[0].fate); });
  BOOST_REQUIRE(eventually([&] { return *fate >= 0; }));
  BOOST_REQUIRE(*fate == static_cast<int>(append_fate::durable));
}

size_t count_from(event_log& log, uint32_t partition, int64_t from) {
  size_t count = 0;
  BOOST_TEST(eventually([&] {
    auto read = log.read(partition, from, 1'000, 1 << 20);
    BOOST_REQUIRE_MESSAGE(read.ok(), read.why.message);
    if (!read->empty()) from = read->back().offset + 1;
    count += read->size();
    return from >= log.end(partition).offset;
  }));
  return count;
}

} // namespace

BOOST_AUTO_TEST_SUITE(kafka_topics_on_a_real_broker)

BOOST_AUTO_TEST_CASE(topics_that_do_not_fit_are_refused_with_a_sentence) {
  ADTRACK_SKIP_WITHOUT_KAFKA(test::real_kafka)
  struct refusal {
    const char* topic;
    int partitions;
    settings with;
    std::string says;
    bool unless_unsafe;
  };
  for (const auto& each : std::vector<refusal>{
           {".events", 2, good_events, "has 2 partitions, not 3", false},
           {".events", 3, with(good_events, "message.timestamp.type", "CreateTime"), "message.timestamp.type=CreateTime", false},
           {".events", 3, with(good_events, "retention.ms", "604800000"), "retention.ms=604800000", false},
           {".events", 3, with(good_events, "retention.bytes", "1000000"), "retention.bytes=1000000", false},
           {".events", 3, with(good_events, "cleanup.policy", "compact"), "cleanup.policy=compact", false},
           {".ads", 1, {}, "cleanup.policy=delete", false},
           {".ads", 1, {{"cleanup.policy", "compact,delete"}}, "cleanup.policy=compact,delete", false},
           {".ads", 2, {{"cleanup.policy", "compact"}}, "has 2 partitions, not 1", false},
           {".events", 3, good_events, "has 1 replicas", true}}) {
    BOOST_TEST_CONTEXT(each.topic << " " << each.says) {
      test::real_kafka kafka;
      kafka.create_topic(kafka.prefix() + each.topic, each.partitions, each.with);
      auto options = kafka.options();
      options.allow_unsafe = !each.unless_unsafe;
      auto opened = open_kafka_log(options);
      BOOST_REQUIRE(!opened.ok());
      BOOST_TEST((opened.why.code == errc::mismatch));
      BOOST_TEST(opened.why.message.find(kafka.prefix() + each.topic) != std::string::npos, opened.why.message);
      BOOST_TEST(opened.why.message.find(each.says) != std::string::npos, opened.why.message);
    }
  }
}

BOOST_AUTO_TEST_CASE(what_was_acknowledged_is_there_for_the_next_log) {
  ADTRACK_SKIP_WITHOUT_KAFKA(test::real_kafka)
  test::real_kafka kafka;
  for (int round = 0; round < 2; ++round) {
    auto opened = open_kafka_log(kafka.options());
    BOOST_REQUIRE_MESSAGE(opened.ok(), opened.why.message);
    BOOST_TEST((*opened)->end(1).offset == round);
    append_durable(**opened, 1, "kept");
    BOOST_TEST(count_from(**opened, 1, 0) == static_cast<size_t>(round) + 1);
  }
}

BOOST_AUTO_TEST_CASE(a_topic_made_anew_is_seen_and_an_offset_past_its_end_is_out_of_range) {
  ADTRACK_SKIP_WITHOUT_KAFKA(test::real_kafka)
  test::real_kafka kafka;
  auto opened = open_kafka_log(kafka.options());
  BOOST_REQUIRE_MESSAGE(opened.ok(), opened.why.message);
  auto& log = **opened;
  for (int i = 0; i < 5; ++i) append_durable(log, 0, "old");
  BOOST_TEST(count_from(log, 0, 0) == 5u);
  const uint64_t before = log.generation(0);
  const std::string topic = kafka.prefix() + ".events";
  kafka.delete_topic(topic);
  kafka.create_topic(topic, 3, good_events);
  BOOST_TEST(eventually([&] { return log.generation(0) > before; }));
  BOOST_TEST(eventually([&] { return !log.health().ok(); }));
  BOOST_TEST(eventually([&] { return log.read(0, 5, 10, 1'000).why.code == errc::out_of_range; }));
}

BOOST_AUTO_TEST_CASE(a_topic_that_grew_or_went_is_told) {
  ADTRACK_SKIP_WITHOUT_KAFKA(test::real_kafka)
  for (const bool grow : {true, false}) {
    test::real_kafka kafka;
    auto opened = open_kafka_log(kafka.options());
    BOOST_REQUIRE_MESSAGE(opened.ok(), opened.why.message);
    BOOST_TEST((*opened)->health().ok());
    if (grow)
      kafka.grow_topic(kafka.prefix() + ".events", 4);
    else
      kafka.delete_topic(kafka.prefix() + ".events");
    BOOST_TEST(eventually([&] { return !(*opened)->health().ok(); }));
    const auto health = (*opened)->health();
    BOOST_TEST(health.message.find(grow ? "has 4 partitions now, not 3" : "was deleted while it was in use") != std::string::npos,
               health.message);
  }
}

BOOST_AUTO_TEST_CASE(records_that_another_removed_are_out_of_range_and_never_skipped) {
  ADTRACK_SKIP_WITHOUT_KAFKA(test::real_kafka)
  test::real_kafka kafka;
  auto mine = open_kafka_log(kafka.options());
  auto other = open_kafka_log(kafka.options());
  BOOST_REQUIRE(mine.ok() && other.ok());
  for (int i = 0; i < 5; ++i) append_durable(**mine, 0, "x");
  BOOST_TEST(eventually([&] { return (*other)->end(0).offset == 5; }));
  BOOST_REQUIRE((*other)->trim(0, 3).ok());
  // This one does not know of it yet, so the brokers have to say it.
  auto read = (*mine)->read(0, 1, 10, 1'000);
  BOOST_TEST(eventually([&] {
    if (read.ok()) BOOST_TEST(read->empty());
    read = (*mine)->read(0, 1, 10, 1'000);
    return !read.ok();
  }));
  BOOST_TEST((read.why.code == errc::out_of_range));
  BOOST_TEST(eventually([&] { return (*mine)->begin(0) == 3; }));
  BOOST_TEST(count_from(**mine, 0, 3) == 2u);
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace adtrack::storage
