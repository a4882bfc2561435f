// Reads a file of bearer tokens: one a line, blank lines and lines that begin with # are ignored. Never logs or returns a token
// in an error.
#pragma once

#include <string>
#include <vector>

namespace adtrack::config {

struct key_list {
  std::vector<std::string> tokens;
  std::string error; // "" or a sentence that names the file and the line
};

// An unreadable file, one without a token, or a token with other characters than RFC 6750 allows (letters, digits, -._~+/=) is an
// error: a key file that silently opens nothing, or everything, is worse than none.
key_list load_keys(const std::string& path);

} // namespace adtrack::config
