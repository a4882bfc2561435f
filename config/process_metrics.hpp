// What the kernel knows of this process, under the names that Prometheus's own client libraries use, and how far the wall clock has
// jumped since this was made. Reads /proc and the clocks at each collection; a figure that cannot be read is left out.
#pragma once

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>

#include <cstdint>
#include <functional>
#include <vector>

namespace adtrack::config {

class process_metrics : public prometheus::Collectable {
public:
  // `wall_ahead_ms`: the wall clock minus the monotonic clock, which moves only when the wall clock is set; the system's by default.
  explicit process_metrics(std::function<int64_t()> wall_ahead_ms = {});
  std::vector<prometheus::MetricFamily> Collect() const override;

private:
  std::function<int64_t()> wall_ahead_ms_;
  int64_t wall_ahead_at_start_ms_;
};

} // namespace adtrack::config
