// http_request_duration_seconds and http_requests_total with handles looked up at most once a label set. One a loop, its thread
// only.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "config/telemetry.hpp"
#include "http/framer.hpp"
#include "http/route_table.hpp"

namespace adtrack::http {

// A method's label: to_string(http_method), or "other" when the request was not read that far.
inline constexpr size_t method_label_count = http_method_count + 1;
inline constexpr uint8_t other_method = http_method_count;

class request_meter {
public:
  explicit request_meter(config::metrics& metrics) : metrics_(metrics) {}
  void record(route where, uint8_t method, int status, int64_t took_us);

private:
  struct handles {
    std::array<prometheus::Histogram*, 6> durations{}; // by hundreds
    std::array<prometheus::Counter*, 24> requests{};   // by the statuses that this server sends
  };
  config::metrics& metrics_;
  std::array<std::array<handles, method_label_count>, route_count> table_{};
};

} // namespace adtrack::http
