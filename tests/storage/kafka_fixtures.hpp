// Kafka for tests: librdkafka's mock brokers in this process, for faults, and a real broker when ADTRACK_TEST_KAFKA names one (as
// scripts/kafka-dev.sh prints it). Waiting is on conditions with a deadline.
#pragma once

#include <chrono>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include <unistd.h>

#include <boost/test/unit_test.hpp>

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "storage/kafka_log.hpp"
#include "storage/kafka_stream.hpp"

namespace adtrack::test {

inline bool eventually(const std::function<bool()>& condition, std::chrono::seconds limit = std::chrono::seconds(20)) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::yield();
  }
  return true;
}

inline storage::kafka_options quick_kafka_options() {
  storage::kafka_options options;
  options.partitions = 3;
  options.allow_unsafe = true; // one broker, or mocks that cannot describe their topics
  options.message_timeout_ms = 3'000;
  options.ends_ms = 50;
  options.ends_timeout_ms = 1'000;
  options.topics_ms = 200;
  options.fetch_retry_ms = 20;
  options.reader_lease_ms = 20;
  options.rebuild_backoff_ms = 50;
  return options;
}

class mock_kafka {
public:
  static constexpr int brokers = 3;
  explicit mock_kafka(int partitions = 3) {
    char text[256];
    rd_kafka_conf_t* conf = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(conf, nullptr); // what it says of its clients coming and going is of no interest
    owner_ = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    BOOST_REQUIRE_MESSAGE(owner_, text);
    cluster_ = rd_kafka_mock_cluster_new(owner_, brokers);
    for (const char* topic : {"adtrack.events", "adtrack.inbox"})
      rd_kafka_mock_topic_create(cluster_, topic, partitions, brokers);
    rd_kafka_mock_topic_create(cluster_, "adtrack.ads", 1, brokers);
    // Known leaders: partition p is led by broker p % brokers + 1.
    for (int p = 0; p < partitions; ++p) rd_kafka_mock_partition_set_leader(cluster_, "adtrack.events", p, p % brokers + 1);
  }
  ~mock_kafka() {
    rd_kafka_mock_cluster_destroy(cluster_);
    rd_kafka_destroy(owner_);
  }
  mock_kafka(const mock_kafka&) = delete;
  mock_kafka& operator=(const mock_kafka&) = delete;

  storage::kafka_options options() const {
    auto out = quick_kafka_options();
    out.brokers = rd_kafka_mock_cluster_bootstraps(cluster_);
    out.unchecked_topics = true;
    return out;
  }
  rd_kafka_mock_cluster_t* cluster() { return cluster_; }
  void fail_next(int16_t api, rd_kafka_resp_err_t error, int times = 1) {
    const std::vector<rd_kafka_resp_err_t> errors(static_cast<size_t>(times), error);
    rd_kafka_mock_push_request_errors_array(cluster_, api, errors.size(), errors.data());
  }
  void clear_failures(int16_t api) { rd_kafka_mock_clear_request_errors(cluster_, api); }

private:
  rd_kafka_t* owner_ = nullptr;
  rd_kafka_mock_cluster_t* cluster_ = nullptr;
};

// Topics of its own on the real broker, removed with it.
class real_kafka {
public:
  static bool there() { return address() != nullptr; }
  real_kafka() {
    static int made = 0;
    prefix_ = "test-" + std::to_string(getpid()) + "-" + std::to_string(++made);
    char text[256];
    rd_kafka_conf_t* conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", address(), text, sizeof text);
    admin_ = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
    BOOST_REQUIRE_MESSAGE(admin_, text);
  }
  ~real_kafka() {
    for (const char* name : {".events", ".inbox", ".ads"}) delete_topic(prefix_ + name);
    rd_kafka_destroy(admin_);
  }
  real_kafka(const real_kafka&) = delete;
  real_kafka& operator=(const real_kafka&) = delete;

  storage::kafka_options options() const {
    auto out = quick_kafka_options();
    out.brokers = address();
    out.topic_prefix = prefix_;
    return out;
  }
  const std::string& prefix() const { return prefix_; }

  void create_topic(const std::string& name, int partitions, const std::vector<std::pair<std::string, std::string>>& settings) {
    char text[256];
    rd_kafka_NewTopic_t* topic = rd_kafka_NewTopic_new(name.c_str(), partitions, 1, text, sizeof text);
    for (const auto& [key, value] : settings) rd_kafka_NewTopic_set_config(topic, key.c_str(), value.c_str());
    rd_kafka_queue_t* queue = rd_kafka_queue_new(admin_);
    rd_kafka_CreateTopics(admin_, &topic, 1, nullptr, queue);
    finish(queue);
    rd_kafka_NewTopic_destroy(topic);
  }
  void delete_topic(const std::string& name) {
    rd_kafka_DeleteTopic_t* topic = rd_kafka_DeleteTopic_new(name.c_str());
    rd_kafka_queue_t* queue = rd_kafka_queue_new(admin_);
    rd_kafka_DeleteTopics(admin_, &topic, 1, nullptr, queue);
    finish(queue);
    rd_kafka_DeleteTopic_destroy(topic);
  }
  void grow_topic(const std::string& name, size_t partitions) {
    char text[256];
    rd_kafka_NewPartitions_t* grown = rd_kafka_NewPartitions_new(name.c_str(), partitions, text, sizeof text);
    rd_kafka_queue_t* queue = rd_kafka_queue_new(admin_);
    rd_kafka_CreatePartitions(admin_, &grown, 1, nullptr, queue);
    finish(queue);
    rd_kafka_NewPartitions_destroy(grown);
  }

private:
  static const char* address() { return std::getenv("ADTRACK_TEST_KAFKA"); }
  static void finish(rd_kafka_queue_t* queue) {
    rd_kafka_event_t* event = rd_kafka_queue_poll(queue, 20'000);
    BOOST_REQUIRE(event);
    rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
  }
  std::string prefix_;
  rd_kafka_t* admin_ = nullptr;
};

} // namespace adtrack::test

// A case for a real broker says that it was skipped, rather than pass.
#define ADTRACK_SKIP_WITHOUT_KAFKA(kafka)                                                                                        \
  if (!kafka::there()) {                                                                                                         \
    BOOST_TEST_MESSAGE("skipped: ADTRACK_TEST_KAFKA does not name a broker; scripts/kafka-dev.sh starts one");                   \
    return;                                                                                                                      \
  }
