// How to reach Kafka and what to ask of it. A plain value, filled by the composition root; passwords are named by file only, read
// whenever a connection is set up, and stand in no log line.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "storage/status.hpp"

namespace adtrack::storage {

struct kafka_options {
  std::string brokers; // "host:port,host:port"
  std::string topic_prefix = "adtrack";
  std::string client_id = "adtrack";
  uint32_t partitions = 16; // of the events topic; fixed when it is created

  int32_t replication_factor = 3;  // of a topic that is created
  int32_t min_insync_replicas = 2; // of a topic that is created
  bool allow_unsafe = false;       // development: take topics that can lose what was acknowledged
  bool unchecked_topics = false;   // for brokers that cannot describe theirs, as mocks: never a setting

  std::string security_protocol = "plaintext"; // plaintext, ssl, sasl_plaintext, sasl_ssl
  std::string sasl_mechanism;                  // "" = none; PLAIN, SCRAM-SHA-256, SCRAM-SHA-512
  std::string sasl_username;
  std::string sasl_password_file;
  std::string ssl_ca_file; // "" = the system's
  std::string ssl_certificate_file;
  std::string ssl_key_file;
  std::string ssl_key_password_file;

  uint32_t message_timeout_ms = 4'000; // from append to outcome
  uint32_t linger_ms = 1;
  size_t batch_bytes = 1'000'000;     // of one produce request, a partition
  size_t queue_bytes = 256u << 20;    // appended and not yet answered; more is refused
  uint32_t queue_records = 1'000'000; // likewise
  uint32_t fetch_wait_ms = 20;        // a broker answers a fetch after this, or earlier with fetch_min_bytes
  size_t fetch_min_bytes = 128u << 10;
  size_t fetch_queue_bytes = 4u << 20; // fetched ahead, a partition and reader

  uint32_t connect_timeout_ms = 10'000; // finding the brokers at the start
  uint32_t admin_timeout_ms = 5'000;    // one question to the brokers; creating a topic
  uint32_t ends_ms = 250;               // between two questions for the ends of all partitions
  uint32_t ends_timeout_ms = 2'000;
  uint32_t topics_ms = 5'000;        // between two looks at partition counts and leaders, at most 30 s
  uint32_t fetch_retry_ms = 200;     // after a failed fetch
  uint32_t reader_lease_ms = 1'000;  // a partition's place is given to another reader after this long without a read
  uint32_t rebuild_backoff_ms = 500; // after a producer that failed for good; doubles up to 16 times
  uint32_t drain_timeout_ms = 2'000; // for the outcomes of what is outstanding at the end
  uint32_t statistics_ms = 5'000;

  std::vector<std::pair<std::string, std::string>> extra; // librdkafka properties
};

// "key=value, key=value". errc::mismatch with a sentence for what does not read so, and for a property on which a promise rests.
result<std::vector<std::pair<std::string, std::string>>> parse_kafka_properties(std::string_view text);

std::string events_topic(const kafka_options& options);
std::string inbox_topic(const kafka_options& options);
std::string ads_topic(const kafka_options& options);

} // namespace adtrack::storage
