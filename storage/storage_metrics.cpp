#include "storage/storage_metrics.hpp"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>

#include <filesystem>
#include <system_error>

#include "config/telemetry.hpp"
#include "storage/kafka_log.hpp"
#include "storage/rocksdb_shard_store.hpp"
#include "storage/spooled_log.hpp"

namespace adtrack::storage {
namespace {

void set(prometheus::Gauge& gauge, uint64_t value) { gauge.Set(static_cast<double>(value)); }

void add(prometheus::Counter& counter, uint64_t now, uint64_t before) {
  if (now > before) counter.Increment(static_cast<double>(now - before));
}

} // namespace

void storage_metrics::publish() {
  publish_disk();
  if (from_.log) publish("log", from_.log->levels());
  if (from_.shards) publish("shards", from_.shards->watch().levels());
  if (from_.spooled) publish_spool();
  if (from_.kafka) publish_kafka();
}

void storage_metrics::publish_spool() {
  const auto now = from_.spooled->state();
  set(to_.spool_bytes(), now.bytes);
  set(to_.spool_held_records(), now.held_records);
  set(to_.spool_capacity(), from_.spool_max_bytes);
}

void storage_metrics::publish_kafka() {
  auto now = from_.kafka->stats();
  add(to_.kafka_messages("out"), now.messages_out, before_.messages_out);
  add(to_.kafka_messages("in"), now.messages_in, before_.messages_in);
  for (const auto& [code, count] : now.errors) add(to_.kafka_errors(code), count, before_.errors[code]);
  add(to_.kafka_retries(), now.retries, before_.retries);
  set(to_.kafka_brokers_up(), now.brokers_up);
  set(to_.kafka_outstanding(), now.outstanding_records);
  before_ = std::move(now);
}

// A file system that does not answer keeps its last figures.
void storage_metrics::publish_disk() {
  std::error_code failed;
  const auto now = std::filesystem::space(from_.data_dir, failed);
  if (failed) return;
  set(to_.disk_size(), now.capacity);
  set(to_.disk_free(), now.available);
}

void storage_metrics::publish(const char* database, const database_levels& now) {
  set(to_.database_size(database), now.size_bytes);
  set(to_.database_memory(database, "memtables"), now.memtables_bytes);
  set(to_.database_memory(database, "table_readers"), now.table_readers_bytes);
  set(to_.database_memory(database, "block_cache"), now.block_cache_bytes);
  set(to_.database_pending_compaction(database), now.pending_compaction_bytes);
  set(to_.database_running(database), now.running);
  set(to_.database_write_stopped(database), now.write_stopped);
}

} // namespace adtrack::storage
