// Logs and metrics: what operators see. A leaf: every room but model may use it. Thread-safe.
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

namespace prometheus {
class Counter;
class Gauge;
class Histogram;
class Registry;
} // namespace prometheus

namespace adtrack::config {

enum class log_level : uint8_t { trace, debug, info, warning, error };

struct log_field {
  std::string_view name;
  std::variant<std::string_view, int64_t, double, bool> value;
  // One constructor a kind, so that literals and any integer type convert without a cast.
  log_field(std::string_view n, const char* v) : name(n), value(std::string_view(v)) {}
  log_field(std::string_view n, std::string_view v) : name(n), value(v) {}
  log_field(std::string_view n, const std::string& v) : name(n), value(std::string_view(v)) {}
  log_field(std::string_view n, bool v) : name(n), value(v) {}
  log_field(std::string_view n, double v) : name(n), value(v) {}
  template <class I>
  requires std::integral<I> log_field(std::string_view n, I v) : name(n), value(static_cast<int64_t>(v)) {}
};

// One JSON object a line on standard error:
// {"time":"...Z","level":"info","component":"log","event":"opened","message":"...",...}. `event` is a stable short name that
// scripts may rely on. Never pass a full address, a key or a token. Of one component's event 20 warnings and errors are written in
// 10 s: the last one says "left_out_from_here_secs", the next one how many there were, "left_out_before".
void log(log_level level, std::string_view component, std::string_view event, std::string_view message,
         std::initializer_list<log_field> fields = {});
void set_log_level(log_level level);
log_level current_log_level() noexcept;
bool parse(std::string_view text, log_level& out) noexcept;

// The process's metrics, by the names of the README. Handles stay valid as long as the object; look them up once, not a request.
class metrics {
public:
  metrics();
  ~metrics();
  prometheus::Histogram& http_duration(std::string_view route, std::string_view method, std::string_view status_class);
  prometheus::Counter& http_requests(std::string_view route, std::string_view method, std::string_view status);
  prometheus::Gauge& http_connections();
  prometheus::Gauge& http_in_flight();                                           // requests without their reply
  prometheus::Counter& visits(std::string_view type, std::string_view recorded); // "click" or "impression"; "yes" or "no"
  prometheus::Counter& tls_handshakes(std::string_view result);
  prometheus::Gauge& tls_certificate_expires(); // unix seconds
  prometheus::Counter& key_requests(std::string_view door, std::string_view key);
  prometheus::Counter& events(std::string_view type, std::string_view fate); // accepted, duplicate, conflict, ...
  // Of the counted ones, those that are not valid traffic, by the analytics' reason.
  prometheus::Counter& events_invalid(std::string_view type, std::string_view reason);
  prometheus::Gauge& rules_list_usable(std::string_view list); // agents, datacenters, countries
  prometheus::Counter& events_rejected(std::string_view reason);
  prometheus::Counter& events_late(std::string_view type); // counted, of long before they came
  prometheus::Histogram& log_append();                     // seconds
  prometheus::Histogram& log_batch();                      // records
  prometheus::Histogram& log_sync();                       // seconds
  prometheus::Gauge& spool_records();
  prometheus::Gauge& spool_bytes();
  prometheus::Gauge& spool_capacity();
  prometheus::Gauge& spool_held_records();
  prometheus::Gauge& erasures_pending();                           // steps that are handed over and not done
  prometheus::Counter& kafka_messages(std::string_view direction); // in, out
  prometheus::Counter& kafka_errors(std::string_view code);        // librdkafka's name of it
  prometheus::Counter& kafka_retries();                            // requests
  prometheus::Gauge& kafka_brokers_up();
  prometheus::Gauge& kafka_outstanding(); // records
  prometheus::Gauge& shard_lag_records(uint32_t shard);
  prometheus::Gauge& shard_lag_seconds(uint32_t shard);
  prometheus::Gauge& shard_batches_waiting(uint32_t shard);
  prometheus::Histogram& shard_apply();                                 // seconds a batch
  prometheus::Histogram& query();                                       // seconds
  prometheus::Gauge& log_faults(uint32_t shard, std::string_view kind); // fork, gap: 1 while it lasts
  prometheus::Counter& quarantined(std::string_view reason);
  // Result: accepted, quarantined, lost. Lag in records; -1: not known.
  prometheus::Counter& inbox_records(std::string_view result);
  prometheus::Gauge& inbox_lag();
  prometheus::Gauge& in_flight(); // events between submit and completion
  prometheus::Gauge& ready();     // 1: /readyz says 200
  prometheus::Gauge& disk_size(); // bytes, of the data directory's file system
  prometheus::Gauge& disk_free(); // bytes that this process may still write
  // Of RocksDB databases: log, shards. Kind: memtables, table_readers, block_cache.
  prometheus::Gauge& database_size(std::string_view database);
  prometheus::Gauge& database_memory(std::string_view database, std::string_view kind);
  prometheus::Gauge& database_pending_compaction(std::string_view database);
  prometheus::Gauge& database_running(std::string_view database);
  prometheus::Gauge& database_write_stopped(std::string_view database);
  prometheus::Registry& registry();
  std::string render() const; // Prometheus text format 0.0.4

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace adtrack::config
