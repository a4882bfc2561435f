#include "config/small_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace adtrack::config {

bool read_small_file(const char* what, const std::string& path, std::string& text, std::string& error) {
  text.clear();
  errno = 0;
  // A pipe in its place must not hold up the reader.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  char buffer[16'384];
  ssize_t got = fd < 0 ? -1 : 1;
  while (got > 0 && text.size() <= small_file_bytes_max) {
    got = ::read(fd, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR)
      got = 1;
    else if (got > 0)
      text.append(buffer, static_cast<size_t>(got));
  }
  const int why = errno;
  if (fd >= 0) ::close(fd);
  error.clear();
  if (got < 0)
    error = std::string("cannot read the ") + what + " " + path + ": " + std::strerror(why);
  else if (text.size() > small_file_bytes_max)
    error = std::string("the ") + what + " " + path + " is larger than " + std::to_string(small_file_bytes_max) + " bytes";
  if (error.empty()) return true;
  text.clear();
  return false;
}

} // namespace adtrack::config
