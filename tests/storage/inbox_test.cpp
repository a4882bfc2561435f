// One suite for every inbox, then what only the one on Kafka does: sharing, outages, what the topic lost.
#include <map>
#include <set>

#include "storage/kafka_inbox.hpp"
#include "storage/kafka_producer.hpp"
#include "storage/kafka_topics.hpp"
#include "storage/memory_inbox.hpp"
#include "tests/storage/kafka_fixtures.hpp"

namespace adtrack::storage {
namespace {

using test::eventually;

struct memory_fixture {
  static bool there() { return true; }
  std::unique_ptr<inbox> open() { return make_memory_inbox(topic); }
  void add(uint32_t partition, const std::string& value) { topic->add(partition, value, 1'753'200'972'000); }

  std::shared_ptr<memory_inbox_topic> topic = std::make_shared<memory_inbox_topic>();
};

template <class Kafka>
struct kafka_fixture {
  static bool there() {
    if constexpr (requires { Kafka::there(); }) return Kafka::there();
    return true;
  }

  std::unique_ptr<inbox> open(const std::function<void(kafka_inbox_options&)>& change = {}) {
    kafka_inbox_options more;
    more.session_ms = 6'000;
    if (change) change(more);
    auto opened = open_kafka_inbox(kafka.options(), more);
    BOOST_REQUIRE_MESSAGE(opened.ok(), opened.why.message);
    return std::move(*opened);
  }
  void add(uint32_t partition, const std::string& value) {
    if (!producer) {
      producer = std::make_unique<kafka::producer>(kafka.options(), inbox_topic(kafka.options()), counts,
                                                   [](uint32_t, int64_t, int64_t) {});
      BOOST_REQUIRE(producer->start().ok());
    }
    std::atomic<int> fate{-1};
    std::vector<kafka::keyed_record> records(1);
    records[0] = {partition, true, false, "any key", value};
    producer->append(std::move(records), [&](std::vector<append_outcome> o) { fate = static_cast<int>(o[0].fate); });
    BOOST_REQUIRE(eventually([&] { return fate >= 0; }));
    BOOST_REQUIRE(fate == static_cast<int>(append_fate::durable));
  }

