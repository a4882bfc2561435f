// adtrackd: the composition root. Reads the settings, fills each room's own options, wires the rooms, waits for a signal, and
// stops them in order. Nothing is decided here but who gets what.
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <memory>
#include <string>

#include <prometheus/gauge.h>
#include <prometheus/histogram.h>

#include "actors/node.hpp"
#include "config/service_manager.hpp"
#include "config/settings.hpp"
#include "config/telemetry.hpp"
#include "http/event_parser.hpp"
#include "http/health_check.hpp"
#include "http/repeater.hpp"
#include "http/server.hpp"
#include "storage/background.hpp"
#include "storage/catalogue.hpp"
#include "storage/checkpoints.hpp"
#include "storage/data_dir.hpp"
#include "storage/kafka_inbox.hpp"
#include "storage/kafka_log.hpp"
#include "storage/kafka_stream.hpp"
#include "storage/quarantine.hpp"
#include "storage/remote_log.hpp"
#include "storage/restatement.hpp"
#include "storage/rocksdb_log.hpp"
#include "storage/rocksdb_shard_store.hpp"
#include "storage/rocksdb_stream.hpp"
#include "storage/spooled_log.hpp"
#include "storage/storage_metrics.hpp"
#include "storage/traffic_rules.hpp"

namespace {

using namespace adtrack;
using config::log_level;
using config::settings;
using clock = std::chrono::steady_clock;

constexpr size_t mib = 1 << 20;
constexpr int exit_refused = 2; // settings or data do not allow a start
constexpr int exit_failed = 1;
constexpr int64_t health_timeout_ms = 2'000;

int64_t now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// One sentence for people on standard error, as a log line; the process ends with `code`.
int refuse(const std::string& why, int code = exit_refused) {
  config::log(log_level::error, "adtrackd", "refused", why);
  return code;
}

std::string host_name() {
  char name[256]{};
  return gethostname(name, sizeof name - 1) == 0 && name[0] ? name : "localhost";
}

// Connections are descriptors: take all that the system allows.
void raise_descriptor_limit(uint64_t wanted) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur < wanted)
    config::log(log_level::warning, "adtrackd", "few_descriptors",
                "the limit of open files is below what http.max_connections may need; raise it (ulimit -n)",
                {{"limit", static_cast<int64_t>(limit.rlim_cur)}, {"wanted", static_cast<int64_t>(wanted)}});
}

http::http_options http_options_of(const settings& s) {
  http::http_options o;
  o.host = s.http.host;
  o.port = s.http.port;
  o.loops = s.http.loops;
  o.backlog = static_cast<int>(s.http.backlog);
  o.max_connections = s.http.max_connections;
  o.max_head_bytes = s.http.max_head_bytes;
  o.max_headers = s.http.max_headers;
  o.max_body_bytes = s.http.max_body_bytes;
  o.head_timeout_ms = s.http.head_timeout_ms;
  o.body_timeout_ms = s.http.body_timeout_ms;
  o.idle_timeout_ms = s.http.idle_timeout_ms;
  o.write_timeout_ms = s.http.write_timeout_ms;
  o.reply_timeout_ms = s.http.reply_timeout_ms;
  o.drain_timeout_ms = s.http.drain_timeout_ms;
  o.max_future_skew_secs = s.ingest.max_future_secs;
  o.query_timeout_ms = s.analytics.timeout_ms;
  o.query_limit = s.analytics.default_limit;
  o.query_limit_max = s.analytics.max_limit;
  o.query_rows_max = s.analytics.max_rows;
  o.query_points_max = s.analytics.max_points;
  o.max_streams = s.analytics.max_streams;
  o.stream_interval_ms = s.analytics.stream_interval_ms;
  o.stream_heartbeat_ms = s.analytics.stream_heartbeat_ms;
  o.max_buffered_bytes = s.http.max_buffered_bytes;
  o.max_pipelined = s.http.max_pipelined;
  o.require_known_ads = s.ads.require_known;
  o.visit_max_wait_ms = s.redirect.max_wait_ms;
  o.require_signed_clicks = s.redirect.require_signature;
  o.link_key_file = s.redirect.key_file;
  o.batch_workers = s.http.batch_workers;
  o.batch_queue = s.http.batch_queue;
  o.max_batch_bytes = s.ingest.max_batch_bytes;
  o.max_batch_events = s.ingest.max_batch_events;
  o.max_batch_rejections = s.ingest.max_batch_rejections;
  o.trusted_proxies = config::list_of(s.http.trusted_proxies);
  o.admin_key_file = s.admin.key_file;
  o.ingest_key_file = s.ingest.key_file;
  o.read_key_file = s.read.key_file;
  o.reload_ms = s.http.reload_ms;
  o.admin_host = s.admin.host;
  o.admin_port = s.admin.port;
  o.admin_max_connections = s.admin.max_connections;
  o.rates.key = {s.rate.key_per_second, s.rate.key_burst};
  o.rates.address = {s.rate.address_per_second, s.rate.address_burst};
  o.rates.max_addresses = s.rate.max_addresses;
  o.tls_certificate_file = s.tls.certificate_file;
  o.tls_key_file = s.tls.key_file;
  o.tls_client_ca_file = s.tls.client_ca_file;
  o.tls_handshake_timeout_ms = s.tls.handshake_timeout_ms;
  o.tls_max_handshakes = s.tls.max_handshakes;
  o.cors_origins = config::list_of(s.cors.origins);
  o.cors_max_age_secs = s.cors.max_age_secs;
  return o;
}

