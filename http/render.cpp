#include "http/render.hpp"

#include "http/json_text.hpp"
#include "http/problem.hpp"
#include "model/mix.hpp"
#include "model/timestamp.hpp"

namespace adtrack::http {
namespace {

void field(std::string& out, std::string_view name, uint64_t value) {
  out += ",\"";
  out += name;
  out += "\":";
  append_uint(out, value);
}

void ratio(std::string& out, std::string_view name, double value) {
  out += ",\"";
  out += name;
  out += "\":";
  append_double(out, value);
}

void append_invalid(std::string& out, const counters& count) {
  out += ",\"invalid_clicks\":{";
  bool first = true;
  for (size_t i = 1; i < invalid_reason_count; ++i) {
    auto reason = static_cast<invalid_reason>(i);
    uint64_t n = count.invalid(event_type::click, reason);
    if (n == 0) continue;
    if (!first) out.push_back(',');
    first = false;
    append_json_string(out, to_string(reason));
    out.push_back(':');
    append_uint(out, n);
  }
  out.push_back('}');
}

// Valid playbacks by how far they came, in that order.
void append_playbacks(std::string& out, const counters& count) {
  out += ",\"playbacks\":{";
  constexpr size_t stages = static_cast<size_t>(playback_progress::complete);
  for (size_t i = 0; i < stages; ++i) {
    if (i > 0) out.push_back(',');
    append_json_string(out, to_string(static_cast<playback_progress>(i + 1)));
    out.push_back(':');
    append_uint(out, count.values[static_cast<size_t>(metric::playback_progress) + i]);
  }
  out.push_back('}');
}

void append_numbers(std::string& out, const window_numbers& n, bool grouped) {
  const counters& count = n.count;
  field(out, "click_count", count[metric::valid_clicks]);
  field(out, "unique_clicks", shown_uniques(n));
  ratio(out, "avg_playback_time", average(count[metric::play_time_sum], count[metric::play_time_count]));
  ratio(out, "avg_watch_percent", average(count[metric::watched_sum], count[metric::watched_count]));
  out += ",\"last_updated\":";
  if (count.last_counted_ms == 0)
    out += "null";
  else
    append_time(out, count.last_counted_ms);
  field(out, "impressions", count[metric::valid_impressions]);
  out += ",\"ctr\":";
  if (const auto ctr = click_through_rate(count))
    append_double(out, *ctr);
  else
    out += "null";
  field(out, "gross_clicks", count.gross(event_type::click));
  append_invalid(out, count);
  if (!grouped) { // nobody knows whose they are
    field(out, "duplicates", count[metric::duplicates]);
    field(out, "conflicts", count[metric::conflicts]);
  }
  field(out, "restated", count[metric::restated]);
  out += ",\"unique_error\":";
  if (n.unique_error == 0)
    out.push_back('0');
  else
    append_double(out, n.unique_error);
  append_playbacks(out, count);
}

void append_series(std::string& out, const std::vector<series_point>& series, const time_zone& zone) {
  out += ",\"series\":[";
  for (const auto& point : series) {
    if (out.back() != '[') out.push_back(',');
    out += "{\"start\":";
    append_json_string(out, format_rfc3339_s(point.start_s, zone));
    append_numbers(out, point, false);
    out.push_back('}');
  }
  out.push_back(']');
}

void append_row(std::string& out, const analytics_row& row, bool grouped, bool with_series, const time_zone& zone) {
  out += "{\"ad_id\":";
  append_uint(out, row.ad_id);
  if (grouped) {
    out += ",\"group\":";
    append_json_string(out, row.group);
  }
  append_numbers(out, row, grouped);
  if (with_series) append_series(out, row.series, zone);
  out.push_back('}');
}

void append_edge(std::string& out, int64_t seconds, int64_t unbounded) {
  if (seconds == unbounded)
    out += "null";
  else
    append_time_s(out, seconds);
}

void append_lag(std::string& out, int64_t lag_ms) {
  if (lag_ms < 0)
    out += "null";
  else
    append_int(out, lag_ms);
}

// The newest record in the numbers: the position before the next one to apply. A shard without any has none.
bool newest(const shard_answer& shard, int64_t& offset) {
  offset = shard.applied - 1;
  return shard.applied > 0;
}

// Left out when there is none. The log as a whole has no shard.
void append_log_faults(std::string& out, const analytics_answer& answer) {
  if (answer.log_faults.empty() && !answer.log_changed) return;
  out += ",\"log_faults\":[";
  for (const auto& fault : answer.log_faults) {
    if (out.back() != '[') out.push_back(',');
    out += "{\"shard\":";
    append_uint(out, fault.shard);
    out += ",\"kind\":";
    append_json_string(out, to_string(fault.kind));
    out.push_back('}');
  }
  if (answer.log_changed) {
    if (out.back() != '[') out.push_back(',');
    out += "{\"shard\":null,\"kind\":\"changed\"}";
  }
  out.push_back(']');
}

void append_explain(std::string& out, const analytics_answer& answer) {
  out += ",\"positions\":{";
  bool first = true;
  int64_t offset = 0;
  for (const auto& shard : answer.shards) {
    if (!newest(shard, offset)) continue;
    if (!first) out.push_back(',');
    first = false;
    out.push_back('"');
    append_uint(out, shard.shard);
    out += "\":";
    append_int(out, offset);
  }
  out += "},\"explain\":[";
  first = true;
  for (const auto& shard : answer.shards) {
    if (!first) out.push_back(',');
    first = false;
    out += "{\"shard\":";
    append_uint(out, shard.shard);
    out += ",\"node\":";
    append_json_string(out, shard.node);
    out += ",\"position\":";
    if (newest(shard, offset))
      append_json_string(out, to_string(position{shard.shard, offset}));
    else
      out += "null";
    out += ",\"lag_ms\":";
    append_lag(out, shard.lag_ms);
    out += ",\"took_us\":";
    append_int(out, shard.took_us);
    out.push_back('}');
  }
  out.push_back(']');
}

} // namespace

void render_ingested(std::string& out, std::string_view event_id, const actors::ingested& what) {
  out += "{\"status\":\"accepted\",\"event_id\":";
  append_json_string(out, event_id);
  out += ",\"position\":";
  if (what.spooled || what.offset < 0) {
    out += "null";
  } else {
    out.push_back('"');
    append_uint(out, what.shard);
    out.push_back(':');
    append_int(out, what.offset);
    out.push_back('"');
  }
  out += what.spooled ? ",\"durability\":\"spool\"}" : ",\"durability\":\"log\"}";
}

void render_rejections(std::string& out, const std::vector<rejection>& rejections) {
  out.push_back('[');
  for (size_t i = 0; i < rejections.size(); ++i) {
    out += i == 0 ? "{\"index\":" : ",{\"index\":";
    append_uint(out, rejections[i].index);
    out += ",\"errors\":";
    append_errors(out, rejections[i].errors);
    out.push_back('}');
  }
  out.push_back(']');
}

namespace {

void append_positions(std::string& out, const std::vector<position>& positions) {
  out += ",\"positions\":{";
  for (size_t i = 0; i < positions.size(); ++i) {
    out += i == 0 ? "\"" : ",\"";
    append_uint(out, positions[i].shard);
    out += "\":";
    append_int(out, positions[i].offset);
  }
  out += '}';
}

} // namespace

void render_batch(std::string& out, const actors::batch_ingested& what, std::string_view rejected, size_t rejected_count) {
  out += "{\"accepted\":";
  append_uint(out, what.events);
  out += ",\"rejected\":";
  out += rejected;
  append_positions(out, what.positions);
  out += ",\"durability\":";
  out += what.spooled ? "\"spool\"" : "\"log\"";
  field(out, "rejected_count", rejected_count);
  out.push_back('}');
}

void render_analytics(std::string& out, const analytics_answer& answer, bool explain) {
  const bool with_series = answer.step != granularity::none, grouped = answer.by != group_dimension::none;
  size_t points = answer.rows.size();
  for (const auto& row : answer.rows) points += row.series.size();
  out.reserve(out.size() + 320 + points * 420);
  time_zone zone; // UTC, should the zone have gone since the request was read
  if (with_series) time_zone::load(answer.tz, zone);
  out += "{\"data\":[";
  for (size_t i = 0; i < answer.rows.size(); ++i) {
    if (i > 0) out.push_back(',');
    append_row(out, answer.rows[i], grouped, with_series, zone);
  }
  out += "],\"total\":";
  append_uint(out, answer.total);
  out += ",\"generated_at\":";
  append_time(out, answer.generated_at_ms);
  out += answer.real_time ? ",\"is_real_time\":true" : ",\"is_real_time\":false";
  out += ",\"since\":";
  append_edge(out, answer.window.since_s, time_window::unbounded_since);
  out += ",\"until\":";
  append_edge(out, answer.window.until_s, time_window::unbounded_until);
  out += ",\"resolution\":";
  append_json_string(out, to_string(answer.finest));
  if (grouped) {
    out += ",\"group_by\":";
    append_json_string(out, to_string(answer.by));
  }
  if (with_series) {
    out += ",\"granularity\":";
    append_json_string(out, to_string(answer.step));
    out += ",\"tz\":";
    append_json_string(out, answer.tz.empty() ? "UTC" : answer.tz);
  }
  out += ",\"lag_ms\":";
  append_lag(out, answer.lag_ms);
  out += answer.complete ? ",\"complete\":true" : ",\"complete\":false";
  out += ",\"shards\":{\"total\":";
  append_uint(out, answer.shards_total);
  out += ",\"answered\":";
  append_uint(out, answer.shards_answered);
  out.push_back('}');
  append_log_faults(out, answer);
  if (explain) append_explain(out, answer);
  out.push_back('}');
}

void render_event_fate(std::string& out, std::string_view event_id, const event_lookup& asked, const event_fate& fate) {
  out += "{\"event_id\":";
  append_json_string(out, event_id);
  out += ",\"type\":";
  append_json_string(out, to_string(asked.type));
  field(out, "ad_id", asked.ad_id);
  out += ",\"fate\":";
  append_json_string(out, to_string(fate.verdict));
  if (fate.verdict == event_verdict::counted || fate.verdict == event_verdict::invalid) {
    if (fate.verdict == event_verdict::invalid) {
      out += ",\"invalid_reason\":";
      append_json_string(out, to_string(fate.reason));
    }
    out += ",\"position\":";
    append_json_string(out, to_string(fate.at));
    out += ",\"timestamp\":";
    append_int(out, fate.time_s);
    field(out, "duplicates", fate.duplicates);
    field(out, "conflicts", fate.conflicts);
  }
  out += ",\"lag_ms\":";
  append_lag(out, fate.lag_ms);
  out += fate.fault == log_fault::none ? ",\"complete\":true}" : ",\"complete\":false}";
}

void render_digest(std::string& out, const shard_digest& digest) {
  out += "{\"shard\":";
  append_uint(out, digest.shard);
  out += ",\"offset\":";
  append_int(out, digest.offset);
  out += ",\"digest\":";
  append_json_string(out, digest.value);
  out.push_back('}');
}

void render_shard_checkpoint(std::string& out, const shard_checkpoint& made) {
  out += "{\"shard\":";
  append_uint(out, made.shard);
  out += ",\"offset\":";
  append_int(out, made.offset);
  out += ",\"digest\":";
  append_json_string(out, made.digest);
  out += ",\"path\":";
  append_json_string(out, made.path);
  out.push_back('}');
}

void render_log_checkpoint(std::string& out, const log_checkpoint& made) {
  out += "{\"path\":";
  append_json_string(out, made.path);
  out += ",\"ends\":{";
  for (size_t shard = 0; shard < made.ends.size(); ++shard) {
    out += shard > 0 ? ",\"" : "\"";
    append_uint(out, shard);
    out += "\":";
    append_int(out, made.ends[shard]);
  }
  out += "}}";
}

void render_held(std::string& out, const held_page& page) {
  if (page.what != held_action::list) {
    out += page.what == held_action::release ? "{\"released\":" : "{\"removed\":";
    append_uint(out, page.done);
    field(out, "total", page.total);
    out.push_back('}');
    return;
  }
  out += "{\"data\":[";
  for (const auto& one : page.records) {
    out += out.back() == '[' ? "{\"position\":" : ",{\"position\":";
    append_int(out, one.position);
    out += ",\"accepted\":";
    append_time(out, one.accepted_ms);
    field(out, "shard", one.shard);
    out += ",\"value\":";
    append_json_string(out, one.value);
    out.push_back('}');
  }
  out += "],\"total\":";
  append_uint(out, page.total);
  out += ",\"next\":";
  if (page.next >= 0)
    append_int(out, page.next);
  else
    out += "null";
  out.push_back('}');
}

void render_erasure(std::string& out, const visitor_erased& done) {
  out += "{\"status\":\"accepted\"";
  append_positions(out, done.positions);
  out += ",\"log\":";
  out += done.log_keeps ? "\"kept\"" : "\"rewritten\"";
  out.push_back('}');
}

void render_quarantine(std::string& out, const quarantine_page& page) {
  out += "{\"data\":[";
  for (size_t i = 0; i < page.entries.size(); ++i) {
    const auto& entry = page.entries[i];
    out += i > 0 ? ",{\"source\":" : "{\"source\":";
    append_json_string(out, to_string(entry.source));
    out += ",\"position\":";
    append_json_string(out, to_string(position{entry.partition, entry.offset}));
    out += ",\"time\":";
    append_time(out, entry.time_ms);
    out += ",\"reason\":";
    append_json_string(out, entry.reason);
    field(out, "size", entry.size);
    out += ",\"value\":";
    append_json_string(out, entry.value);
    out.push_back('}');
  }
  out += "],\"total\":";
  append_uint(out, page.total);
  out += ",\"next\":";
  if (page.more)
    append_json_string(out, to_string(page.next));
  else
    out += "null";
  out.push_back('}');
}

void render_ad(std::string& out, const ad& value) {
  out += "{\"id\":";
  append_uint(out, value.id);
  out += ",\"title\":";
  append_json_string(out, value.fields.title);
  out += ",\"description\":";
  append_json_string(out, value.fields.description);
  out += ",\"url\":";
  append_json_string(out, value.fields.url);
  out += ",\"created_at\":";
  append_time(out, value.created_ms);
  out += ",\"updated_at\":";
  append_time(out, value.updated_ms);
  out += ",\"advertiser\":";
  append_json_string(out, value.fields.advertiser);
  out += ",\"campaign\":";
  append_json_string(out, value.fields.campaign);
  out += ",\"metadata\":";
  out += value.fields.metadata.empty() ? "{}" : value.fields.metadata;
  out.push_back('}');
}

void render_ads_page(std::string& out, const actors::ads_page& page, uint32_t number, uint32_t limit) {
  out += "{\"ads\":[";
  for (size_t i = 0; i < page.ads.size(); ++i) {
    if (i > 0) out.push_back(',');
    render_ad(out, page.ads[i]);
  }
  out += "],\"pagination\":{\"page\":";
  append_uint(out, number);
  field(out, "limit", limit);
  field(out, "total", page.total);
  field(out, "total_pages", limit == 0 ? 0 : (page.total + limit - 1) / limit);
  out += "}}";
}

std::string entity_tag(const ad& value) {
  std::string tag = "\"";
  append_int(tag, value.version);
  tag.push_back('"');
  return tag;
}

std::string entity_tag(const analytics_answer& answer, bool csv) {
  uint64_t hash = csv ? 1 : 2;
  auto add = [&](uint64_t value) { hash = mix64(hash * 3 + value + 1); };
  for (unsigned char c : std::string_view(ADTRACK_VERSION)) add(c);
  for (const auto& shard : answer.shards) {
    add(shard.shard);
    add(static_cast<uint64_t>(shard.applied));
    add(static_cast<uint64_t>(shard.fault));
  }
  add(uint64_t{answer.shards_total} << 32 | uint64_t{answer.complete} << 2 | uint64_t{answer.real_time} << 1 |
      answer.log_changed);
  add(static_cast<uint64_t>(answer.window.since_s));
  add(static_cast<uint64_t>(answer.window.until_s));
  add(answer.total);
  add(static_cast<uint64_t>(answer.by));
  // Positions of another log could be the same: one that was begun anew in the same place.
  for (const auto& row : answer.rows) {
    add(row.ad_id);
    for (unsigned char c : row.group) add(c);
    add(static_cast<uint64_t>(row.count.last_counted_ms));
    for (auto value : row.count.values) add(value);
  }
  std::string tag = "\"";
  append_uint(tag, hash);
  return tag += '"';
}

} // namespace adtrack::http
