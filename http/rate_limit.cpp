#include "http/rate_limit.hpp"

#include <xxhash.h>

#include <algorithm>
#include <random>

namespace adtrack::http {
namespace {

constexpr int64_t second_ns = 1'000'000'000;

int64_t cost_ns(uint64_t tokens, const rate& r) { return static_cast<int64_t>(tokens * second_ns / r.per_second); }

uint64_t random_seed() {
  std::random_device device;
  return uint64_t{device()} << 32 | device();
}

} // namespace

int64_t take_tokens(int64_t& full_at_ns, uint32_t n, int64_t now_ns, const rate& r) noexcept {
  int64_t start = std::max(full_at_ns, now_ns);
  int64_t end = start + cost_ns(n, r);
  int64_t too_much = end - now_ns - cost_ns(r.burst > 0 ? r.burst : r.per_second, r);
  int64_t wait = std::min(too_much, start - now_ns);
  if (wait > 0) return wait;
  full_at_ns = end;
  return 0;
}

int64_t token_bucket::take(uint32_t n, int64_t now_ns, const rate& r) noexcept {
  int64_t seen = full_at_ns_.load(std::memory_order_relaxed);
  for (;;) {
    int64_t next = seen;
    if (int64_t wait = take_tokens(next, n, now_ns, r); wait > 0) return wait;
    if (full_at_ns_.compare_exchange_weak(seen, next, std::memory_order_relaxed)) return 0;
  }
}

void token_bucket::give_back(uint32_t n, const rate& r) noexcept {
  full_at_ns_.fetch_sub(cost_ns(n, r), std::memory_order_relaxed);
}

address_buckets::address_buckets(uint32_t max_addresses, uint64_t seed)
    : seed_(seed), groups_(std::max<size_t>((max_addresses + ways - 1) / ways, 1)) {}

int64_t address_buckets::take(const ip_address& from, uint32_t n, int64_t now_ns, const rate& r) {
  std::array<uint8_t, 9> name{};
  name[0] = static_cast<uint8_t>(from.kind);
  std::copy_n(from.bytes.begin(), from.kind == ip_address::family::v4 ? 4 : 8, name.begin() + 1);
  uint64_t tag = std::max<uint64_t>(XXH3_64bits_withSeed(name.data(), name.size(), seed_), 1);
  size_t at = tag % groups_.size();

  std::lock_guard lock(locks_[at % locks_.size()].mutex);
  slot* best = nullptr; // full soonest; a free one is full since ever
  for (auto& s : groups_[at]) {
    if (s.tag == tag) return take_tokens(s.full_at_ns, n, now_ns, r);
    if (best == nullptr || s.full_at_ns < best->full_at_ns) best = &s;
  }
  *best = {tag, 0};
  return take_tokens(best->full_at_ns, n, now_ns, r);
}

rate_limiter::rate_limiter(const rate_options& options)
    : key_(options.key), address_(options.address), addresses_(options.max_addresses, random_seed()) {}

int64_t rate_limiter::take(token_bucket* key, const ip_address& from, uint32_t n, int64_t now_ns) {
  const auto of_key = this->key(), of_address = address(); // the same throughout
  const bool by_key = key != nullptr && of_key.per_second > 0;
  if (by_key)
    if (int64_t wait = key->take(n, now_ns, of_key); wait > 0) return wait;
  if (of_address.per_second == 0) return 0;
  const int64_t wait = addresses_.take(from, n, now_ns, of_address);
  if (wait > 0 && by_key) key->give_back(n, of_key);
  return wait;
}

} // namespace adtrack::http