// What is open because no file closes it is said.
void warn_of_open_doors(const settings& s) {
  struct door {
    const char* setting;
    const std::string& file;
    const char* when_none;
  };
  for (const auto& d : {door{"admin.key_file", s.admin.key_file, "admin calls are refused"},
                        door{"ingest.key_file", s.ingest.key_file, "anyone may send events"},
                        door{"read.key_file", s.read.key_file, "anyone may read analytics and ads"}})
    if (d.file.empty())
      config::log(log_level::warning, "adtrackd", "no_keys", std::string(d.setting) + " is not set: " + d.when_none,
                  {{"setting", d.setting}});
}

actors::node_options node_options_of(const settings& s) {
  actors::node_options o;
  o.node_id = s.node.id.empty() ? host_name() : s.node.id;
  o.threads = s.scheduler.threads;
  o.addresses = s.privacy.ip == config::ip_privacy::drop ? actors::address_policy::drop : actors::address_policy::mask;
  o.max_in_flight_events = s.ingest.max_in_flight_events;
  o.max_in_flight_bytes = s.ingest.max_in_flight_bytes;
  o.max_waiting_queries = s.analytics.max_waiting;
  o.ingest_timeout_ms = s.ingest.timeout_ms;
  o.log_batch_records = s.log.batch_records;
  o.reader_batch_records = s.reader.batch_records;
  o.log_page_bytes = s.admin.max_page_bytes;
  o.reader_credit_batches = s.reader.credit_batches;
  o.commit_ms = s.shards.commit_ms;
  o.sync_ms = s.shards.sync_ms;
  o.query_timeout_ms = s.analytics.timeout_ms;
  o.real_time_lag_ms = s.analytics.real_time_lag_ms;
  o.query_workers = s.analytics.workers;
  o.max_wide_queries = s.analytics.max_wide;
  o.max_position_waiters = s.analytics.max_position_waiters;
  o.clock_max_jump_s = s.clock.max_jump_secs;
  o.require_known_ads = s.ads.require_known;
  o.inbox_batch_records = s.inbox.batch_records;
  return o;
}

constexpr const char* packaged_agents_file = "/usr/share/uap-core/regexes.yaml"; // of Debian's uap-core

