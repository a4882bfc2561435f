#include "http/csv.hpp"

#include <algorithm>

#include "http/framer.hpp"
#include "http/json_text.hpp"
#include "model/time_zone.hpp"
#include "model/timestamp.hpp"

namespace adtrack::http {
namespace {

constexpr int most_quality = 1'000;

// "q=0.5" in thousandths; what cannot be read counts as 1, as if it were not there.
int quality(std::string_view parameter) {
  if (parameter.size() < 3 || (parameter[0] != 'q' && parameter[0] != 'Q') || parameter[1] != '=') return most_quality;
  parameter.remove_prefix(2);
  if (parameter[0] != '0') return most_quality;
  int out = 0, unit = 100;
  for (auto digit : parameter.substr(std::min<size_t>(2, parameter.size()))) {
    if (digit < '0' || digit > '9' || unit == 0) return most_quality;
    out += (digit - '0') * unit;
    unit /= 10;
  }
  return out;
}

// How much the header likes a type: the most specific of its ranges that holds it says so (RFC 9110, 12.5.1).
int liking(std::string_view accept, std::string_view type) {
  const auto whole_range = std::string(type.substr(0, type.find('/'))) + "/*";
  int best = 0, specific = -1;
  while (!accept.empty()) {
    const auto comma = accept.find(',');
    auto range = accept.substr(0, comma);
    accept.remove_prefix(comma == std::string_view::npos ? accept.size() : comma + 1);
    int likes = most_quality;
    const auto name = trim(range.substr(0, range.find(';')));
    while (range.find(';') != std::string_view::npos) {
      range.remove_prefix(range.find(';') + 1);
      likes = std::min(likes, quality(trim(range.substr(0, range.find(';')))));
    }
    const int how = equals_lower(name, type) ? 2 : equals_lower(name, whole_range) ? 1 : name == "*/*" ? 0 : -1;
    if (how <= specific) continue;
    specific = how;
    best = likes;
  }
  return best;
}

void name_columns(std::string& out, bool grouped, bool with_series) {
  out += "ad_id";
  if (grouped) out += ",group";
  if (with_series) out += ",start";
  out += ",click_count,unique_clicks,avg_playback_time,avg_watch_percent,last_updated,impressions,ctr,gross_clicks";
  for (size_t i = 1; i < invalid_reason_count; ++i)
    out.append(",invalid_clicks_").append(to_string(static_cast<invalid_reason>(i)));
  if (!grouped) out += ",duplicates,conflicts";
  out += ",restated,unique_error";
  for (auto p = static_cast<uint8_t>(playback_progress::start); p <= static_cast<uint8_t>(playback_progress::complete); ++p)
    out.append(",playbacks_").append(to_string(static_cast<playback_progress>(p)));
  out += "\r\n";
}

void cell(std::string& out, uint64_t value) {
  out.push_back(',');
  append_uint(out, value);
}

void cell(std::string& out, double value) {
  out.push_back(',');
  append_double(out, value);
}

// From the click count to the line's end; null is an empty cell.
void append_numbers(std::string& out, const window_numbers& n, bool grouped) {
  const auto& count = n.count;
  cell(out, count[metric::valid_clicks]);
  cell(out, shown_uniques(n));
  cell(out, average(count[metric::play_time_sum], count[metric::play_time_count]));
  cell(out, average(count[metric::watched_sum], count[metric::watched_count]));
  out.push_back(',');
  if (count.last_counted_ms != 0) append_csv_text(out, format_rfc3339_ms(count.last_counted_ms));
  cell(out, count[metric::valid_impressions]);
  if (const auto ctr = click_through_rate(count))
    cell(out, *ctr);
  else
    out.push_back(',');
  cell(out, count.gross(event_type::click));
  for (size_t i = 1; i < invalid_reason_count; ++i) cell(out, count.invalid(event_type::click, static_cast<invalid_reason>(i)));
  if (!grouped) { // nobody knows whose they are
    cell(out, count[metric::duplicates]);
    cell(out, count[metric::conflicts]);
  }
  cell(out, count[metric::restated]);
  cell(out, n.unique_error);
  for (size_t i = 0; i < static_cast<size_t>(playback_progress::complete); ++i)
    cell(out, count.values[static_cast<size_t>(metric::playback_progress) + i]);
  out += "\r\n";
}

} // namespace

answer_format preferred_format(std::string_view accept) {
  return liking(accept, "text/csv") > liking(accept, "application/json") ? answer_format::csv : answer_format::json;
}

void append_csv_text(std::string& out, std::string_view text) {
  const bool formula = !text.empty() && std::string_view("=+-@\t\r").find(text[0]) != std::string_view::npos;
  if (!formula && text.find_first_of(",\"\r\n") == std::string_view::npos) {
    out += text;
    return;
  }
  out += formula ? "\"'" : "\"";
  for (auto c : text) {
    if (c == '"') out.push_back('"');
    out.push_back(c);
  }
  out.push_back('"');
}

void render_analytics_csv(std::string& out, const analytics_answer& answer) {
  const bool with_series = answer.step != granularity::none, grouped = answer.by != group_dimension::none;
  time_zone zone; // UTC, should the zone have gone since the request was read
  if (with_series) time_zone::load(answer.tz, zone);
  name_columns(out, grouped, with_series);
  for (const auto& row : answer.rows) {
    if (!with_series) {
      append_uint(out, row.ad_id);
      if (grouped) {
        out.push_back(',');
        append_csv_text(out, row.group);
      }
      append_numbers(out, row, grouped);
    }
    for (const auto& point : row.series) {
      append_uint(out, row.ad_id);
      out.push_back(',');
      append_csv_text(out, format_rfc3339_s(point.start_s, zone));
      append_numbers(out, point, false);
    }
  }
}

void add_analytics_headers(header_lines& out, const analytics_answer& answer) {
  auto truth = [](bool b) { return std::string(b ? "true" : "false"); };
  out.emplace_back("Adtrack-Total", std::to_string(answer.total));
  out.emplace_back("Adtrack-Complete", truth(answer.complete));
  out.emplace_back("Adtrack-Real-Time", truth(answer.real_time));
  out.emplace_back("Adtrack-Resolution", std::string(to_string(answer.finest)));
  if (answer.lag_ms >= 0) out.emplace_back("Adtrack-Lag-Ms", std::to_string(answer.lag_ms));
  if (answer.window.since_s != time_window::unbounded_since)
    out.emplace_back("Adtrack-Since", format_rfc3339_s(answer.window.since_s));
  if (answer.window.until_s != time_window::unbounded_until)
    out.emplace_back("Adtrack-Until", format_rfc3339_s(answer.window.until_s));
  std::string faults = answer.log_changed ? "changed" : "";
  for (const auto& fault : answer.log_faults)
    faults.append(faults.empty() ? "" : ", ").append(std::to_string(fault.shard)).append("=").append(to_string(fault.kind));
  if (!faults.empty()) out.emplace_back("Adtrack-Log-Faults", std::move(faults));
}

} // namespace adtrack::http
