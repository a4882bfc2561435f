// The metrics half of telemetry.hpp.
#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <array>
#include <iterator>
#include <map>
#include <mutex>
#include <vector>

#include "config/metrics_text.hpp"
#include "config/process_metrics.hpp"
#include "config/telemetry.hpp"

namespace adtrack::config {

namespace {

using buckets = prometheus::Histogram::BucketBoundaries;

// From what memory answers in to what a client gives up at.
const buckets request_seconds = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};
const buckets work_seconds = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};
const buckets batch_records = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1'000, 2'000, 5'000, 10'000};

// The metrics of one family by the values of its N labels; makes what is not there yet.
template <class Metric, size_t N>
class labelled {
public:
  labelled(prometheus::Family<Metric>& family, std::array<const char*, N> names) : family_(family), names_(names) {}

  template <class... Args>
  Metric& get(const std::array<std::string_view, N>& values, const Args&... args) {
    std::array<std::string, N> key;
    std::copy(values.begin(), values.end(), key.begin());
    const std::lock_guard lock(mutex_);
    Metric*& found = known_[key];
    if (found == nullptr) {
      prometheus::Labels labels;
      for (size_t i = 0; i < N; ++i) labels.emplace(names_[i], key[i]);
      found = &family_.Add(labels, args...);
    }
    return *found;
  }

private:
  prometheus::Family<Metric>& family_;
  std::array<const char*, N> names_;
  std::mutex mutex_;
  std::map<std::array<std::string, N>, Metric*> known_;
};

} // namespace

struct metrics::impl {
  prometheus::Registry registry;
  process_metrics process;

  prometheus::Family<prometheus::Counter>& counters(const char* name, const char* help) {
    return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
  }
  prometheus::Family<prometheus::Gauge>& gauges(const char* name, const char* help) {
    return prometheus::BuildGauge().Name(name).Help(help).Register(registry);
  }
  prometheus::Family<prometheus::Histogram>& histograms(const char* name, const char* help) {
    return prometheus::BuildHistogram().Name(name).Help(help).Register(registry);
  }

