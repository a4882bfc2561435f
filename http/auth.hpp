// Bearer keys. Comparing takes the same time for every wrong token of a length. Read-only once made.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace adtrack::http {

class key_ring {
public:
  explicit key_ring(std::vector<std::string> tokens);
  bool empty() const noexcept { return tokens_.empty(); }
  bool holds(std::string_view token) const noexcept;

private:
  std::vector<std::string> tokens_;
};

// The token of "Bearer <token>" (the scheme in any case); empty when the header is something else.
std::string_view bearer_token(std::string_view authorization) noexcept;

} // namespace adtrack::http
