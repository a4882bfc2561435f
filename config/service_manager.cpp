#include "config/service_manager.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace adtrack::config {

std::string tell_service_manager(std::string_view state) {
  const char* named = std::getenv("NOTIFY_SOCKET");
  if (named == nullptr || *named == 0) return {};
  const std::string path = named;
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  // A leading @ stands for the zero byte of an abstract socket, whose name has no end mark.
  const bool abstract = path[0] == '@';
  if ((path[0] != '/' && !abstract) || path.size() >= sizeof to.sun_path)
    return "NOTIFY_SOCKET is " + path + ", which is no path of a socket";
  std::memcpy(to.sun_path, path.data(), path.size());
  if (abstract) to.sun_path[0] = 0;
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + (abstract ? 0 : 1));
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const ssize_t sent =
      fd < 0 ? -1 : ::sendto(fd, state.data(), state.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&to), length);
  const int why = errno;
  if (fd >= 0) ::close(fd);
  return sent < 0 ? "the service manager at " + path + " could not be told: " + std::strerror(why) : std::string();
}

} // namespace adtrack::config
