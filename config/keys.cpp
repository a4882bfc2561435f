#include "config/keys.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <string_view>

namespace adtrack::config {

namespace {

constexpr size_t token_bytes_max = 1'024;
constexpr std::string_view token_characters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~+/=";

std::string_view trim(std::string_view s) {
  constexpr std::string_view blank = " \t\r";
  const size_t first = s.find_first_not_of(blank);
  if (first == std::string_view::npos) return {};
  return s.substr(first, s.find_last_not_of(blank) - first + 1);
}

} // namespace

key_list load_keys(const std::string& path) {
  key_list out;
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    out.error = "cannot read the key file " + path + ": " + std::strerror(errno);
    return out;
  }
  std::string line;
  for (int number = 1; std::getline(in, line); ++number) {
    const std::string_view token = trim(line);
    if (token.empty() || token.front() == '#') continue;
    if (token.size() > token_bytes_max || token.find_first_not_of(token_characters) != std::string_view::npos) {
      out.tokens.clear();
      out.error = "key file " + path + ", line " + std::to_string(number) + ": a key is at most " +
                  std::to_string(token_bytes_max) + " letters, digits or -._~+/=";
      return out;
    }
    out.tokens.emplace_back(token);
  }
  if (in.bad()) {
    out.tokens.clear();
    out.error = "cannot read the key file " + path + ": " + std::strerror(errno);
  } else if (out.tokens.empty()) {
    out.error = "key file " + path + " holds no key: write one a line, or leave the setting out";
  }
  return out;
}

} // namespace adtrack::config
