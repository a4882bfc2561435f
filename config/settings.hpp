// Everything that an operator can set, typed, with its default. One table (config/settings_table.hpp) makes of it the flags, the
// ADTRACK_* variables, the keys of the file, --help, and the README's table. Read once at start, before any thread; a plain value
// that the composition root copies into each room's own options. Never global, never changed while running.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/telemetry.hpp"

namespace adtrack::config {

enum class log_backend : uint8_t { embedded, kafka, remote };
enum class outage_choice : uint8_t { spool, reject };
enum class ip_privacy : uint8_t { mask, drop };

struct settings {
  struct http_section {
    std::string host = "0.0.0.0";
    uint16_t port = 8080;
    uint32_t loops = 2;
    uint32_t backlog = 4096;
    uint32_t max_connections = 20'000;
    uint32_t max_head_bytes = 16'384;
    uint32_t max_headers = 100;
    uint32_t max_body_bytes = 65'536;
    uint64_t max_buffered_bytes = 33'554'432;
    uint32_t max_pipelined = 32;
    uint32_t batch_workers = 2;
    uint32_t batch_queue = 256;
    uint32_t head_timeout_ms = 5'000;
    uint32_t body_timeout_ms = 10'000;
    uint32_t idle_timeout_ms = 75'000;
    uint32_t write_timeout_ms = 10'000;
    uint32_t reply_timeout_ms = 10'000;
    uint32_t drain_ms = 0;
    uint32_t drain_timeout_ms = 1'000;
    std::string trusted_proxies; // for list_of; "" = none
    uint32_t reload_ms = 1'000;
  } http;

  struct admin_section {
    std::string key_file; // "" = none
    std::string host;     // "" = admin calls are on the main listener
    uint16_t port = 8'081;
    uint32_t max_connections = 100;
    uint32_t max_page_bytes = 1u << 20;
  } admin;

  struct remote_section {
    std::string url;      // of the node whose log this one reads
    std::string key_file; // "" = none
    uint32_t poll_ms = 250;
    uint32_t timeout_ms = 5'000;
    bool judge_again = false;
  } remote;

  struct read_section {
    std::string key_file; // "" = none
  } read;

  struct tls_section {
    std::string certificate_file; // "" = plain HTTP
    std::string key_file;
    std::string client_ca_file;
    uint32_t handshake_timeout_ms = 5'000;
    uint32_t max_handshakes = 400;
  } tls;

  struct rate_section {
    uint32_t key_per_second = 0; // 0 = not limited
    uint32_t key_burst = 0;      // 0 = what a second gives
    uint32_t address_per_second = 0;
    uint32_t address_burst = 0;
    uint32_t max_addresses = 100'000;
  } rate;

  struct cors_section {
    std::string origins; // for list_of; "" = none
    uint32_t max_age_secs = 600;
  } cors;

  struct ads_section {
    bool require_known = false;
  } ads;
  struct redirect_section {
    uint32_t max_wait_ms = 500;
    bool require_signature = false;
    std::string key_file;
  } redirect;
  struct ingest_section {
    std::string key_file; // "" = none
    uint64_t max_in_flight_events = 100'000;
    uint64_t max_in_flight_bytes = 67'108'864;
    uint32_t timeout_ms = 5'000;
    uint32_t max_future_secs = 300;
    uint32_t max_batch_events = 10'000;
    uint32_t max_batch_bytes = 8'388'608;
    uint32_t max_batch_rejections = 1'000;
  } ingest;

  struct data_section {
    std::string dir = "./data";
  } data;

  struct log_section {
    log_backend backend = log_backend::embedded;
    uint32_t shards = 16;
    uint32_t retention_days = 0; // for ever, the only choice in this version
    uint32_t batch_records = 10'000;
    uint32_t buffer_mb = 64;
    outage_choice outage = outage_choice::spool;
    uint32_t outage_after_ms = 2'000;
    log_level level = log_level::info;
  } log;

  struct spool_section {
    uint32_t max_mb = 1'024;
    uint32_t batch_records = 10'000;
  } spool;

  struct inbox_section {
    bool enabled = true;
    uint32_t batch_records = 2'000;
  } inbox;

