#include "http/analytics_request.hpp"

#include <algorithm>
#include <charconv>

#include "model/event.hpp"
#include "model/time_grid.hpp"
#include "model/timestamp.hpp"

namespace adtrack::http {
namespace {

constexpr uint64_t offset_most = 1'000'000'000'000'000'000; // a whole number of JSON that fits 64 bits

// Decimal digits only: no sign, no space, no leading zero.
bool number(std::string_view text, uint64_t least, uint64_t most, uint64_t& out) {
  if (text.empty() || text.size() > 19 || (text.size() > 1 && text[0] == '0')) return false;
  auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), out);
  return code == std::errc() && end == text.data() + text.size() && out >= least && out <= most;
}

std::string range_message(uint64_t least, uint64_t most) {
  return "must be an integer from " + std::to_string(least) + " to " + std::to_string(most);
}

void bounded(const query_parameter& p, uint64_t least, uint64_t most, uint32_t& out, std::vector<field_error>& errors) {
  uint64_t value = 0;
  if (number(p.value, least, most, value))
    out = static_cast<uint32_t>(value);
  else
    errors.push_back({p.name, range_message(least, most)});
}

// A space where the offset's '+' belongs is what an unescaped '+' decodes to, and can be nothing else. A fraction rounds up:
// events carry whole seconds, so the edge selects the same events.
void time(const query_parameter& p, std::string_view tz, int64_t& out, std::vector<field_error>& errors) {
  constexpr size_t shortest_with_offset = 25;
  std::string text = p.value;
  if (text.size() >= shortest_with_offset && text[text.size() - 6] == ' ') text[text.size() - 6] = '+';
  int64_t unix_us = 0;
  if (!parse_rfc3339(text, tz, unix_us)) {
    errors.push_back({p.name, "must be an RFC 3339 time such as 2025-07-22T16:16:12Z, or a date"});
    return;
  }
  constexpr int64_t second = 1'000'000;
  out = unix_us / second + (unix_us % second > 0 ? 1 : 0);
}

// "15m" as seconds. A day is 24 hours.
bool duration(std::string_view text, int64_t& out_s) {
  constexpr uint64_t most_s = 100ull * 366 * 86'400;
  uint64_t count = 0, unit_s = 0;
  if (text.empty()) return false;
  switch (text.back()) {
  case 's': unit_s = 1; break;
  case 'm': unit_s = 60; break;
  case 'h': unit_s = 3'600; break;
  case 'd': unit_s = 86'400; break;
  default: return false;
  }
  if (!number(text.substr(0, text.size() - 1), 1, most_s / unit_s, count)) return false;
  out_s = static_cast<int64_t>(count * unit_s);
  return true;
}

// Names each repeated parameter that may stand once, and says whether this is its first occurrence.
bool first_of(const std::vector<query_parameter>& all, const query_parameter& p, std::vector<field_error>& errors) {
  auto same = [&](const query_parameter& other) { return other.name == p.name; };
  if (&*std::find_if(all.begin(), all.end(), same) == &p) return true;
  if (std::none_of(errors.begin(), errors.end(),
                   [&](const field_error& e) { return e.field == p.name && e.message == "must not be repeated"; }))
    errors.push_back({p.name, "must not be repeated"});
  return false;
}

void unknown(const query_parameter& p, std::vector<field_error>& errors) {
  if (errors.size() < 20) errors.push_back({p.name, "is not a parameter of this request"});
}

// Answers must be there before the reply's own time-out.
uint32_t longest_wait(const http_options& options) {
  return options.reply_timeout_ms > 1'000 ? options.reply_timeout_ms - 500 : options.reply_timeout_ms / 2 + 1;
}

// What a parameter's value goes into.
struct reading {
  const http_options& options;
  int64_t now_ms;
  uint32_t timeout_most;
  analytics_query& out;
  answer_format& format;
  std::vector<field_error>& errors;
  bool has_edge = false; // since or until
  bool has_last = false;
};

