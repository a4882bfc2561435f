#include "http/signed_link.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>

#include "http/framer.hpp"

namespace adtrack::http {
namespace {

constexpr size_t secret_bytes_min = 32;
constexpr size_t secret_bytes_max = 64;
constexpr size_t key_id_chars_max = 64;
constexpr size_t keys_max = 1'000;

int digit_of(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool from_hex(std::string_view text, std::string& out) {
  if (text.size() % 2 != 0 || text.size() < 2 * secret_bytes_min || text.size() > 2 * secret_bytes_max) return false;
  out.clear();
  for (size_t i = 0; i < text.size(); i += 2) {
    const int high = digit_of(text[i]), low = digit_of(text[i + 1]);
    if (high < 0 || low < 0) return false;
    out.push_back(static_cast<char>(high << 4 | low));
  }
  return true;
}

bool good_key_id(std::string_view id) {
  return !id.empty() && id.size() <= key_id_chars_max && std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
  });
}

} // namespace

std::string sign(const click_link& link, std::string_view secret) {
  std::string text = "click\n" + std::to_string(link.ad_id) + '\n';
  text.append(link.event_id).append("\n").append(std::to_string(link.expires_s)).append("\n").append(link.key_id);
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()), reinterpret_cast<const unsigned char*>(text.data()),
       text.size(), digest.data(), &size);
  std::string out;
  for (unsigned i = 0; i < size; ++i) {
    out.push_back("0123456789abcdef"[digest[i] >> 4]);
    out.push_back("0123456789abcdef"[digest[i] & 15]);
  }
  return out;
}

bool parse_link_secrets(const std::string& path, std::string_view text, link_secrets& out, std::string& error) {
  out.clear();
  for (size_t number = 1; !text.empty(); ++number) {
    const auto end = text.find('\n');
    auto line = trim(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (!line.empty() && line.back() == '\r') line = trim(line.substr(0, line.size() - 1));
    if (line.empty() || line[0] == '#') continue;
    const auto space = line.find_first_of(" \t");
    const auto id = line.substr(0, space);
    std::string secret;
    const bool good = space != std::string_view::npos && good_key_id(id) && from_hex(trim(line.substr(space)), secret);
    if (!good || !out.emplace(id, secret).second) {
      error = "line " + std::to_string(number) + " of the key file " + path +
              (good ? " repeats an id" : " is not an id and a secret of 64 to 128 hexadecimal digits");
      return false;
    }
  }
  if (out.empty() || out.size() > keys_max) {
    error = "the key file " + path + (out.empty() ? " holds no key" : " holds more than 1000 keys");
    return false;
  }
  return true;
}

link_keys::link_keys(const std::string& path)
    : file_("link_keys", "the keys before it stay in force", {{"key file", path}},
            [this, path](const std::vector<std::string>& texts, std::string& error) {
              link_secrets secrets;
              if (!parse_link_secrets(path, texts[0], secrets, error)) return false;
              const std::lock_guard lock(mutex_);
              secrets_ = std::make_shared<const link_secrets>(std::move(secrets));
              return true;
            }) {}

// The signature is looked at before the expiry: who has none learns nothing about the rest.
link_verdict link_keys::verify(const click_link& link, std::string_view signature, int64_t now_s) const {
  std::shared_ptr<const link_secrets> secrets;
  {
    std::lock_guard lock(mutex_);
    secrets = secrets_;
  }
  if (!secrets) return link_verdict::unknown_key;
  const auto found = secrets->find(link.key_id);
  if (found == secrets->end()) return link_verdict::unknown_key;
  const auto wanted = sign(link, found->second);
  if (signature.size() != wanted.size() || CRYPTO_memcmp(signature.data(), wanted.data(), wanted.size()) != 0)
    return link_verdict::wrong;
  return link.expires_s > now_s ? link_verdict::good : link_verdict::expired;
}

} // namespace adtrack::http
