#include "http/tls_session.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <cerrno>

namespace adtrack::http {

struct tls_session::socket_bio {
  static tls_session& of(BIO* bio) { return *static_cast<tls_session*>(BIO_get_data(bio)); }

  static int read(BIO* bio, char* to, int size) {
    tls_session& s = of(bio);
    BIO_clear_retry_flags(bio);
    ssize_t n = -1;
    errno = EAGAIN;
    if (!s.dry_) {
      do n = ::recv(s.fd_, to, static_cast<size_t>(size), 0);
      while (n < 0 && errno == EINTR);
      // Edge-triggered: a short read emptied the socket, unless the end stands behind it.
      s.dry_ = n < 0 || (n > 0 && n < size && !s.peer_done_);
      s.at_end_ |= n == 0;
    }
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) BIO_set_retry_read(bio);
    return static_cast<int>(n);
  }
  static int write(BIO* bio, const char* from, int size) {
    tls_session& s = of(bio);
    BIO_clear_retry_flags(bio);
    ssize_t n = -1;
    do n = ::send(s.fd_, from, static_cast<size_t>(size), MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) BIO_set_retry_write(bio);
    return static_cast<int>(n);
  }
  static long control(BIO* bio, int command, long, void*) {
    if (command == BIO_CTRL_EOF) return of(bio).at_end_ ? 1 : 0;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
  }
  static BIO_METHOD* method() {
    static BIO_METHOD* const made = [] {
      BIO_METHOD* m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "adtrack socket");
      if (m == nullptr) return m;
      BIO_meth_set_read(m, read);
      BIO_meth_set_write(m, write);
      BIO_meth_set_ctrl(m, control);
      return m;
    }();
    return made;
  }
};

std::unique_ptr<tls_session> tls_session::accept(SSL_CTX* context, int fd) {
  std::unique_ptr<tls_session> s(new tls_session);
  ERR_clear_error();
  s->fd_ = fd;
  s->ssl_ = SSL_new(context);
  BIO* bio = s->ssl_ == nullptr ? nullptr : BIO_new(socket_bio::method());
  if (bio == nullptr) return nullptr;
  BIO_set_data(bio, s.get());
  BIO_set_init(bio, 1);
  SSL_set_bio(s->ssl_, bio, bio);
  SSL_set_accept_state(s->ssl_);
  return s;
}

tls_session::~tls_session() { SSL_free(ssl_); }

void tls_session::stir(bool peer_done) noexcept {
  dry_ = false;
  peer_done_ |= peer_done;
}

ssize_t tls_session::receive(char* to, size_t size) {
  size_t got = 0;
  blocked_ = false;
  ERR_clear_error();
  bool read = SSL_read_ex(ssl_, to, size, &got) == 1;
  ssize_t result = read ? static_cast<ssize_t>(got) : failed();
  established_ = established_ || SSL_is_init_finished(ssl_) == 1;
  return result;
}

ssize_t tls_session::send(const char* from, size_t size) {
  size_t sent = 0;
  ERR_clear_error();
  if (SSL_write_ex(ssl_, from, size, &sent) == 1) return static_cast<ssize_t>(sent);
  bool was_blocked = blocked_;
  ssize_t result = failed();
  blocked_ = was_blocked; // the caller sends again whenever the socket takes something
  return result == 0 ? (errno = EPIPE, -1) : result;
}

ssize_t tls_session::failed() {
  int socket_error = errno;
  switch (SSL_get_error(ssl_, 0)) {
  case SSL_ERROR_WANT_WRITE: blocked_ = true; [[fallthrough]];
  case SSL_ERROR_WANT_READ: errno = EAGAIN; return -1;
  case SSL_ERROR_ZERO_RETURN: return 0;
  case SSL_ERROR_SYSCALL:
    broken_ = true;
    errno = socket_error == 0 || socket_error == EAGAIN ? ECONNRESET : socket_error;
    return -1;
  default: break;
  }
  int reason = ERR_GET_REASON(ERR_peek_error());
  bool plain = reason == SSL_R_HTTP_REQUEST || reason == SSL_R_HTTPS_PROXY_REQUEST;
  why_ = plain ? handshake_result::plain_http : handshake_result::failed;
  broken_ = true;
  ERR_clear_error();
  errno = EPROTO;
  return -1;
}

void tls_session::say_goodbye() {
  if (!established_ || broken_ || (SSL_get_shutdown(ssl_) & SSL_SENT_SHUTDOWN) != 0) return;
  ERR_clear_error();
  SSL_shutdown(ssl_);
  ERR_clear_error();
}

} // namespace adtrack::http
