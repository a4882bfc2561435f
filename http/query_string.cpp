#include "http/query_string.hpp"

#include "http/utf8.hpp"

namespace adtrack::http {
namespace {

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool readable(std::string_view text) { return valid_utf8(text) && text.find('\0') == std::string_view::npos; }

} // namespace

bool percent_decode(std::string_view text, bool plus_is_space, std::string& out) {
  out.clear();
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      if (i + 2 >= text.size() || hex_value(text[i + 1]) < 0 || hex_value(text[i + 2]) < 0) return false;
      out.push_back(static_cast<char>(hex_value(text[i + 1]) * 16 + hex_value(text[i + 2])));
      i += 2;
    } else {
      out.push_back(text[i] == '+' && plus_is_space ? ' ' : text[i]);
    }
  }
  return true;
}

bool parse_query_string(std::string_view text, std::vector<query_parameter>& out, std::string& error) {
  out.clear();
  while (!text.empty()) {
    size_t end = text.find('&');
    auto part = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (part.empty()) continue;
    if (out.size() == query_parameters_max) {
      error = "the query string holds more than " + std::to_string(query_parameters_max) + " parameters";
      return false;
    }
    query_parameter p;
    size_t equals = part.find('=');
    auto value = equals == std::string_view::npos ? std::string_view() : part.substr(equals + 1);
    if (!percent_decode(part.substr(0, equals), true, p.name) || !percent_decode(value, true, p.value)) {
      error = "the query string holds a '%' that is not followed by two hexadecimal digits";
      return false;
    }
    if (!readable(p.name) || !readable(p.value)) {
      error = "the query string does not decode to text";
      return false;
    }
    if (p.name.empty()) {
      error = "the query string holds a parameter without a name";
      return false;
    }
    out.push_back(std::move(p));
  }
  return true;
}

} // namespace adtrack::http
