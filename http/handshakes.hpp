// The TLS handshakes under way on one loop: how many there may be, and how they end. Its thread only.
#pragma once

#include <array>
#include <cstddef>

#include "config/telemetry.hpp"
#include "http/options.hpp"
#include "http/tls_session.hpp"

namespace adtrack::http {

class handshakes {
public:
  handshakes(const http_options& options, config::metrics& metrics, bool tls);
  bool full() const noexcept { return under_way_ >= max_; }
  void begin() noexcept { ++under_way_; }
  void end(handshake_result result); // of one that was begun

private:
  size_t under_way_ = 0;
  const size_t max_;
  std::array<prometheus::Counter*, handshake_result_count> counters_{}; // null without TLS
};

} // namespace adtrack::http