storage::traffic_options traffic_options_of(const settings& s) {
  storage::traffic_options o;
  o.agents_file = s.rules.agents_file;
  if (o.agents_file.empty() && std::filesystem::exists(packaged_agents_file)) o.agents_file = packaged_agents_file;
  o.bots_file = s.rules.bots_file;
  o.datacenters_files = config::list_of(s.rules.datacenters_file);
  o.country_file = s.rules.country_file;
  o.cached_agents = s.rules.cached_agents;
  if (o.agents_file.empty())
    config::log(config::log_level::warning, "adtrackd", "no_agents_file",
                std::string("rules.agents_file is not set and there is no ") + packaged_agents_file +
                    ": crawlers are known by the built-in rules only, and no device, browser or system is known");
  return o;
}

// What is in force of the rules' files.
void show_rules(const storage::traffic_files& rules, config::metrics& metrics) {
  for (const auto& list : rules.states()) metrics.rules_list_usable(list.name).Set(list.trouble.empty() ? 1 : 0);
}

control control_of(const settings& s, const visitor_key& key, uint32_t rules) {
  control c;
  c.dedupe_window_s = int64_t{s.dedupe.window_days} * 86'400;
  c.repeat_click_s = s.traffic.repeat_click_secs;
  c.second_days = s.buckets.second_days;
  c.minute_days = s.buckets.minute_days;
  c.rules = rules;
  c.visitor_key_id = key.id();
  return c;
}

// What the shards of this node share.
struct shard_resources {
  std::shared_ptr<storage::shard_store_budget> budget;
  std::shared_ptr<storage::background> worker = std::make_shared<storage::background>();
};

storage::result<std::unique_ptr<storage::shard_engine>> open_shard(const settings& s, const storage::data_dir& dir,
                                                                   const shard_resources& shared, uint32_t shard) {
  auto store = storage::open_rocksdb_shard_store({dir.shard_path(shard), shared.budget, nullptr});
  if (!store.ok()) return store.why;
  storage::shard_options o;
  o.shard = shard;
  o.commit_records = s.shards.commit_records;
  o.cache_bytes = s.shards.cache_mb * mib / s.log.shards;
  o.dedupe_bytes = s.dedupe.memory_mb * mib / s.log.shards;
  o.worker = shared.worker;
  return storage::shard_engine::open(std::move(*store), o);
}

storage::result<storage::kafka_options> kafka_options_of(const settings& s) {
  storage::kafka_options o;
  o.brokers = s.kafka.brokers;
  o.topic_prefix = s.kafka.topic_prefix;
  o.partitions = s.log.shards;
  o.replication_factor = static_cast<int32_t>(s.kafka.replication_factor);
  o.min_insync_replicas = static_cast<int32_t>(s.kafka.min_insync_replicas);
  o.allow_unsafe = s.kafka.allow_unsafe;
  o.message_timeout_ms = s.kafka.message_timeout_ms;
  o.linger_ms = s.kafka.linger_ms;
  o.queue_bytes = s.kafka.queue_mb * mib;
  o.fetch_wait_ms = s.kafka.fetch_wait_ms;
  o.fetch_queue_bytes = size_t{s.kafka.fetch_queue_kb} << 10;
  o.security_protocol = s.kafka.security_protocol;
  o.sasl_mechanism = s.kafka.sasl_mechanism;
  o.sasl_username = s.kafka.sasl_username;
  o.sasl_password_file = s.kafka.sasl_password_file;
  o.ssl_ca_file = s.kafka.ssl_ca_file;
  o.ssl_certificate_file = s.kafka.ssl_certificate_file;
  o.ssl_key_file = s.kafka.ssl_key_file;
  o.ssl_key_password_file = s.kafka.ssl_key_password_file;
  auto extra = storage::parse_kafka_properties(s.kafka.options);
  if (!extra.ok()) return extra.why;
  o.extra = std::move(*extra);
  return o;
}

// The log that the settings ask for. What is shown of Kafka and the spool stays reachable; both live as long as `log`.
struct opened_log {
  std::shared_ptr<storage::event_log> log;
  const storage::kafka_log* kafka = nullptr;
  storage::spooled_log* spooled = nullptr;
  std::shared_ptr<storage::database_watch> database = {};
};

