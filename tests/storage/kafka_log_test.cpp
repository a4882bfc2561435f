// What the Kafka log promises when brokers fail, on mock brokers: no false durable, nothing skipped, recovery by itself.
#include <atomic>
#include <map>
#include <mutex>
#include <set>

#include "tests/storage/kafka_fixtures.hpp"

#include "storage/kafka_bounds.hpp"

namespace adtrack::storage {
namespace {

using test::eventually;

constexpr int16_t produce_api = 0, fetch_api = 1, init_producer_api = 22;

struct fixture {
  explicit fixture(const std::function<void(kafka_options&)>& change = [](kafka_options&) {}) {
    auto options = kafka.options();
    change(options);
    auto opened = open_kafka_log(options);
    BOOST_REQUIRE_MESSAGE(opened.ok(), opened.why.message);
    log = std::move(*opened);
  }

  // Counts the calls, so that an outcome given twice or never is seen.
  struct answer {
    std::atomic<int> calls{0};
    std::vector<append_outcome> outcomes;
  };
  std::shared_ptr<answer> append_later(std::vector<log_record> records) {
    auto mine = std::make_shared<answer>();
    log->append(std::move(records), [mine](std::vector<append_outcome> outcomes) {
      mine->outcomes = std::move(outcomes);
      ++mine->calls;
    });
    return mine;
  }
  append_outcome append(uint32_t partition, const std::string& value) {
    const auto got = append_later({{partition, value}});
    BOOST_REQUIRE(eventually([&] { return got->calls > 0; }));
    BOOST_REQUIRE_EQUAL(got->outcomes.size(), 1u);
    ++fates[got->outcomes[0].fate];
    return got->outcomes[0];
  }
  void append_until_durable(uint32_t partition, const std::string& value) {
    BOOST_REQUIRE(eventually([&] { return append(partition, value).fate == append_fate::durable; }));
  }
  // All records of the partition, whatever the log has to go through meanwhile.
  std::vector<stored_record> all(uint32_t partition) {
    std::vector<stored_record> out;
    BOOST_REQUIRE(eventually([&] {
      const int64_t next = out.empty() ? 0 : out.back().offset + 1;
      auto read = log->read(partition, next, 1'000, 1 << 20);
      if (read.ok())
        for (auto& each : *read) out.push_back(std::move(each));
      return read.ok() && !out.empty() && out.back().offset + 1 >= log->end(partition).offset;
    }));
    return out;
  }

  test::mock_kafka kafka;
  std::unique_ptr<kafka_log> log;
  std::map<append_fate, int> fates;
};

} // namespace

BOOST_AUTO_TEST_SUITE(kafka_log_under_faults)

BOOST_AUTO_TEST_CASE(no_produce_error_makes_a_false_durable_or_needs_another_log) {
  fixture f;
  std::map<std::string, append_outcome> told;
  for (const auto error : {RD_KAFKA_RESP_ERR_UNKNOWN,
                           RD_KAFKA_RESP_ERR_INVALID_MSG,
                           RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
                           RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
                           RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
                           RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
                           RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE,
                           RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE,
                           RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
                           RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION,
                           RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
                           RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION,
                           RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE,
                           RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
                           RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND,
                           RD_KAFKA_RESP_ERR_INVALID_REQUIRED_ACKS,
                           RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
                           RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED,
                           RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP,
                           RD_KAFKA_RESP_ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT,
                           RD_KAFKA_RESP_ERR_POLICY_VIOLATION,
                           RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER,
                           RD_KAFKA_RESP_ERR_DUPLICATE_SEQUENCE_NUMBER,
                           RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH,
                           RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
                           RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR,
                           RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID,
                           RD_KAFKA_RESP_ERR_INVALID_RECORD,
                           RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT,
                           RD_KAFKA_RESP_ERR_THROTTLING_QUOTA_EXCEEDED,
                           RD_KAFKA_RESP_ERR_PRODUCER_FENCED,
                           RD_KAFKA_RESP_ERR_INVALID_REQUIRED_ACKS}) {
    BOOST_TEST_CONTEXT(rd_kafka_err2name(error)) {
      f.kafka.fail_next(produce_api, error);
      const std::string value = std::string(rd_kafka_err2name(error)) + std::to_string(told.size());
      const auto outcome = f.append(0, value);
      // The broker "has it already" is a yes, though the mock never had it: only there the log must believe it, without an
      // offset.
      if (error == RD_KAFKA_RESP_ERR_DUPLICATE_SEQUENCE_NUMBER)
        BOOST_TEST(outcome.offset == -1);
      else
        told[value] = outcome;
      f.kafka.clear_failures(produce_api);
      f.append_until_durable(0, "after " + value);
      BOOST_TEST(f.log->writable());
    }
  }
  std::map<std::string, int64_t> found;
  for (auto& record : f.all(0)) found[record.value] = record.offset;
  for (const auto& [value, outcome] : told) {
    if (outcome.fate == append_fate::durable) BOOST_TEST(found.contains(value), value);
    if (outcome.fate == append_fate::durable && outcome.offset >= 0) BOOST_TEST(found[value] == outcome.offset, value);
    if (outcome.fate == append_fate::refused) BOOST_TEST(!found.contains(value), value);
  }
  BOOST_TEST(f.fates[append_fate::durable] > 0);
  BOOST_TEST(f.fates[append_fate::durable] < static_cast<int>(2 * told.size()));
  BOOST_TEST(f.log->stats().rebuilds > 0u); // some of them are fatal
}

BOOST_AUTO_TEST_CASE(a_record_that_may_have_been_written_before_a_clear_no_is_of_unknown_fate) {
  fixture f([](kafka_options& o) { o.message_timeout_ms = 700; });
  f.append_until_durable(0, "first");
  f.kafka.fail_next(produce_api, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT);
  f.kafka.fail_next(produce_api, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, 100);
  BOOST_TEST((f.append(0, "doubtful").fate == append_fate::unknown));
}

BOOST_AUTO_TEST_CASE(a_producer_that_fails_for_good_is_replaced_and_what_it_owes_is_answered) {
  fixture f;
  f.append_until_durable(0, "first");
  for (int broker = 1; broker <= test::mock_kafka::brokers; ++broker)
    rd_kafka_mock_broker_set_rtt(f.kafka.cluster(), broker, 300);
  f.kafka.fail_next(produce_api, RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
  std::vector<std::shared_ptr<fixture::answer>> answers;
  for (int i = 0; i < 50; ++i) answers.push_back(f.append_later({{static_cast<uint32_t>(i % 3), std::to_string(i)}}));
  BOOST_TEST(eventually([&] { return f.log->stats().rebuilds > 0; }));
  for (int broker = 1; broker <= test::mock_kafka::brokers; ++broker) rd_kafka_mock_broker_set_rtt(f.kafka.cluster(), broker, 0);
  BOOST_TEST(eventually([&] { return f.log->reopen().ok(); }));
  f.append_until_durable(0, "last");
  for (const auto& each : answers) {
    BOOST_TEST(eventually([&] { return each->calls > 0; }));
    BOOST_TEST(each->calls == 1);
  }
  BOOST_TEST(f.log->stats().outstanding_records == 0u);
}

BOOST_AUTO_TEST_CASE(a_producer_without_the_rights_to_begin_is_not_hammered_and_comes_back_when_it_has_them) {
  fixture f([](kafka_options& o) { o.message_timeout_ms = 500; });
  f.append_until_durable(0, "first");
  f.kafka.fail_next(init_producer_api, RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, 4);
  f.kafka.fail_next(produce_api, RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, 1);
  f.append(0, "second");
  f.append_until_durable(0, "last");
  BOOST_TEST(f.log->writable());
}

BOOST_AUTO_TEST_CASE(a_full_queue_refuses_at_once_what_does_not_fit) {
  fixture f([](kafka_options& o) { o.queue_records = 10; });
  f.append_until_durable(0, "first");
  for (int broker = 1; broker <= test::mock_kafka::brokers; ++broker)
    rd_kafka_mock_broker_set_rtt(f.kafka.cluster(), broker, 200);
  std::vector<log_record> records;
  for (int i = 0; i < 100; ++i) records.push_back({static_cast<uint32_t>(i % 3), std::to_string(i)});
  const auto got = f.append_later(std::move(records));
  BOOST_REQUIRE(eventually([&] { return got->calls > 0; }));
  std::map<append_fate, int> fates;
  for (const auto& each : got->outcomes) ++fates[each.fate];
  BOOST_TEST(fates[append_fate::durable] >= 1);
  BOOST_TEST(fates[append_fate::durable] <= 11);
  BOOST_TEST(fates[append_fate::durable] + fates[append_fate::refused] == 100);
}

BOOST_AUTO_TEST_CASE(closing_the_log_in_an_outage_answers_every_append_once) {
  fixture f([](kafka_options& o) { o.drain_timeout_ms = 200; });
  f.append_until_durable(0, "first");
  for (int broker = 1; broker <= test::mock_kafka::brokers; ++broker) rd_kafka_mock_broker_set_down(f.kafka.cluster(), broker);
  std::vector<std::shared_ptr<fixture::answer>> answers;
  for (int i = 0; i < 50; ++i) answers.push_back(f.append_later({{0, std::to_string(i)}, {1, std::to_string(i)}}));
  BOOST_TEST(f.log->stats().outstanding_records > 0u);
  f.log.reset();
  for (const auto& each : answers) {
    BOOST_TEST(each->calls == 1);
    for (const auto& outcome : each->outcomes) BOOST_TEST((outcome.fate != append_fate::durable));
  }
}

BOOST_AUTO_TEST_CASE(in_an_outage_nothing_is_durable_and_no_end_is_confirmed_and_afterwards_both_are) {
  fixture f([](kafka_options& o) { o.message_timeout_ms = 500; });
  f.append_until_durable(0, "first");
  for (int broker = 1; broker <= test::mock_kafka::brokers; ++broker) rd_kafka_mock_broker_set_down(f.kafka.cluster(), broker);
  BOOST_TEST((f.append(0, "outage").fate != append_fate::durable));
  const int64_t confirmed = f.log->end(0).confirmed_ms;
  BOOST_TEST((f.append(0, "outage again").fate != append_fate::durable));
  BOOST_TEST(f.log->end(0).confirmed_ms == confirmed);
  for (int broker = 1; broker <= test::mock_kafka::brokers; ++broker) rd_kafka_mock_broker_set_up(f.kafka.cluster(), broker);
  f.append_until_durable(0, "after");
  BOOST_TEST(eventually([&] { return f.log->end(0).confirmed_ms > confirmed; }));
  BOOST_TEST(f.log->end(0).offset >= 2);
}

BOOST_AUTO_TEST_CASE(no_fetch_error_skips_a_record_or_needs_another_log) {
  fixture f;
  std::vector<std::string> read;
  int64_t next = 0;
  std::set<errc> seen;
  for (const auto error :
       {RD_KAFKA_RESP_ERR_UNKNOWN, RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
        RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE, RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE,
        RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR,
        RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH, RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH, RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE,
        RD_KAFKA_RESP_ERR_INVALID_MSG}) {
    BOOST_TEST_CONTEXT(rd_kafka_err2name(error)) {
      f.kafka.fail_next(fetch_api, error, 2);
      std::vector<std::string> wanted;
      for (int i = 0; i < 3; ++i) {
        wanted.push_back(std::string(rd_kafka_err2name(error)) + std::to_string(i));
        f.append_until_durable(0, wanted.back());
      }
      std::vector<std::string> got;
      BOOST_TEST(eventually([&] {
        auto records = f.log->read(0, next, 100, 1 << 20);
        seen.insert(records.why.code);
        if (!records.ok()) return false;
        for (auto& record : *records) {
          BOOST_TEST(record.offset == next);
          next = record.offset + 1;
          got.push_back(std::move(record.value));
        }
        return got.size() == wanted.size();
      }));
      BOOST_TEST(got == wanted, boost::test_tools::per_element());
    }
  }
  BOOST_TEST(seen.contains(errc::out_of_range));
}

BOOST_AUTO_TEST_CASE(the_generation_has_grown_before_a_record_from_another_leader_is_given) {
  fixture f([](kafka_options& o) { o.ends_ms = 600'000; }); // so that only what is read can tell
  f.append_until_durable(0, "a");
  BOOST_TEST(f.all(0).size() == 1u);
  const uint64_t before = f.log->generation(0), other = f.log->generation(1);
  rd_kafka_mock_partition_set_leader(f.kafka.cluster(), "adtrack.events", 0, 3);
  f.append_until_durable(0, "b");
  std::vector<stored_record> got;
  BOOST_TEST(eventually([&] {
    auto records = f.log->read(0, 1, 100, 1 << 20);
    if (records.ok()) got = std::move(*records);
    return !got.empty();
  }));
  BOOST_TEST(f.log->generation(0) > before);
  BOOST_TEST(f.log->generation(1) == other);
  BOOST_TEST(got.front().value == "b");
}

BOOST_AUTO_TEST_CASE(the_generation_has_grown_before_a_record_over_a_new_connection_is_given) {
  fixture f([](kafka_options& o) { o.ends_ms = 600'000; });
  f.append_until_durable(0, "a");
  BOOST_TEST(f.all(0).size() == 1u);
  const uint64_t before = f.log->generation(0);
  rd_kafka_mock_broker_set_down(f.kafka.cluster(), 1); // leads partition 0
  rd_kafka_mock_broker_set_up(f.kafka.cluster(), 1);
  f.append_until_durable(0, "b");
  BOOST_TEST(eventually([&] {
    auto records = f.log->read(0, 1, 100, 1 << 20);
    return records.ok() && !records->empty();
  }));
  BOOST_TEST(f.log->generation(0) > before);
}

BOOST_AUTO_TEST_CASE(a_quiet_log_keeps_its_generation) {
  fixture f;
  for (int i = 0; i < 20; ++i) f.append_until_durable(0, std::to_string(i));
  const uint64_t before = f.log->generation(0);
  const int64_t confirmed = f.log->end(0).confirmed_ms;
  BOOST_TEST(f.all(0).size() == 20u);
  BOOST_TEST(eventually([&] { return f.log->end(0).confirmed_ms > confirmed + 500; }));
  BOOST_TEST(f.log->generation(0) == before);
  BOOST_TEST(f.log->health().ok());
}

BOOST_AUTO_TEST_CASE(who_looks_at_one_record_does_not_take_it_from_the_reader_that_stands_there) {
  fixture f;
  for (const auto* value : {"a", "b", "c"}) f.append_until_durable(0, value);
  std::vector<stored_record> seen;
  eventually([&] {
    auto got = f.log->read(0, 0, 1, 1);
    if (got.ok()) seen = std::move(*got);
    return !seen.empty();
  });
  BOOST_REQUIRE(seen.size() == 1u);
  const auto fetched = f.log->stats().messages_in;
  for (int again = 0; again < 2; ++again) { // at once: a place that has to fetch anew gives nothing yet
    auto got = f.log->read(0, 0, 1, 1);
    BOOST_REQUIRE(got.ok() && got->size() == 1u);
    BOOST_TEST(got->front().value == seen.front().value);
  }
  auto rest = f.log->read(0, 0, 10, 1'000);
  BOOST_REQUIRE(rest.ok() && !rest->empty());
  BOOST_TEST(rest->front().offset == 0);
  BOOST_TEST(f.log->stats().messages_in > fetched);
}

BOOST_AUTO_TEST_CASE(records_of_another_writer_move_the_end_and_are_told) {
  fixture f;
  std::atomic<int> told{0};
  f.log->on_appended([&] { ++told; });
  auto second = open_kafka_log(f.kafka.options());
  BOOST_REQUIRE_MESSAGE(second.ok(), second.why.message);
  const std::unique_ptr<kafka_log> mine = std::exchange(f.log, std::move(*second));
  f.append_until_durable(2, "theirs");
  BOOST_TEST(eventually([&] { return mine->end(2).offset == 1; }));
  BOOST_TEST(eventually([&] { return told > 0; }));
  BOOST_TEST(eventually([&] {
    auto read = mine->read(2, 0, 10, 1'000);
    return read.ok() && read->size() == 1;
  }));
  mine->on_appended([] {});
  BOOST_TEST(mine->stats().messages_in == 1u);
  BOOST_TEST(f.log->stats().messages_out == 1u);
}

BOOST_AUTO_TEST_CASE(brokers_that_are_not_there_are_an_error_that_says_so) {
  kafka_options options = test::quick_kafka_options();
  options.brokers = "127.0.0.1:1";
  options.connect_timeout_ms = 300;
  auto opened = open_kafka_log(options);
  BOOST_REQUIRE(!opened.ok());
  BOOST_TEST((opened.why.code == errc::io));
  BOOST_TEST(opened.why.message.find("no Kafka broker of 127.0.0.1:1 answers within 300 ms") == 0u, opened.why.message);
  options.brokers.clear();
  BOOST_TEST((open_kafka_log(options).why.code == errc::mismatch));
}

BOOST_AUTO_TEST_CASE(a_password_file_that_cannot_be_read_is_named) {
  kafka_options options = test::quick_kafka_options();
  options.brokers = "127.0.0.1:1";
  options.sasl_password_file = "/nowhere/password";
  auto opened = open_kafka_log(options);
  BOOST_TEST((opened.why.code == errc::mismatch));
  BOOST_TEST(opened.why.message == "kafka.sasl_password_file cannot be read: /nowhere/password: No such file or directory");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(kafka_options_test)

BOOST_AUTO_TEST_CASE(properties_are_split_at_commas_and_at_the_first_equals_sign) {
  auto read = parse_kafka_properties(" client.dns.lookup = resolve_canonical , a=b=c,, ");
  BOOST_REQUIRE(read.ok());
  BOOST_REQUIRE_EQUAL(read->size(), 2u);
  BOOST_TEST(((*read)[0] == std::pair<std::string, std::string>{"client.dns.lookup", "resolve_canonical"}));
  BOOST_TEST(((*read)[1] == std::pair<std::string, std::string>{"a", "b=c"}));
}

BOOST_AUTO_TEST_CASE(properties_that_a_promise_rests_on_are_refused_by_name_and_no_value_is_repeated) {
  for (const char* name : {"enable.idempotence", "acks", "topic.acks", "auto.offset.reset", "check.crcs", "sasl.password",
                           "message.send.max.retries", "request.required.acks", "transactional.id"}) {
    auto read = parse_kafka_properties(std::string(name) + "=secret");
    BOOST_REQUIRE(!read.ok());
    BOOST_TEST((read.why.code == errc::mismatch));
    BOOST_TEST(read.why.message.find(std::string("kafka.options must not set ") + name) == 0u);
    BOOST_TEST(read.why.message.find("secret") == std::string::npos);
  }
  BOOST_TEST(parse_kafka_properties("secret").why.message.find("secret") == std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(kafka_bounds_test)

BOOST_AUTO_TEST_CASE(an_end_goes_backwards_only_by_the_leader_s_word_and_is_then_told) {
  kafka::bounds bounds(1);
  BOOST_TEST(bounds.confirm(0, 10, 0, 5, 1'000));
  bounds.at_least(0, 12);
  bounds.at_least(0, 3);
  BOOST_TEST(bounds.of(0).end == 12);
  BOOST_TEST(bounds.confirm(0, 11, 10, 6, 1'001)); // asked before 12 was known
  BOOST_TEST(bounds.of(0).end == 12);
  BOOST_TEST(!bounds.confirm(0, 11, 12, 7, 1'002));
  BOOST_TEST(bounds.of(0).end == 11);
  BOOST_TEST(bounds.of(0).confirmed_ms == 7);
}

BOOST_AUTO_TEST_CASE(a_stretch_without_records_at_the_end_is_not_waited_for) {
  kafka::bounds bounds(1);
  BOOST_TEST(bounds.confirm(0, 10, 0, 5, 1'000));
  bounds.empty_between(0, 8, 10);
  BOOST_TEST(bounds.reachable_end(0).offset == 8);
  bounds.at_least(0, 11);
  BOOST_TEST(bounds.reachable_end(0).offset == 11);
}

BOOST_AUTO_TEST_CASE(no_record_is_older_than_the_last_mark_before_it) {
  kafka::bounds bounds(1);
  BOOST_TEST(!bounds.appended_ms(0, 0));
  BOOST_TEST(bounds.confirm(0, 10, 0, 5, 1'000)); // it ended at 10 then
  BOOST_TEST(!bounds.appended_ms(0, 9));
  BOOST_TEST(bounds.appended_ms(0, 10).value_or(-1) == 1'000);
  bounds.acknowledged(0, 12, 1'040);
  BOOST_TEST(bounds.of(0).end == 13);
  BOOST_TEST(bounds.appended_ms(0, 11).value_or(-1) == 1'000); // another writer's
  BOOST_TEST(bounds.appended_ms(0, 12).value_or(-1) == 1'040);
  BOOST_TEST(bounds.confirm(0, 12, 10, 6, 1'030)); // asked before 12 was there
  BOOST_TEST(bounds.appended_ms(0, 12).value_or(-1) == 1'040);
  bounds.acknowledged(0, 13, 1'035); // a clock that went back
  BOOST_TEST(bounds.appended_ms(0, 13).value_or(-1) == 1'040);
  BOOST_TEST(bounds.confirm(0, 14, 14, 8, 1'300));
  BOOST_TEST(bounds.appended_ms(0, 14).value_or(-1) == 1'300);
  for (int64_t i = 0; i < 2'000; ++i) bounds.acknowledged(0, 14 + i, 1'400 + 20 * i);
  BOOST_TEST(!bounds.appended_ms(0, 14)); // forgotten
  BOOST_TEST(bounds.appended_ms(0, 1'500).value_or(-1) == 1'400 + 20 * 1'486);
  bounds.acknowledged(0, 2'014, 41'382); // too near to the last to be worth a mark
  BOOST_TEST(bounds.appended_ms(0, 2'014).value_or(-1) == 41'380);
  bounds.acknowledged(0, 2'015, 31'000); // the clock was set back: what it said before says nothing now
  BOOST_TEST(!bounds.appended_ms(0, 2'014));
  BOOST_TEST(bounds.appended_ms(0, 2'015).value_or(-1) == 31'000);
  BOOST_TEST(!bounds.confirm(0, 11, 2'016, 9, 31'500));
  BOOST_TEST(!bounds.appended_ms(0, 2'015));
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace adtrack::storage
