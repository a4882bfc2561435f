#include "config/toml.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

namespace adtrack::config {

namespace {

constexpr std::string_view spaces = " \t";

std::string_view trim(std::string_view s) {
  const size_t first = s.find_first_not_of(spaces);
  if (first == std::string_view::npos) return {};
  return s.substr(first, s.find_last_not_of(spaces) - first + 1);
}

bool bare_key_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

// `a.b . c` as "a.b.c"; nothing when it is not a dotted key of bare parts.
std::optional<std::string> dotted_key(std::string_view text) {
  std::string out;
  for (;;) {
    const size_t dot = text.find('.');
    const std::string_view part = trim(text.substr(0, dot));
    if (part.empty() || !std::all_of(part.begin(), part.end(), bare_key_character)) return std::nullopt;
    out += part;
    if (dot == std::string_view::npos) return out;
    out += '.';
    text.remove_prefix(dot + 1);
  }
}

// Whether only blanks and a comment are left.
bool ends_here(std::string_view rest) {
  rest = trim(rest);
  return rest.empty() || rest.front() == '#';
}

// The string that `text` begins with; moves `text` behind it. Returns what is wrong, or "".
std::string take_string(std::string_view& text, std::string& out) {
  const char quote = text.front();
  if (text.substr(0, 3) == std::string(3, quote)) return "a string of more than one line is not supported here";
  for (size_t i = 1; i < text.size(); ++i) {
    char c = text[i];
    if (c == quote) {
      text.remove_prefix(i + 1);
      return {};
    }
    if (c == '\\' && quote == '"') {
      static const std::map<char, char> escapes = {{'"', '"'}, {'\\', '\\'}, {'t', '\t'}, {'n', '\n'}, {'r', '\r'}};
      const auto it = i + 1 < text.size() ? escapes.find(text[i + 1]) : escapes.end();
      if (it == escapes.end()) return R"(only \" \\ \t \n \r may follow a backslash; '...' takes it as it is)";
      c = it->second;
      ++i;
    }
    out += c;
  }
  return "the string has no closing quote";
}

// An integer, true or false. Returns what is wrong, or "".
std::string take_word(std::string_view& text, toml_item& item) {
  const size_t end = std::min(text.find_first_of(" \t#"), text.size());
  const std::string_view word = text.substr(0, end);
  text.remove_prefix(end);
  if (word == "true" || word == "false") {
    item.kind = toml_kind::boolean;
    item.value = word;
    return {};
  }
  item.kind = toml_kind::integer;
  const size_t digits_at = !word.empty() && (word[0] == '-' || word[0] == '+') ? 1 : 0;
  bool digit_before = false;
  bool good = word.size() > digits_at && word.back() != '_';
  for (size_t i = digits_at; i < word.size(); ++i) {
    const bool digit = word[i] >= '0' && word[i] <= '9';
    good = good && (digit || (word[i] == '_' && digit_before));
    digit_before = digit;
  }
  if (!good) return "the value must be a \"text\" in quotes, an integer, true or false";
  std::copy_if(word.begin(), word.end(), std::back_inserter(item.value), [](char c) { return c != '_' && c != '+'; });
  return {};
}

class parser {
public:
  // Returns what is wrong with the line, or "".
  std::string line(std::string_view text, int number, std::vector<toml_item>& items) {
    text = trim(text);
    if (ends_here(text)) return {};
    if (text.front() == '[') return section(text);
    const size_t equals = text.find('=');
    const auto key = dotted_key(text.substr(0, equals));
    if (equals == std::string_view::npos || !key) return "expected [section] or name = value";
    toml_item item;
    item.line = number;
    item.name = section_.empty() ? *key : section_ + "." + *key;
    std::string_view rest = trim(text.substr(equals + 1));
    if (rest.empty()) return item.name + " has no value";
    std::string wrong = rest.front() == '"' || rest.front() == '\'' ? take_string(rest, item.value) : take_word(rest, item);
    if (wrong.empty() && !ends_here(rest)) wrong = "nothing but a comment may follow the value";
    if (!wrong.empty()) return item.name + ": " + wrong;
    const auto [before, fresh] = names_.emplace(item.name, number);
    if (!fresh) return item.name + " was set in line " + std::to_string(before->second) + " already";
    items.push_back(std::move(item));
    return {};
  }

private:
  std::string section(std::string_view text) {
    const size_t close = text.find(']');
    const auto key = close == std::string_view::npos ? std::nullopt : dotted_key(text.substr(1, close - 1));
    if (!key || !ends_here(text.substr(close + 1))) return "expected [section]";
    if (!sections_.insert(*key).second) return "[" + *key + "] stands in the file twice";
    section_ = *key;
    return {};
  }

  std::string section_;
  std::set<std::string> sections_;
  std::map<std::string, int> names_;
};

} // namespace

toml_file parse_toml(std::string_view text) {
  toml_file out;
  parser lines;
  for (int number = 1; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    const std::string wrong = lines.line(line, number, out.items);
    if (!wrong.empty()) {
      out.error = "line " + std::to_string(number) + ": " + wrong;
      return out;
    }
  }
  return out;
}

} // namespace adtrack::config
