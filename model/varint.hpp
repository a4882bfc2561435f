// Numbers as stored forms hold them: unsigned LEB128 and 8 bytes little-endian in values, big-endian in keys, where byte order is
// number order. Canonical only: a number has one encoding, and any other is malformed.
#pragma once

#include <endian.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace adtrack {

inline void put_varint(std::string& out, uint64_t value) {
  char bytes[10];
  size_t size = 0;
  while (value >= 0x80) {
    bytes[size++] = static_cast<char>(value | 0x80);
    value >>= 7;
  }
  bytes[size++] = static_cast<char>(value);
  out.append(bytes, size);
}

// Consumes one number from the front of `in`; false, with `in` and `out` untouched, when it is cut short, over-long or past 64
// bits.
inline bool get_varint(std::string_view& in, uint64_t& out) noexcept {
  uint64_t value = 0;
  for (size_t i = 0; i < in.size() && i < 10; ++i) {
    const auto byte = static_cast<uint8_t>(in[i]);
    if (i == 9 && byte > 1) return false;
    value |= static_cast<uint64_t>(byte & 0x7f) << (7 * i);
    if (byte & 0x80) continue;
    if (byte == 0 && i > 0) return false;
    in.remove_prefix(i + 1);
    out = value;
    return true;
  }
  return false;
}

// Consumes a length and so many bytes from the front of `in`; false when there are fewer, and then `in` may have lost the length.
inline bool take_string(std::string_view& in, std::string_view& out) noexcept {
  uint64_t length = 0;
  if (!get_varint(in, length) || in.size() < length) return false;
  out = in.substr(0, length);
  in.remove_prefix(length);
  return true;
}

inline void put_fixed64(std::string& out, uint64_t value) {
  value = htole64(value);
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

// Consumes 8 bytes from the front of `in`; false, with `in` and `out` untouched, when there are fewer.
inline bool get_fixed64(std::string_view& in, uint64_t& out) noexcept {
  if (in.size() < 8) return false;
  std::memcpy(&out, in.data(), 8);
  out = le64toh(out);
  in.remove_prefix(8);
  return true;
}

// The low `bytes` bytes of `value`, the highest first, to `at`; returns the place after them.
template <size_t bytes>
char* store_big_endian(char* at, uint64_t value) noexcept {
  static_assert(bytes > 0 && bytes <= 8);
  value = htobe64(value << (8 * (8 - bytes)));
  std::memcpy(at, &value, bytes);
  return at + bytes;
}
template <size_t bytes>
void put_big_endian(std::string& out, uint64_t value) {
  char text[bytes];
  out.append(text, static_cast<size_t>(store_big_endian<bytes>(text, value) - text));
}

// The first `bytes` bytes of `in`, which must be there.
template <size_t bytes>
uint64_t read_big_endian(std::string_view in) noexcept {
  static_assert(bytes > 0 && bytes <= 8);
  uint64_t value = 0;
  std::memcpy(&value, in.data(), bytes);
  return be64toh(value) >> (8 * (8 - bytes));
}

} // namespace adtrack
