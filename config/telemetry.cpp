// Logs; the metrics half of telemetry.hpp is in metrics.cpp.
#include "config/telemetry.hpp"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <chrono>

#include "config/log_line.hpp"
#include "config/log_repeats.hpp"

namespace adtrack::config {

namespace {

std::atomic<log_level> threshold{log_level::info};

// Made at first use and never destroyed: a line may be logged while other statics go away.
spdlog::logger& sink() {
  static spdlog::logger* const logger = [] {
    auto* out = new spdlog::logger("adtrack", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    out->set_level(spdlog::level::trace); // log() has filtered already
    out->set_pattern("%v");
    return out;
  }();
  return *logger;
}

constexpr uint32_t repeats_burst = 20;
constexpr int64_t repeats_window_us = 10'000'000;
constexpr size_t repeats_events_max = 1'000;

log_repeats& repeats() { // likewise
  static auto* const all = new log_repeats(repeats_burst, repeats_window_us, repeats_events_max);
  return *all;
}

spdlog::level::level_enum spdlog_level(log_level level) {
  switch (level) {
  case log_level::trace: return spdlog::level::trace;
  case log_level::debug: return spdlog::level::debug;
  case log_level::info: return spdlog::level::info;
  case log_level::warning: return spdlog::level::warn;
  case log_level::error: return spdlog::level::err;
  }
  return spdlog::level::err;
}

} // namespace

void log(log_level level, std::string_view component, std::string_view event, std::string_view message,
         std::initializer_list<log_field> fields) {
  if (level < current_log_level()) return;
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const int64_t us = std::chrono::duration_cast<std::chrono::microseconds>(now).count();
  log_repeats::verdict said;
  if (level >= log_level::warning) said = repeats().ask(component, event, us);
  if (!said.write) return;
  auto line = log_line(us, level, component, event, message, fields);
  if (said.left_out > 0 || said.last) line.pop_back();
  if (said.left_out > 0) line += ",\"left_out_before\":" + std::to_string(said.left_out);
  if (said.last) line += ",\"left_out_from_here_secs\":" + std::to_string(repeats_window_us / 1'000'000);
  if (said.left_out > 0 || said.last) line += '}';
  sink().log(spdlog_level(level), line);
}

void set_log_level(log_level level) { threshold.store(level, std::memory_order_relaxed); }

log_level current_log_level() noexcept { return threshold.load(std::memory_order_relaxed); }

bool parse(std::string_view text, log_level& out) noexcept {
  for (const log_level level : {log_level::trace, log_level::debug, log_level::info, log_level::warning, log_level::error}) {
    if (to_string(level) != text) continue;
    out = level;
    return true;
  }
  return false;
}

} // namespace adtrack::config
