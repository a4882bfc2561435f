// Keyed hashes that stand in the log in place of personal data: SipHash-2-4 under a secret that all nodes share.
// Not reversible without the secret, and made from the unmasked address before it is masked.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "model/event.hpp"

namespace adtrack {

// 128-bit secret. `id` (8 hex digits, a hash of the secret) is what control records name it by.
struct visitor_key {
  std::array<uint8_t, 16> secret{};
  std::string id() const;
};

// SipHash-2-4, 64-bit output. Source: Aumasson and Bernstein, "SipHash: a fast short-input PRF" (2012), with its test vectors.
uint64_t siphash24(const std::array<uint8_t, 16>& key, std::span<const uint8_t> data) noexcept;

// Hash of the canonical unmasked address and the agent.
uint64_t visitor_of(const visitor_key& key, const ip_address& address, std::string_view agent);

// 32-bit hash of the client's own fields (timestamp, address and agent only when given by the client; play time,
// watched percent, progress always): two sends of one event that differ in it are a conflict.
uint32_t fields_hash_of(const visitor_key& key, const submission& s);

} // namespace adtrack
