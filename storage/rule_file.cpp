#include "storage/rule_file.hpp"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace adtrack::storage {
namespace {

constexpr int64_t second_ns = 1'000'000'000;
constexpr int64_t fresh_ns = 2 * second_ns;

int64_t ns_of(const timespec& t) { return static_cast<int64_t>(t.tv_sec) * second_ns + t.tv_nsec; }

} // namespace

file_stamp stamp_of(const std::string& path) {
  struct stat found {};
  if (::stat(path.c_str(), &found) != 0) return {};
  return {found.st_dev, found.st_ino, found.st_size, ns_of(found.st_mtim), ns_of(found.st_ctim)};
}

bool is_fresh(const file_stamp& stamp) {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return stamp.size >= 0 && std::abs(ns_of(now) - stamp.changed_ns) < fresh_ns;
}

result<std::string> read_rule_file(const std::string& what, const std::string& path, size_t bytes_max) {
  const auto failed = [&](const char* why) { return status{errc::io, "cannot read the " + what + " " + path + ": " + why}; };
  // A pipe in its place must not hold up the reader.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return failed(std::strerror(errno));
  std::string out;
  char buffer[65'536];
  ssize_t got = 1;
  while (got != 0 && out.size() <= bytes_max) {
    got = ::read(fd, buffer, sizeof buffer);
    if (got > 0) out.append(buffer, static_cast<size_t>(got));
    if (got < 0 && errno != EINTR) break;
  }
  const int why = errno;
  ::close(fd);
  if (got < 0) return failed(std::strerror(why));
  if (out.size() > bytes_max) return failed(("it is larger than " + std::to_string(bytes_max) + " bytes").c_str());
  return out;
}

} // namespace adtrack::storage
