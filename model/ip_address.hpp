// An IPv4 or IPv6 address in canonical form: an IPv4-mapped IPv6 address is IPv4.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

namespace adtrack {

struct ip_address {
  enum class family : uint8_t { none, v4, v6 };
  family kind = family::none;
  std::array<uint8_t, 16> bytes{}; // v4 uses the first four
  auto operator<=>(const ip_address&) const = default;
};

// Parses dotted-quad IPv4 (no leading zeros, no short forms) or RFC 4291 IPv6 text (no zone, no brackets).
// Returns family none for anything else.
ip_address parse_ip_address(std::string_view text) noexcept;

// IPv4 to its /24, IPv6 to its /48: host bits become zero.
ip_address mask(const ip_address& address) noexcept;

// Canonical text (RFC 5952 for IPv6); empty for family none.
std::string to_string(const ip_address& address);

} // namespace adtrack
