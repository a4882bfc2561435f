// Bearer keys, known by their SHA-256 only. A ring is read-only once made and may be asked from any thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/keys.hpp"
#include "http/rate_limit.hpp"

namespace prometheus {
class Counter;
}

namespace adtrack::http {

config::sha256_digest sha256(std::string_view bytes);

struct key {
  std::string name;
  config::sha256_digest digest{};
  prometheus::Counter* requests = nullptr; // that it opened the door for
  std::shared_ptr<token_bucket> bucket;    // one for all keys of a name
};

class key_ring {
public:
  explicit key_ring(std::vector<key> keys) : keys_(std::move(keys)) {}
  // The key of `token`, or null. Takes the same time for every token of a length: all keys are compared, in full.
  const key* find(std::string_view token) const;

private:
  std::vector<key> keys_;
};

// The token of "Bearer <token>" (the scheme in any case); empty when the header is something else.
std::string_view bearer_token(std::string_view authorization) noexcept;

} // namespace adtrack::http
