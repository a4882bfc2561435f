// One connection's TLS over a non-blocking socket. Belongs to its connection and that one's loop. Knows nothing of HTTP.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>

using SSL_CTX = struct ssl_ctx_st;
using SSL = struct ssl_st;

namespace adtrack::http {

// What became of a handshake.
enum class handshake_result : uint8_t { ok, plain_http, failed, timed_out, crowded_out, closed };
inline constexpr size_t handshake_result_count = 6;

class tls_session {
public:
  // The descriptor stays the caller's and outlives the session. Null when there is no memory.
  static std::unique_ptr<tls_session> accept(SSL_CTX* context, int fd);
  ~tls_session();
  tls_session(const tls_session&) = delete;
  tls_session& operator=(const tls_session&) = delete;

  // As recv() and send(): bytes, 0 at the end, or -1 with errno EAGAIN, EPROTO (the peer does not speak TLS as it must) or the
  // socket's own. receive() makes the handshake too. After EAGAIN nothing is pending here: the socket's next event brings more.
  ssize_t receive(char* to, size_t size);
  ssize_t send(const char* from, size_t size);

  bool established() const noexcept { return established_; }
  handshake_result why() const noexcept { return why_; } // it is not, after EPROTO
  // receive() could not go on because the socket takes nothing: ask again when it does.
  bool blocked() const noexcept { return blocked_; }
  // The socket may hold more than was read; `peer_done`: and then its end.
  void stir(bool peer_done) noexcept;
  // Tells the peer that nothing more comes, if it can be told without waiting.
  void say_goodbye();

private:
  struct socket_bio; // how OpenSSL reaches the socket: with MSG_NOSIGNAL, and not in vain once a short read emptied it
  tls_session() = default;
  ssize_t failed();

  SSL* ssl_ = nullptr;
  int fd_ = -1;
  bool established_ = false;
  bool broken_ = false; // OpenSSL allows no more calls
  bool blocked_ = false;
  bool dry_ = false; // nothing to read before stir()
  bool peer_done_ = false;
  bool at_end_ = false;
  handshake_result why_ = handshake_result::failed;
};

} // namespace adtrack::http
