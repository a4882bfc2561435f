#include "http/client_address.hpp"

#include <algorithm>
#include <charconv>

namespace adtrack::http {
namespace {

unsigned width(const ip_address& address) { return address.kind == ip_address::family::v4 ? 32 : 128; }

bool same_prefix(const ip_address& a, const ip_address& b, unsigned bits) {
  for (unsigned i = 0; i * 8 < bits; ++i) {
    unsigned left = bits - i * 8;
    unsigned mask = left >= 8 ? 0xff : (0xff00u >> left) & 0xff;
    if ((a.bytes[i] ^ b.bytes[i]) & mask) return false;
  }
  return true;
}

// Nothing, or ":" and a port.
bool is_port(std::string_view text) {
  if (text.empty()) return true;
  return text[0] == ':' && text.size() > 1 && text.size() <= 6 &&
         text.find_first_not_of("0123456789", 1) == std::string_view::npos;
}

// "1.2.3.4", "1.2.3.4:567", "::1", "[::1]" and "[::1]:567", as proxies write them.
ip_address forwarded_address(std::string_view text) {
  auto plain = parse_ip_address(text);
  if (plain.kind != ip_address::family::none) return plain;
  bool bracketed = !text.empty() && text[0] == '[';
  size_t end = text.find(bracketed ? ']' : ':');
  if (end == std::string_view::npos || !is_port(text.substr(bracketed ? end + 1 : end))) return {};
  auto address = parse_ip_address(bracketed ? text.substr(1, end - 1) : text.substr(0, end));
  bool fits = (address.kind == ip_address::family::v4) != bracketed || address.kind == ip_address::family::none;
  return fits ? address : ip_address{};
}

} // namespace

bool proxy_list::add(const std::vector<std::string>& entries, std::string& error) {
  for (const auto& entry : entries) {
    std::string_view text = entry;
    size_t slash = text.find('/');
    network n;
    n.base = parse_ip_address(text.substr(0, slash));
    n.bits = width(n.base);
    bool good = n.base.kind != ip_address::family::none;
    if (good && slash != std::string_view::npos) {
      auto digits = text.substr(slash + 1);
      auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), n.bits);
      good = code == std::errc() && end == digits.data() + digits.size() && n.bits <= width(n.base);
    }
    if (!good) {
      error = "trusted proxy \"" + entry + "\" is neither an address nor a network such as 10.0.0.0/8";
      return false;
    }
    networks_.push_back(n);
  }
  return true;
}

bool proxy_list::trusts(const ip_address& address) const noexcept {
  return std::ranges::any_of(
      networks_, [&](const network& n) { return n.base.kind == address.kind && same_prefix(n.base, address, n.bits); });
}

ip_address proxy_list::client(const ip_address& peer, std::string_view bytes, const request_head& head) const {
  if (networks_.empty() || !head.has(header::forwarded_for) || !trusts(peer)) return peer;
  std::vector<std::string_view> hops;
  for_each_header(bytes, head, "x-forwarded-for", [&](std::string_view value) {
    for (size_t at = 0; at <= value.size();) {
      size_t comma = std::min(value.find(',', at), value.size());
      hops.push_back(trim(value.substr(at, comma - at)));
      at = comma + 1;
    }
  });
  ip_address known = peer;
  for (auto hop = hops.rbegin(); hop != hops.rend() && trusts(known); ++hop) {
    auto next = forwarded_address(*hop);
    if (next.kind == ip_address::family::none) break;
    known = next;
  }
  return known;
}

} // namespace adtrack::http
