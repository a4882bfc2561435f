#include "storage/secret_file.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>

namespace adtrack::storage {

result<std::string> read_secret(const std::string& path, std::string_view setting) {
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  std::string line;
  if (!in || !std::getline(in, line))
    return status{errc::mismatch,
                  std::string(setting) + " cannot be read: " + path + ": " + (errno != 0 ? std::strerror(errno) : "it is empty")};
  if (!line.empty() && line.back() == '\r') line.pop_back();
  return line;
}

} // namespace adtrack::storage
