#include "http/tls_files.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <prometheus/gauge.h>

#include <ctime>

namespace adtrack::http {
namespace {

template <auto Free>
struct with {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};
using bio = std::unique_ptr<BIO, with<BIO_free>>;
using x509 = std::unique_ptr<X509, with<X509_free>>;
using pkey = std::unique_ptr<EVP_PKEY, with<EVP_PKEY_free>>;

struct pem_texts {
  const std::string &certificate, &key, &client_ca;
};

bio reader(const std::string& text) { return bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))); }

// OpenSSL's own words for what went wrong last.
std::string reason() {
  const char* text = ERR_reason_error_string(ERR_peek_last_error());
  ERR_clear_error();
  return text != nullptr ? text : "it cannot be read";
}

// Else OpenSSL would ask for it on the terminal.
int no_password(char*, int, int, void*) { return -1; }

int choose_protocol(SSL*, const unsigned char** out, unsigned char* size, const unsigned char* offered, unsigned offered_size,
                    void*) {
  static constexpr unsigned char http_1_1[] = "\x08http/1.1";
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, size, http_1_1, sizeof http_1_1 - 1, offered, offered_size) != OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

// All certificates of the text, in order. False: something in it is broken, or there is none.
bool read_certificates(const std::string& text, std::vector<x509>& out) {
  auto from = reader(text);
  ERR_clear_error();
  while (auto* certificate = PEM_read_bio_X509(from.get(), nullptr, no_password, nullptr)) out.emplace_back(certificate);
  bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  if (at_end && !out.empty()) ERR_clear_error();
  return at_end && !out.empty();
}

void set_rules(SSL_CTX* c) {
  SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION);
  SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                             SSL_OP_IGNORE_UNEXPECTED_EOF); // HTTP says itself where a request ends
  SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_read_ahead(c, 1);
  SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF); // clients keep their tickets
  SSL_CTX_set_session_id_context(c, reinterpret_cast<const unsigned char*>("adtrack"), 7);
  SSL_CTX_set_alpn_select_cb(c, choose_protocol, nullptr);
}

bool set_identity(SSL_CTX* c, const pem_texts& texts, std::string& error, const std::string& certificate_path,
                  const std::string& key_path) {
  std::vector<x509> chain;
  if (!read_certificates(texts.certificate, chain) || SSL_CTX_use_certificate(c, chain.front().get()) != 1) {
    error = "the certificate " + certificate_path + " cannot be used: " + reason();
    return false;
  }
  for (size_t i = 1; i < chain.size(); ++i)
    if (SSL_CTX_add1_chain_cert(c, chain[i].get()) != 1) {
      error = "the chain in " + certificate_path + " cannot be used: " + reason();
      return false;
    }
  auto from = reader(texts.key);
  pkey key(PEM_read_bio_PrivateKey(from.get(), nullptr, no_password, nullptr));
  if (key == nullptr) {
    error = "the private key " + key_path + " cannot be used (it must be PEM without a password): " + reason();
    return false;
  }
  if (SSL_CTX_use_PrivateKey(c, key.get()) != 1 || SSL_CTX_check_private_key(c) != 1) {
    error = "the private key " + key_path + " does not belong to the certificate " + certificate_path + ": " + reason();
    return false;
  }
  return true;
}

// Only clients with a certificate of one of these authorities are let in.
bool ask_clients(SSL_CTX* c, const std::string& text, const std::string& path, std::string& error) {
  std::vector<x509> authorities;
  bool good = read_certificates(text, authorities);
  for (const auto& a : authorities)
    good = good && X509_STORE_add_cert(SSL_CTX_get_cert_store(c), a.get()) == 1 && SSL_CTX_add_client_CA(c, a.get()) == 1;
  if (!good) error = "the client authorities " + path + " cannot be used: " + reason();
  SSL_CTX_set_verify(c, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  return good;
}

double expires_at(SSL_CTX* c) {
  tm end{};
  if (ASN1_TIME_to_tm(X509_get0_notAfter(SSL_CTX_get0_certificate(c)), &end) != 1) return 0;
  return static_cast<double>(timegm(&end));
}

} // namespace

tls_files::tls_files(const http_options& options, config::metrics& metrics)
    : certificate_(options.tls_certificate_file), key_(options.tls_key_file), client_ca_(options.tls_client_ca_file),
      metrics_(metrics), files_("certificate", "the certificate before it stays in force",
                                {{"certificate", certificate_}, {"private key", key_}, {"client authorities", client_ca_}},
                                [this](const auto& texts, std::string& error) { return load(texts, error); }) {}

bool tls_files::load(const std::vector<std::string>& files, std::string& error) {
  const pem_texts texts{files[0], files[1], files[2]};
  std::array<context, listener_count> made;
  for (size_t i = 0; i < listener_count; ++i) {
    made[i] = context(SSL_CTX_new(TLS_server_method()), with<SSL_CTX_free>());
    if (made[i] == nullptr) return error = "OpenSSL gives no context: " + reason(), false;
    set_rules(made[i].get());
    if (!set_identity(made[i].get(), texts, error, certificate_, key_)) return false;
  }
  auto* admin = made[static_cast<size_t>(listener::admin)].get();
  if (!client_ca_.empty() && !ask_clients(admin, texts.client_ca, client_ca_, error)) return false;
  metrics_.tls_certificate_expires().Set(expires_at(admin));
  std::lock_guard lock(mutex_);
  contexts_ = std::move(made);
  return true;
}

std::unique_ptr<tls_session> tls_files::accept(listener from, int fd) const {
  context current;
  {
    std::lock_guard lock(mutex_);
    current = contexts_[static_cast<size_t>(from)];
  }
  return tls_session::accept(current.get(), fd);
}

} // namespace adtrack::http
