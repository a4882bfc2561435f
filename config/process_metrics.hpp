// What the kernel knows of this process, under the names that Prometheus's own client libraries use. Reads /proc at each
// collection and keeps nothing; a figure that cannot be read is left out.
#pragma once

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>

#include <vector>

namespace adtrack::config {

class process_metrics : public prometheus::Collectable {
public:
  std::vector<prometheus::MetricFamily> Collect() const override;
};

} // namespace adtrack::config
