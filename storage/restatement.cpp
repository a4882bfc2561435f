#include "storage/restatement.hpp"

#include <utility>

#include <nlohmann/json.hpp>

namespace adtrack::storage {

namespace {

using json = nlohmann::ordered_json;

std::string text_of(const json& record, const char* name) {
  const auto found = record.find(name);
  return found != record.end() && found->is_string() ? found->get<std::string>() : std::string();
}

void put(json& record, const char* name, std::string_view value) {
  if (value.empty())
    record.erase(name);
  else
    record[name] = value;
}

void judge_again(json& record, const traffic_rules& rules) {
  submission as_sent;
  if (!parse(text_of(record, "type"), as_sent.type)) return;
  as_sent.agent = text_of(record, "agent");
  as_sent.address = parse_ip_address(text_of(record, "user_ip"));
  as_sent.prefetch = text_of(record, "invalid") == to_string(invalid_reason::prefetch);
  const auto stamp = rules.judge(as_sent);
  put(record, "invalid", stamp.invalid == invalid_reason::none ? std::string_view() : to_string(stamp.invalid));
  record["rules"] = stamp.rules;
  put(record, "device", stamp.device == device_class::unknown ? std::string_view() : to_string(stamp.device));
  put(record, "browser", stamp.browser);
  put(record, "os", stamp.os);
  if (!stamp.country.empty()) record["country"] = stamp.country;
}

void put_settings(json& record, const control& wanted) {
  record["logic"] = wanted.logic;
  record["dedupe_window_secs"] = wanted.dedupe_window_s;
  record["repeat_click_secs"] = wanted.repeat_click_s;
  record["second_days"] = wanted.second_days;
  record["minute_days"] = wanted.minute_days;
  record["rules"] = wanted.rules;
}

} // namespace

std::function<void(std::string&)> make_restatement(std::shared_ptr<const traffic_rules> rules, control wanted) {
  return [rules = std::move(rules), wanted = std::move(wanted)](std::string& value) {
    auto record = json::parse(value, nullptr, false);
    if (!record.is_object()) return;
    const auto kind = text_of(record, "kind");
    if (kind == "event")
      judge_again(record, *rules);
    else if (kind == "control")
      put_settings(record, wanted);
    else
      return;
    value = record.dump();
  };
}

} // namespace adtrack::storage
