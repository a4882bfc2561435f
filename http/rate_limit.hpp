// How often: token buckets for keys and for client addresses, shared by all loops. A bucket is one number, the time at which it
// will be full again (the generic cell rate algorithm, ITU-T I.371), so that nothing has to refill it. Times are steady-clock
// nanoseconds. All calls come from any thread.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

#include "model/ip_address.hpp"

namespace adtrack::http {

struct rate {
  uint32_t per_second = 0; // 0: no limit
  uint32_t burst = 0;      // most tokens at once; 0: what a second gives
};

// What `n` tokens at `now_ns` do to a bucket that is full at `full_at_ns`: 0 and the new time, or the nanoseconds to wait. More
// tokens than the burst are given once the bucket is full, and the next ones wait for all of them.
int64_t take_tokens(int64_t& full_at_ns, uint32_t n, int64_t now_ns, const rate& r) noexcept;

class token_bucket {
public:
  // 0: taken; else the nanoseconds after which they could be.
  int64_t take(uint32_t n, int64_t now_ns, const rate& r) noexcept;
  void give_back(uint32_t n, const rate& r) noexcept;

private:
  std::atomic<int64_t> full_at_ns_{0};
};

// The buckets of addresses: IPv4 as they are, IPv6 by their /64, which is what one customer has. A fixed table; its slots are
// found by a secret hash in groups of eight. A new address takes the slot of its group that is free or full again, else the one
// that is full soonest, which is forgotten: so a client with ever new addresses is not limited by them, but neither slows down
// others nor makes the server forget those who owe most.
class address_buckets {
public:
  address_buckets(uint32_t max_addresses, uint64_t seed);
  int64_t take(const ip_address& from, uint32_t n, int64_t now_ns, const rate& r);

private:
  static constexpr size_t ways = 8;
  struct slot {
    uint64_t tag = 0; // the address's hash; 0: free
    int64_t full_at_ns = 0;
  };
  using group = std::array<slot, ways>;
  struct alignas(64) padded_mutex {
    std::mutex mutex;
  };
  const uint64_t seed_;
  std::vector<group> groups_;
  std::array<padded_mutex, 64> locks_;
};

struct rate_options {
  rate key;
  rate address;
  uint32_t max_addresses = 100'000;
};

class rate_limiter {
public:
  explicit rate_limiter(const rate_options& options);
  bool active() const noexcept { return key().per_second > 0 || limits_addresses(); }
  bool limits_addresses() const noexcept { return address().per_second > 0; }

  // Rates in force; they may change at any time. What a bucket still owes it owes as before.
  rate key() const noexcept { return key_.load(std::memory_order_relaxed); }
  rate address() const noexcept { return address_.load(std::memory_order_relaxed); }
  void set_key(rate r) noexcept { key_.store(r, std::memory_order_relaxed); }
  void set_address(rate r) noexcept { address_.store(r, std::memory_order_relaxed); }

  // Takes `n` tokens from the key's bucket (null: it has none) and from the address's, from both or from neither. 0, or the
  // nanoseconds after which they could be there.
  int64_t take(token_bucket* key, const ip_address& from, uint32_t n, int64_t now_ns);

private:
  std::atomic<rate> key_, address_;
  address_buckets addresses_;
};

} // namespace adtrack::http
