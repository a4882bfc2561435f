// The inbox on Apache Kafka: the topic <prefix>.inbox with any number of partitions, which the nodes share as the consumer group
// <prefix>.inbox; what they commit stands there. A new group starts at the beginning of the topic. Records of transactions that
// were not committed are not given. Leaves the group in its destructor, which waits at most drain_timeout_ms.
#pragma once

#include <memory>

#include "storage/inbox.hpp"
#include "storage/kafka_options.hpp"

namespace adtrack::storage {

struct kafka_inbox_options {
  size_t fetch_queue_bytes = 8u << 20; // fetched ahead, of all partitions together
  uint32_t session_ms = 10'000;        // a node that is gone gives its partitions up after this
  uint32_t max_unserved_ms = 60'000;   // likewise one that calls neither read() nor serve()
};

// Creates the topic when it is missing; errors as open_kafka_log.
result<std::unique_ptr<inbox>> open_kafka_inbox(const kafka_options& options, const kafka_inbox_options& more = {});

} // namespace adtrack::storage
