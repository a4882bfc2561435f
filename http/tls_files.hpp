// TLS of the listeners: the certificate, its key and the clients' authorities, as their files have them now. The files are looked at
// again while the server runs; connections keep what they began with. One object for all loops.
#pragma once

#include <array>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "config/keys.hpp"
#include "config/telemetry.hpp"
#include "http/options.hpp"
#include "http/tls_session.hpp"

namespace adtrack::http {

class tls_files {
public:
  tls_files(const http_options& options, config::metrics& metrics);
  bool active() const noexcept { return !certificate_.empty(); }

  // Reads the files for the first time. False: `error` says what cannot be used.
  bool open(std::string& error);
  // Reads them again: what changed and fits together is for all connections from now on; else it is logged and changes nothing.
  // One thread at a time.
  void look();
  std::vector<std::string> troubles() const;

  // For a connection that was just accepted; null when there is no memory. Any thread.
  std::unique_ptr<tls_session> accept(listener from, int fd) const;

private:
  using context = std::shared_ptr<SSL_CTX>;
  bool load(std::string& error);

  const std::string certificate_, key_, client_ca_; // paths; "": none
  config::metrics& metrics_;
  config::sha256_digest seen_{};
  mutable std::mutex mutex_; // guards the next two
  std::array<context, listener_count> contexts_;
  std::string trouble_;
};

} // namespace adtrack::http
