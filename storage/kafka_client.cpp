#include "storage/kafka_client.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>

#include <nlohmann/json.hpp>

#include "config/telemetry.hpp"
#include "storage/secret_file.hpp"

namespace adtrack::storage::kafka {
namespace {

constexpr int16_t api_versions_key = 18; // the first request on every connection
constexpr size_t error_text_bytes = 512;

connection_context& context_of(const rd_kafka_t* rk) { return *static_cast<connection_context*>(rd_kafka_opaque(rk)); }

void on_error(rd_kafka_t* rk, int code, const char* reason, void*) {
  auto& context = context_of(rk);
  const auto error = static_cast<rd_kafka_resp_err_t>(code);
  context.counts->error(error);
  if (error != RD_KAFKA_RESP_ERR__FATAL) return; // librdkafka goes on by itself, and says so in its log lines
  char text[error_text_bytes] = {};
  const auto cause = rd_kafka_fatal_error(rk, text, sizeof text);
  context.counts->error(cause);
  config::log(config::log_level::error, "kafka", "producer_failed", "the producer cannot go on and is replaced",
              {{"code", rd_kafka_err2name(cause)}, {"reason", text[0] != 0 ? text : reason}});
  context.failed_for_good.store(true);
}

void on_log(const rd_kafka_t*, int level, const char* facility, const char* text) {
  constexpr int syslog_error = 3, syslog_warning = 4, syslog_info = 6;
  // Says of properties of consumers that they do not matter to a producer: they are set for all alike.
  if (std::strcmp(facility, "CONFWARN") == 0) level = syslog_info + 1;
  const auto to = level <= syslog_error     ? config::log_level::warning // an error to librdkafka; the log itself may be well
                  : level <= syslog_warning ? config::log_level::warning
                  : level <= syslog_info    ? config::log_level::info
                                            : config::log_level::debug;
  config::log(to, "kafka", "librdkafka", text, {{"facility", facility}});
}

int on_statistics(rd_kafka_t* rk, char* json, size_t size, void*) {
  context_of(rk).counts->from_statistics(std::string(json, size));
  return 0; // librdkafka frees it
}

void on_delivery(rd_kafka_t* rk, const rd_kafka_message_t* message, void*) { context_of(rk).delivered(message); }

void on_rebalance(rd_kafka_t* rk, rd_kafka_resp_err_t what, rd_kafka_topic_partition_list_t* partitions, void*) {
  context_of(rk).rebalanced(rk, what, partitions);
}

size_t slot_of(int32_t broker) { return static_cast<size_t>(broker + 1) % connection_context::slots; }

rd_kafka_resp_err_t on_request(rd_kafka_t*, int, const char*, int32_t broker, int16_t api, int16_t, int32_t, size_t,
                               void* opaque) {
  if (api == api_versions_key) ++static_cast<connection_context*>(opaque)->connections[slot_of(broker)];
  return RD_KAFKA_RESP_ERR_NO_ERROR;
}

rd_kafka_resp_err_t on_new(rd_kafka_t* rk, const rd_kafka_conf_t*, void* opaque, char*, size_t) {
  return rd_kafka_interceptor_add_on_request_sent(rk, "adtrack", on_request, opaque);
}

class settings_writer {
public:
  explicit settings_writer(rd_kafka_conf_t* conf) : conf_(conf) {}
  // Values are never part of a message: one may be a password.
  void set(const std::string& key, const std::string& value) {
    char text[error_text_bytes] = {};
    if (!problem_.ok() || rd_kafka_conf_set(conf_, key.c_str(), value.c_str(), text, sizeof text) == RD_KAFKA_CONF_OK) return;
    problem_ = {errc::mismatch, "librdkafka does not take the value of " + key + ": see the kafka.* settings"};
  }
  void set(const std::string& key, uint64_t value) { set(key, std::to_string(value)); }
  void set_if(const std::string& key, const std::string& value) {
    if (!value.empty()) set(key, value);
  }
  void set_secret(const std::string& key, const std::string& file, std::string_view setting) {
    if (file.empty() || !problem_.ok()) return;
    auto secret = read_secret(file, setting);
    if (!secret.ok())
      problem_ = secret.why;
    else
      set(key, *secret);
  }
  status problem() const { return problem_; }

private:
  rd_kafka_conf_t* conf_;
  status problem_;
};

void set_connection(settings_writer& to, const kafka_options& options) {
  to.set("bootstrap.servers", options.brokers);
  to.set("client.id", options.client_id);
  to.set("security.protocol", options.security_protocol);
  to.set_if("sasl.mechanism", options.sasl_mechanism);
  to.set_if("sasl.username", options.sasl_username);
  to.set_secret("sasl.password", options.sasl_password_file, "kafka.sasl_password_file");
  to.set_if("ssl.ca.location", options.ssl_ca_file);
  to.set_if("ssl.certificate.location", options.ssl_certificate_file);
  to.set_if("ssl.key.location", options.ssl_key_file);
  to.set_secret("ssl.key.password", options.ssl_key_password_file, "kafka.ssl_key_password_file");
  // Found again soon after an outage, without hammering.
  to.set("reconnect.backoff.ms", 50);
  to.set("reconnect.backoff.max.ms", 1'000);
  to.set("socket.keepalive.enable", "true");
  to.set("socket.timeout.ms", 10'000);
  to.set("socket.connection.setup.timeout.ms", 5'000);
  to.set("log.connection.close", "false");
  to.set("allow.auto.create.topics", "false"); // a topic that was deleted must be missed, not made anew in another shape
}

void set_producer(settings_writer& to, const kafka_options& options) {
  to.set("enable.idempotence", "true");
  to.set("acks", "all");
  to.set("compression.type", "lz4");
  to.set("message.timeout.ms", options.message_timeout_ms);
  to.set("request.timeout.ms", options.message_timeout_ms); // of the broker's wait for its replicas
  to.set("linger.ms", options.linger_ms);
  to.set("batch.size", options.batch_bytes);
  to.set("queue.buffering.max.kbytes", std::max<size_t>(options.queue_bytes >> 10, 1));
  to.set("queue.buffering.max.messages", options.queue_records);
  to.set("statistics.interval.ms", options.statistics_ms);
}

void set_consumer(settings_writer& to, const kafka_options& options) {
  to.set("auto.offset.reset", "error");
  to.set("check.crcs", "true");
  to.set("enable.partition.eof", "true");
  to.set("enable.auto.commit", "false");
  // All that stands below the end, in order: with read_committed another producer's open transaction would halt the reader.
  to.set("isolation.level", "read_uncommitted");
  to.set("fetch.wait.max.ms", options.fetch_wait_ms);
  to.set("fetch.min.bytes", options.fetch_min_bytes);
  to.set("queued.max.messages.kbytes", std::max<size_t>(options.fetch_queue_bytes >> 10, 1));
  to.set("queued.min.messages", 10'000'000); // so that bytes are the one bound
  to.set("fetch.message.max.bytes", std::clamp<size_t>(options.fetch_queue_bytes / 2, 1u << 20, 16u << 20));
  to.set("fetch.error.backoff.ms", std::clamp<uint32_t>(options.fetch_retry_ms, 10, 10'000));
}

} // namespace

int64_t monotonic_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::string name_of(rd_kafka_resp_err_t code) { return rd_kafka_err2str(code); }

uint64_t connection_context::connections_of(int32_t broker) const {
  return connections[slot_of(broker)].load() + connections[slot_of(-1)].load();
}

void counters::error(rd_kafka_resp_err_t code) {
  std::lock_guard lock(mutex_);
  ++errors_[rd_kafka_err2name(code)];
}

void counters::from_statistics(const std::string& text) {
  const auto json = nlohmann::json::parse(text, nullptr, false);
  const auto brokers = json.find("brokers");
  if (json.is_discarded() || brokers == json.end()) return;
  uint32_t up = 0;
  uint64_t retries = 0;
  for (const auto& broker : *brokers) {
    if (broker.value("nodeid", -1) >= 0 && broker.value("state", "") == "UP") ++up;
    retries += broker.value("txretries", uint64_t{0});
  }
  brokers_up.store(up);
  // A producer that was rebuilt counts from 0.
  const uint64_t before = retries_before_.exchange(retries);
  retries_ += retries >= before ? retries - before : retries;
}

void counters::fill(kafka_stats& out) const {
  out.messages_out = messages_out.load();
  out.messages_in = messages_in.load();
  out.bytes_out = bytes_out.load();
  out.bytes_in = bytes_in.load();
  out.rebuilds = rebuilds.load();
  out.retries = retries_.load();
  out.brokers_up = brokers_up.load();
  std::lock_guard lock(mutex_);
  out.errors = errors_;
}

result<handle> make_handle(const kafka_options& options, role as, connection_context& context,
                           const std::vector<std::pair<std::string, std::string>>& more) {
  configuration conf(rd_kafka_conf_new());
  settings_writer to(conf.get());
  for (const auto& [key, value] : options.extra) to.set(key, value);
  set_connection(to, options);
  if (as == role::producer) set_producer(to, options);
  if (as != role::producer) set_consumer(to, options);
  for (const auto& [key, value] : more) to.set(key, value);
  if (auto problem = to.problem(); !problem.ok()) return problem;
  rd_kafka_conf_set_opaque(conf.get(), &context);
  rd_kafka_conf_set_error_cb(conf.get(), on_error);
  rd_kafka_conf_set_log_cb(conf.get(), on_log);
  if (as == role::producer) {
    rd_kafka_conf_set_dr_msg_cb(conf.get(), on_delivery);
    rd_kafka_conf_set_stats_cb(conf.get(), on_statistics);
  }
  if (context.rebalanced != nullptr) rd_kafka_conf_set_rebalance_cb(conf.get(), on_rebalance);
  rd_kafka_conf_interceptor_add_on_new(conf.get(), "adtrack", on_new, &context);
  char text[error_text_bytes] = {};
  // Not a producer for questions either: those may create topics, see allow.auto.create.topics.
  const auto type = as == role::producer ? RD_KAFKA_PRODUCER : RD_KAFKA_CONSUMER;
  rd_kafka_t* made = rd_kafka_new(type, conf.get(), text, sizeof text);
  if (made == nullptr) return status{errc::mismatch, std::string("Kafka's settings do not fit together: ") + text};
  (void)conf.release(); // the connection has taken it
  return handle(made);
}

} // namespace adtrack::storage::kafka
