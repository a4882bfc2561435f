// Whose address an event carries when it names none: the peer's, or behind trusted proxies the one they vouch for. Read-only once
// made.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "http/framer.hpp"
#include "model/ip_address.hpp"

namespace adtrack::http {

class proxy_list {
public:
  // Addresses or networks in CIDR form; false with the entry that is neither in `error`.
  bool add(const std::vector<std::string>& entries, std::string& error);
  bool trusts(const ip_address& address) const noexcept;

  // X-Forwarded-For counted from the right: each trusted hop vouches for the entry before it. An entry that is not an address
  // ends the walk: what lies beyond it cannot be known.
  ip_address client(const ip_address& peer, std::string_view bytes, const request_head& head) const;

private:
  struct network {
    ip_address base;
    unsigned bits = 0;
  };
  std::vector<network> networks_;
};

} // namespace adtrack::http
