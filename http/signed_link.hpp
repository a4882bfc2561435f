// Click links that carry a signature, so that nobody makes clicks of ads that were never shown to anyone. The signature is
// HMAC-SHA256, in 64 lower-case hexadecimal digits, over these lines without a line end at the last: "click", the ad's id, the
// event_id, the expiry in unix seconds, the key's id. scripts/make-link.sh makes such links.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "config/watched_files.hpp"

namespace adtrack::http {

struct click_link {
  uint64_t ad_id = 0;
  std::string_view event_id;
  int64_t expires_s = 0;
  std::string_view key_id;
};

std::string sign(const click_link& link, std::string_view secret);

// The secrets by key id, as the text of a file gives them: a line a key, ID SECRET, where SECRET is 32 to 64 bytes in hexadecimal
// digits; blank lines and lines that begin with # are ignored. An ID has 1 to 64 letters, digits, - or _, and stands once.
using link_secrets = std::map<std::string, std::string, std::less<>>;
bool parse_link_secrets(const std::string& path, std::string_view text, link_secrets& out, std::string& error);

enum class link_verdict : uint8_t { good, expired, unknown_key, wrong };

// The secrets, as their file has them now. Any thread verifies.
class link_keys {
public:
  explicit link_keys(const std::string& path); // "": there are none
  config::watched_files& file() noexcept { return file_; }

  link_verdict verify(const click_link& link, std::string_view signature, int64_t now_s) const;

private:
  config::watched_files file_;
  mutable std::mutex mutex_; // guards the next one
  std::shared_ptr<const link_secrets> secrets_;
};

} // namespace adtrack::http
