// What stands between a request and its route: who may, how often, from where, and over TLS. Made of the options and the files
// that they name; one object for all loops.
#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "http/client_address.hpp"
#include "http/cors.hpp"
#include "http/key_doors.hpp"
#include "http/live_settings.hpp"
#include "http/options.hpp"
#include "http/rate_limit.hpp"
#include "http/signed_link.hpp"
#include "http/tls_files.hpp"

namespace adtrack::http {

struct doorway {
  proxy_list proxies;
  key_doors keys;
  link_keys links;
  rate_limiter rates;
  live_settings live{rates};
  cors_policy cors;
  tls_files tls;
  std::atomic<bool> turning_away{false}; // /readyz says no, so that nobody new is sent here; all else is answered

  doorway(const http_options& options, config::metrics& metrics);
  // Reads the options' lists and files for the first time. False: `error` says what cannot be used.
  bool open(std::string& error);
  // Looks at the files again. One thread at a time.
  void look();
  std::vector<std::string> troubles() const; // sentences for /readyz

private:
  const http_options& options_;
  std::vector<config::watched_files*> files_;
};

} // namespace adtrack::http
