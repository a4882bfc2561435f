#include "http/peer_address.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>

namespace adtrack::http {

ip_address peer_of(int fd) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  ip_address out;
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&storage), &size) != 0) return out;
  if (storage.ss_family == AF_INET) {
    out.kind = ip_address::family::v4;
    std::memcpy(out.bytes.data(), &reinterpret_cast<const sockaddr_in&>(storage).sin_addr, 4);
  } else if (storage.ss_family == AF_INET6) {
    const auto& address = reinterpret_cast<const sockaddr_in6&>(storage).sin6_addr;
    bool mapped = IN6_IS_ADDR_V4MAPPED(&address);
    out.kind = mapped ? ip_address::family::v4 : ip_address::family::v6;
    std::memcpy(out.bytes.data(), address.s6_addr + (mapped ? 12 : 0), mapped ? 4 : 16);
  }
  return out;
}

} // namespace adtrack::http