void read_ad_id(const query_parameter& p, reading& r) {
  uint64_t id = 0;
  if (!number(p.value, 1, max_ad_id, id))
    r.errors.push_back({p.name, range_message(1, max_ad_id)});
  else if (r.out.ad_ids.size() == query_ads_max)
    r.errors.push_back({p.name, "must not be repeated more than " + std::to_string(query_ads_max) + " times"});
  else
    r.out.ad_ids.push_back(id);
}

void read_min_position(const query_parameter& p, reading& r) {
  position at;
  if (parse(p.value, at))
    r.out.min_positions.push_back(at);
  else
    r.errors.push_back({p.name, "must be a position such as 7:12345"});
}

void read_since(const query_parameter& p, reading& r) {
  r.has_edge = true;
  time(p, r.out.tz, r.out.window.since_s, r.errors);
}

void read_until(const query_parameter& p, reading& r) {
  r.has_edge = true;
  time(p, r.out.tz, r.out.window.until_s, r.errors);
}

// Up to the end of the current second: what has just come is in it.
void read_last(const query_parameter& p, reading& r) {
  int64_t length_s = 0;
  r.has_last = true;
  if (!duration(p.value, length_s)) {
    r.errors.push_back({p.name, "must be a whole number of s, m, h or d, such as 15m, of at most 100 years"});
    return;
  }
  r.out.window.until_s = r.now_ms / 1'000 + 1;
  r.out.window.since_s = r.out.window.until_s - length_s;
}

// The zone itself was read before, as dates need it wherever it stands.
void read_tz(const query_parameter& p, reading& r) {
  if (p.value.empty() || !is_time_zone(p.value))
    r.errors.push_back({p.name, "must be the name of a time zone, such as Europe/Paris or UTC"});
}

void read_page(const query_parameter& p, reading& r) { bounded(p, 1, page_max, r.out.page, r.errors); }
void read_limit(const query_parameter& p, reading& r) { bounded(p, 1, r.options.query_limit_max, r.out.limit, r.errors); }
void read_timeout(const query_parameter& p, reading& r) { bounded(p, 1, r.timeout_most, r.out.timeout_ms, r.errors); }

void read_granularity(const query_parameter& p, reading& r) {
  if (!parse(p.value, r.out.step)) r.errors.push_back({p.name, "must be second, minute, hour or day"});
}

void read_group_by(const query_parameter& p, reading& r) {
  if (!parse(p.value, r.out.by)) r.errors.push_back({p.name, "must be device, browser, os, country, invalid_reason or progress"});
}

void read_sort(const query_parameter& p, reading& r) {
  if (parse(p.value, r.out.order)) return;
  std::string message = "must be one of";
  for (uint8_t k = 0; k <= static_cast<uint8_t>(sort_key::restated); ++k)
    message.append(k == 0 ? " " : ", ").append(to_string(static_cast<sort_key>(k)));
  r.errors.push_back({p.name, message + "; with a - before it from the largest"});
}

void read_format(const query_parameter& p, reading& r) {
  if (p.value == "json" || p.value == "csv")
    r.format = p.value == "csv" ? answer_format::csv : answer_format::json;
  else
    r.errors.push_back({p.name, "must be json or csv"});
}

void read_explain(const query_parameter& p, reading& r) {
  if (p.value == "true" || p.value == "false")
    r.out.explain = p.value == "true";
  else
    r.errors.push_back({p.name, "must be true or false"});
}

struct known_parameter {
  std::string_view name;
  bool repeats;
  void (*read)(const query_parameter&, reading&);
};
constexpr known_parameter analytics_parameters[] = {
    {"ad_id", true, read_ad_id},
    {"min_position", true, read_min_position},
    {"since", false, read_since},
    {"until", false, read_until},
    {"last", false, read_last},
    {"tz", false, read_tz},
    {"page", false, read_page},
    {"limit", false, read_limit},
    {"timeout_ms", false, read_timeout},
    {"explain", false, read_explain},
    {"granularity", false, read_granularity},
    {"group_by", false, read_group_by},
    {"format", false, read_format},
    {"sort", false, read_sort},
};

