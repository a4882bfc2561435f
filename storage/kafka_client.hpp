// What every use of librdkafka here shares: owning handles, a connection's properties, its log lines, and the counters behind
// kafka_stats. Internal to storage/kafka_*. Callbacks come from librdkafka's threads; nothing here blocks them.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include <librdkafka/rdkafka.h>

#include "storage/kafka_options.hpp"
#include "storage/kafka_stats.hpp"
#include "storage/status.hpp"

namespace adtrack::storage::kafka {

template <auto Destroy>
struct destroyer {
  template <class T>
  void operator()(T* p) const {
    Destroy(p);
  }
};
template <class T, auto Destroy>
using owner = std::unique_ptr<T, destroyer<Destroy>>;

// Without waiting for consumers: one that is in a group leaves it first.
inline void destroy_handle(rd_kafka_t* rk) { rd_kafka_destroy_flags(rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE); }

using handle = owner<rd_kafka_t, destroy_handle>;
using topic_handle = owner<rd_kafka_topic_t, rd_kafka_topic_destroy>;
using queue = owner<rd_kafka_queue_t, rd_kafka_queue_destroy>;
using event = owner<rd_kafka_event_t, rd_kafka_event_destroy>;
using partition_list = owner<rd_kafka_topic_partition_list_t, rd_kafka_topic_partition_list_destroy>;
using configuration = owner<rd_kafka_conf_t, rd_kafka_conf_destroy>;

int64_t monotonic_ms();

// Counters of one log or stream over all its connections. Thread-safe.
class counters {
public:
  std::atomic<uint64_t> messages_out{0}, messages_in{0}, bytes_out{0}, bytes_in{0};
  std::atomic<uint64_t> rebuilds{0};
  std::atomic<uint32_t> brokers_up{0};
  void error(rd_kafka_resp_err_t code);
  void from_statistics(const std::string& text); // of the producing connection
  void fill(kafka_stats& out) const;

private:
  mutable std::mutex mutex_;
  std::map<std::string, uint64_t> errors_;
  std::atomic<uint64_t> retries_{0}, retries_before_{0}; // retries of producers that were rebuilt
};

// What a connection's callbacks need; lives longer than the connection.
struct connection_context {
  counters* counts = nullptr;
  std::atomic<bool> failed_for_good{false}; // a fatal error of the idempotent producer
  void (*delivered)(const rd_kafka_message_t* message) = nullptr;
  // Of a member of a group: told what it has (RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) or has no more, and answers by
  // rd_kafka_assign.
  void (*rebalanced)(rd_kafka_t* rk, rd_kafka_resp_err_t what, rd_kafka_topic_partition_list_t* partitions) = nullptr;
  // How often a connection to a broker was made: changed before anything is fetched over the new one. Index: broker id + 1,
  // folded; the one to a bootstrap address counts as -1.
  static constexpr size_t slots = 64;
  std::atomic<uint64_t> connections[slots] = {};
  uint64_t connections_of(int32_t broker) const;
};

enum class role { producer, consumer, admin };

// Makes a connection; errc::mismatch when a property or a file is not usable. No broker need be there. `more`: librdkafka
// properties that take the place of the role's own.
result<handle> make_handle(const kafka_options& options, role as, connection_context& context,
                           const std::vector<std::pair<std::string, std::string>>& more = {});

// "Broker: Topic authorization failed", for a sentence.
std::string name_of(rd_kafka_resp_err_t code);

} // namespace adtrack::storage::kafka