  Kafka kafka;
  storage::kafka::counters counts;
  std::unique_ptr<storage::kafka::producer> producer;
};
using mock_fixture = kafka_fixture<test::mock_kafka>;

// A real broker, whose group is left behind as its topic is removed.
struct real_fixture : kafka_fixture<test::real_kafka> {
  real_fixture() { static_cast<void>(open()); } // makes the topic
};

// Reads until `count` records are there; errors on the way are part of joining a group.
std::vector<inbox_record> read_all(inbox& from, size_t count, size_t max_records = 100, size_t max_bytes = 1 << 20) {
  std::vector<inbox_record> out;
  BOOST_TEST(eventually([&] {
    auto got = from.read(max_records, max_bytes);
    if (!got.ok()) return false;
    BOOST_TEST(got->size() <= max_records);
    for (auto& each : *got) out.push_back(std::move(each));
    return out.size() >= count;
  }));
  BOOST_TEST(out.size() == count);
  return out;
}

void commit(inbox& to, const std::vector<inbox_record>& records) {
  std::map<uint32_t, int64_t> next;
  for (const auto& each : records) next[each.partition] = each.offset + 1;
  std::vector<inbox_position> positions;
  for (const auto& [partition, offset] : next) positions.push_back({partition, offset});
  BOOST_TEST(eventually([&] {
    to.serve(); // a commit in the midst of a rebalance fails until it is over
    return to.commit(positions).ok();
  }));
}

// The values by partition, in the order in which they came.
std::map<uint32_t, std::vector<std::string>> values(const std::vector<inbox_record>& records) {
  std::map<uint32_t, std::vector<std::string>> out;
  for (const auto& each : records) out[each.partition].push_back(each.value);
  return out;
}
using expected = std::map<uint32_t, std::vector<std::string>>;

int64_t lag_of(inbox& of) {
  auto lag = of.lag();
  return lag.ok() ? lag->records : -1;
}

template <class Fixture>
void every_record_is_given_once_in_order() {
  Fixture f;
  f.add(0, "a");
  f.add(1, "b");
  f.add(0, "c");
  auto in = f.open();
  const auto got = read_all(*in, 3);
  BOOST_TEST((values(got) == expected{{0, {"a", "c"}}, {1, {"b"}}}));
  for (const auto& each : got) BOOST_TEST(each.time_ms > 1'700'000'000'000);
  f.add(2, "d");
  BOOST_TEST((values(read_all(*in, 1)) == expected{{2, {"d"}}}));
}

template <class Fixture>
void what_was_committed_is_not_given_again_and_the_rest_is() {
  Fixture f;
  for (const char* value : {"a", "b", "c"}) f.add(0, value);
  {
    auto in = f.open();
    auto got = read_all(*in, 3);
    got.pop_back();
    commit(*in, got);
    BOOST_TEST(eventually([&] { return lag_of(*in) == 1; }));
  }
  auto in = f.open();
  BOOST_TEST((values(read_all(*in, 1)) == expected{{0, {"c"}}}));
}

template <class Fixture>
void a_read_is_bounded_in_records_and_bytes() {
  Fixture f;
  for (int i = 0; i < 20; ++i) f.add(0, std::string(100, static_cast<char>('a' + i)));
  auto in = f.open();
  auto first = read_all(*in, 4, 4);
  auto next = read_all(*in, 1, 100, 50); // one alone may be larger
  size_t left = 15;
  while (left > 0) {
    auto got = in->read(100, 350);
    BOOST_REQUIRE(got.ok());
    BOOST_TEST(got->size() <= 3u);
    left -= got->size();
  }
  BOOST_TEST(first.back().offset + 1 == next.front().offset);
}

template <class Fixture>
void lag_is_what_is_not_committed() {
  Fixture f;
  f.add(0, "a");
  f.add(1, "b");
  auto in = f.open();
  const auto got = read_all(*in, 2);
  BOOST_TEST(eventually([&] { return lag_of(*in) == 2; }));
  commit(*in, got);
  BOOST_TEST(eventually([&] { return lag_of(*in) == 0; }));
}

} // namespace

// NOLINTBEGIN(bugprone-macro-parentheses): the name of a template cannot stand in parentheses
#define ADTRACK_INBOX_CASE(name)                                                                                                 \
  BOOST_AUTO_TEST_CASE(name##_in_memory) { name<memory_fixture>(); }                                                             \
  BOOST_AUTO_TEST_CASE(name##_on_kafka) {                                                                                        \
    ADTRACK_SKIP_WITHOUT_KAFKA(real_fixture)                                                                                     \
    name<real_fixture>();                                                                                                        \
  }
// NOLINTEND(bugprone-macro-parentheses)

BOOST_AUTO_TEST_SUITE(every_inbox)

ADTRACK_INBOX_CASE(every_record_is_given_once_in_order)
ADTRACK_INBOX_CASE(what_was_committed_is_not_given_again_and_the_rest_is)
ADTRACK_INBOX_CASE(a_read_is_bounded_in_records_and_bytes)
ADTRACK_INBOX_CASE(lag_is_what_is_not_committed)

// The mock's groups take seconds to form, so that only what needs no more than them runs on both.
BOOST_AUTO_TEST_CASE(what_was_committed_is_not_given_again_and_the_rest_is_on_mock_brokers) {
  what_was_committed_is_not_given_again_and_the_rest_is<mock_fixture>();
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(inbox_on_kafka)

BOOST_AUTO_TEST_CASE(two_nodes_share_the_partitions_and_no_record_is_left_out) {
  ADTRACK_SKIP_WITHOUT_KAFKA(real_fixture)
  real_fixture f;
  auto one = f.open();
  for (uint32_t i = 0; i < 30; ++i) f.add(i % 3, "early " + std::to_string(i));
  const auto early = read_all(*one, 30);
  // Not committed when the other comes: what is read is given anew, to whichever has the partition.
  auto two = f.open();
  std::set<std::string> seen;
  std::set<uint32_t> of_one, of_two;
  const auto take = [&](inbox& from, std::set<uint32_t>& partitions) {
    auto got = from.read(100, 1 << 20);
    if (!got.ok() || got->empty()) return;
    for (const auto& each : *got) {
      seen.insert(each.value);
      partitions.insert(each.partition);
    }
    commit(from, *got);
  };
  BOOST_TEST(eventually([&] {
    take(*one, of_one);
    take(*two, of_two);
    return seen.size() == 30;
  }));
  BOOST_TEST(!of_two.empty());
  // A commit of the first assignment says nothing about partitions that went away, and takes nothing back of those that stayed.
  commit(*one, early);
  for (uint32_t i = 0; i < 30; ++i) f.add(i % 3, "late " + std::to_string(i));
  seen.clear();
  BOOST_TEST(eventually([&] {
    take(*one, of_one);
    take(*two, of_two);
    return seen.size() == 30;
  }));
  BOOST_TEST(of_one.size() + of_two.size() == 3u);
  BOOST_TEST(eventually([&] { return lag_of(*one) == 0 && lag_of(*two) == 0; }));
  // The one that is left has all. What it read of its own before it got the rest may be given to it again.
  two.reset();
  for (uint32_t i = 0; i < 3; ++i) f.add(i, "last " + std::to_string(i));
  seen.clear();
  BOOST_TEST(eventually([&] {
    take(*one, of_one);
    return seen.size() == 3;
  }));
}

BOOST_AUTO_TEST_CASE(a_partition_that_is_added_is_read) {
  ADTRACK_SKIP_WITHOUT_KAFKA(real_fixture)
  real_fixture f;
  auto in = f.open();
  f.add(0, "a");
  static_cast<void>(read_all(*in, 1));
  f.kafka.grow_topic(f.kafka.prefix() + ".inbox", 5);
  f.producer.reset(); // one that knows of it
  f.add(4, "b");
  std::set<std::string> seen;
  BOOST_TEST(eventually([&] {
    auto got = in->read(100, 1 << 20);
    if (got.ok())
      for (const auto& each : *got) seen.insert(each.value);
    return seen.contains("b");
  }));
}

BOOST_AUTO_TEST_CASE(records_that_the_topic_dropped_before_they_were_read_are_told) {
  ADTRACK_SKIP_WITHOUT_KAFKA(real_fixture)
  real_fixture f;
  for (const char* value : {"a", "b", "c", "d", "e"}) f.add(0, value);
  {
    auto in = f.open();
    auto got = read_all(*in, 5);
    got.resize(1);
    commit(*in, got);
  }
  kafka::connection_context context;
  context.counts = &f.counts;
  auto admin = kafka::make_handle(f.kafka.options(), kafka::role::admin, context);
  BOOST_REQUIRE(admin.ok());
  BOOST_REQUIRE(kafka::delete_below(admin->get(), f.kafka.prefix() + ".inbox", 0, 4, 5'000).ok());
  auto in = f.open();
  BOOST_TEST((values(read_all(*in, 1)) == expected{{0, {"e"}}}));
  BOOST_TEST(eventually([&] {
    static_cast<void>(in->read(100, 1 << 20).ok());
    auto lag = in->lag();
    return lag.ok() && lag->lost == 3; // b, c, d
  }));
}

BOOST_AUTO_TEST_CASE(what_a_transaction_gave_up_is_not_given_and_its_marks_are_no_lag) {
  ADTRACK_SKIP_WITHOUT_KAFKA(real_fixture)
  real_fixture f;
  char text[256];
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  rd_kafka_conf_set(conf, "bootstrap.servers", f.kafka.options().brokers.c_str(), text, sizeof text);
  rd_kafka_conf_set(conf, "transactional.id", f.kafka.prefix().c_str(), text, sizeof text);
  const kafka::handle other(rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text));
  BOOST_REQUIRE_MESSAGE(other, text);
  const auto fine = [](rd_kafka_error_t* error) { BOOST_REQUIRE_MESSAGE(error == nullptr, rd_kafka_error_string(error)); };
  fine(rd_kafka_init_transactions(other.get(), 20'000));
  const std::string topic = f.kafka.prefix() + ".inbox";
  const auto send = [&](std::string value) {
    BOOST_REQUIRE(rd_kafka_producev(other.get(), RD_KAFKA_V_TOPIC(topic.c_str()), RD_KAFKA_V_PARTITION(0),
                                    RD_KAFKA_V_VALUE(value.data(), value.size()), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                                    RD_KAFKA_V_END) == RD_KAFKA_RESP_ERR_NO_ERROR);
  };
  fine(rd_kafka_begin_transaction(other.get()));
  send("a");
  fine(rd_kafka_commit_transaction(other.get(), 20'000));
  fine(rd_kafka_begin_transaction(other.get()));
  send("x");
  BOOST_REQUIRE(rd_kafka_flush(other.get(), 20'000) == RD_KAFKA_RESP_ERR_NO_ERROR); // else it never reaches the topic
  fine(rd_kafka_abort_transaction(other.get(), 20'000));
  fine(rd_kafka_begin_transaction(other.get()));
  send("b");
  fine(rd_kafka_commit_transaction(other.get(), 20'000));
  auto in = f.open();
  const auto got = read_all(*in, 2);
  BOOST_TEST((values(got) == expected{{0, {"a", "b"}}}));
  commit(*in, got);
  BOOST_TEST(eventually([&] {
    auto more = in->read(100, 1 << 20);
    BOOST_TEST((!more.ok() || more->empty()));
    return lag_of(*in) == 0;
  }));
  auto lag = in->lag();
  BOOST_TEST((lag.ok() && lag->lost == 0));
}

BOOST_AUTO_TEST_CASE(a_commit_that_the_coordinator_refuses_is_an_error_and_can_be_repeated) {
  mock_fixture f;
  f.add(0, "a");
  auto in = f.open();
  const auto got = read_all(*in, 1);
  constexpr int16_t offset_commit_api = 8;
  f.kafka.fail_next(offset_commit_api, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
  const inbox_position position{0, 1};
  BOOST_TEST(!in->commit({&position, 1}).ok());
  BOOST_TEST(lag_of(*in) == 1);
  f.kafka.clear_failures(offset_commit_api);
  commit(*in, got);
  BOOST_TEST(lag_of(*in) == 0);
}

BOOST_AUTO_TEST_CASE(fetch_errors_pass_and_nothing_is_skipped) {
  mock_fixture f;
  for (int i = 0; i < 10; ++i) f.add(0, std::to_string(i));
  constexpr int16_t fetch_api = 1;
  for (const auto error : {RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
                           RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR, RD_KAFKA_RESP_ERR_UNKNOWN})
    f.kafka.fail_next(fetch_api, error);
  auto in = f.open();
  const auto got = read_all(*in, 10);
  for (int i = 0; i < 10; ++i) BOOST_TEST(got[static_cast<size_t>(i)].value == std::to_string(i));
}

BOOST_AUTO_TEST_CASE(without_brokers_it_is_an_error_that_may_be_tried_again) {
  auto options = test::quick_kafka_options();
  options.brokers = "127.0.0.1:1";
  options.connect_timeout_ms = 200;
  auto opened = open_kafka_inbox(options);
  BOOST_REQUIRE(!opened.ok());
  BOOST_TEST((opened.why.code == errc::io));
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace adtrack::storage