  labelled<prometheus::Histogram, 3> http_duration{
      histograms("http_request_duration_seconds", "Time from a request's last byte to its reply, in seconds, by status class."),
      {"route", "method", "status"}};
  labelled<prometheus::Counter, 3> http_requests{counters("http_requests_total", "Requests answered, by status code."),
                                                 {"route", "method", "status"}};
  prometheus::Gauge& http_connections = gauges("http_connections", "Open HTTP connections.").Add({});
  prometheus::Gauge& http_in_flight =
      gauges("http_requests_in_flight", "Requests that were read and wait for their reply.").Add({});
  labelled<prometheus::Counter, 1> tls_handshakes{
      counters("adtrack_tls_handshakes_total", "TLS handshakes, by what became of them."), {"result"}};
  prometheus::Family<prometheus::Gauge>& tls_certificate_expires =
      gauges("adtrack_tls_certificate_expires_seconds", "When the certificate in force ends, in unix seconds.");
  labelled<prometheus::Counter, 2> key_requests{
      counters("adtrack_key_requests_total", "Requests that a key opened the door for, by the key's name."), {"door", "key"}};
  labelled<prometheus::Counter, 2> visits{
      counters("adtrack_visits_total", "Redirects and impression images, by whether the event was recorded before the answer."),
      {"type", "recorded"}};
  labelled<prometheus::Counter, 2> events{counters("adtrack_events_total", "Events by type and by what became of them."),
                                          {"type", "fate"}};
  labelled<prometheus::Counter, 2> events_invalid{
      counters("adtrack_events_invalid_total", "Counted events that are not valid traffic, by type and reason."),
      {"type", "reason"}};
  labelled<prometheus::Gauge, 1> rules_list_usable{
      gauges("adtrack_rules_list_usable",
             "1 while a list of the traffic rules is as its files say; 0: the one before is in force."),
      {"list"}};
  labelled<prometheus::Counter, 1> events_rejected{counters("adtrack_events_rejected_total", "Events refused, by reason."),
                                                   {"reason"}};
  labelled<prometheus::Counter, 1> events_late{
      counters("adtrack_events_late_total", "Counted events that reached the log more than an hour after their time, by type."),
      {"type"}};
  prometheus::Histogram& log_append =
      histograms("adtrack_log_append_seconds", "Time of one durable write to the log, in seconds.").Add({}, work_seconds);
  prometheus::Histogram& log_batch =
      histograms("adtrack_log_batch_records", "Records that shared one durable write to the log.").Add({}, batch_records);
  prometheus::Histogram& log_sync =
      histograms("adtrack_log_sync_seconds", "Time in which the embedded log's disk made one write durable, in seconds.")
          .Add({}, work_seconds);
  prometheus::Gauge& spool_records = gauges("adtrack_spool_records", "Records in the spool, not yet in the log.").Add({});
  prometheus::Gauge& spool_bytes = gauges("adtrack_spool_bytes", "Bytes of the records in the spool.").Add({});
  prometheus::Gauge& spool_capacity =
      gauges("adtrack_spool_capacity_bytes", "Bytes that the spool may take, waiting and held together.").Add({});
  prometheus::Gauge& spool_held_records =
      gauges("adtrack_spool_held_records", "Records that waited too long in the spool and are held for the operator.").Add({});
  prometheus::Gauge& erasures_pending =
      gauges("adtrack_erasures_pending", "Steps of erasures of visitors that are not done, each a shard's log or store.").Add({});
  labelled<prometheus::Counter, 1> kafka_messages{
      counters("adtrack_kafka_messages_total", "Records acknowledged by Kafka (out) and read from it (in)."), {"direction"}};
  labelled<prometheus::Counter, 1> kafka_errors{
      counters("adtrack_kafka_errors_total", "Errors that Kafka's client met, by code."), {"code"}};
  prometheus::Counter& kafka_retries =
      counters("adtrack_kafka_retries_total", "Requests that Kafka's producer sent again.").Add({});
  prometheus::Gauge& kafka_brokers_up = gauges("adtrack_kafka_brokers_up", "Brokers with a connection to them.").Add({});
  prometheus::Gauge& kafka_outstanding =
      gauges("adtrack_kafka_outstanding_records", "Records handed to Kafka's client that it has not spoken of yet.").Add({});
  labelled<prometheus::Gauge, 1> shard_lag_records{
      gauges("adtrack_shard_lag_records", "Log records that a shard has not applied yet."), {"shard"}};
  labelled<prometheus::Gauge, 1> shard_lag_seconds{
      gauges("adtrack_shard_lag_seconds", "Age of the oldest log record that a shard has not applied, in seconds; 0 if none."),
      {"shard"}};
  labelled<prometheus::Gauge, 1> shard_batches_waiting{
      gauges("adtrack_shard_batches_waiting", "Batches of records in a shard's mailbox, the one in work among them."), {"shard"}};
  prometheus::Histogram& shard_apply =
      histograms("adtrack_shard_apply_seconds", "Time in which a shard applied one batch, in seconds.").Add({}, work_seconds);
  prometheus::Histogram& query =
      histograms("adtrack_query_seconds", "Time of one analytics query, in seconds.").Add({}, work_seconds);
  labelled<prometheus::Gauge, 2> log_faults{
      gauges("adtrack_log_faults", "1 while the log that a shard reads has forked or lacks records below it, by kind; else 0."),
      {"shard", "kind"}};
  labelled<prometheus::Counter, 1> quarantined{
      counters("adtrack_quarantined_total", "Log records that no rule could read, by reason."), {"reason"}};
  labelled<prometheus::Counter, 1> inbox_records{
      counters("adtrack_inbox_records_total",
               "Records of the inbox by what became of them; lost: removed by its retention before they were read."),
      {"result"}};
  prometheus::Gauge& inbox_lag =
      gauges("adtrack_inbox_lag_records", "Records of this node's share of the inbox that are not taken in yet; -1: not known.")
          .Add({});
  prometheus::Gauge& in_flight = gauges("adtrack_events_in_flight", "Events accepted and not yet durable.").Add({});

  prometheus::Gauge& ready = gauges("adtrack_ready", "1 while /readyz answers 200, else 0.").Add({});
  prometheus::Gauge& disk_size =
      gauges("adtrack_disk_size_bytes", "Size of the file system that holds the data directory, in bytes.").Add({});
  prometheus::Gauge& disk_free =
      gauges("adtrack_disk_free_bytes", "Bytes of that file system that this process may still write.").Add({});
  labelled<prometheus::Gauge, 1> database_size{gauges("adtrack_rocksdb_size_bytes", "Bytes of live table files, by database."),
                                               {"db"}};
  labelled<prometheus::Gauge, 2> database_memory{
      gauges("adtrack_rocksdb_memory_bytes", "Bytes that databases hold in memory, by database and what for."), {"db", "kind"}};
  labelled<prometheus::Gauge, 1> database_pending_compaction{
      gauges("adtrack_rocksdb_pending_compaction_bytes", "Estimated bytes that compaction has to rewrite, by database."), {"db"}};
  labelled<prometheus::Gauge, 1> database_running{
      gauges("adtrack_rocksdb_running_compactions", "Flushes and compactions that run at this moment, by database."), {"db"}};
  labelled<prometheus::Gauge, 1> database_write_stopped{
      gauges("adtrack_rocksdb_write_stopped", "Databases that take no writes until compaction has caught up."), {"db"}};

  impl() { gauges("adtrack_build_info", "1, with the version that runs.").Add({{"version", ADTRACK_VERSION}}).Set(1); }
};

metrics::metrics() : impl_(std::make_unique<impl>()) {}
metrics::~metrics() = default;

prometheus::Histogram& metrics::http_duration(std::string_view route, std::string_view method, std::string_view status_class) {
  return impl_->http_duration.get({route, method, status_class}, request_seconds);
}

prometheus::Counter& metrics::http_requests(std::string_view route, std::string_view method, std::string_view status) {
  return impl_->http_requests.get({route, method, status});
}