storage::result<opened_log> open_embedded(const settings& s, const storage::data_dir& dir, config::metrics& metrics) {
  storage::rocksdb_log_options o;
  o.path = dir.log_path();
  o.partitions = s.log.shards;
  o.now_ms = now_ms;
  o.write_buffer_bytes = s.log.buffer_mb * mib;
  o.watch = std::make_shared<storage::database_watch>();
  o.on_synced = [&to = metrics.log_sync()](double seconds) { to.Observe(seconds); };
  auto log = storage::open_rocksdb_log(o);
  if (!log.ok()) return log.why;
  return opened_log{.log = std::move(*log), .database = o.watch};
}

storage::result<opened_log> open_remote(const settings& s, const std::shared_ptr<const storage::traffic_rules>& rules,
                                        const control& wanted) {
  storage::remote_log_options o;
  o.url = s.remote.url;
  o.key_file = s.remote.key_file;
  o.partitions = s.log.shards;
  o.poll_ms = s.remote.poll_ms;
  o.timeout_ms = s.remote.timeout_ms;
  if (s.remote.judge_again) o.rewrite = storage::make_restatement(rules, wanted);
  auto log = storage::open_remote_log(std::move(o));
  if (!log.ok()) return log.why;
  return opened_log{.log = std::move(*log)};
}

// What the shards of a data directory were made from.
std::string log_name(const settings& s) {
  switch (s.log.backend) {
  case config::log_backend::embedded: break;
  case config::log_backend::kafka: return "kafka " + s.kafka.topic_prefix;
  case config::log_backend::remote: return (s.remote.judge_again ? "judged again " : "remote ") + s.remote.url;
  }
  return "embedded";
}

int wait_for_signal(const sigset_t& signals, std::chrono::milliseconds within);

void log_stopping(int signal) {
  config::log(log_level::info, "adtrackd", "stopping", "a signal asks to stop", {{"signal", signal}});
}

// Waits for the brokers as long as it takes; errc::not_found when a signal came first. A try that a signal meets is not waited
// for, as brokers may be silent for long: nothing is open yet but the directory, whose lock ends with the process.
storage::result<std::unique_ptr<storage::kafka_log>> find_kafka(const storage::kafka_options& o, const sigset_t& signals) {
  for (bool told = false;; told = true) {
    auto search = std::async(std::launch::async, [&o] { return storage::open_kafka_log(o); });
    while (search.wait_for(std::chrono::seconds(0)) != std::future_status::ready) {
      if (int signal = wait_for_signal(signals, std::chrono::milliseconds(10))) {
        log_stopping(signal);
        std::_Exit(0);
      }
    }
    auto log = search.get();
    if (log.ok() || log.why.code != storage::errc::io) return log;
    if (!told)
      config::log(log_level::warning, "adtrackd", "kafka_away", log.why.message + "; it is tried again until it is there");
    if (int signal = wait_for_signal(signals, std::chrono::seconds(2))) {
      log_stopping(signal);
      return storage::status{storage::errc::not_found, "stopped"};
    }
  }
}

storage::result<opened_log> open_kafka(const settings& s, const storage::data_dir& dir, const storage::kafka_options& o,
                                       const sigset_t& signals) {
  auto kafka = find_kafka(o, signals);
  if (!kafka.ok()) return kafka.why;
  storage::spool_options spool_options;
  spool_options.path = dir.spool_path();
  spool_options.partitions = s.log.shards;
  spool_options.max_bytes = s.spool.max_mb * mib;
  auto spool = storage::spool::open(spool_options);
  if (!spool.ok()) return spool.why;
  storage::spooled_log_options options;
  options.policy = s.log.outage == config::outage_choice::reject ? storage::outage_policy::reject : storage::outage_policy::spool;
  options.outage_after_ms = s.log.outage_after_ms;
  options.max_wait_ms = (int64_t{s.dedupe.window_days} - 1) * 86'400'000;
  options.batch_records = s.spool.batch_records;
  options.now_ms = now_ms;
  options.steady_ms = [] {
    return std::chrono::duration_cast<std::chrono::milliseconds>(clock::now().time_since_epoch()).count();
  };
  opened_log out;
  out.kafka = kafka.value->get();
  auto spooled = storage::make_spooled_log(std::move(*kafka), std::move(*spool), options);
  out.spooled = spooled.get();
  out.log = std::move(spooled);
  return out;
}