  struct kafka_section {
    std::string brokers; // "host:port,host:port"
    std::string topic_prefix = "adtrack";
    uint32_t replication_factor = 3;
    uint32_t min_insync_replicas = 2;
    bool allow_unsafe = false;
    uint32_t message_timeout_ms = 4'000;
    uint32_t linger_ms = 1;
    uint32_t queue_mb = 256;
    uint32_t fetch_wait_ms = 20;
    uint32_t fetch_queue_kb = 4'096;
    std::string security_protocol = "plaintext";
    std::string sasl_mechanism; // "" = none
    std::string sasl_username;
    std::string sasl_password_file;
    std::string ssl_ca_file;
    std::string ssl_certificate_file;
    std::string ssl_key_file;
    std::string ssl_key_password_file;
    std::string options; // for storage's parse_kafka_properties
  } kafka;

  struct dedupe_section {
    uint32_t window_days = 7;
    uint32_t memory_mb = 512;
  } dedupe;

  struct traffic_section {
    uint32_t repeat_click_secs = 2; // 0 = no click is a repeat
  } traffic;

  struct rules_section {
    std::string agents_file; // "" = the package's, if it is there
    std::string bots_file;
    std::string datacenters_file; // for list_of; "" = none
    std::string country_file;
    uint32_t cached_agents = 20'000;
    uint32_t reload_ms = 1'000;
  } rules;

  struct buckets_section {
    uint32_t second_days = 2;
    uint32_t minute_days = 90;
  } buckets;

  struct shards_section {
    uint32_t commit_records = 70'000;
    uint32_t commit_ms = 1'000;
    uint32_t cache_mb = 512;
    uint32_t block_cache_mb = 256;
    uint32_t write_buffer_mb = 128;
    uint32_t sync_ms = 10'000;
  } shards;

  struct reader_section {
    uint32_t batch_records = 2'000;
    uint32_t credit_batches = 4;
  } reader;

  struct analytics_section {
    uint32_t timeout_ms = 5'000;
    uint32_t default_limit = 100;
    uint32_t max_limit = 1'000;
    uint32_t max_rows = 100'000;
    uint32_t max_points = 10'000;
    uint32_t max_streams = 200;
    uint32_t stream_interval_ms = 1'000;
    uint32_t stream_heartbeat_ms = 15'000;
    uint32_t real_time_lag_ms = 1'000;
    uint32_t max_waiting = 10'000;
    uint32_t max_position_waiters = 1'000;
    uint32_t max_wide = 16;
    uint32_t workers = 1;
  } analytics;

  struct privacy_section {
    ip_privacy ip = ip_privacy::mask;
    std::string visitor_key_file; // "" = visitor.key in data.dir
  } privacy;

  struct node_section {
    std::string id; // "" = the host name
  } node;

  struct scheduler_section {
    uint32_t threads = 2;
  } scheduler;

  struct shutdown_section {
    uint32_t timeout_ms = 10'000;
  } shutdown;

  struct clock_section {
    uint32_t max_jump_secs = 300;
  } clock;
};

// One setting that does not have its default, for the log line at start.
struct changed_setting {
  std::string name;
  std::string value;
  std::string origin; // "flag --http.port", "variable ADTRACK_HTTP_PORT", "file x.toml, line 3"
};

enum class start_action : uint8_t {
  run,          // `values` are good
  check_health, // --check-health: `values` are good, and say which server to ask
  digests,      // --digests: `values` are good; only say what the shards in data.dir hold
  print,        // --help and the like: write `text` to standard output, exit 0
  refuse        // write `text`, one sentence and a line end, to standard error, exit 2
};

struct start_request {
  start_action action = start_action::run;
  settings values;
  std::vector<changed_setting> changed;
  std::string text;
};

// Reads the file that --config (or ADTRACK_CONFIG) names, then the ADTRACK_* variables of `environment` (null-terminated, as
// environ), then the flags: later ones win. An unknown name or a bad value, wherever it stands, is refused with a sentence that
// names key, value, origin and what is allowed.
start_request read_settings(int argc, const char* const* argv, const char* const* environment);

// The items of a comma-separated setting, without blanks around them; none of "".
std::vector<std::string> list_of(std::string_view text);

} // namespace adtrack::config
