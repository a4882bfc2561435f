// Certificates made on the spot, and a client that speaks TLS.
#pragma once

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <memory>
#include <stdexcept>
#include <string>

#include "tests/http/raw_client.hpp"

namespace adtrack::tests {

// A P-256 key with a certificate, signed by itself or by an issuer.
class tls_identity {
public:
  explicit tls_identity(const std::string& name, const tls_identity* issuer = nullptr, long lasts_s = 3'600)
      : key_(EVP_EC_gen("P-256")), certificate_(X509_new()) {
    static long serial = 1;
    X509_set_version(certificate_, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate_), serial++);
    X509_gmtime_adj(X509_getm_notBefore(certificate_), -60);
    X509_gmtime_adj(X509_getm_notAfter(certificate_), lasts_s);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate_), "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
    X509_set_issuer_name(certificate_, X509_get_subject_name((issuer ? issuer : this)->certificate_));
    X509_set_pubkey(certificate_, key_);
    if (issuer == nullptr) {
      X509_EXTENSION* authority = X509V3_EXT_conf_nid(nullptr, nullptr, NID_basic_constraints, "critical,CA:TRUE");
      X509_add_ext(certificate_, authority, -1);
      X509_EXTENSION_free(authority);
    }
    if (X509_sign(certificate_, (issuer ? issuer : this)->key_, EVP_sha256()) == 0) throw std::runtime_error("cannot sign");
  }
  ~tls_identity() {
    X509_free(certificate_);
    EVP_PKEY_free(key_);
  }
  tls_identity(const tls_identity&) = delete;
  tls_identity& operator=(const tls_identity&) = delete;

  std::string certificate_pem() const {
    return text([&](BIO* to) { PEM_write_bio_X509(to, certificate_); });
  }
  std::string key_pem(const char* password = nullptr) const {
    return text([&](BIO* to) {
      PEM_write_bio_PKCS8PrivateKey(to, key_, password ? EVP_aes_128_cbc() : nullptr, password,
                                    password ? static_cast<int>(std::strlen(password)) : 0, nullptr, nullptr);
    });
  }
  X509* certificate() const { return certificate_; }
  EVP_PKEY* key() const { return key_; }

private:
  template <class Write>
  static std::string text(Write&& write) {
    BIO* to = BIO_new(BIO_s_mem());
    write(to);
    char* data = nullptr;
    long size = BIO_get_mem_data(to, &data);
    std::string out(data, static_cast<size_t>(size));
    BIO_free(to);
    return out;
  }
  EVP_PKEY* key_;
  X509* certificate_;
};

struct tls_client_options {
  int version = 0; // 0: the best
  const tls_identity* self = nullptr;
  std::string alpn; // as on the wire: "\x08http/1.1"
  int receive_buffer = 0;
};

class tls_client final : public raw_client {
public:
  explicit tls_client(uint16_t port, const tls_client_options& o = {})
      : raw_client(port, o.receive_buffer), context_(SSL_CTX_new(TLS_client_method())) {
    if (o.version != 0) {
      SSL_CTX_set_max_proto_version(context_, o.version);
      SSL_CTX_set_min_proto_version(context_, o.version);
      SSL_CTX_set_security_level(context_, 0);
    }
    if (o.self != nullptr) {
      SSL_CTX_use_certificate(context_, o.self->certificate());
      SSL_CTX_use_PrivateKey(context_, o.self->key());
    }
    ssl_ = SSL_new(context_);
    if (!o.alpn.empty())
      SSL_set_alpn_protos(ssl_, reinterpret_cast<const unsigned char*>(o.alpn.data()), static_cast<unsigned>(o.alpn.size()));
    SSL_set_fd(ssl_, fd_);
    ERR_clear_error();
    connected_ = interrupted_or([&] { return SSL_connect(ssl_); }) == 1;
    // TLS 1.3: the server's refusal of a certificate comes after the client's last word.
    peer_ = connected_ ? name_of(SSL_get0_peer_certificate(ssl_)) : "";
  }
  ~tls_client() override {
    SSL_free(ssl_);
    SSL_CTX_free(context_);
  }
  bool connected() const { return connected_; }
  const std::string& peer() const { return peer_; } // the common name of the server's certificate
  std::string protocol() const { return SSL_get_version(ssl_); }
  std::string alpn() const {
    const unsigned char* chosen = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(ssl_, &chosen, &size);
    return {reinterpret_cast<const char*>(chosen), size};
  }
  bool renegotiate() { return SSL_renegotiate(ssl_) == 1 && SSL_do_handshake(ssl_) == 1; }
  void change_keys() { SSL_key_update(ssl_, SSL_KEY_UPDATE_REQUESTED); }
  void say_goodbye() { SSL_shutdown(ssl_); }
  bool told_goodbye() const { return (SSL_get_shutdown(ssl_) & SSL_RECEIVED_SHUTDOWN) != 0; }

protected:
  ssize_t receive(char* to, size_t size) override {
    size_t got = 0;
    ERR_clear_error();
    if (interrupted_or([&] { return SSL_read_ex(ssl_, to, size, &got); }) == 1) return static_cast<ssize_t>(got);
    return SSL_get_error(ssl_, 0) == SSL_ERROR_ZERO_RETURN ? 0 : -1;
  }
  ssize_t transmit(const char* from, size_t size) override {
    size_t sent = 0;
    ERR_clear_error();
    return interrupted_or([&] { return SSL_write_ex(ssl_, from, size, &sent); }) == 1 ? static_cast<ssize_t>(sent) : -1;
  }

private:
  // Again as long as a signal broke it off.
  template <class Call>
  static int interrupted_or(Call call) {
    int result = 0;
    do {
      errno = 0;
      result = call();
    } while (result != 1 && errno == EINTR);
    return result;
  }
  static std::string name_of(X509* certificate) {
    char text[256] = {};
    X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, text, sizeof text);
    return text;
  }
  SSL_CTX* context_ = nullptr;
  SSL* ssl_ = nullptr;
  bool connected_ = false;
  std::string peer_;
};

} // namespace adtrack::tests
