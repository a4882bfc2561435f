// The identity of an event: XXH3-128 of (type, ad_id, event_id). Two events with equal identities are one event.
#pragma once

#include <compare>
#include <cstdint>
#include <string_view>

namespace adtrack {

enum class event_type : uint8_t;

struct identity {
  uint64_t high = 0;
  uint64_t low = 0;
  // clang-tidy takes the zero that the defaulted operator compares with for a null pointer.
  auto operator<=>(const identity&) const = default; // NOLINT(modernize-use-nullptr)
};

// Hash of: type as one byte (its enum value), ad_id as 8 bytes little-endian, then the bytes of event_id.
identity identity_of(event_type type, uint64_t ad_id, std::string_view event_id) noexcept;

} // namespace adtrack