prometheus::Gauge& metrics::http_connections() { return impl_->http_connections; }

prometheus::Counter& metrics::visits(std::string_view type, std::string_view recorded) {
  return impl_->visits.get({type, recorded});
}
prometheus::Counter& metrics::tls_handshakes(std::string_view result) { return impl_->tls_handshakes.get({result}); }
prometheus::Gauge& metrics::tls_certificate_expires() { return impl_->tls_certificate_expires.Add({}); }

prometheus::Counter& metrics::key_requests(std::string_view door, std::string_view key) {
  return impl_->key_requests.get({door, key});
}

prometheus::Counter& metrics::events(std::string_view type, std::string_view fate) { return impl_->events.get({type, fate}); }

prometheus::Counter& metrics::events_invalid(std::string_view type, std::string_view reason) {
  return impl_->events_invalid.get({type, reason});
}

prometheus::Gauge& metrics::rules_list_usable(std::string_view list) { return impl_->rules_list_usable.get({list}); }

prometheus::Counter& metrics::events_rejected(std::string_view reason) { return impl_->events_rejected.get({reason}); }

prometheus::Histogram& metrics::log_append() { return impl_->log_append; }
prometheus::Histogram& metrics::log_batch() { return impl_->log_batch; }
prometheus::Gauge& metrics::spool_records() { return impl_->spool_records; }

prometheus::Gauge& metrics::spool_bytes() { return impl_->spool_bytes; }
prometheus::Gauge& metrics::erasures_pending() { return impl_->erasures_pending; }
prometheus::Gauge& metrics::spool_held_records() { return impl_->spool_held_records; }

prometheus::Counter& metrics::kafka_messages(std::string_view direction) { return impl_->kafka_messages.get({direction}); }
prometheus::Counter& metrics::kafka_errors(std::string_view code) { return impl_->kafka_errors.get({code}); }
prometheus::Gauge& metrics::kafka_brokers_up() { return impl_->kafka_brokers_up; }
prometheus::Gauge& metrics::kafka_outstanding() { return impl_->kafka_outstanding; }

prometheus::Gauge& metrics::shard_lag_records(uint32_t shard) { return impl_->shard_lag_records.get({std::to_string(shard)}); }
prometheus::Gauge& metrics::shard_lag_seconds(uint32_t shard) { return impl_->shard_lag_seconds.get({std::to_string(shard)}); }

prometheus::Gauge& metrics::shard_batches_waiting(uint32_t shard) {
  return impl_->shard_batches_waiting.get({std::to_string(shard)});
}
prometheus::Histogram& metrics::shard_apply() { return impl_->shard_apply; }
prometheus::Histogram& metrics::query() { return impl_->query; }

prometheus::Gauge& metrics::log_faults(uint32_t shard, std::string_view kind) {
  return impl_->log_faults.get({std::to_string(shard), kind});
}

prometheus::Counter& metrics::quarantined(std::string_view reason) { return impl_->quarantined.get({reason}); }

prometheus::Counter& metrics::inbox_records(std::string_view result) { return impl_->inbox_records.get({result}); }
prometheus::Gauge& metrics::inbox_lag() { return impl_->inbox_lag; }

prometheus::Gauge& metrics::in_flight() { return impl_->in_flight; }

prometheus::Gauge& metrics::http_in_flight() { return impl_->http_in_flight; }
prometheus::Counter& metrics::events_late(std::string_view type) { return impl_->events_late.get({type}); }
prometheus::Histogram& metrics::log_sync() { return impl_->log_sync; }
prometheus::Gauge& metrics::spool_capacity() { return impl_->spool_capacity; }
prometheus::Counter& metrics::kafka_retries() { return impl_->kafka_retries; }
prometheus::Gauge& metrics::ready() { return impl_->ready; }
prometheus::Gauge& metrics::disk_size() { return impl_->disk_size; }
prometheus::Gauge& metrics::disk_free() { return impl_->disk_free; }
prometheus::Gauge& metrics::database_size(std::string_view database) { return impl_->database_size.get({database}); }
prometheus::Gauge& metrics::database_memory(std::string_view database, std::string_view kind) {
  return impl_->database_memory.get({database, kind});
}
prometheus::Gauge& metrics::database_pending_compaction(std::string_view database) {
  return impl_->database_pending_compaction.get({database});
}
prometheus::Gauge& metrics::database_running(std::string_view database) { return impl_->database_running.get({database}); }
prometheus::Gauge& metrics::database_write_stopped(std::string_view database) {
  return impl_->database_write_stopped.get({database});
}

prometheus::Registry& metrics::registry() { return impl_->registry; }

std::string metrics::render() const {
  std::vector<prometheus::MetricFamily> families = impl_->registry.Collect();
  std::vector<prometheus::MetricFamily> process = impl_->process.Collect();
  families.insert(families.end(), std::make_move_iterator(process.begin()), std::make_move_iterator(process.end()));
  return metrics_text(families);
}

} // namespace adtrack::config
