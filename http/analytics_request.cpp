#include "http/analytics_request.hpp"

#include <algorithm>
#include <charconv>

#include "model/event.hpp"
#include "model/timestamp.hpp"

namespace adtrack::http {
namespace {

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
void time(const query_parameter& p, int64_t& out, std::vector<field_error>& errors) {
  constexpr size_t shortest_with_offset = 25;
  std::string text = p.value;
  if (text.size() >= shortest_with_offset && text[text.size() - 6] == ' ') text[text.size() - 6] = '+';
  int64_t unix_us = 0;
  if (!parse_rfc3339(text, {}, unix_us)) {
    errors.push_back({p.name, "must be an RFC 3339 time such as 2025-07-22T16:16:12Z, or a date"});
    return;
  }
  constexpr int64_t second = 1'000'000;
  out = unix_us / second + (unix_us % second > 0 ? 1 : 0);
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

void read_list_item(const query_parameter& p, analytics_query& out, std::vector<field_error>& errors) {
  if (p.name == "ad_id") {
    uint64_t id = 0;
    if (!number(p.value, 1, max_ad_id, id))
      errors.push_back({p.name, range_message(1, max_ad_id)});
    else if (out.ad_ids.size() == query_ads_max)
      errors.push_back({p.name, "must not be repeated more than " + std::to_string(query_ads_max) + " times"});
    else
      out.ad_ids.push_back(id);
  } else {
    position at;
    if (parse(p.value, at))
      out.min_positions.push_back(at);
    else
      errors.push_back({p.name, "must be a position such as 7:12345"});
  }
}

} // namespace

bool read_analytics_query(const std::vector<query_parameter>& parameters, const http_options& options, analytics_query& out,
                          std::vector<field_error>& errors) {
  out = {};
  errors.clear();
  out.limit = options.query_limit;
  uint32_t timeout_most = options.reply_timeout_ms > 1'000 ? options.reply_timeout_ms - 500 : options.reply_timeout_ms / 2 + 1;
  out.timeout_ms = std::min(options.query_timeout_ms, timeout_most);
  for (const auto& p : parameters) {
    if (errors.size() >= 20) break;
    if (p.name == "ad_id" || p.name == "min_position") {
      read_list_item(p, out, errors);
      continue;
    }
    bool is_known = p.name == "since" || p.name == "until" || p.name == "page" || p.name == "limit" || p.name == "timeout_ms" ||
                    p.name == "explain";
    if (!is_known) {
      unknown(p, errors);
      continue;
    }
    if (!first_of(parameters, p, errors)) continue;
    if (p.name == "since") {
      time(p, out.window.since_s, errors);
    } else if (p.name == "until") {
      time(p, out.window.until_s, errors);
    } else if (p.name == "page") {
      bounded(p, 1, page_max, out.page, errors);
    } else if (p.name == "limit") {
      bounded(p, 1, options.query_limit_max, out.limit, errors);
    } else if (p.name == "timeout_ms") {
      bounded(p, 1, timeout_most, out.timeout_ms, errors);
    } else if (p.value == "true" || p.value == "false") {
      out.explain = p.value == "true";
    } else {
      errors.push_back({p.name, "must be true or false"});
    }
  }
  if (errors.empty() && out.window.since_s >= out.window.until_s) errors.push_back({"until", "must be later than since"});
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
