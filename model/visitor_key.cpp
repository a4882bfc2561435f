#include "model/visitor_key.hpp"

#include <bit>

namespace adtrack {
namespace {

// First byte of everything hashed under the secret, so that one use never says anything about another.
enum class domain : uint8_t { key_id = 0, visitor = 1, fields = 2 };

uint64_t load_le64(const uint8_t* from) noexcept {
  uint64_t value = 0;
  for (int i = 0; i < 8; ++i) value |= static_cast<uint64_t>(from[i]) << (8 * i);
  return value;
}

struct sip_state {
  uint64_t v0, v1, v2, v3;

  void round() noexcept {
    v0 += v1;
    v1 = std::rotl(v1, 13) ^ v0;
    v0 = std::rotl(v0, 32);
    v2 += v3;
    v3 = std::rotl(v3, 16) ^ v2;
    v0 += v3;
    v3 = std::rotl(v3, 21) ^ v0;
    v2 += v1;
    v1 = std::rotl(v1, 17) ^ v2;
    v2 = std::rotl(v2, 32);
  }

  void absorb(uint64_t word) noexcept {
    v3 ^= word;
    round();
    round();
    v0 ^= word;
  }
};

// Collects the bytes of one hash input. Inputs are self-delimiting: fixed fields first, the one variable field last.
class hash_input {
public:
  explicit hash_input(domain use, size_t variable_bytes = 0) {
    bytes_.reserve(fixed_bytes_max + variable_bytes); // this runs twice an event
    bytes_.push_back(static_cast<char>(use));
  }

  void put(uint8_t value) { bytes_.push_back(static_cast<char>(value)); }
  void put_le(uint64_t value, int size) {
    for (int i = 0; i < size; ++i) put(static_cast<uint8_t>(value >> (8 * i)));
  }
  void put(std::string_view text) { bytes_.append(text); }
  void put(const ip_address& address) {
    put(static_cast<uint8_t>(address.kind));
    size_t size = 0;
    switch (address.kind) {
    case ip_address::family::none: break;
    case ip_address::family::v4: size = 4; break;
    case ip_address::family::v6: size = 16; break;
    }
    bytes_.append(reinterpret_cast<const char*>(address.bytes.data()), size);
  }

  uint64_t hash(const visitor_key& key) const noexcept {
    return siphash24(key.secret, {reinterpret_cast<const uint8_t*>(bytes_.data()), bytes_.size()});
  }

private:
  static constexpr size_t fixed_bytes_max = 48; // domain, flags, progress, time, two numbers, address
  std::string bytes_;
};

} // namespace

uint64_t siphash24(const std::array<uint8_t, 16>& key, std::span<const uint8_t> data) noexcept {
  const uint64_t k0 = load_le64(key.data());
  const uint64_t k1 = load_le64(key.data() + 8);
  sip_state s{k0 ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du, k0 ^ 0x6c7967656e657261u, k1 ^ 0x7465646279746573u};
  size_t i = 0;
  for (; i + 8 <= data.size(); i += 8) s.absorb(load_le64(data.data() + i));
  uint64_t last = static_cast<uint64_t>(data.size()) << 56;
  for (int shift = 0; i < data.size(); ++i, shift += 8) last |= static_cast<uint64_t>(data[i]) << shift;
  s.absorb(last);
  s.v2 ^= 0xff;
  for (int r = 0; r < 4; ++r) s.round();
  return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

std::string visitor_key::id() const {
  const auto hash = static_cast<uint32_t>(hash_input(domain::key_id).hash(*this));
  std::string text;
  for (int shift = 28; shift >= 0; shift -= 4) text.push_back("0123456789abcdef"[hash >> shift & 15]);
  return text;
}

uint64_t visitor_of(const visitor_key& key, const ip_address& address, std::string_view agent) {
  hash_input input(domain::visitor, agent.size());
  input.put(address);
  input.put(agent);
  return input.hash(key);
}

uint32_t fields_hash_of(const visitor_key& key, const submission& s) {
  hash_input input(domain::fields, s.agent.size());
  const bool has_play_time = s.play_time_secs != absent;
  const bool has_watched = s.watched_percent != absent;
  input.put(
      static_cast<uint8_t>(s.time_given | s.address_given << 1 | s.agent_given << 2 | has_play_time << 3 | has_watched << 4));
  input.put(static_cast<uint8_t>(s.progress));
  if (s.time_given) input.put_le(static_cast<uint64_t>(s.time_s), 8);
  if (has_play_time) input.put_le(static_cast<uint32_t>(s.play_time_secs), 4);
  if (has_watched) input.put_le(static_cast<uint32_t>(s.watched_percent), 4);
  if (s.address_given) input.put(s.address);
  if (s.agent_given) input.put(s.agent);
  return static_cast<uint32_t>(input.hash(key));
}

} // namespace adtrack
