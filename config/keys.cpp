#include "config/keys.hpp"

#include <algorithm>

namespace adtrack::config {

namespace {

constexpr size_t keys_max = 1'000; // each request's token is compared with all of them
constexpr size_t name_bytes_max = 64;
constexpr std::string_view scheme = "sha256:";
constexpr std::string_view blank = " \t\r";
constexpr std::string_view name_characters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";

std::string_view trim(std::string_view s) {
  const size_t first = s.find_first_not_of(blank);
  if (first == std::string_view::npos) return {};
  return s.substr(first, s.find_last_not_of(blank) - first + 1);
}

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool parse_line(std::string_view line, hashed_key& out) {
  const size_t gap = std::min(line.find_first_of(blank), line.size());
  const std::string_view name = line.substr(0, gap);
  const std::string_view rest = trim(line.substr(gap));
  if (name.size() > name_bytes_max || name.find_first_not_of(name_characters) != std::string_view::npos) return false;
  if (rest.size() != scheme.size() + 2 * out.digest.size() || rest.substr(0, scheme.size()) != scheme) return false;
  out.name = name;
  for (size_t i = 0; i < out.digest.size(); ++i) {
    const int high = digit(rest[scheme.size() + 2 * i]);
    const int low = digit(rest[scheme.size() + 2 * i + 1]);
    if (high < 0 || low < 0) return false;
    out.digest[i] = static_cast<uint8_t>(high * 16 + low);
  }
  return true;
}

} // namespace

key_list parse_keys(const std::string& path, std::string_view text) {
  key_list out;
  const auto fail = [&](int line, const std::string& why) {
    out.keys.clear();
    out.error = "key file " + path + ", line " + std::to_string(line) + ": " + why;
    return out;
  };
  for (int number = 1; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = trim(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.front() == '#') continue;
    hashed_key key;
    if (!parse_line(line, key))
      return fail(number, "a line is NAME sha256:HEX with the SHA-256 of the token, as scripts/make-key.sh NAME prints it");
    if (std::any_of(out.keys.begin(), out.keys.end(), [&](const hashed_key& k) { return k.digest == key.digest; }))
      return fail(number, "this key stands in the file already");
    if (out.keys.size() == keys_max) return fail(number, "a file holds at most " + std::to_string(keys_max) + " keys");
    out.keys.push_back(std::move(key));
  }
  if (out.keys.empty()) out.error = "key file " + path + " holds no key: scripts/make-key.sh NAME makes one";
  return out;
}

} // namespace adtrack::config
