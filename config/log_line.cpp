#include "config/log_line.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <ctime>

namespace adtrack::config {

namespace {

// Bytes of the valid UTF-8 sequence that `s` begins with, 0 if it does not (Unicode 15, table 3-7).
size_t utf8_length(std::string_view s) {
  const auto byte = [&](size_t i) { return i < s.size() ? static_cast<unsigned char>(s[i]) : 0; };
  const auto continues = [&](size_t i, int low = 0x80, int high = 0xbf) { return byte(i) >= low && byte(i) <= high; };
  const int first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return continues(1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef)
    return continues(1, first == 0xe0 ? 0xa0 : 0x80, first == 0xed ? 0x9f : 0xbf) && continues(2) ? 3 : 0;
  if (first >= 0xf0 && first <= 0xf4)
    return continues(1, first == 0xf0 ? 0x90 : 0x80, first == 0xf4 ? 0x8f : 0xbf) && continues(2) && continues(3) ? 4 : 0;
  return 0;
}

void append_string(std::string& out, std::string_view s) {
  out += '"';
  while (!s.empty()) {
    const size_t length = utf8_length(s);
    const char c = s.front();
    if (length == 0) {
      out += "\xef\xbf\xbd";
    } else if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (length == 1 && (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)) {
      std::array<char, 8> escaped{};
      std::snprintf(escaped.data(), escaped.size(), "\\u%04x", static_cast<unsigned>(c));
      out += escaped.data();
    } else {
      out += s.substr(0, length);
    }
    s.remove_prefix(length == 0 ? 1 : length);
  }
  out += '"';
}

template <class Number>
void append_number(std::string& out, Number value) {
  std::array<char, 32> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  out.append(digits.data(), end);
}

void append_time(std::string& out, int64_t unix_us) {
  const int64_t us = ((unix_us % 1'000'000) + 1'000'000) % 1'000'000;
  const auto seconds = static_cast<std::time_t>((unix_us - us) / 1'000'000);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "\"%04d-%02d-%02dT%02d:%02d:%02d.%06dZ\"", utc.tm_year + 1900, utc.tm_mon + 1,
                utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, static_cast<int>(us));
  out += text.data();
}

struct value_writer {
  std::string& out;
  void operator()(std::string_view v) const { append_string(out, v); }
  void operator()(int64_t v) const { append_number(out, v); }
  void operator()(bool v) const { out += v ? "true" : "false"; }
  void operator()(double v) const {
    if (std::isfinite(v))
      append_number(out, v);
    else
      out += "null";
  }
};

} // namespace

std::string_view to_string(log_level level) noexcept {
  switch (level) {
  case log_level::trace: return "trace";
  case log_level::debug: return "debug";
  case log_level::info: return "info";
  case log_level::warning: return "warning";
  case log_level::error: return "error";
  }
  return "error";
}

std::string log_line(int64_t unix_us, log_level level, std::string_view component, std::string_view event,
                     std::string_view message, std::initializer_list<log_field> fields) {
  std::string out = "{\"time\":";
  append_time(out, unix_us);
  const auto member = [&](std::string_view name, const auto& value) {
    out += ',';
    append_string(out, name);
    out += ':';
    value_writer{out}(value);
  };
  member("level", to_string(level));
  member("component", component);
  member("event", event);
  member("message", message);
  for (const log_field& field : fields) std::visit([&](const auto& value) { member(field.name, value); }, field.value);
  out += '}';
  return out;
}

} // namespace adtrack::config
