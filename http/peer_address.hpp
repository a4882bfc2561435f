// The address at the other end of a socket.
#pragma once

#include "model/ip_address.hpp"

namespace adtrack::http {

// An IPv4-mapped IPv6 address is IPv4; family none when the socket has no such end.
ip_address peer_of(int fd);

} // namespace adtrack::http
