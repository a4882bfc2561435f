#include "http/batch_parser.hpp"

#include <algorithm>

namespace adtrack::http {
namespace {

constexpr size_t usual_item_bytes = 128;

constexpr bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

size_t skip_space(std::string_view text, size_t at) {
  while (at < text.size() && is_space(text[at])) ++at;
  return at;
}

// Behind the string whose first quote stands at `at`.
size_t string_end(std::string_view text, size_t at) {
  for (++at; at < text.size(); ++at) {
    if (text[at] == '\\')
      ++at;
    else if (text[at] == '"')
      return at + 1;
  }
  return text.size();
}

// Behind the value at `at`, and behind what follows it without a separator. Whoever reads it checks it: here a bracket is a
// bracket and a string a string.
size_t value_end(std::string_view text, size_t at) {
  for (size_t depth = 0; at < text.size();) {
    char c = text[at];
    if (depth == 0 && (c == ',' || c == ']' || c == '}' || is_space(c))) return at;
    if (c == '"') {
      at = string_end(text, at);
      continue;
    }
    ++at;
    if (c == '{' || c == '[')
      ++depth;
    else if (c == '}' || c == ']')
      --depth;
  }
  return text.size();
}

} // namespace

void batch_parser::reject(batch_reading& out) {
  if (out.rejections.size() >= limits_.rejections_max) return;
  if (!syntax_.empty()) errors_.assign(1, {"", syntax_});
  out.rejections.push_back({index_, std::move(errors_)});
}

bool batch_parser::take(std::string_view item, const event_context& context, batch_reading& out) {
  bool is_json = true;
  if (item.size() > limits_.item_bytes_max) {
    errors_.clear();
    syntax_ = "the item is larger than " + std::to_string(limits_.item_bytes_max) + " bytes";
    ++out.not_valid;
    reject(out);
  } else {
    auto& slot = out.items.emplace_back();
    auto verdict = events_.parse_item(item, context, slot.what, syntax_, errors_);
    is_json = verdict != item_verdict::not_json;
    const bool known = verdict != item_verdict::good || !limits_.known_ad || limits_.known_ad(slot.what.ad_id);
    if (!known) errors_.assign(1, {"ad_id", "names no ad of the catalogue"});
    if (verdict != item_verdict::good || !known) {
      out.items.pop_back();
      ++(!known ? out.unknown_ads : is_json ? out.not_valid : out.not_json);
      reject(out);
    }
  }
  ++index_;
  return is_json;
}

batch_verdict batch_parser::parse_lines(std::string_view body, const event_context& context, batch_reading& out) {
  for (size_t at = 0; at < body.size();) {
    size_t end = std::min(body.find('\n', at), body.size());
    auto line = body.substr(at, end - at);
    at = end + 1;
    if (skip_space(line, 0) == line.size()) continue;
    if (index_ == limits_.events_max) return batch_verdict::too_many;
    take(line, context, out);
  }
  return batch_verdict::read;
}

batch_verdict batch_parser::parse_array(std::string_view body, const event_context& context, batch_reading& out,
                                        std::string& why) {
  size_t at = skip_space(body, 0);
  if (at == body.size() || body[at] != '[') {
    why = "the body is not a JSON array of events; events that stand one on a line are application/x-ndjson";
    return batch_verdict::broken;
  }
  at = skip_space(body, at + 1);
  bool closed = at < body.size() && body[at] == ']';
  while (!closed) {
    if (index_ == limits_.events_max) return batch_verdict::too_many;
    size_t end = value_end(body, at);
    if (!take(body.substr(at, end - at), context, out)) {
      why = "item " + std::to_string(index_ - 1) + " of the array: " + syntax_;
      return batch_verdict::broken;
    }
    at = skip_space(body, end);
    closed = at < body.size() && body[at] == ']';
    if (closed) break;
    if (at == body.size() || body[at] != ',') {
      why = "the array does not go on with a comma or a bracket after item " + std::to_string(index_ - 1);
      return batch_verdict::broken;
    }
    at = skip_space(body, at + 1);
  }
  if (skip_space(body, at + 1) == body.size()) return batch_verdict::read;
  why = "the body goes on after the array";
  return batch_verdict::broken;
}

batch_verdict batch_parser::parse(batch_format format, std::string_view body, const event_context& context, batch_reading& out,
                                  std::string& why) {
  out = {};
  index_ = 0;
  out.items.reserve(std::min(limits_.events_max, body.size() / usual_item_bytes + 1));
  auto verdict = format == batch_format::ndjson ? parse_lines(body, context, out) : parse_array(body, context, out, why);
  if (verdict != batch_verdict::read) out = {};
  return verdict;
}

} // namespace adtrack::http
