// The event log on Apache Kafka: partitions of the topic <prefix>.events. Thread-safe; appends are answered from its own thread,
// on a clean delivery report only. read() never waits: it gives what was fetched ahead and on_appended tells when there is more;
// an offset past what is known of the end gives nothing until the leader has said whether it exists. Two readers at different
// offsets of one partition are served at once; a third waits until one has not read for reader_lease_ms. Never invents an end, an
// offset or a durable outcome.
#pragma once

#include <memory>

#include "storage/event_log.hpp"
#include "storage/kafka_options.hpp"
#include "storage/kafka_stats.hpp"

namespace adtrack::storage {

class kafka_log : public event_log {
public:
  virtual kafka_stats stats() const = 0;
};

// Finds the brokers and checks the topics <prefix>.events, .inbox and .ads, creating those that are missing. errc::io when the
// brokers do not answer: it may be tried again; errc::mismatch when settings or topics do not fit: it will not help to.
result<std::unique_ptr<kafka_log>> open_kafka_log(const kafka_options& options);

} // namespace adtrack::storage