void read_zone_first(const std::vector<query_parameter>& parameters, std::string& tz) {
  const auto it = std::find_if(parameters.begin(), parameters.end(), [](const auto& p) { return p.name == "tz"; });
  if (it != parameters.end() && is_time_zone(it->value)) tz = it->value;
}

// A window that is too long for even one row's series is refused before anybody is asked; the shards count exactly.
void check_points(const reading& r) {
  const auto& w = r.out.window;
  if (w.since_s == time_window::unbounded_since || w.until_s == time_window::unbounded_until) return;
  if ((w.until_s - w.since_s - 1) / longest_point_s(r.out.step) >= int64_t{r.out.max_points})
    r.errors.push_back({"granularity", "gives more than " + std::to_string(r.out.max_points) +
                                           " points: ask for a coarser one or a shorter window"});
}

// What holds between parameters that are each well.
void check_together(const reading& r) {
  if (r.has_last && r.has_edge)
    r.errors.push_back({"last", "must not stand together with since or until"});
  else if (r.out.window.since_s >= r.out.window.until_s)
    r.errors.push_back({"until", "must be later than since"});
  if (r.out.by != group_dimension::none) {
    if (r.out.step != granularity::none)
      r.errors.push_back({"group_by", "must not stand together with granularity: groups have no series"});
    if (r.out.order.key == sort_key::duplicates || r.out.order.key == sort_key::conflicts)
      r.errors.push_back({"sort", "must not be duplicates or conflicts together with group_by: groups do not have them"});
  }
  if (uint64_t{r.out.page} * r.out.limit > r.options.query_rows_max)
    r.errors.push_back({"page", "times limit must not be more than " + std::to_string(r.options.query_rows_max)});
  if (r.errors.empty() && r.out.step != granularity::none) check_points(r);
}

} // namespace

bool read_analytics_query(const std::vector<query_parameter>& parameters, const http_options& options, int64_t now_ms,
                          analytics_query& out, answer_format& format, std::vector<field_error>& errors) {
  out = {};
  errors.clear();
  out.limit = options.query_limit;
  out.max_points = options.query_points_max;
  const auto timeout_most = longest_wait(options);
  out.timeout_ms = std::min(options.query_timeout_ms, timeout_most);
  read_zone_first(parameters, out.tz);
  reading r{options, now_ms, timeout_most, out, format, errors};
  for (const auto& p : parameters) {
    if (errors.size() >= 20) break;
    const auto known = std::find_if(std::begin(analytics_parameters), std::end(analytics_parameters),
                                    [&](const auto& k) { return k.name == p.name; });
    if (known == std::end(analytics_parameters))
      unknown(p, errors);
    else if (known->repeats || first_of(parameters, p, errors))
      known->read(p, r);
  }
  if (errors.empty()) check_together(r);
  std::sort(out.ad_ids.begin(), out.ad_ids.end());
  out.ad_ids.erase(std::unique(out.ad_ids.begin(), out.ad_ids.end()), out.ad_ids.end());
  return errors.empty();
}

bool read_ads_page(const std::vector<query_parameter>& parameters, page_request& out, std::vector<field_error>& errors) {
  out = {};
  errors.clear();
  for (const auto& p : parameters) {
    if (p.name != "page" && p.name != "limit") {
      unknown(p, errors);
    } else if (first_of(parameters, p, errors)) {
      if (p.name == "page")
        bounded(p, 1, page_max, out.page, errors);
      else
        bounded(p, 1, 100, out.limit, errors);
    }
  }
  return errors.empty();
}

