#include "http/doorway.hpp"

namespace adtrack::http {

doorway::doorway(const http_options& options, config::metrics& metrics)
    : keys(options, metrics), rates(options.rates), tls(options, metrics), options_(options) {}

bool doorway::open(std::string& error) {
  return proxies.add(options_.trusted_proxies, error) && cors.open(options_.cors_origins, options_.cors_max_age_secs, error) &&
         keys.open(error) && tls.open(error);
}

void doorway::look() {
  try {
    keys.look();
    tls.look();
  } catch (const std::exception& e) {
    config::log(config::log_level::error, "http", "look_threw", e.what());
  }
}

std::vector<std::string> doorway::troubles() const {
  auto out = keys.troubles();
  for (auto& t : tls.troubles()) out.push_back(std::move(t));
  return out;
}

} // namespace adtrack::http
