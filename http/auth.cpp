#include "http/auth.hpp"

#include <openssl/evp.h>

#include <cstring>
#include <stdexcept>

#include "http/framer.hpp"

namespace adtrack::http {
namespace {

constexpr size_t token_bytes_max = 1'024;

bool same(const config::sha256_digest& a, const config::sha256_digest& b) noexcept {
  uint64_t left[4], right[4];
  std::memcpy(left, a.data(), sizeof left);
  std::memcpy(right, b.data(), sizeof right);
  return ((left[0] ^ right[0]) | (left[1] ^ right[1]) | (left[2] ^ right[2]) | (left[3] ^ right[3])) == 0;
}

} // namespace

config::sha256_digest sha256(std::string_view bytes) {
  struct free_context {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  // Fetched once: looking an algorithm up by its name costs more than hashing a token.
  static EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  thread_local std::unique_ptr<EVP_MD_CTX, free_context> context(EVP_MD_CTX_new());
  config::sha256_digest out;
  unsigned size = 0;
  if (algorithm == nullptr || context == nullptr || EVP_DigestInit_ex2(context.get(), algorithm, nullptr) != 1 ||
      EVP_DigestUpdate(context.get(), bytes.data(), bytes.size()) != 1 ||
      EVP_DigestFinal_ex(context.get(), out.data(), &size) != 1 || size != out.size())
    throw std::runtime_error("OpenSSL cannot make a SHA-256");
  return out;
}

const key* key_ring::find(std::string_view token) const {
  if (token.empty() || token.size() > token_bytes_max) return nullptr;
  auto digest = sha256(token);
  const key* found = nullptr;
  for (const auto& k : keys_)
    if (same(k.digest, digest)) found = &k;
  return found;
}

std::string_view bearer_token(std::string_view authorization) noexcept {
  if (authorization.size() < 8 || !equals_lower(authorization.substr(0, 6), "bearer") || authorization[6] != ' ') return {};
  return trim(authorization.substr(7));
}

} // namespace adtrack::http
