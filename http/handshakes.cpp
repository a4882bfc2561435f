#include "http/handshakes.hpp"

#include <prometheus/counter.h>

#include <algorithm>
#include <string_view>

namespace adtrack::http {

handshakes::handshakes(const http_options& options, config::metrics& metrics, bool tls)
    : max_(std::max<size_t>(options.tls_max_handshakes / std::max<uint32_t>(options.loops, 1), 1)) {
  // In the order of handshake_result.
  constexpr std::array<std::string_view, handshake_result_count> results = {"ok",        "plain_http",  "failed",
                                                                            "timed_out", "crowded_out", "closed"};
  if (tls)
    for (size_t i = 0; i < results.size(); ++i) counters_[i] = &metrics.tls_handshakes(results[i]);
}

void handshakes::end(handshake_result result) {
  --under_way_;
  counters_[static_cast<size_t>(result)]->Increment();
}

} // namespace adtrack::http
