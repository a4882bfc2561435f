#include "http/event_parser.hpp"

#include <algorithm>

#include "http/strict_json.hpp"
#include "http/utf8.hpp"

namespace adtrack::http {
namespace {

using simdjson::dom::element;

// Seconds stay below this until the year 5138; what is above is milliseconds of 1973 and later.
constexpr int64_t looks_like_ms = 100'000'000'000;

struct integer_rule {
  const char* field;
  int64_t least;
  int64_t most;
  const char* message;
};

constexpr integer_rule ad_id_rule{"ad_id", 1, static_cast<int64_t>(max_ad_id), "must be an integer from 1 to 9007199254740991"};
constexpr integer_rule play_rule{"play_time_secs", 0, 86'400, "must be an integer from 0 to 86400"};
constexpr integer_rule watched_rule{"watched_percent", 0, 100, "must be an integer from 0 to 100"};

bool integer(element value, const integer_rule& rule, int64_t& out, std::vector<field_error>& errors) {
  int64_t number = 0;
  if (value.type() == simdjson::dom::element_type::INT64 && value.get(number) == simdjson::SUCCESS && number >= rule.least &&
      number <= rule.most) {
    out = number;
    return true;
  }
  errors.push_back({rule.field, rule.message});
  return false;
}

void event_id(element value, submission& out, std::vector<field_error>& errors) {
  std::string_view text;
  if (value.get(text) == simdjson::SUCCESS && valid_event_id(text))
    out.event_id = text;
  else
    errors.push_back({"event_id", event_id_rule});
}

void timestamp(element value, const event_context& context, submission& out, std::vector<field_error>& errors) {
  int64_t number = 0;
  if (value.type() != simdjson::dom::element_type::INT64 || value.get(number) != simdjson::SUCCESS || number <= 0) {
    errors.push_back({"timestamp", "must be an integer, unix seconds, greater than 0"});
  } else if (number >= looks_like_ms) {
    errors.push_back({"timestamp", "looks like milliseconds; must be unix seconds"});
  } else if (number > context.now_s + context.max_future_skew_secs) {
    errors.push_back({"timestamp", "must be at most " + std::to_string(context.max_future_skew_secs) +
                                       " seconds ahead of the server's clock"});
  } else {
    out.time_s = number;
    out.time_given = true;
  }
}

void progress(element value, submission& out, std::vector<field_error>& errors) {
  std::string_view text;
  if (value.get(text) != simdjson::SUCCESS || !parse(text, out.progress))
    errors.push_back({"progress", "must be \"start\", \"first_quartile\", \"midpoint\", \"third_quartile\" or \"complete\""});
}

void defaults(const event_context& context, bool has_address, bool has_agent, bool has_time, submission& out) {
  if (!has_address) out.address = context.peer;
  if (!has_agent) out.agent = context.agent_is_clean ? std::string(context.user_agent) : header_agent(context.user_agent);
  if (!has_time) out.time_s = context.now_s;
  out.prefetch = context.prefetch;
  out.trace = context.trace;
}

bool fields(event_type type, const simdjson::dom::object& object, const event_context& context, submission& out,
            std::vector<field_error>& errors) {
  out.type = type;
  const bool plays = type != event_type::impression;
  bool has_id = false, has_ad = false, has_address = false, has_agent = false, has_time = false, has_progress = false;
  int64_t number = 0;
  for (auto field : object) {
    auto key = field.key;
    if (key == "event_id") {
      has_id = true;
      event_id(field.value, out, errors);
    } else if (key == "ad_id") {
      has_ad = true;
      if (integer(field.value, ad_id_rule, number, errors)) out.ad_id = static_cast<uint64_t>(number);
    } else if (key == "user_ip") {
      has_address = true;
      out.address_given = read_user_ip(field.value, out.address, errors);
    } else if (key == "agent") {
      has_agent = true;
      out.agent_given = read_agent(field.value, out.agent, errors);
    } else if (key == "timestamp") {
      has_time = true;
      timestamp(field.value, context, out, errors);
    } else if (key == "play_time_secs" && plays) {
      if (integer(field.value, play_rule, number, errors)) out.play_time_secs = static_cast<int32_t>(number);
    } else if (key == "watched_percent" && plays) {
      if (integer(field.value, watched_rule, number, errors)) out.watched_percent = static_cast<int32_t>(number);
    } else if (key == "progress" && type == event_type::playback) {
      has_progress = true;
      progress(field.value, out, errors);
    }
  }
  if (!has_id) errors.push_back({"event_id", "is required"});
  if (!has_ad) errors.push_back({"ad_id", "is required"});
  if (type == event_type::playback && !has_progress) errors.push_back({"progress", "is required"});
  if (!errors.empty()) return false;
  defaults(context, has_address, has_agent, has_time, out);
  return true;
}

// Of an object that names its type itself.
bool typed_fields(const simdjson::dom::object& object, const event_context& context, submission& out,
                  std::vector<field_error>& errors) {
  std::string_view name;
  event_type type{};
  auto found = object.at_key("type");
  if (found.error() == simdjson::SUCCESS && found.get(name) == simdjson::SUCCESS && parse(name, type))
    return fields(type, object, context, out, errors);
  errors.push_back(
      {"type", found.error() == simdjson::SUCCESS ? R"(must be "click", "impression" or "playback")" : "is required"});
  return false;
}

} // namespace

bool read_user_ip(element value, ip_address& out, std::vector<field_error>& errors) {
  std::string_view text;
  if (value.get(text) == simdjson::SUCCESS) out = parse_ip_address(text);
  if (out.kind != ip_address::family::none) return true;
  errors.push_back({"user_ip", "must be an IPv4 or IPv6 address as a string"});
  return false;
}

bool read_agent(element value, std::string& out, std::vector<field_error>& errors) {
  std::string_view text;
  if (value.get(text) != simdjson::SUCCESS || text.size() > agent_bytes_max) {
    errors.push_back({"agent", "must be a string of at most 1024 bytes"});
  } else if (text.find('\0') != std::string_view::npos) {
    errors.push_back({"agent", "must not contain a NUL character"});
  } else {
    out = text;
    return true;
  }
  return false;
}

bool valid_event_id(std::string_view text) noexcept {
  return !text.empty() && text.size() <= event_id_chars_max &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x21 && c <= 0x7e; });
}

