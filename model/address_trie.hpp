// A set of networks, IPv4 and IPv6, as a path-compressed binary (radix) trie: an address is looked up in at most as many steps as
// networks lie within one another around it, and the longest that holds it is found. Read-only once filled: any thread may ask.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <absl/numeric/int128.h>

#include "model/ip_address.hpp"

namespace adtrack {

class address_trie {
public:
  // The network of the first `bits` bits of `base`, whose other bits do not matter; at most 32 or 128. Family none adds nothing.
  void add(const ip_address& base, unsigned bits);
  // Every address from `first` to `last`, of one family and in order, as the fewest networks. At most 254 of them.
  void add_range(const ip_address& first, const ip_address& last);

  // Bits of the longest network that holds the address; -1: none does.
  int longest_match(const ip_address& address) const noexcept;
  bool contains(const ip_address& address) const noexcept { return longest_match(address) >= 0; }
  size_t networks() const noexcept { return networks_; } // distinct ones

private:
  using index = uint32_t;
  static constexpr index none = 0; // nodes_[0] stands for no node
  struct node {
    absl::uint128 key = 0; // its bits from the top; zeros behind them
    std::array<index, 2> child{none, none};
    uint8_t bits = 0;
    bool network = false;
  };

  static size_t root_of(ip_address::family kind) noexcept { return kind == ip_address::family::v4 ? 0 : 1; }
  index make(absl::uint128 key, unsigned bits, bool network);
  void insert(size_t root, absl::uint128 key, unsigned bits);

  std::vector<node> nodes_{1};
  std::array<index, 2> roots_{none, none}; // IPv4, IPv6
  size_t networks_ = 0;
};

} // namespace adtrack
