#include "model/ip_address.hpp"

#include <algorithm>
#include <charconv>
#include <cstddef>

namespace adtrack {
namespace {

// Exactly four decimal numbers 0-255 without leading zeros.
bool parse_v4(std::string_view text, uint8_t* out) noexcept {
  for (int part = 0; part < 4; ++part) {
    if (part > 0) {
      if (text.empty() || text[0] != '.') return false;
      text.remove_prefix(1);
    }
    size_t digits = 0;
    unsigned value = 0;
    while (digits < text.size() && digits < 3 && text[digits] >= '0' && text[digits] <= '9') {
      value = value * 10 + static_cast<unsigned>(text[digits++] - '0');
    }
    if (digits == 0 || value > 255 || (digits > 1 && text[0] == '0')) return false;
    out[part] = static_cast<uint8_t>(value);
    text.remove_prefix(digits);
  }
  return text.empty();
}

int hex_value(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool parse_v6(std::string_view text, std::array<uint8_t, 16>& out) noexcept {
  std::array<uint8_t, 16> bytes{};
  size_t size = 0;   // bytes read so far
  int gap = -1;      // where "::" stands, in bytes
  bool first = true; // no group yet, or right after "::": no ':' is due
  if (text.starts_with("::")) {
    gap = 0;
    text.remove_prefix(2);
  }
  while (!text.empty()) {
    if (!first) {
      if (text[0] != ':') return false;
      text.remove_prefix(1);
      if (text.starts_with(':')) {
        if (gap >= 0) return false;
        gap = static_cast<int>(size);
        text.remove_prefix(1);
        if (text.empty()) break;
      }
    }
    first = false;
    if (text.find(':') == std::string_view::npos && text.find('.') != std::string_view::npos) {
      if (size > 12 || !parse_v4(text, bytes.data() + size)) return false;
      size += 4;
      break;
    }
    unsigned value = 0;
    size_t digits = 0;
    for (; digits < text.size() && digits < 4 && hex_value(text[digits]) >= 0; ++digits) {
      value = value << 4 | static_cast<unsigned>(hex_value(text[digits]));
    }
    if (digits == 0 || size > 14) return false;
    bytes[size++] = static_cast<uint8_t>(value >> 8);
    bytes[size++] = static_cast<uint8_t>(value);
    text.remove_prefix(digits);
  }
  if (gap < 0) {
    if (size != 16) return false;
  } else {
    if (size > 14) return false; // "::" stands for at least one group
    std::move_backward(bytes.begin() + gap, bytes.begin() + static_cast<std::ptrdiff_t>(size), bytes.end());
    std::fill(bytes.begin() + gap, bytes.end() - (static_cast<std::ptrdiff_t>(size) - gap), uint8_t{0});
  }
  out = bytes;
  return true;
}

bool is_mapped_v4(const std::array<uint8_t, 16>& bytes) noexcept {
  return std::all_of(bytes.begin(), bytes.begin() + 10, [](uint8_t b) { return b == 0; }) && bytes[10] == 0xff &&
         bytes[11] == 0xff;
}

template <class Number>
void append_number(std::string& out, Number value, int base) {
  char text[8];
  out.append(text, std::to_chars(text, text + sizeof text, static_cast<unsigned>(value), base).ptr);
}

std::string v6_text(const std::array<uint8_t, 16>& bytes) {
  std::array<unsigned, 8> groups{};
  for (size_t i = 0; i < 8; ++i) groups[i] = static_cast<unsigned>(bytes[2 * i] << 8 | bytes[2 * i + 1]);
  // RFC 5952, 4.2: "::" for the longest run of two or more zero groups, the first of equals.
  size_t run = 0, run_size = 1;
  for (size_t i = 0; i < 8; ++i) {
    size_t end = i;
    while (end < 8 && groups[end] == 0) ++end;
    if (end - i > run_size) {
      run = i;
      run_size = end - i;
    }
  }
  std::string text;
  for (size_t i = 0; i < 8;) {
    if (run_size > 1 && i == run) {
      text += "::";
      i += run_size;
      continue;
    }
    if (!text.empty() && text.back() != ':') text += ':';
    append_number(text, groups[i++], 16);
  }
  return text;
}

} // namespace

ip_address parse_ip_address(std::string_view text) noexcept {
  ip_address address;
  if (parse_v4(text, address.bytes.data())) {
    address.kind = ip_address::family::v4;
    return address;
  }
  address = {};
  std::array<uint8_t, 16> bytes{};
  if (!parse_v6(text, bytes)) return address;
  if (is_mapped_v4(bytes)) {
    address.kind = ip_address::family::v4;
    std::copy(bytes.begin() + 12, bytes.end(), address.bytes.begin());
  } else {
    address.kind = ip_address::family::v6;
    address.bytes = bytes;
  }
  return address;
}

ip_address mask(const ip_address& address) noexcept {
  size_t kept = 0;
  switch (address.kind) {
  case ip_address::family::none: break;
  case ip_address::family::v4: kept = 3; break;
  case ip_address::family::v6: kept = 6; break;
  }
  ip_address masked;
  masked.kind = address.kind;
  std::copy_n(address.bytes.begin(), kept, masked.bytes.begin());
  return masked;
}

std::string to_string(const ip_address& address) {
  switch (address.kind) {
  case ip_address::family::none: return {};
  case ip_address::family::v4: {
    std::string text;
    for (size_t i = 0; i < 4; ++i) {
      if (i > 0) text += '.';
      append_number(text, address.bytes[i], 10);
    }
    return text;
  }
  case ip_address::family::v6: return v6_text(address.bytes);
  }
  return {};
}

} // namespace adtrack