void take_from_request(const event_context& context, submission& out) { defaults(context, false, false, false, out); }
std::string header_agent(std::string_view header) { return sanitise_utf8(header, agent_bytes_max); }

struct event_parser::impl {
  explicit impl(std::string_view noun) : json(noun) {}
  strict_json json;
};

static_assert(event_padding >= json_padding);

event_parser::event_parser(std::string_view noun) : impl_(std::make_unique<impl>(noun)) {}
event_parser::~event_parser() = default;

bool event_parser::parse(event_type type, std::string_view body, const event_context& context, submission& out,
                         std::string& syntax, std::vector<field_error>& errors) {
  out = {};
  syntax.clear();
  errors.clear();
  simdjson::dom::object object;
  return impl_->json.parse_object(body, object, syntax, huge_numbers::make_fraction) &&
         fields(type, object, context, out, errors);
}

bool event_parser::parse_typed(std::string_view body, const event_context& context, submission& out, std::string& syntax,
                               std::vector<field_error>& errors) {
  out = {};
  syntax.clear();
  errors.clear();
  simdjson::dom::object object;
  return impl_->json.parse_object(body, object, syntax, huge_numbers::make_fraction) &&
         typed_fields(object, context, out, errors);
}

item_verdict event_parser::parse_item(std::string_view item, const event_context& context, submission& out, std::string& syntax,
                                      std::vector<field_error>& errors) {
  out = {};
  syntax.clear();
  errors.clear();
  simdjson::dom::object object;
  switch (impl_->json.parse_object_in_place(item, object, syntax, huge_numbers::make_fraction)) {
  case json_fault::not_json: return item_verdict::not_json;
  case json_fault::not_allowed: return item_verdict::refused;
  case json_fault::none: break;
  }
  return typed_fields(object, context, out, errors) ? item_verdict::good : item_verdict::refused;
}

} // namespace adtrack::http
