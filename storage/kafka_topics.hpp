// The shape that adtrack's topics must have: made so when they are missing, refused with a sentence when they are otherwise.
// Also the questions about a topic that go on while running. Internal to storage/kafka_*; every call blocks for a bounded time.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "storage/kafka_client.hpp"
#include "storage/status.hpp"

namespace adtrack::storage::kafka {

struct topic_shape {
  std::string name;
  uint32_t partitions = 1;
  bool any_partitions = false; // an existing topic may have another number
  bool compacted = false;
  bool log_time = false;     // the brokers must give the time of a record
  bool kept_forever = false; // no record may be removed by age or size
};

topic_shape events_shape(const kafka_options& options);
topic_shape inbox_shape(const kafka_options& options);
topic_shape ads_shape(const kafka_options& options);

struct topic_view {
  bool exists = false;
  std::vector<int32_t> leaders; // by partition; -1: none at the moment
  int replicas_min = 0;
  int brokers = 0; // that the cluster knows
};

// errc::io when the brokers do not answer.
result<topic_view> look_at(rd_kafka_t* rk, rd_kafka_topic_t* topic, uint32_t timeout_ms);

// Waits for the brokers at most `connect_timeout_ms`; errc::io when they are not there, errc::mismatch when a topic does not fit.
status ensure_topics(rd_kafka_t* rk, const kafka_options& options, const std::vector<topic_shape>& shapes);

// For each of `partitions` its first offset (which = RD_KAFKA_OFFSET_BEGINNING) or its next one (RD_KAFKA_OFFSET_END), asked of
// the leaders in one request each. An error unless all are known, so that none is ever made up.
status ask_offsets(rd_kafka_t* rk, const std::string& topic, const std::vector<uint32_t>& partitions, int64_t which,
                   uint32_t timeout_ms, std::vector<int64_t>& out);

// Deletes the records of `partition` below `below`; gives the first offset that is left.
result<int64_t> delete_below(rd_kafka_t* rk, const std::string& topic, uint32_t partition, int64_t below, uint32_t timeout_ms);

} // namespace adtrack::storage::kafka
