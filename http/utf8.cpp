#include "http/utf8.hpp"

#include <algorithm>

namespace adtrack::http {

size_t utf8_sequence(std::string_view text) noexcept {
  if (text.empty()) return 0;
  auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  unsigned char first = byte(0);
  if (first < 0x80) return 1;
  if (first < 0xc2 || first > 0xf4) return 0;
  size_t size = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  if (text.size() < size) return 0;
  for (size_t i = 1; i < size; ++i)
    if ((byte(i) & 0xc0) != 0x80) return 0;
  unsigned char second = byte(1);
  // Overlong forms, surrogates and what lies past U+10FFFF.
  if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) || (first == 0xf0 && second < 0x90) ||
      (first == 0xf4 && second > 0x8f))
    return 0;
  return size;
}

bool valid_utf8(std::string_view text) noexcept {
  while (!text.empty()) {
    size_t size = utf8_sequence(text);
    if (size == 0) return false;
    text.remove_prefix(size);
  }
  return true;
}

size_t code_points(std::string_view valid) noexcept {
  return static_cast<size_t>(
      std::count_if(valid.begin(), valid.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

std::string sanitise_utf8(std::string_view text, size_t bytes_max) {
  std::string out;
  out.reserve(std::min(text.size(), bytes_max));
  while (!text.empty()) {
    size_t size = utf8_sequence(text);
    size_t taken = std::max<size_t>(size, 1);
    if (out.size() + taken > bytes_max) break;
    if (size == 0)
      out.push_back('?');
    else
      out.append(text.substr(0, size));
    text.remove_prefix(taken);
  }
  return out;
}

} // namespace adtrack::http
