#include "config/process_metrics.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <system_error>
#include <utility>

namespace adtrack::config {

namespace {

prometheus::MetricFamily single(const char* name, const char* help, prometheus::MetricType type, double value) {
  prometheus::MetricFamily family;
  family.name = name;
  family.help = help;
  family.type = type;
  prometheus::ClientMetric metric;
  if (type == prometheus::MetricType::Counter)
    metric.counter.value = value;
  else
    metric.gauge.value = value;
  family.metric.push_back(metric);
  return family;
}

// Unix seconds of the machine's start, 0 if unknown.
double boot_time() {
  std::ifstream in("/proc/stat");
  for (std::string line; std::getline(in, line);)
    if (line.rfind("btime ", 0) == 0) return std::stod(line.substr(6));
  return 0;
}

// The fields of /proc/self/stat behind the command name, which may hold anything: the first is field 3 of proc(5).
std::vector<std::string> stat_fields() {
  std::ifstream in("/proc/self/stat");
  std::string text;
  std::getline(in, text);
  const size_t close = text.rfind(')');
  if (close == std::string::npos) return {};
  std::istringstream rest(text.substr(close + 1));
  return {std::istream_iterator<std::string>(rest), std::istream_iterator<std::string>()};
}

void add_stat(std::vector<prometheus::MetricFamily>& out) {
  const std::vector<std::string> fields = stat_fields();
  if (fields.size() < 22) return;
  const auto number = [&](size_t field_of_proc) { return std::stod(fields[field_of_proc - 3]); };
  const auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  const auto page = static_cast<double>(sysconf(_SC_PAGESIZE));
  using enum prometheus::MetricType;
  out.push_back(single("process_cpu_seconds_total", "User and system CPU time spent, in seconds.", Counter,
                       (number(14) + number(15)) / ticks));
  out.push_back(single("process_threads", "Threads of the process.", Gauge, number(20)));
  out.push_back(single("process_virtual_memory_bytes", "Virtual memory size in bytes.", Gauge, number(23)));
  out.push_back(single("process_resident_memory_bytes", "Resident memory size in bytes.", Gauge, number(24) * page));
  if (const double boot = boot_time(); boot > 0)
    out.push_back(single("process_start_time_seconds", "Start time of the process in seconds since the unix epoch.", Gauge,
                         boot + number(22) / ticks));
}

void add_descriptors(std::vector<prometheus::MetricFamily>& out) {
  std::error_code error;
  const std::filesystem::directory_iterator descriptors("/proc/self/fd", error);
  if (!error) {
    // One of them is the directory being read.
    const auto open = std::distance(begin(descriptors), end(descriptors)) - 1;
    out.push_back(single("process_open_fds", "Open file descriptors.", prometheus::MetricType::Gauge, static_cast<double>(open)));
  }
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
    out.push_back(single("process_max_fds", "Most file descriptors that may be open.", prometheus::MetricType::Gauge,
                         static_cast<double>(limit.rlim_cur)));
}

template <class Clock>
int64_t now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now().time_since_epoch()).count();
}

} // namespace

process_metrics::process_metrics(std::function<int64_t()> wall_ahead_ms) : wall_ahead_ms_(std::move(wall_ahead_ms)) {
  if (!wall_ahead_ms_) wall_ahead_ms_ = [] { return now_ms<std::chrono::system_clock>() - now_ms<std::chrono::steady_clock>(); };
  wall_ahead_at_start_ms_ = wall_ahead_ms_();
}

std::vector<prometheus::MetricFamily> process_metrics::Collect() const {
  std::vector<prometheus::MetricFamily> out;
  const auto jumped_ms = wall_ahead_ms_() - wall_ahead_at_start_ms_;
  out.push_back(single("adtrack_clock_jump_seconds",
                       "How far the wall clock has left the monotonic clock since the start, in seconds: ahead of it above 0.",
                       prometheus::MetricType::Gauge, static_cast<double>(jumped_ms) / 1'000));
  add_stat(out);
  add_descriptors(out);
  return out;
}

} // namespace adtrack::config
