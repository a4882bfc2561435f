#include "http/live_settings.hpp"

#include <algorithm>
#include <array>

#include "config/log_line.hpp"
#include "config/telemetry.hpp"
#include "http/json_text.hpp"
#include "http/strict_json.hpp"

namespace adtrack::http {
namespace {

constexpr std::string_view log_level_name = "log.level";

// A rate's number and where it stands.
struct rate_setting {
  std::string_view name;
  rate (rate_limiter::*get)() const noexcept;
  void (rate_limiter::*set)(rate) noexcept;
  uint32_t rate::*number;
  uint32_t most;
  std::string_view accepts;
};

constexpr std::string_view a_rate = "must be an integer from 0 to 1000000";
constexpr std::string_view a_burst = "must be an integer from 0 to 1000000000";
constexpr std::array<rate_setting, 4> rate_settings = {{
    {"rate.key_per_second", &rate_limiter::key, &rate_limiter::set_key, &rate::per_second, rate_max, a_rate},
    {"rate.key_burst", &rate_limiter::key, &rate_limiter::set_key, &rate::burst, burst_max, a_burst},
    {"rate.address_per_second", &rate_limiter::address, &rate_limiter::set_address, &rate::per_second, rate_max, a_rate},
    {"rate.address_burst", &rate_limiter::address, &rate_limiter::set_address, &rate::burst, burst_max, a_burst},
}};

const rate_setting* find(std::string_view name) noexcept {
  const auto* found = std::find_if(rate_settings.begin(), rate_settings.end(), [&](const auto& s) { return s.name == name; });
  return found == rate_settings.end() ? nullptr : found;
}

} // namespace

bool live_settings::knows(std::string_view name) noexcept { return name == log_level_name || find(name) != nullptr; }

std::string live_settings::names() {
  std::string out(log_level_name);
  for (const auto& s : rate_settings) out.append(", ").append(s.name);
  return out;
}

std::string_view live_settings::accepts(std::string_view name) noexcept {
  const auto* number = find(name);
  return number != nullptr ? number->accepts : "must be trace, debug, info, warning or error";
}

live_settings::value live_settings::get(std::string_view name) const {
  if (const auto* number = find(name)) return uint64_t{(rates_.*number->get)().*number->number};
  return std::string(config::to_string(config::current_log_level()));
}

std::string live_settings::show(std::string_view name) const {
  std::string out = R"({"name":")" + std::string(name) + R"(","value":)";
  const auto now = get(name);
  if (const auto* number = std::get_if<uint64_t>(&now))
    out += std::to_string(*number);
  else
    append_json_string(out, std::get<std::string>(now));
  return out + "}";
}

std::string live_settings::show_all() const {
  std::string out = R"({"settings":[)" + show(log_level_name);
  for (const auto& s : rate_settings) out += "," + show(s.name);
  return out + "]}";
}

bool live_settings::set(std::string_view name, const value& to) {
  std::lock_guard lock(mutex_);
  if (const auto* setting = find(name)) {
    const auto* number = std::get_if<uint64_t>(&to);
    if (number == nullptr || *number > setting->most) return false;
    auto changed = (rates_.*setting->get)();
    changed.*setting->number = static_cast<uint32_t>(*number);
    (rates_.*setting->set)(changed);
  } else {
    const auto* text = std::get_if<std::string>(&to);
    config::log_level level{};
    if (text == nullptr || !config::parse(*text, level)) return false;
    config::set_log_level(level);
  }
  config::log(config::log_level::info, "http", "setting_changed", "a setting was changed by an admin call",
              {{"setting", show(name)}});
  return true;
}

bool read_setting(std::string_view body, live_settings::value& out, std::string& syntax, std::vector<field_error>& errors) {
  strict_json json;
  simdjson::dom::object object;
  errors.clear();
  if (!json.parse_object(body, object, syntax)) return false;
  bool there = false;
  for (auto field : object) {
    if (field.key != "value") continue;
    there = true;
    uint64_t number = 0;
    std::string_view text;
    if (field.value.is_uint64() && field.value.get(number) == simdjson::SUCCESS)
      out = number;
    else if (field.value.get(text) == simdjson::SUCCESS)
      out = std::string(text);
    else
      errors.push_back({"value", "must be a string or an integer that is not negative"});
  }
  if (!there) errors.push_back({"value", "is required"});
  return errors.empty();
}

} // namespace adtrack::http
