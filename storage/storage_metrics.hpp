// Publishes what only storage knows of itself: the spool, Kafka's client, the RocksDB databases and the disk that they are on.
#pragma once

#include <memory>
#include <string>

#include "storage/database_watch.hpp"
#include "storage/kafka_stats.hpp"

namespace adtrack::config {
class metrics;
}

namespace adtrack::storage {

class kafka_log;
class shard_store_budget;
class spooled_log;

// Null where the node has none; all of it outlives whoever publishes.
struct measured_storage {
  std::string data_dir;
  const kafka_log* kafka = nullptr;
  const spooled_log* spooled = nullptr;
  uint64_t spool_max_bytes = 0;
  std::shared_ptr<database_watch> log;
  std::shared_ptr<shard_store_budget> shards;
};

class storage_metrics {
public:
  storage_metrics(measured_storage from, config::metrics& to) : from_(std::move(from)), to_(to) {}
  void publish(); // one thread; a second apart

private:
  void publish_spool();
  void publish_kafka();
  void publish_disk();
  void publish(const char* database, const database_levels& now);

  const measured_storage from_;
  config::metrics& to_;
  kafka_stats before_;
};

} // namespace adtrack::storage
