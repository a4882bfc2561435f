#include "model/partitioner.hpp"

#include <charconv>

namespace adtrack {

uint32_t murmur2(std::string_view data) noexcept {
  constexpr uint32_t m = 0x5bd1e995u;
  const auto byte = [&](size_t i) { return static_cast<uint32_t>(static_cast<uint8_t>(data[i])); };
  uint32_t h = 0x9747b28cu ^ static_cast<uint32_t>(data.size());
  size_t i = 0;
  for (; i + 4 <= data.size(); i += 4) {
    uint32_t k = byte(i) | byte(i + 1) << 8 | byte(i + 2) << 16 | byte(i + 3) << 24;
    k *= m;
    k ^= k >> 24;
    k *= m;
    h = (h * m) ^ k;
  }
  const size_t rest = data.size() - i;
  if (rest > 2) h ^= byte(i + 2) << 16;
  if (rest > 1) h ^= byte(i + 1) << 8;
  if (rest > 0) h = (h ^ byte(i)) * m;
  h ^= h >> 13;
  h *= m;
  return h ^ (h >> 15);
}

uint32_t shard_of(uint64_t ad_id, uint32_t shards) noexcept {
  char text[20]; // 2^64 - 1 has 20 digits
  const auto end = std::to_chars(text, text + sizeof text, ad_id).ptr;
  return (murmur2({text, static_cast<size_t>(end - text)}) & 0x7fffffffu) % shards;
}

} // namespace adtrack
