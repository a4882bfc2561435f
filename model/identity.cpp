#include "model/identity.hpp"

#include <cstring>

#define XXH_INLINE_ALL // identities are short: the call would cost as much as the hash
#include <xxhash.h>

#include "model/event.hpp"

namespace adtrack {
namespace {

constexpr size_t prefix_size = 1 + 8;

void put_prefix(uint8_t* to, event_type type, uint64_t ad_id) noexcept {
  to[0] = static_cast<uint8_t>(type);
  for (int i = 0; i < 8; ++i) to[1 + i] = static_cast<uint8_t>(ad_id >> (8 * i));
}

} // namespace

identity identity_of(event_type type, uint64_t ad_id, std::string_view event_id) noexcept {
  uint8_t bytes[prefix_size + 128];
  put_prefix(bytes, type, ad_id);
  XXH128_hash_t hash;
  if (event_id.size() <= sizeof bytes - prefix_size) {
    if (!event_id.empty()) std::memcpy(bytes + prefix_size, event_id.data(), event_id.size());
    hash = XXH3_128bits(bytes, prefix_size + event_id.size());
  } else { // longer than the contract allows: another writer's record
    XXH3_state_t state;
    XXH3_128bits_reset(&state);
    XXH3_128bits_update(&state, bytes, prefix_size);
    XXH3_128bits_update(&state, event_id.data(), event_id.size());
    hash = XXH3_128bits_digest(&state);
  }
  return {hash.high64, hash.low64};
}

} // namespace adtrack
