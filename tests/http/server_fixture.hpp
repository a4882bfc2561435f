// A running server on a free loopback port over a fake gateway and a fixed clock.
#pragma once

#include <cstdio>
#include <string>

#include <boost/test/unit_test.hpp>

#include "config/telemetry.hpp"
#include "http/auth.hpp"
#include "http/server.hpp"
#include "tests/config/temporary_file.hpp"
#include "tests/http/fake_gateway.hpp"
#include "tests/http/raw_client.hpp"

namespace adtrack::tests {

inline constexpr int64_t fixture_now_ms = 1'753'200'972'000;
inline constexpr uint32_t never_ms = 600'000;

// A line of a key file.
inline std::string key_line(const std::string& name, std::string_view token) {
  std::string out = name + " sha256:";
  for (uint8_t byte : http::sha256(token)) {
    char digits[3];
    std::snprintf(digits, sizeof digits, "%02x", byte);
    out += digits;
  }
  return out + "\n";
}

struct server_fixture {
  config::metrics metrics;
  fake_gateway gateway;
  temporary_file admin_keys{key_line("root", "secret")};
  http::http_options options;
  std::unique_ptr<http::server> server;

  server_fixture() {
    config::set_log_level(config::log_level::error);
    options.host = "127.0.0.1";
    options.port = 0;
    options.linger_timeout_ms = 200;
    // A test that is about a limit of time sets it; no other one fails because the machine stood still.
    options.head_timeout_ms = options.body_timeout_ms = options.idle_timeout_ms = options.write_timeout_ms = never_ms;
    options.reply_timeout_ms = options.tls_handshake_timeout_ms = never_ms;
    options.admin_key_file = admin_keys.path();
    options.reload_ms = 3'600'000; // a test looks itself
  }
  uint16_t start() {
    server = std::make_unique<http::server>(options, gateway, metrics, [] { return fixture_now_ms; });
    std::string error;
    BOOST_REQUIRE_MESSAGE(server->start(error), error);
    return server->port();
  }
  // Every event is accepted at once at offset 5 of shard 7.
  void accept_all() {
    gateway.on_item = [](const actors::ingest_item&) { return actors::outcome(actors::ingested{false, 7, 5}); };
  }
};

} // namespace adtrack::tests
