#include "http/json_text.hpp"

#include <charconv>
#include <cmath>

#include "http/utf8.hpp"
#include "model/timestamp.hpp"

namespace adtrack::http {

void append_json_string(std::string& out, std::string_view text) {
  static constexpr char hex[] = "0123456789abcdef";
  out.push_back('"');
  while (!text.empty()) {
    auto c = static_cast<unsigned char>(text[0]);
    size_t taken = 1;
    if (c >= 0x80) {
      taken = utf8_sequence(text);
      if (taken == 0) {
        out += "\xef\xbf\xbd";
        taken = 1;
      } else {
        out.append(text.substr(0, taken));
      }
    } else if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(static_cast<char>(c));
    } else if (c == '\n') {
      out += "\\n";
    } else if (c < 0x20 || c == 0x7f) {
      out += "\\u00";
      out.push_back(hex[c >> 4]);
      out.push_back(hex[c & 15]);
    } else {
      out.push_back(static_cast<char>(c));
    }
    text.remove_prefix(taken);
  }
  out.push_back('"');
}

void append_int(std::string& out, int64_t value) {
  char text[24];
  auto end = std::to_chars(text, text + sizeof text, value).ptr;
  out.append(text, static_cast<size_t>(end - text));
}

void append_uint(std::string& out, uint64_t value) {
  char text[24];
  auto end = std::to_chars(text, text + sizeof text, value).ptr;
  out.append(text, static_cast<size_t>(end - text));
}

void append_double(std::string& out, double value) {
  if (!std::isfinite(value)) {
    out += "null";
    return;
  }
  char text[40];
  auto end = std::to_chars(text, text + sizeof text, value).ptr;
  std::string_view written(text, static_cast<size_t>(end - text));
  out.append(written);
  if (written.find_first_of(".e") == std::string_view::npos) out += ".0";
}

void append_time(std::string& out, int64_t unix_ms) {
  out.push_back('"');
  out += format_rfc3339_ms(unix_ms);
  out.push_back('"');
}

void append_time_s(std::string& out, int64_t unix_s) {
  out.push_back('"');
  out += format_rfc3339_s(unix_s);
  out.push_back('"');
}

} // namespace adtrack::http
