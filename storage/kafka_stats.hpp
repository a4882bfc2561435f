// Counters of a Kafka log, for metrics: totals since it was opened, and a few levels of this moment.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace adtrack::storage {

struct kafka_stats {
  uint64_t messages_out = 0; // acknowledged by the brokers
  uint64_t messages_in = 0;
  uint64_t bytes_out = 0; // of values
  uint64_t bytes_in = 0;
  std::map<std::string, uint64_t> errors; // by librdkafka's name of the code, as "_TRANSPORT" or "NOT_ENOUGH_REPLICAS"
  uint64_t retries = 0;                   // requests sent again by the producer, as of the last statistics
  uint64_t rebuilds = 0;                  // producers replaced after a fatal error
  uint64_t outstanding_records = 0;       // appended, no outcome yet
  int64_t oldest_append_ms = 0;           // age of the oldest append without its outcome; 0 if none
  uint32_t brokers_up = 0;                // as of the last statistics
};

} // namespace adtrack::storage
