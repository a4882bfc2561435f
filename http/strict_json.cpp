#include "http/strict_json.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>

namespace adtrack::http {
namespace {

// Deeper than our own bound, so that the parser's way of counting never decides, and far from exhausting anything.
constexpr size_t depth_parsed = 64;
constexpr std::string_view too_deep = "the JSON is nested deeper than 8 levels";

bool is_digit(char c) { return c >= '0' && c <= '9'; }

size_t digits(std::string_view text, size_t at) {
  while (at < text.size() && is_digit(text[at])) ++at;
  return at;
}

// The length of the number at the front of `text` by the grammar of RFC 8259, 6; 0 when it is none.
size_t number_length(std::string_view text, bool& integer) {
  size_t first = !text.empty() && text[0] == '-' ? 1 : 0;
  size_t at = digits(text, first);
  if (at == first || (text[first] == '0' && at > first + 1)) return 0;
  integer = true;
  if (at < text.size() && text[at] == '.') {
    integer = false;
    size_t end = digits(text, at + 1);
    if (end == at + 1) return 0;
    at = end;
  }
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    integer = false;
    size_t from = at + 1;
    if (from < text.size() && (text[from] == '+' || text[from] == '-')) ++from;
    at = digits(text, from);
    if (at == from) return 0;
  }
  bool ends = at == text.size() || std::string_view(" \t\r\n,]}").find(text[at]) != std::string_view::npos;
  return ends ? at : 0;
}

template <class Number>
bool holds(std::string_view text) {
  Number value{};
  return std::from_chars(text.data(), text.data() + text.size(), value).ec == std::errc();
}

// The text with 0.5 for every well-formed number that neither an integer of 64 bits nor a double can hold. Malformed numbers and
// everything else stay, so that the parser refuses what is not JSON.
std::string without_huge_numbers(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  bool in_string = false;
  for (size_t at = 0; at < text.size();) {
    char c = text[at];
    size_t take = in_string && c == '\\' && at + 1 < text.size() ? 2 : 1;
    if (c == '"') in_string = !in_string;
    bool integer = false;
    if (!in_string && (c == '-' || is_digit(c))) {
      size_t length = number_length(text.substr(at), integer);
      auto number = text.substr(at, length);
      bool fits = length == 0 || (integer ? holds<int64_t>(number) || holds<uint64_t>(number) : holds<double>(number));
      if (!fits) {
        out += "0.5";
        at += length;
        continue;
      }
      if (length > 0) take = length;
      while (length == 0 && at + take < text.size() && is_digit(text[at + take])) ++take; // a malformed number, in one piece
    }
    out.append(text, at, take);
    at += take;
  }
  return out;
}

} // namespace

std::string strict_json::describe(simdjson::error_code code) const {
  switch (code) {
  case simdjson::UTF8_ERROR: return the_text_ + " is not valid UTF-8";
  case simdjson::EMPTY: return the_text_ + " is empty";
  case simdjson::DEPTH_ERROR: return std::string(too_deep);
  case simdjson::UNESCAPED_CHARS: return "the JSON holds a control character that is not escaped";
  case simdjson::NUMBER_ERROR: return "the JSON holds a number that is malformed or does not fit 64 bits";
  case simdjson::STRING_ERROR: return "the JSON holds a malformed escape in a string";
  case simdjson::UNCLOSED_STRING: return "the JSON holds a string without an end";
  default: return the_text_ + " is not valid JSON";
  }
}

std::string_view strict_json::padded(std::string_view text) {
  padded_.reserve(text.size() + json_padding);
  padded_.assign(text);
  padded_.append(json_padding, '\0');
  return {padded_.data(), text.size()};
}

simdjson::error_code strict_json::parse(std::string_view text, simdjson::dom::element& root) {
  if (parser_.max_depth() != depth_parsed)
    if (auto code = parser_.allocate(std::max<size_t>(parser_.capacity(), 4096), depth_parsed); code != simdjson::SUCCESS)
      return code;
  return parser_.parse(text.data(), text.size(), false).get(root);
}

bool strict_json::parse_object(std::string_view text, simdjson::dom::object& out, std::string& error, huge_numbers huge) {
  return parse_object_in_place(padded(text), out, error, huge) == json_fault::none;
}

json_fault strict_json::parse_object_in_place(std::string_view text, simdjson::dom::object& out, std::string& error,
                                              huge_numbers huge) {
  if (text.substr(0, 3) == "\xef\xbb\xbf") {
    error = the_text_ + " starts with a byte order mark";
    return json_fault::not_json;
  }
  simdjson::dom::element root;
  auto code = parse(text, root);
  if (code == simdjson::NUMBER_ERROR && huge == huge_numbers::make_fraction)
    code = parse(padded(without_huge_numbers(text)), root);
  if (code != simdjson::SUCCESS) {
    error = describe(code);
    return code == simdjson::DEPTH_ERROR ? json_fault::not_allowed : json_fault::not_json;
  }
  if (root.get(out) == simdjson::SUCCESS) return check_object(out, 1, error) ? json_fault::none : json_fault::not_allowed;
  error = the_text_ + " is not a JSON object";
  return json_fault::not_allowed;
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
