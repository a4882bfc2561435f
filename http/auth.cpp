#include "http/auth.hpp"

#include <algorithm>

#include "http/framer.hpp"

namespace adtrack::http {

key_ring::key_ring(std::vector<std::string> tokens) : tokens_(std::move(tokens)) {
  // An empty token would open the door to "Bearer ".
  tokens_.erase(std::remove(tokens_.begin(), tokens_.end(), std::string()), tokens_.end());
}

bool key_ring::holds(std::string_view token) const noexcept {
  bool found = false;
  if (token.empty()) return false;
  for (const auto& key : tokens_) {
    size_t difference = key.size() ^ token.size();
    for (size_t i = 0; i < token.size(); ++i)
      difference |= static_cast<size_t>(static_cast<unsigned char>(token[i] ^ key[i % key.size()]));
    found |= difference == 0;
  }
  return found;
}

std::string_view bearer_token(std::string_view authorization) noexcept {
  if (authorization.size() < 8 || !equals_lower(authorization.substr(0, 6), "bearer") || authorization[6] != ' ') return {};
  return trim(authorization.substr(7));
}

} // namespace adtrack::http
