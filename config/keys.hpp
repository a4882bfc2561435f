// Reads the text of a key file: a line a key, NAME sha256:HEX, where HEX is the SHA-256 of the bearer token in 64 hexadecimal
// digits; blank lines and lines that begin with # are ignored. The file never holds a token, so whoever reads it can use none. A
// fast hash is right here: a token is 256 random bits, which nobody finds by trying, so a slow one would only make requests dear.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace adtrack::config {

using sha256_digest = std::array<uint8_t, 32>;

struct hashed_key {
  std::string name; // several lines may have the same one: while a client changes its token, both are good
  sha256_digest digest{};
};

struct key_list {
  std::vector<hashed_key> keys;
  std::string error; // "" or a sentence that names the file and the line, never what stands in it
};

// A line of another form, a digest that stands twice, more than 1,000 keys and a text without one are errors: a key file that
// silently opens nothing, or everything, is worse than none.
key_list parse_keys(const std::string& path, std::string_view text);

} // namespace adtrack::config
