#include "http/reject_counters.hpp"

#include <prometheus/counter.h>

#include <string_view>

namespace adtrack::http {

reject_counters::reject_counters(config::metrics& metrics) {
  // In the order of reject_reason.
  constexpr std::array<std::string_view, reject_reason_count> names = {
      "unauthorized", "content_type", "content_encoding", "syntax",    "validation", "overloaded",
      "not_durable",  "no_answer",    "unknown_ad",       "signature", "rate"};
  for (size_t i = 0; i < reject_reason_count; ++i) handles_[i] = &metrics.events_rejected(names[i]);
}

void reject_counters::count(reject_reason why, size_t events) {
  if (events > 0) handles_[static_cast<size_t>(why)]->Increment(static_cast<double>(events));
}

} // namespace adtrack::http
