// TLS of the listeners: the certificate, its key and the clients' authorities, as their files have them now. The files are looked
// at again while the server runs; connections keep what they began with. One object for all loops.
#pragma once

#include <array>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "config/telemetry.hpp"
#include "config/watched_files.hpp"
#include "http/options.hpp"
#include "http/tls_session.hpp"

namespace adtrack::http {

class tls_files {
public:
  tls_files(const http_options& options, config::metrics& metrics);
  bool active() const noexcept { return files_.active(); }
  config::watched_files& files() noexcept { return files_; }

  // For a connection that was just accepted; null when there is no memory. Any thread.
  std::unique_ptr<tls_session> accept(listener from, int fd) const;

private:
  using context = std::shared_ptr<SSL_CTX>;
  bool load(const std::vector<std::string>& texts, std::string& error);

  const std::string certificate_, key_, client_ca_; // paths; "": none
  config::metrics& metrics_;
  config::watched_files files_;
  mutable std::mutex mutex_; // guards the next one
  std::array<context, listener_count> contexts_;
};

} // namespace adtrack::http
