#include "http/trace_context.hpp"

#include <algorithm>
#include <cstddef>

namespace adtrack::http {
namespace {

constexpr size_t trace_at = 3, trace_size = 32, parent_at = 36, parent_size = 16, flags_at = 53, whole = 55;

bool hex(std::string_view text) noexcept {
  return std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}
bool id(std::string_view text) noexcept { return hex(text) && text.find_first_not_of('0') != std::string_view::npos; }

} // namespace

std::string_view trace_parent(std::string_view header) noexcept {
  if (header.size() < whole) return {};
  const auto version = header.substr(0, 2);
  const bool longer = header.size() > whole && (version == "00" || header[whole] != '-');
  const bool good = hex(version) && version != "ff" && !longer && header[2] == '-' && id(header.substr(trace_at, trace_size)) &&
                    header[trace_at + trace_size] == '-' && id(header.substr(parent_at, parent_size)) &&
                    header[parent_at + parent_size] == '-' && hex(header.substr(flags_at, 2));
  return good ? header.substr(0, whole) : std::string_view();
}

std::string_view trace_id(std::string_view parent) noexcept {
  return parent.empty() ? parent : parent.substr(trace_at, trace_size);
}

} // namespace adtrack::http
