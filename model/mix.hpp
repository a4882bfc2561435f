// A fixed 64-bit finaliser: a bijection that spreads every input bit over all output bits. Not keyed, not for secrets.
#pragma once

#include <cstdint>

namespace adtrack {

// Source: David Stafford's variant 13 of MurmurHash3's 64-bit finaliser ("Better bit mixing", 2011). mix64(0) is 0.
constexpr uint64_t mix64(uint64_t x) noexcept {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

// Its inverse.
constexpr uint64_t unmix64(uint64_t x) noexcept {
  x = (x ^ (x >> 31) ^ (x >> 62)) * 0x319642b2d24d8ec3u;
  x = (x ^ (x >> 27) ^ (x >> 54)) * 0x96de1b173f119089u;
  return x ^ (x >> 30) ^ (x >> 60);
}
static_assert(unmix64(mix64(0x0123456789abcdefu)) == 0x0123456789abcdefu);

} // namespace adtrack
