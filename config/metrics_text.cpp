#include "config/metrics_text.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <string_view>

namespace adtrack::config {

namespace {

void append_number(std::string& out, double value) {
  if (std::isnan(value)) {
    out += "NaN";
  } else if (std::isinf(value)) {
    out += value < 0 ? "-Inf" : "+Inf";
  } else {
    std::array<char, 32> digits{};
    // Whole numbers plain: to_chars would write 1e+05 for 100000.
    const bool whole = std::abs(value) < 1e15 && value == std::trunc(value);
    const auto end = whole ? std::to_chars(digits.data(), digits.data() + digits.size(), static_cast<int64_t>(value)).ptr
                           : std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
    out.append(digits.data(), end);
  }
}

void append_escaped(std::string& out, std::string_view text, bool quotes) {
  for (const char c : text) {
    if (c == '\\')
      out += "\\\\";
    else if (c == '\n')
      out += "\\n";
    else if (c == '"' && quotes)
      out += "\\\"";
    else
      out += c;
  }
}

// One sample: name, suffix and labels, `le` last when it is not null.
void append_sample(std::string& out, const prometheus::MetricFamily& family, std::string_view suffix,
                   const prometheus::ClientMetric& metric, const double* le, double value) {
  out += family.name;
  out += suffix;
  char before = '{';
  const auto open = [&](std::string_view name) {
    out += before;
    before = ',';
    out += name;
    out += "=\"";
  };
  for (const auto& label : metric.label) {
    open(label.name);
    append_escaped(out, label.value, true);
    out += '"';
  }
  if (le != nullptr) {
    open("le");
    append_number(out, *le);
    out += '"';
  }
  if (before == ',') out += '}';
  out += ' ';
  append_number(out, value);
  out += '\n';
}

void append_metric(std::string& out, const prometheus::MetricFamily& family, const prometheus::ClientMetric& metric) {
  switch (family.type) {
  case prometheus::MetricType::Counter: append_sample(out, family, "", metric, nullptr, metric.counter.value); return;
  case prometheus::MetricType::Gauge: append_sample(out, family, "", metric, nullptr, metric.gauge.value); return;
  case prometheus::MetricType::Untyped: append_sample(out, family, "", metric, nullptr, metric.untyped.value); return;
  case prometheus::MetricType::Histogram: {
    const auto& h = metric.histogram;
    for (const auto& bucket : h.bucket)
      append_sample(out, family, "_bucket", metric, &bucket.upper_bound, static_cast<double>(bucket.cumulative_count));
    append_sample(out, family, "_sum", metric, nullptr, h.sample_sum);
    append_sample(out, family, "_count", metric, nullptr, static_cast<double>(h.sample_count));
    return;
  }
  case prometheus::MetricType::Summary: return;
  }
}

std::string_view type_name(prometheus::MetricType type) {
  switch (type) {
  case prometheus::MetricType::Counter: return "counter";
  case prometheus::MetricType::Gauge: return "gauge";
  case prometheus::MetricType::Histogram: return "histogram";
  case prometheus::MetricType::Summary: return "summary";
  case prometheus::MetricType::Untyped: return "untyped";
  }
  return "untyped";
}

} // namespace

std::string metrics_text(const std::vector<prometheus::MetricFamily>& families) {
  std::string out;
  for (const auto& family : families) {
    if (family.metric.empty() || family.type == prometheus::MetricType::Summary) continue;
    out += "# HELP " + family.name + " ";
    append_escaped(out, family.help, false);
    out += "\n# TYPE " + family.name + " ";
    out += type_name(family.type);
    out += '\n';
    for (const auto& metric : family.metric) append_metric(out, family, metric);
  }
  return out;
}

} // namespace adtrack::config
