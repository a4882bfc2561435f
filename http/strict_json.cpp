#include "http/strict_json.hpp"

#include <algorithm>

namespace adtrack::http {
namespace {

// Deeper than our own bound, so that the parser's way of counting never decides, and far from exhausting anything.
constexpr size_t depth_parsed = 64;
constexpr std::string_view too_deep = "the JSON is nested deeper than 8 levels";

std::string describe(simdjson::error_code code) {
  switch (code) {
  case simdjson::UTF8_ERROR: return "the body is not valid UTF-8";
  case simdjson::EMPTY: return "the body is empty";
  case simdjson::DEPTH_ERROR: return std::string(too_deep);
  case simdjson::UNESCAPED_CHARS: return "the JSON holds a control character that is not escaped";
  case simdjson::NUMBER_ERROR: return "the JSON holds a number that is malformed or does not fit 64 bits";
  case simdjson::STRING_ERROR: return "the JSON holds a malformed escape in a string";
  case simdjson::UNCLOSED_STRING: return "the JSON holds a string without an end";
  default: return "the body is not valid JSON";
  }
}

} // namespace

bool strict_json::parse_object(std::string_view text, simdjson::dom::object& out, std::string& error) {
  if (text.substr(0, 3) == "\xef\xbb\xbf") {
    error = "the body starts with a byte order mark";
    return false;
  }
  padded_.reserve(text.size() + simdjson::SIMDJSON_PADDING);
  padded_.assign(text);
  padded_.append(simdjson::SIMDJSON_PADDING, '\0');
  simdjson::dom::element root;
  auto code = simdjson::SUCCESS;
  if (parser_.max_depth() != depth_parsed) code = parser_.allocate(std::max<size_t>(parser_.capacity(), 4096), depth_parsed);
  if (code == simdjson::SUCCESS) code = parser_.parse(padded_.data(), text.size(), false).get(root);
  if (code != simdjson::SUCCESS) {
    error = describe(code);
    return false;
  }
  if (root.get(out) != simdjson::SUCCESS) {
    error = "the body is not a JSON object";
    return false;
  }
  return check_object(out, 1, error);
}

bool strict_json::check(simdjson::dom::element value, size_t depth, std::string& error) {
  simdjson::dom::object object;
  simdjson::dom::array array;
  if (value.get(object) == simdjson::SUCCESS) return check_object(object, depth, error);
  if (value.get(array) != simdjson::SUCCESS) return true;
  if (depth > json_depth_max) {
    error = too_deep;
    return false;
  }
  return std::all_of(array.begin(), array.end(), [&](simdjson::dom::element item) { return check(item, depth + 1, error); });
}

bool strict_json::check_object(simdjson::dom::object object, size_t depth, std::string& error) {
  if (depth > json_depth_max) {
    error = too_deep;
    return false;
  }
  // Few keys are compared in place; many are sorted, so that a body full of keys costs n log n.
  constexpr size_t few = 16;
  std::string_view seen[few];
  size_t count = 0;
  bool duplicate = false;
  std::vector<std::string_view> many;
  for (auto field : object) {
    if (count < few) {
      duplicate |= std::find(seen, seen + count, field.key) != seen + count;
      seen[count] = field.key;
    } else {
      if (many.empty()) many.assign(seen, seen + few);
      many.push_back(field.key);
    }
    ++count;
    if (!check(field.value, depth + 1, error)) return false;
  }
  std::sort(many.begin(), many.end());
  duplicate |= std::adjacent_find(many.begin(), many.end()) != many.end();
  if (duplicate) error = "the JSON holds an object with a duplicate key";
  return !duplicate;
}

} // namespace adtrack::http
