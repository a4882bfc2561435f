// The compacted stream on Apache Kafka: the one partition of the topic <prefix>.ads. append() waits for the brokers'
// acknowledgement, read_all() reads from the beginning to the end as the leader confirms it. Threads as compacted_stream says.
#pragma once

#include <memory>

#include "storage/compacted_stream.hpp"
#include "storage/kafka_options.hpp"

namespace adtrack::storage {

// Creates the topic when it is missing, refuses one of another shape; errors as open_kafka_log.
result<std::unique_ptr<compacted_stream>> open_kafka_stream(const kafka_options& options);

} // namespace adtrack::storage
