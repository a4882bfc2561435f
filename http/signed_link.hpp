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

// Holds the secrets of a file and looks at it again while the server runs. Any thread.
class link_keys {
public:
  explicit link_keys(std::string path) : path_(std::move(path)) {} // "": there are none
  // Reads the file for the first time. False: `error` says why it cannot be used.
  bool open(std::string& error);
  // Reads it again: what changed takes the place of the one before as a whole; what cannot be used is logged and changes nothing.
  void look();
  std::string trouble() const; // a sentence, or ""

  bool empty() const noexcept { return path_.empty(); }
  link_verdict verify(const click_link& link, std::string_view signature, int64_t now_s) const;

private:
  bool read(std::string& error); // true: the file is another one than before

  const std::string path_;
  std::string seen_;         // text or error
  mutable std::mutex mutex_; // guards the next two
  std::string trouble_;
  std::shared_ptr<const link_secrets> secrets_;
};

} // namespace adtrack::http
