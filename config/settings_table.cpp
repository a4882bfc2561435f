#include "config/settings_table.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <utility>

namespace adtrack::config {

namespace {

constexpr uint64_t day_ms = 86'400'000;
constexpr uint64_t hour_ms = 3'600'000;
constexpr uint64_t mb_max = 1'048'576; // 1 TiB

template <class E>
choice_target choice(E* member, std::vector<std::pair<std::string_view, E>> values) {
  choice_target out;
  for (const auto& [name, value] : values) out.names.push_back(name);
  out.set = [member, values](size_t i) { *member = values[i].second; };
  out.get = [member, values] {
    const auto it = std::find_if(values.begin(), values.end(), [&](const auto& v) { return v.second == *member; });
    return static_cast<size_t>(it - values.begin());
  };
  return out;
}

void add_http(std::vector<setting_row>& rows, settings::http_section& h) {
  rows.push_back({"http.host", &h.host, 1, 0, "address that the listener binds"});
  rows.push_back({"http.port", &h.port, 0, 65'535, "port of the listener; 0 picks a free one and the ready line says which"});
  rows.push_back({"http.loops", &h.loops, 1, 64, "event loop threads"});
  rows.push_back({"http.backlog", &h.backlog, 1, 65'535, "connections that may wait to be accepted"});
  rows.push_back(
      {"http.max_connections", &h.max_connections, 1, 1'000'000, "open connections; one more is answered 503 and closed"});
  rows.push_back(
      {"http.max_head_bytes", &h.max_head_bytes, 1'024, 1'048'576, "bytes of a request line with its headers; more is 431"});
  rows.push_back({"http.max_headers", &h.max_headers, 8, 10'000, "headers of a request; more is 431"});
  rows.push_back({"http.max_body_bytes", &h.max_body_bytes, 1'024, 1'073'741'824,
                  "bytes of a request body, and of one event of a batch; more is 413"});
  rows.push_back({"http.max_buffered_bytes", &h.max_buffered_bytes, 1'048'576, uint64_t{1} << 40,
                  "bytes of unfinished requests and unsent replies over all connections; more is 503"});
  rows.push_back(
      {"http.max_pipelined", &h.max_pipelined, 1, 10'000, "events that one connection may send ahead of their answers"});
  rows.push_back({"http.batch_workers", &h.batch_workers, 1, 64, "threads that inflate and read batches"});
  rows.push_back({"http.batch_queue", &h.batch_queue, 1, 100'000, "batches that may wait for those threads; one more is 503"});
  rows.push_back(
      {"http.head_timeout_ms", &h.head_timeout_ms, 10, hour_ms, "ms from a request's first byte to the end of its headers"});
  rows.push_back(
      {"http.body_timeout_ms", &h.body_timeout_ms, 10, hour_ms, "ms from the end of the headers to the end of the body"});
  rows.push_back({"http.idle_timeout_ms", &h.idle_timeout_ms, 10, day_ms, "ms that a connection may stay open between requests"});
  rows.push_back({"http.write_timeout_ms", &h.write_timeout_ms, 10, hour_ms, "ms that a client may take to read a reply"});
  rows.push_back(
      {"http.reply_timeout_ms", &h.reply_timeout_ms, 10, hour_ms, "ms after which a request without an outcome is answered 503"});
  rows.push_back(
      {"http.drain_ms", &h.drain_ms, 0, hour_ms,
       "ms after SIGTERM in which all is still answered but /readyz, which is 503 so that a load balancer turns away"});
  rows.push_back({"http.drain_timeout_ms", &h.drain_timeout_ms, 10, hour_ms,
                  "ms for a client to finish a request that had begun when the server was told to stop"});
  rows.push_back({"http.trusted_proxies", &h.trusted_proxies, 0, 0,
                  "addresses or networks whose X-Forwarded-For is believed, with commas: `10.0.0.0/8, ::1`", "none"});
  rows.push_back({"http.reload_ms", &h.reload_ms, 10, hour_ms,
                  "ms between two looks at the key and TLS files; what changed is in force at once"});
}

void add_ingest(std::vector<setting_row>& rows, settings& s) {
  constexpr std::string_view open = "none: open to all, said at start";
  rows.push_back({"admin.key_file", &s.admin.key_file, 0, 0, "file of the admin keys, `NAME sha256:HEX` a line",
                  "none: admin calls are 403"});
  rows.push_back({"admin.host", &s.admin.host, 0, 0,
                  "address of a listener for admin calls, which the main listener does not have then",
                  "none: the main listener has them"});
  rows.push_back({"admin.port", &s.admin.port, 0, 65'535, "port of that listener; 0 picks a free one"});
  rows.push_back({"admin.max_connections", &s.admin.max_connections, 1, 1'000'000,
                  "open connections of that listener, besides `http.max_connections`"});
  rows.push_back({"admin.max_page_bytes", &s.admin.max_page_bytes, 4'096, 64u << 20,
                  "bytes of records in one answer of `/admin/v1/log/{n}`, about"});
  rows.push_back({"read.key_file", &s.read.key_file, 0, 0, "file of the keys that may read analytics and ads", open});
  rows.push_back({"ads.require_known", choice(&s.ads.require_known, {{"false", false}, {"true", true}}), 0, 0,
                  "refuse events of ads that the catalogue does not hold"});
  rows.push_back({"redirect.max_wait_ms", &s.redirect.max_wait_ms, 1, hour_ms,
                  "ms that a click's redirect or an impression's image waits for its event to be durable"});
  rows.push_back({"redirect.require_signature", choice(&s.redirect.require_signature, {{"false", false}, {"true", true}}), 0, 0,
                  "follow click links only that are signed with a key of `redirect.key_file`"});
  rows.push_back(
      {"redirect.key_file", &s.redirect.key_file, 0, 0, "file of the keys that sign click links, `ID HEX` a line", "none"});
  rows.push_back({"ingest.key_file", &s.ingest.key_file, 0, 0, "file of the keys that may send events", open});
  rows.push_back({"ingest.max_in_flight_events", &s.ingest.max_in_flight_events, 1, 1'000'000'000,
                  "events accepted and not yet durable; at the bound the answer is 503"});
  rows.push_back({"ingest.max_in_flight_bytes", &s.ingest.max_in_flight_bytes, 65'536, uint64_t{1} << 40,
                  "bytes of those events; at the bound the answer is 503"});
  rows.push_back({"ingest.timeout_ms", &s.ingest.timeout_ms, 10, hour_ms, "ms that an event may wait for the log; then 503"});
  rows.push_back({"ingest.max_future_secs", &s.ingest.max_future_secs, 0, 86'400,
                  "seconds that an event's timestamp may be ahead of the server"});
  rows.push_back({"ingest.max_batch_events", &s.ingest.max_batch_events, 1, 1'000'000, "events of a batch; more is 413"});
  rows.push_back({"ingest.max_batch_bytes", &s.ingest.max_batch_bytes, 1'024, 1'073'741'824,
                  "bytes of a batch, also once it is inflated; more is 413; at most half of `http.max_buffered_bytes`"});
  rows.push_back({"ingest.max_batch_rejections", &s.ingest.max_batch_rejections, 1, 1'000'000,
                  "rejected events of a batch that its answer lists; the others are counted only"});
}

void add_doors(std::vector<setting_row>& rows, settings& s) {
  constexpr uint32_t rate_max = 1'000'000;
  constexpr uint32_t burst_max = 1'000'000'000;
  rows.push_back({"tls.certificate_file", &s.tls.certificate_file, 0, 0,
                  "PEM file of the listeners' certificate and its chain; with it they speak TLS only", "none: plain HTTP"});
  rows.push_back({"tls.key_file", &s.tls.key_file, 0, 0, "PEM file of that certificate's key, without a password", "none"});
  rows.push_back({"tls.client_ca_file", &s.tls.client_ca_file, 0, 0,
                  "PEM file of the authorities that sign the certificates which clients of the admin listener must have",
                  "none"});
  rows.push_back({"tls.handshake_timeout_ms", &s.tls.handshake_timeout_ms, 10, hour_ms,
                  "ms from a connection's begin to the end of its handshake"});
  rows.push_back({"tls.max_handshakes", &s.tls.max_handshakes, 1, 1'000'000,
                  "handshakes under way, of up to 128 KiB each; one more ends the oldest"});
  rows.push_back({"rate.key_per_second", &s.rate.key_per_second, 0, rate_max,
                  "events a second that the keys of one name may send; more is 429; 0 is no limit"});
  rows.push_back({"rate.key_burst", &s.rate.key_burst, 0, burst_max, "events of one name at once; 0 is what a second gives"});
  rows.push_back({"rate.address_per_second", &s.rate.address_per_second, 0, rate_max,
                  "events a second that one client address (IPv6: its /64) may send; more is 429; 0 is no limit"});
  rows.push_back(
      {"rate.address_burst", &s.rate.address_burst, 0, burst_max, "events of one address at once; 0 is what a second gives"});
  rows.push_back({"rate.max_addresses", &s.rate.max_addresses, 8, 100'000'000,
                  "addresses that are remembered, 16 bytes each; those that owe least are forgotten first"});
  rows.push_back({"cors.origins", &s.cors.origins, 0, 0,
                  "origins whose pages may read answers, with commas: `https://shop.example, https://app.example:8443`, or `*`",
                  "none: no CORS headers"});
  rows.push_back(
      {"cors.max_age_secs", &s.cors.max_age_secs, 0, 86'400, "seconds that a browser may remember a preflight's answer"});
}

void add_log(std::vector<setting_row>& rows, settings& s) {
  rows.push_back(
      {"data.dir", &s.data.dir, 1, 0, "directory of everything that is remembered; a second process on it is refused"});
  rows.push_back({"log.backend",
                  choice(&s.log.backend,
                         {{"embedded", log_backend::embedded}, {"kafka", log_backend::kafka}, {"remote", log_backend::remote}}),
                  0, 0,
                  "where events are made durable: in `data.dir`, in Kafka, or by another node, whose log this one only reads; "
                  "fixed when `data.dir` is first used"});
  rows.push_back(
      {"log.shards", &s.log.shards, 1, 4'096, "shards; fixed when the log is created, another number later is refused"});
  rows.push_back({"log.retention_days", &s.log.retention_days, 0, 0,
                  "days that the log keeps its records; 0 is for ever, and the only choice in this version"});
  rows.push_back({"log.batch_records", &s.log.batch_records, 1, 1'000'000, "most records that one write to the log takes"});
  rows.push_back({"log.buffer_mb", &s.log.buffer_mb, 8, mb_max, "MiB of the log's newest records held in memory"});
  rows.push_back({"log.outage", choice(&s.log.outage, {{"spool", outage_choice::spool}, {"reject", outage_choice::reject}}), 0, 0,
                  "what becomes of new events while Kafka takes none: kept on this node's disk until it does, or 503"});
  rows.push_back({"log.outage_after_ms", &s.log.outage_after_ms, 10, hour_ms, "ms without a durable append that are an outage"});
  rows.push_back({"log.level",
                  choice(&s.log.level, {{"trace", log_level::trace},
                                        {"debug", log_level::debug},
                                        {"info", log_level::info},
                                        {"warning", log_level::warning},
                                        {"error", log_level::error}}),
                  0, 0, "lowest level of the log lines on standard error"});
  rows.push_back(
      {"spool.max_mb", &s.spool.max_mb, 1, mb_max, "MiB of events that wait on this node's disk for Kafka; more is 503"});
  rows.push_back({"spool.batch_records", &s.spool.batch_records, 1, 1'000'000, "waiting records that go to Kafka at once"});
}

void add_remote(std::vector<setting_row>& rows, settings::remote_section& r) {
  rows.push_back(
      {"remote.url", &r.url, 0, 0, "with `log.backend` remote: the node whose log is read, `http://host:port`", "none"});
  rows.push_back({"remote.key_file", &r.key_file, 0, 0, "file with the token of an admin key of that node", "none"});
  rows.push_back({"remote.poll_ms", &r.poll_ms, 10, hour_ms, "ms between two looks at where that log ends"});
  rows.push_back(
      {"remote.timeout_ms", &r.timeout_ms, 10, hour_ms, "ms for that node to take a connection, or to go on with an answer"});
  rows.push_back({"remote.judge_again", choice(&r.judge_again, {{"false", false}, {"true", true}}), 0, 0,
                  "judge that log's events by this node's rules, and count them under its settings, not by what the log says"});
}

void add_kafka(std::vector<setting_row>& rows, settings::kafka_section& k) {
  rows.push_back(
      {"kafka.brokers", &k.brokers, 0, 0, "brokers to find the cluster by, with commas: `host:9092, other:9092`", "none"});
  rows.push_back({"kafka.topic_prefix", &k.topic_prefix, 1, 0, "what the topics' names begin with: `<prefix>.events` and so on"});
  rows.push_back({"kafka.replication_factor", &k.replication_factor, 1, 100, "replicas of a topic that is created"});
  rows.push_back({"kafka.min_insync_replicas", &k.min_insync_replicas, 1, 100,
                  "replicas that must have a record before it is acknowledged, of a topic that is created"});
  rows.push_back({"kafka.allow_unsafe", choice(&k.allow_unsafe, {{"false", false}, {"true", true}}), 0, 0,
                  "development: take topics that can lose what was acknowledged"});
  rows.push_back({"kafka.message_timeout_ms", &k.message_timeout_ms, 100, hour_ms,
                  "ms that the brokers may take to acknowledge an event; less than `ingest.timeout_ms`"});
  rows.push_back({"kafka.linger_ms", &k.linger_ms, 0, 1'000, "ms that an event may wait for others to share its request"});
  rows.push_back(
      {"kafka.queue_mb", &k.queue_mb, 1, 2'047, "MiB of events that may wait for their acknowledgement; more is refused"});
  rows.push_back(
      {"kafka.fetch_wait_ms", &k.fetch_wait_ms, 1, 1'000,
       "ms that a broker may wait for more events before it gives what it has: fewer requests against later counting"});
  rows.push_back({"kafka.fetch_queue_kb", &k.fetch_queue_kb, 64, 2'097'151, "KiB of records fetched ahead, a shard"});
  rows.push_back({"kafka.security_protocol",
                  choice(&k.security_protocol, {{"plaintext", std::string("plaintext")},
                                                {"ssl", std::string("ssl")},
                                                {"sasl_plaintext", std::string("sasl_plaintext")},
                                                {"sasl_ssl", std::string("sasl_ssl")}}),
                  0, 0, "how the brokers are spoken to"});
  rows.push_back({"kafka.sasl_mechanism", &k.sasl_mechanism, 0, 0, "`PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`", "none"});
  rows.push_back({"kafka.sasl_username", &k.sasl_username, 0, 0, "user name for SASL", "none"});
  rows.push_back(
      {"kafka.sasl_password_file", &k.sasl_password_file, 0, 0, "file whose first line is that user's password", "none"});
  rows.push_back({"kafka.ssl_ca_file", &k.ssl_ca_file, 0, 0,
                  "PEM file of the authorities that may sign the brokers' certificates", "the system's"});
  rows.push_back({"kafka.ssl_certificate_file", &k.ssl_certificate_file, 0, 0,
                  "PEM file of this node's certificate, for mutual TLS", "none"});
  rows.push_back({"kafka.ssl_key_file", &k.ssl_key_file, 0, 0, "PEM file of that certificate's key", "none"});
  rows.push_back(
      {"kafka.ssl_key_password_file", &k.ssl_key_password_file, 0, 0, "file whose first line is that key's password", "none"});
  rows.push_back({"kafka.options", &k.options, 0, 0,
                  "more librdkafka properties, with commas: `key=value, key=value`; those that a promise rests on are refused",
                  "none"});
}

void add_counting(std::vector<setting_row>& rows, settings& s) {
  rows.push_back(
      {"dedupe.window_days", &s.dedupe.window_days, 1, 365, "days of log time in which a repeated event is a duplicate"});
  rows.push_back(
      {"dedupe.memory_mb", &s.dedupe.memory_mb, 16, mb_max, "MiB for the identities' index and filters, all shards together"});
  rows.push_back({"traffic.repeat_click_secs", &s.traffic.repeat_click_secs, 0, 3'600,
                  "seconds in which a visitor's next click on an ad is invalid as `repeat`; 0 switches that off"});
  rows.push_back({"rules.agents_file", &s.rules.agents_file, 0, 0,
                  "uap-core's regexes.yaml: which agents are crawlers, and their devices, browsers and systems",
                  "`/usr/share/uap-core/regexes.yaml` if it is there"});
  rows.push_back({"rules.bots_file", &s.rules.bots_file, 0, 0,
                  "file of more agents that are crawlers, an RE2 expression a line, case ignored, `#` begins a comment", "none"});
  rows.push_back({"rules.datacenters_file", &s.rules.datacenters_file, 0, 0,
                  "files of the networks whose events are invalid as `datacenter`, with commas", "none"});
  rows.push_back({"rules.country_file", &s.rules.country_file, 0, 0,
                  "database in MaxMind's format that says the country of an address", "none"});
  rows.push_back({"rules.cached_agents", &s.rules.cached_agents, 32, 10'000'000,
                  "agents whose classes are remembered, of up to 1.3 KB each"});
  rows.push_back({"rules.reload_ms", &s.rules.reload_ms, 10, hour_ms,
                  "ms between two looks at these files; a changed one is in force at once"});
  rows.push_back({"buckets.second_days", &s.buckets.second_days, 1, 36'500,
                  "days that buckets of a second are kept after their last write"});
  rows.push_back({"buckets.minute_days", &s.buckets.minute_days, 1, 36'500,
                  "days that buckets of a minute are kept after their last write"});
  rows.push_back({"shards.commit_records", &s.shards.commit_records, 1, 10'000'000, "records that a shard commits as one group"});
  rows.push_back({"shards.commit_ms", &s.shards.commit_ms, 10, 600'000, "ms after which a smaller group is committed"});
  rows.push_back({"shards.cache_mb", &s.shards.cache_mb, 16, mb_max, "MiB for counter rows in memory, all shards together"});
  rows.push_back({"shards.block_cache_mb", &s.shards.block_cache_mb, 8, mb_max,
                  "MiB for the stores' blocks in memory, all shards together"});
  rows.push_back({"shards.write_buffer_mb", &s.shards.write_buffer_mb, 8, mb_max,
                  "MiB for what the stores have not yet written to their tables, all shards together"});
  rows.push_back({"shards.sync_ms", &s.shards.sync_ms, 10, hour_ms, "ms between two syncs of a shard's store"});
}

void add_running(std::vector<setting_row>& rows, settings& s) {
  rows.push_back({"reader.batch_records", &s.reader.batch_records, 1, 1'000'000, "records that a shard is handed at once"});
  rows.push_back({"reader.credit_batches", &s.reader.credit_batches, 1, 64, "such batches on their way to one shard"});
  rows.push_back({"analytics.timeout_ms", &s.analytics.timeout_ms, 10, hour_ms,
                  "ms after which an answer goes without the shards that are late"});
  rows.push_back({"analytics.default_limit", &s.analytics.default_limit, 1, 100'000, "`limit` of a query that names none"});
  rows.push_back({"analytics.max_limit", &s.analytics.max_limit, 1, 100'000, "highest `limit` of a query"});
  rows.push_back({"analytics.max_rows", &s.analytics.max_rows, 1, 10'000'000,
                  "highest `page` times `limit`: so many rows each shard may have to give; more is 400"});
  rows.push_back({"analytics.max_points", &s.analytics.max_points, 1, 1'000'000,
                  "points of an answer's series, those of the pages before it included; more is 400"});
  rows.push_back({"analytics.max_streams", &s.analytics.max_streams, 1, 100'000,
                  "streams of server-sent events that may be open; one more is answered 503"});
  rows.push_back({"analytics.stream_interval_ms", &s.analytics.stream_interval_ms, 10, hour_ms,
                  "ms between two looks of a stream at its question"});
  rows.push_back({"analytics.stream_heartbeat_ms", &s.analytics.stream_heartbeat_ms, 10, hour_ms,
                  "ms without an event after which a stream sends a comment, so that proxies keep it open"});
  rows.push_back(
      {"analytics.real_time_lag_ms", &s.analytics.real_time_lag_ms, 1, hour_ms, "ms of lag under which an answer is real-time"});
  rows.push_back({"analytics.max_waiting", &s.analytics.max_waiting, 1, 1'000'000,
                  "queries that may be under way; one more is answered 503"});
  rows.push_back({"analytics.max_position_waiters", &s.analytics.max_position_waiters, 1, 1'000'000,
                  "queries of one shard that may wait for their `min_position`"});
  rows.push_back({"analytics.max_wide", &s.analytics.max_wide, 1, 10'000,
                  "queries over many ads under way at once; one more is answered 503"});
  rows.push_back({"analytics.workers", &s.analytics.workers, 1, 64, "threads that answer queries over many ads"});
  rows.push_back({"privacy.ip", choice(&s.privacy.ip, {{"mask", ip_privacy::mask}, {"drop", ip_privacy::drop}}), 0, 0,
                  "what the log keeps of an address: IPv4 /24 and IPv6 /48, or nothing"});
  rows.push_back({"privacy.visitor_key_file", &s.privacy.visitor_key_file, 0, 0, "file with the secret that makes visitor hashes",
                  "`visitor.key` in `data.dir`, made at the first start"});
  rows.push_back({"node.id", &s.node.id, 0, 0, "this node's name in answers and logs", "the host name"});
  rows.push_back({"scheduler.threads", &s.scheduler.threads, 1, 64, "worker threads of the actors"});
  rows.push_back({"shutdown.timeout_ms", &s.shutdown.timeout_ms, 100, 600'000, "ms that SIGTERM leaves for what is in flight"});
  rows.push_back({"clock.max_jump_secs", &s.clock.max_jump_secs, 1, 86'400,
                  "seconds that the wall clock may leave the monotonic clock; beyond, events are answered 503"});
}

template <class Int>
std::string assign_number(Int* member, std::string_view text, const setting_row& row) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool digits = !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
  if (!digits || error != std::errc() || end != text.data() + text.size() || value < row.min || value > row.max)
    return (row.min == row.max ? "must be " : "must be an ") + row.allowed();
  *member = static_cast<Int>(value);
  return {};
}

std::string assign_text(std::string* member, std::string_view text, const setting_row& row) {
  const bool control =
      std::any_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
  if (control) return "must not hold control characters";
  if (text.empty() && row.min > 0) return "must not be empty";
  *member = text;
  return {};
}

} // namespace

std::string setting_row::value() const {
  struct visitor {
    std::string operator()(const std::string* p) const { return *p; }
    std::string operator()(const uint16_t* p) const { return std::to_string(*p); }
    std::string operator()(const uint32_t* p) const { return std::to_string(*p); }
    std::string operator()(const uint64_t* p) const { return std::to_string(*p); }
    std::string operator()(const choice_target& c) const { return std::string(c.names[c.get()]); }
  };
  return std::visit(visitor{}, target);
}

std::string setting_row::allowed() const {
  if (is_number() && min == max) return std::to_string(min);
  if (is_number()) return "integer from " + std::to_string(min) + " to " + std::to_string(max);
  const auto* choices = std::get_if<choice_target>(&target);
  if (choices == nullptr) return min > 0 ? "text, not empty" : "text";
  if (choices->names.size() == 1) return std::string(choices->names[0]);
  std::string out = "one of ";
  for (size_t i = 0; i < choices->names.size(); ++i) {
    if (i > 0) out += ", ";
    out += choices->names[i];
  }
  return out;
}

std::string setting_row::variable() const {
  std::string out = "ADTRACK_";
  for (const char c : name) out += c == '.' ? '_' : (c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c);
  return out;
}

std::string setting_row::assign(std::string_view text) const {
  struct visitor {
    std::string_view text;
    const setting_row& row;
    std::string operator()(std::string* p) const { return assign_text(p, text, row); }
    std::string operator()(uint16_t* p) const { return assign_number(p, text, row); }
    std::string operator()(uint32_t* p) const { return assign_number(p, text, row); }
    std::string operator()(uint64_t* p) const { return assign_number(p, text, row); }
    std::string operator()(const choice_target& c) const {
      const auto it = std::find(c.names.begin(), c.names.end(), text);
      if (it == c.names.end()) return "must be " + row.allowed();
      c.set(static_cast<size_t>(it - c.names.begin()));
      return {};
    }
  };
  return std::visit(visitor{text, *this}, target);
}

std::vector<setting_row> settings_table(settings& s) {
  std::vector<setting_row> rows;
  add_http(rows, s.http);
  add_ingest(rows, s);
  add_doors(rows, s);
  add_log(rows, s);
  add_remote(rows, s.remote);
  add_kafka(rows, s.kafka);
  rows.push_back({"inbox.enabled", choice(&s.inbox.enabled, {{"false", false}, {"true", true}}), 0, 0,
                  "with Kafka: take the events that other producers write to `<prefix>.inbox`"});
  rows.push_back({"inbox.batch_records", &s.inbox.batch_records, 1, 1'000'000, "records of the inbox in flight at once"});
  add_counting(rows, s);
  add_running(rows, s);
  return rows;
}

std::vector<std::string> list_of(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const size_t comma = std::min(text.find(','), text.size());
    const std::string_view item = text.substr(0, comma);
    text.remove_prefix(std::min(comma + 1, text.size()));
    const size_t first = item.find_first_not_of(' ');
    if (first != std::string_view::npos) out.emplace_back(item.substr(first, item.find_last_not_of(' ') - first + 1));
  }
  return out;
}

namespace {

std::string check_tls(const settings& s) {
  if (s.tls.certificate_file.empty() != s.tls.key_file.empty())
    return "tls.certificate_file and tls.key_file: either both are set or none";
  if (s.tls.client_ca_file.empty()) return {};
  if (s.tls.certificate_file.empty()) return "tls.client_ca_file is set, but there is no TLS: set tls.certificate_file";
  return s.admin.host.empty() ? "tls.client_ca_file is set, but there is no admin listener: set admin.host" : "";
}

std::string check_kafka(const settings& s) {
  if (s.kafka.brokers.empty()) return "log.backend is kafka: kafka.brokers must name at least one";
  // Else an event would be answered 503 while its fate is still open, and be in the log all the same.
  if (s.kafka.message_timeout_ms >= s.ingest.timeout_ms)
    return "kafka.message_timeout_ms is " + std::to_string(s.kafka.message_timeout_ms) +
           ": must be less than ingest.timeout_ms, which is " + std::to_string(s.ingest.timeout_ms);
  // A record may wait in the spool for the window minus a day.
  if (s.log.outage == outage_choice::spool && s.dedupe.window_days < 2)
    return "dedupe.window_days is " + std::to_string(s.dedupe.window_days) + ": must be at least 2 while log.outage is spool";
  return {};
}

} // namespace

std::string check_together(const settings& s) {
  const auto ordered = [](std::string_view low, uint64_t low_value, std::string_view high, uint64_t high_value) {
    if (low_value <= high_value) return std::string();
    return std::string(low) + " is " + std::to_string(low_value) + ": must not be more than " + std::string(high) +
           ", which is " + std::to_string(high_value);
  };
  std::string wrong = ordered("buckets.second_days", s.buckets.second_days, "buckets.minute_days", s.buckets.minute_days);
  if (wrong.empty())
    wrong =
        ordered("kafka.min_insync_replicas", s.kafka.min_insync_replicas, "kafka.replication_factor", s.kafka.replication_factor);
  if (wrong.empty())
    wrong = ordered("analytics.default_limit", s.analytics.default_limit, "analytics.max_limit", s.analytics.max_limit);
  if (wrong.empty()) wrong = ordered("analytics.max_limit", s.analytics.max_limit, "analytics.max_rows", s.analytics.max_rows);
  // A batch must fit beside another that grows.
  if (wrong.empty() && s.ingest.max_batch_bytes > s.http.max_buffered_bytes / 2)
    wrong = "ingest.max_batch_bytes is " + std::to_string(s.ingest.max_batch_bytes) +
            ": must not be more than half of http.max_buffered_bytes, which is " + std::to_string(s.http.max_buffered_bytes);
  if (wrong.empty() && s.admin.host.empty() && s.admin.port != settings().admin.port)
    wrong = "admin.port is " + std::to_string(s.admin.port) + ", but there is no admin listener: set admin.host";
  if (wrong.empty() && s.log.backend == log_backend::remote && s.remote.url.empty())
    wrong = "log.backend is remote: remote.url must name a node";
  if (wrong.empty()) wrong = check_tls(s);
  return wrong.empty() && s.log.backend == log_backend::kafka ? check_kafka(s) : wrong;
}

} // namespace adtrack::config