// Reads an event of the inbox by the rules of http; the record's own time stands in for the server's, so that it reads the same
// ever after.
std::function<actors::event_fault(std::string_view, int64_t, submission&)> inbox_parser(const settings& s) {
  return [parser = std::make_shared<http::event_parser>(), skew = s.ingest.max_future_secs](std::string_view json,
                                                                                            int64_t time_ms, submission& out) {
    http::event_context context;
    context.now_s = time_ms / 1'000;
    context.max_future_skew_secs = skew;
    std::string syntax;
    std::vector<http::field_error> errors;
    if (parser->parse_typed(json, context, out, syntax, errors)) return actors::event_fault::none;
    return syntax.empty() ? actors::event_fault::field : actors::event_fault::syntax;
  };
}

// Waits for one of the signals that end the process, at most `within`; 0 when none came.
int wait_for_signal(const sigset_t& signals, std::chrono::milliseconds within) {
  timespec t{within.count() / 1'000, within.count() % 1'000 * 1'000'000};
  int got = sigtimedwait(&signals, nullptr, &t);
  return got > 0 ? got : 0;
}

// To systemd, if it started this process. That it cannot be told is worth a line, not an end.
void tell(const std::string& state) {
  if (auto why = config::tell_service_manager(state); !why.empty())
    config::log(log_level::warning, "adtrackd", "service_manager_not_told", why);
}

