// Metric families as Prometheus text, format 0.0.4. The packaged serializer writes 0.005 as 0.0050000000000000001, which makes
// bucket labels that nobody can type into a query; here every number is the shortest that reads back the same. Pure.
#pragma once

#include <prometheus/metric_family.h>

#include <string>
#include <vector>

namespace adtrack::config {

// Counters, gauges, histograms and untyped metrics; the project makes no summaries, and a family of them is left out.
std::string metrics_text(const std::vector<prometheus::MetricFamily>& families);

} // namespace adtrack::config
