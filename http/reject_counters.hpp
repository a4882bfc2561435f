// adtrack_events_rejected_total by reason, looked up once. Thread-safe. The reasons are this closed set.
#pragma once

#include <array>
#include <cstdint>

#include "config/telemetry.hpp"

namespace adtrack::http {

enum class reject_reason : uint8_t {
  unauthorized,
  content_type,
  content_encoding,
  syntax,
  validation,
  overloaded,
  not_durable,
  no_answer,
  unknown_ad,
  signature,
  rate
};
inline constexpr size_t reject_reason_count = 11;

class reject_counters {
public:
  explicit reject_counters(config::metrics& metrics);
  void count(reject_reason why, size_t events = 1);

private:
  std::array<prometheus::Counter*, reject_reason_count> handles_{};
};

} // namespace adtrack::http
