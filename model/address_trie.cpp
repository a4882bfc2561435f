#include "model/address_trie.hpp"

#include <algorithm>
#include <bit>

namespace adtrack {
namespace {

constexpr unsigned key_bits = 128;

unsigned width_of(ip_address::family kind) noexcept { return kind == ip_address::family::v4 ? 32 : key_bits; }

// The address's bits from the top, so that both families are walked alike.
absl::uint128 key_of(const ip_address& address) noexcept {
  uint64_t high = 0, low = 0;
  for (size_t i = 0; i < 8; ++i) high = high << 8 | address.bytes[i];
  for (size_t i = 8; i < 16; ++i) low = low << 8 | address.bytes[i];
  if (address.kind == ip_address::family::v4) return absl::MakeUint128(high & 0xffffffff00000000u, 0);
  return absl::MakeUint128(high, low);
}

absl::uint128 top_bits(unsigned bits) noexcept { return bits == 0 ? absl::uint128(0) : absl::Uint128Max() << (key_bits - bits); }
absl::uint128 low_bits(unsigned bits) noexcept { return bits == 0 ? absl::uint128(0) : absl::Uint128Max() >> (key_bits - bits); }

unsigned common_bits(absl::uint128 a, absl::uint128 b) noexcept {
  const absl::uint128 differ = a ^ b;
  const uint64_t high = absl::Uint128High64(differ);
  return static_cast<unsigned>(high != 0 ? std::countl_zero(high) : 64 + std::countl_zero(absl::Uint128Low64(differ)));
}

unsigned trailing_zeros(absl::uint128 value) noexcept {
  const uint64_t low = absl::Uint128Low64(value);
  return static_cast<unsigned>(low != 0 ? std::countr_zero(low) : 64 + std::countr_zero(absl::Uint128High64(value)));
}

size_t bit_at(absl::uint128 key, unsigned place) noexcept {
  return static_cast<size_t>(absl::Uint128Low64(key >> (key_bits - 1 - place)) & 1);
}

} // namespace

address_trie::index address_trie::make(absl::uint128 key, unsigned bits, bool network) {
  nodes_.push_back({key & top_bits(bits), {none, none}, static_cast<uint8_t>(bits), network});
  networks_ += network;
  return static_cast<index>(nodes_.size() - 1);
}

void address_trie::insert(size_t root, absl::uint128 key, unsigned bits) {
  index parent = none, at = roots_[root];
  // By index, as nodes move when one is made.
  const auto put = [&](index what) {
    (parent == none ? roots_[root] : nodes_[parent].child[bit_at(key, nodes_[parent].bits)]) = what;
  };
  for (;;) {
    if (at == none) return put(make(key, bits, true));
    const unsigned common = std::min({common_bits(nodes_[at].key, key), unsigned{nodes_[at].bits}, bits});
    if (common < nodes_[at].bits) { // they part above the node: a new one goes between, or takes the place above it
      const index fork = make(key, common, common == bits);
      nodes_[fork].child[bit_at(nodes_[at].key, common)] = at;
      put(fork);
      if (common == bits) return;
      const index leaf = make(key, bits, true);
      nodes_[fork].child[bit_at(key, common)] = leaf;
      return;
    }
    if (common == bits) {
      networks_ += !nodes_[at].network;
      nodes_[at].network = true;
      return;
    }
    parent = at;
    at = nodes_[at].child[bit_at(key, nodes_[at].bits)];
  }
}

void address_trie::add(const ip_address& base, unsigned bits) {
  if (base.kind == ip_address::family::none) return;
  bits = std::min(bits, width_of(base.kind));
  insert(root_of(base.kind), key_of(base) & top_bits(bits), bits);
}

void address_trie::add_range(const ip_address& first, const ip_address& last) {
  if (first.kind == ip_address::family::none || first.kind != last.kind || last < first) return;
  const unsigned width = width_of(first.kind), unused = key_bits - width;
  absl::uint128 from = key_of(first) >> unused;
  const absl::uint128 to = key_of(last) >> unused;
  for (;;) { // each time the largest network that begins at `from` and does not pass `to`
    unsigned host = std::min(trailing_zeros(from), width);
    while ((from | low_bits(host)) > to) --host;
    insert(root_of(first.kind), from << unused, width - host);
    const absl::uint128 end = from | low_bits(host);
    if (end == to) return;
    from = end + 1;
  }
}

int address_trie::longest_match(const ip_address& address) const noexcept {
  int longest = -1;
  if (address.kind == ip_address::family::none) return longest;
  const auto key = key_of(address);
  const unsigned width = width_of(address.kind);
  for (index at = roots_[root_of(address.kind)]; at != none;) {
    const auto& n = nodes_[at];
    if (common_bits(n.key, key) < n.bits) break;
    if (n.network) longest = n.bits;
    if (n.bits == width) break;
    at = n.child[bit_at(key, n.bits)];
  }
  return longest;
}

} // namespace adtrack
