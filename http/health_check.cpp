#include "http/health_check.hpp"

#include <chrono>

#include <httplib.h>

namespace adtrack::http {

namespace {

std::string address_of(const std::string& host) {
  if (host == "0.0.0.0") return "127.0.0.1";
  if (host == "::" || host == "[::]") return "[::1]";
  return host.find(':') != std::string::npos && host.front() != '[' ? '[' + host + ']' : host;
}

} // namespace

std::string check_health(const std::string& host, uint16_t port, bool tls, int64_t timeout_ms) {
  const std::string url = (tls ? "https://" : "http://") + address_of(host) + ':' + std::to_string(port);
  httplib::Client client(url);
  client.enable_server_certificate_verification(false);
  const std::chrono::milliseconds wait(timeout_ms);
  client.set_connection_timeout(wait);
  client.set_read_timeout(wait);
  client.set_write_timeout(wait);
  const auto got = client.Get("/healthz");
  if (!got) return url + "/healthz gives no answer: " + httplib::to_string(got.error());
  return got->status == 200 ? "" : url + "/healthz answers " + std::to_string(got->status);
}

} // namespace adtrack::http
