#include "model/analytics.hpp"

#include <charconv>

namespace adtrack {
namespace {

// Decimal digits only, without sign or leading zeros; the whole of `text`.
template <class Number>
bool parse_decimal(std::string_view text, Number& out) noexcept {
  if (text.empty() || text[0] < '0' || text[0] > '9' || (text[0] == '0' && text.size() > 1)) return false;
  const auto end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, out);
  return error == std::errc{} && stop == end;
}

} // namespace

std::string_view to_string(resolution r) noexcept {
  switch (r) {
  case resolution::second: return "second";
  case resolution::minute: return "minute";
  case resolution::quarter_hour: return "quarter_hour";
  case resolution::hour: return "hour";
  case resolution::day: return "day";
  }
  return {};
}

std::string_view to_string(granularity g) noexcept {
  switch (g) {
  case granularity::none: return "none";
  case granularity::second: return "second";
  case granularity::minute: return "minute";
  case granularity::hour: return "hour";
  case granularity::day: return "day";
  }
  return {};
}

bool parse(std::string_view text, granularity& out) noexcept {
  for (auto g : {granularity::second, granularity::minute, granularity::hour, granularity::day}) {
    if (to_string(g) != text) continue;
    out = g;
    return true;
  }
  return false;
}

std::string_view to_string(log_fault f) noexcept {
  switch (f) {
  case log_fault::none: return "none";
  case log_fault::fork: return "fork";
  case log_fault::gap: return "gap";
  }
  return {};
}

std::string to_string(const position& p) { return std::to_string(p.shard) + ':' + std::to_string(p.offset); }

bool parse(std::string_view text, position& out) noexcept {
  const auto colon = text.find(':');
  if (colon == std::string_view::npos) return false;
  position p;
  if (!parse_decimal(text.substr(0, colon), p.shard) || !parse_decimal(text.substr(colon + 1), p.offset)) return false;
  out = p;
  return true;
}

} // namespace adtrack
