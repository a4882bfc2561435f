// What the front door can be told: one struct, filled by the composition root. Plain values, read-only once the server runs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "http/rate_limit.hpp"

namespace adtrack::http {

// Where a connection came in.
enum class listener : uint8_t { main, admin };
inline constexpr size_t listener_count = 2;

struct http_options {
  std::string host = "0.0.0.0";
  uint16_t port = 8080; // 0 picks one
  uint32_t loops = 2;   // event loop threads
  int backlog = 4096;
  size_t max_connections = 20'000;
  size_t max_head_bytes = 16'384; // request line and header lines
  size_t max_headers = 100;
  size_t max_body_bytes = 65'536;
  size_t max_buffered_bytes = 32u << 20; // unfinished requests and unsent replies, over all connections
  size_t max_batch_bytes = 8u << 20;     // body of a batch, also once it is inflated
  size_t max_batch_events = 10'000;
  size_t max_batch_rejections = 1'000; // rejected items that an answer lists
  uint32_t batch_workers = 2;          // threads that read batches
  size_t batch_queue = 256;            // batches that wait for them
  uint32_t max_pipelined = 32;         // ingest requests of one connection that may wait for their outcome
  uint32_t head_timeout_ms = 5'000;    // absolute, from the first byte: a drip does not extend it
  uint32_t body_timeout_ms = 10'000;   // absolute, from the end of the head
  uint32_t idle_timeout_ms = 75'000;
  uint32_t write_timeout_ms = 10'000;
  uint32_t reply_timeout_ms = 10'000; // an outcome that does not come: 503
  uint32_t linger_timeout_ms = 1'000; // how long what a refused client still sends is read and dropped
  uint32_t drain_timeout_ms = 1'000;  // while stopping: for requests that have not arrived in full

  int64_t max_future_skew_secs = 300;
  uint32_t query_timeout_ms = 5'000; // default of `timeout_ms`; at most reply_timeout_ms - 500
  uint32_t query_limit = 100;        // default of `limit`
  uint32_t query_limit_max = 1'000;
  uint32_t query_rows_max = 100'000;  // page times limit
  uint32_t query_points_max = 10'000; // of an answer's series
  size_t max_streams = 200;           // of server-sent events; one more is 503
  uint32_t stream_interval_ms = 1'000;
  uint32_t stream_heartbeat_ms = 15'000;

  // Files of hashed keys, as config/keys.hpp reads them; "": none. Without one, ingest and read are open and admin calls are 403.
  std::string ingest_key_file;
  std::string read_key_file;
  std::string admin_key_file;

  bool require_known_ads = false;     // events of ads that the catalogue does not hold are refused
  uint32_t visit_max_wait_ms = 500;   // a redirect or an impression image goes out after this, recorded or not
  bool require_signed_clicks = false; // of redirects; needs link_key_file
  std::string link_key_file;          // as http/signed_link.hpp reads it; "": none
  // A listener of its own for admin calls, which the main one does not have then; "": none.
  std::string admin_host;
  uint16_t admin_port = 8081;         // 0 picks one
  size_t admin_max_connections = 100; // besides max_connections, so that a flood there does not keep an operator out

  // TLS on the listeners: PEM files; "": plain HTTP. With client authorities, the admin listener wants a client certificate.
  std::string tls_certificate_file;
  std::string tls_key_file;
  std::string tls_client_ca_file;
  uint32_t reload_ms = 1'000;                // between two looks at the files of keys and TLS
  uint32_t tls_handshake_timeout_ms = 5'000; // absolute, from the connection's first moment
  size_t tls_max_handshakes = 400;           // under way, over all loops; each may take 128 KiB. One more ends the oldest.

  rate_options rates;
  uint32_t cors_max_age_secs = 600;
  std::vector<std::string> cors_origins; // exact, or "*" alone; none: no CORS headers

  // Addresses or networks ("10.0.0.0/8", "::1") whose X-Forwarded-For is believed.
  std::vector<std::string> trusted_proxies;
};

} // namespace adtrack::http