// For as long from now a service manager is not to lose patience.
std::string patience_of(std::chrono::milliseconds time) { return "EXTEND_TIMEOUT_USEC=" + std::to_string(time.count() * 1'000); }

// Announces readiness once, then waits for the end; whether it was announced.
bool serve(actors::node& node, const http::server& server, const settings& s, const sigset_t& signals) {
  bool announced = false;
  auto tell_again = clock::now();
  for (;;) {
    // One that reads another's log never is what /readyz means, and can answer as soon as it listens.
    if (!announced && (s.log.backend == config::log_backend::remote || node.door().ready().ready)) {
      announced = true;
      std::string admin_address = server.admin_port() == 0 ? "" : s.admin.host + ":" + std::to_string(server.admin_port());
      config::log(log_level::info, "adtrackd", "ready", "adtrackd is ready",
                  {{"address", s.http.host + ":" + std::to_string(server.port())},
                   {"host", s.http.host},
                   {"port", server.port()},
                   {"admin_address", admin_address},
                   {"shards", s.log.shards},
                   {"version", ADTRACK_VERSION}});
      tell("READY=1");
    }
    if (!announced && clock::now() >= tell_again) { // opening goes on, however long a replay takes
      tell(patience_of(std::chrono::seconds(30)));
      tell_again = clock::now() + std::chrono::seconds(5);
    }
    auto wait = announced ? std::chrono::milliseconds(60'000) : std::chrono::milliseconds(10);
    if (int signal = wait_for_signal(signals, wait)) {
      log_stopping(signal);
      return announced;
    }
  }
}

int run(const settings& s, const sigset_t& signals) {
  auto http_options = http_options_of(s);
  if (auto why = http::check(http_options); !why.empty()) return refuse(why);
  warn_of_open_doors(s);
  storage::traffic_files rules(traffic_options_of(s));
  if (auto read = rules.open(); !read.ok()) return refuse(read.message);
  auto dir = storage::data_dir::open(s.data.dir);
  if (!dir.ok()) return refuse(dir.why.message);
  const bool on_kafka = s.log.backend == config::log_backend::kafka;
  auto kafka = kafka_options_of(s);
  if (!kafka.ok()) return refuse(kafka.why.message);
  bool own_key = s.privacy.visitor_key_file.empty();
  // A key is made only in a directory that nothing was remembered in yet: with another one, known visitors would count anew.
  bool make_key = own_key && !std::filesystem::exists((*dir)->log_path()) && !std::filesystem::exists((*dir)->spool_path());
  auto key = storage::load_visitor_key(own_key ? (*dir)->visitor_key_path() : s.privacy.visitor_key_file, make_key);
  if (!key.ok()) return refuse(key.why.message);
  if (auto bound = (*dir)->bind_log(log_name(s)); !bound.ok()) return refuse(bound.message);
  const auto wanted = control_of(s, *key, rules.rules()->version());
  config::metrics metrics;
  const auto open_log = [&] {
    switch (s.log.backend) {
    case config::log_backend::embedded: break;
    case config::log_backend::kafka: return open_kafka(s, **dir, *kafka, signals);
    case config::log_backend::remote: return open_remote(s, rules.rules(), wanted);
    }
    return open_embedded(s, **dir, metrics);
  };
  auto log = open_log();
  if (!log.ok()) return log.why.code == storage::errc::not_found ? 0 : refuse(log.why.message);
  auto small = std::make_shared<storage::shard_store_budget>(1 * mib, 4 * mib);
  auto quarantine = storage::quarantine::open(
      [path = (*dir)->quarantine_path(), small] {
        return storage::open_rocksdb_shard_store({path, small, nullptr});
      },
      {});
  if (!quarantine.ok()) return refuse(quarantine.why.message);

  shard_resources shared;
  shared.budget = std::make_shared<storage::shard_store_budget>(s.shards.block_cache_mb * mib, s.shards.write_buffer_mb * mib);
  actors::node_parts parts;
  parts.log = log->log;
  parts.spool = log->spooled;
  parts.checkpoints =
      std::make_shared<storage::checkpoints>(std::filesystem::absolute((*dir)->checkpoints_path()).lexically_normal().string());
  parts.quarantine = std::shared_ptr<storage::quarantine>(std::move(*quarantine));
  parts.open_engine = [&s, &dir = **dir, &shared](uint32_t shard) { return open_shard(s, dir, shared, shard); };
  parts.open_catalogue = [&dir = **dir, &kafka = *kafka, on_kafka]() -> storage::result<std::unique_ptr<storage::ads_catalogue>> {
    auto stream = on_kafka ? storage::open_kafka_stream(kafka) : storage::open_rocksdb_stream({dir.ads_path(), nullptr, now_ms});
    if (!stream.ok()) return stream.why;
    return std::make_unique<storage::ads_catalogue>(std::move(*stream), storage::random_token, now_ms);
  };
  parts.metrics = &metrics;
  parts.key = *key;
  parts.wanted = wanted;
  parts.judge = [&rules](const submission& from) { return rules.rules()->judge(from); };
  parts.now_ms = now_ms;
  if (on_kafka && s.inbox.enabled) {
    parts.open_inbox = [&kafka = *kafka] { return storage::open_kafka_inbox(kafka); };
    parts.parse_event = inbox_parser(s);
  }
  parts.troubles = [&rules] {
    std::vector<std::pair<std::string, std::string>> out;
    for (auto& list : rules.states()) out.emplace_back(std::string("list of ") + list.name, std::move(list.trouble));
    return out;
  };
  parts.every_second =
      [shown = std::make_shared<storage::storage_metrics>(
           storage::measured_storage{s.data.dir, log->kafka, log->spooled, s.spool.max_mb * mib, log->database, shared.budget},
           metrics)] { shown->publish(); };
  parts.fatal = [](const std::string& why) {
    config::log(log_level::error, "adtrackd", "fatal", why);
    _exit(exit_failed); // what was acknowledged is in the log; the shards go on from their last commit
  };

  std::string error;
  auto node = actors::node::start(node_options_of(s), std::move(parts), error);
  if (!node) return refuse(error);
  http::server server(http_options, node->door(), metrics, now_ms);
  if (!server.start(error)) return refuse(error);
  show_rules(rules, metrics);
  http::repeater look; // compiling expressions takes a quarter of a second: a thread of its own
  look.start(std::chrono::milliseconds(s.rules.reload_ms), [&rules, &metrics] {
    rules.look();
    show_rules(rules, metrics);
  });
  const bool was_ready = serve(*node, server, s, signals);

  const std::chrono::milliseconds grace(was_ready ? s.http.drain_ms : 0);
  tell("STOPPING=1\n" + patience_of(grace + std::chrono::milliseconds(s.shutdown.timeout_ms)));
  if (grace.count() > 0) {
    server.turn_away();
    const auto end = clock::now() + grace;
    while (clock::now() < end) // a second signal cuts it short
      if (wait_for_signal(signals, std::chrono::ceil<std::chrono::milliseconds>(end - clock::now())) != 0) break;
  }
  auto deadline = clock::now() + std::chrono::milliseconds(s.shutdown.timeout_ms) * 9 / 10;
  server.stop_accepting();
  bool drained = server.drain(std::chrono::duration_cast<std::chrono::milliseconds>(deadline - clock::now()) / 2);
  if (!drained) config::log(log_level::warning, "adtrackd", "not_drained", "some clients did not take their answers in time");
  bool ended = node->stop(deadline);
  server.stop();
  if (!ended) {
    config::log(log_level::error, "adtrackd", "not_stopped",
                "something did not end in time; what was acknowledged is in the log");
    _exit(exit_failed);
  }
  config::log(log_level::info, "adtrackd", "stopped", "adtrackd has stopped");
  return 0;
}

// One line of JSON a shard, from its store alone: no log is opened, nothing is applied.
int print_digests(const settings& s) {
  config::set_log_level(log_level::warning);
  auto dir = storage::data_dir::open(s.data.dir);
  if (!dir.ok()) return refuse(dir.why.message);
  shard_resources shared;
  shared.budget = std::make_shared<storage::shard_store_budget>(s.shards.block_cache_mb * mib, s.shards.write_buffer_mb * mib);
  for (uint32_t shard = 0; shard < s.log.shards; ++shard) {
    if (!std::filesystem::exists((*dir)->shard_path(shard)))
      return refuse("there is no shard " + std::to_string(shard) + " in " + s.data.dir + ": is log.shards as it was?");
    auto engine = open_shard(s, **dir, shared, shard);
    if (!engine.ok()) return refuse(engine.why.message);
    auto digest = (*engine)->digest();
    if (!digest.ok()) return refuse(digest.why.message);
    std::printf("{\"shard\":%u,\"offset\":%lld,\"digest\":\"%s\"}\n", shard, static_cast<long long>(digest->offset),
                digest->value.c_str());
  }
  return 0;
}

int check_health(const settings& s) {
  const std::string why = http::check_health(s.http.host, s.http.port, !s.tls.certificate_file.empty(), health_timeout_ms);
  if (!why.empty()) std::fprintf(stderr, "%s\n", why.c_str());
  return why.empty() ? 0 : exit_failed;
}

} // namespace

int main(int argc, char** argv) {
  // Before any thread: they all inherit the mask, so that only wait_for_signal sees these.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);

  auto start = config::read_settings(argc, argv, environ);
  switch (start.action) {
  case config::start_action::check_health: return check_health(start.values);
  case config::start_action::print: std::fputs(start.text.c_str(), stdout); return 0;
  case config::start_action::refuse: std::fputs(start.text.c_str(), stderr); return exit_refused;
  case config::start_action::digests:
  case config::start_action::run: break;
  }
  config::set_log_level(start.values.log.level);
  raise_descriptor_limit(start.values.http.max_connections + start.values.admin.max_connections + 1'024);
  try {
    return start.action == config::start_action::digests ? print_digests(start.values) : run(start.values, signals);
  } catch (const std::exception& e) {
    return refuse(std::string("cannot go on: ") + e.what(), exit_failed);
  }
}