bool read_event_lookup(const std::vector<query_parameter>& parameters, event_lookup& out, std::vector<field_error>& errors) {
  out = {};
  errors.clear();
  bool has_type = false, has_ad = false;
  for (const auto& p : parameters) {
    if (p.name != "ad_id" && p.name != "type") {
      unknown(p, errors);
    } else if (first_of(parameters, p, errors)) {
      (p.name == "type" ? has_type : has_ad) = true;
      if (p.name == "type" && !parse(p.value, out.type))
        errors.push_back({p.name, "must be click, impression or playback"});
      else if (p.name == "ad_id" && !number(p.value, 1, max_ad_id, out.ad_id))
        errors.push_back({p.name, range_message(1, max_ad_id)});
    }
  }
  if (!has_ad) errors.push_back({"ad_id", "is required"});
  if (!has_type) errors.push_back({"type", "is required"});
  return errors.empty();
}

bool read_held_question(const std::vector<query_parameter>& parameters, held_question& out, std::vector<field_error>& errors) {
  errors.clear();
  bool has_below = false;
  const bool lists = out.what == held_action::list;
  const auto position = [&errors](const query_parameter& p, int64_t& to) {
    uint64_t value = 0;
    if (!number(p.value, 0, offset_most, value)) errors.push_back({p.name, range_message(0, offset_most)});
    to = static_cast<int64_t>(value);
  };
  for (const auto& p : parameters) {
    if (lists ? p.name != "from" && p.name != "max" : p.name != "below") {
      unknown(p, errors);
    } else if (first_of(parameters, p, errors)) {
      has_below = has_below || p.name == "below";
      if (p.name == "max")
        bounded(p, 1, held_max, out.max, errors);
      else
        position(p, lists ? out.from : out.below);
    }
  }
  if (!lists && !has_below) errors.push_back({"below", "is required: the records with smaller positions are meant"});
  return errors.empty();
}

bool read_digest_question(const std::vector<query_parameter>& parameters, const http_options& options, digest_question& out,
                          std::vector<field_error>& errors) {
  out.timeout_ms = std::min(options.query_timeout_ms, longest_wait(options));
  errors.clear();
  for (const auto& p : parameters) {
    uint64_t offset = 0;
    if (p.name != "offset" && p.name != "timeout_ms") {
      unknown(p, errors);
    } else if (first_of(parameters, p, errors)) {
      if (p.name == "timeout_ms")
        bounded(p, 1, longest_wait(options), out.timeout_ms, errors);
      else if (number(p.value, 0, offset_most, offset))
        out.offset = static_cast<int64_t>(offset);
      else
        errors.push_back({p.name, range_message(0, offset_most)});
    }
  }
  return errors.empty();
}

bool read_log_question(const std::vector<query_parameter>& parameters, const http_options& options, log_question& out,
                       std::vector<field_error>& errors) {
  out.timeout_ms = std::min(options.query_timeout_ms, longest_wait(options));
  errors.clear();
  for (const auto& p : parameters) {
    uint64_t from = 0;
    if (p.name != "from" && p.name != "max" && p.name != "timeout_ms") {
      unknown(p, errors);
    } else if (first_of(parameters, p, errors)) {
      if (p.name == "timeout_ms")
        bounded(p, 1, longest_wait(options), out.timeout_ms, errors);
      else if (p.name == "max")
        bounded(p, 0, log_records_max, out.max, errors);
      else if (number(p.value, 0, offset_most, from))
        out.from = static_cast<int64_t>(from);
      else
        errors.push_back({p.name, range_message(0, offset_most)});
    }
  }
  return errors.empty();
}

bool read_quarantine_query(const std::vector<query_parameter>& parameters, quarantine_query& out,
                           std::vector<field_error>& errors) {
  out = {};
  errors.clear();
  for (const auto& p : parameters) {
    if (p.name != "from" && p.name != "source" && p.name != "max") {
      unknown(p, errors);
    } else if (first_of(parameters, p, errors)) {
      if (p.name == "max")
        bounded(p, 1, quarantine_max, out.max, errors);
      else if (p.name == "source" && !parse(p.value, out.source))
        errors.push_back({p.name, "must be events or inbox"});
      else if (p.name == "from" && !parse(p.value, out.from))
        errors.push_back({p.name, "must be a position such as 7:12345"});
    }
  }
  return errors.empty();
}

} // namespace adtrack::http
