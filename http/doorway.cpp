#include "http/doorway.hpp"

namespace adtrack::http {

doorway::doorway(const http_options& options, config::metrics& metrics)
    : keys(options, metrics), links(options.link_key_file), rates(options.rates), tls(options, metrics), options_(options) {}

bool doorway::open(std::string& error) {
  if (options_.require_signed_clicks && links.empty()) {
    error = "redirect.require_signature needs redirect.key_file";
    return false;
  }
  return proxies.add(options_.trusted_proxies, error) && cors.open(options_.cors_origins, options_.cors_max_age_secs, error) &&
         keys.open(error) && links.open(error) && tls.open(error);
}

void doorway::look() {
  try {
    keys.look();
    links.look();
    tls.look();
  } catch (const std::exception& e) {
    config::log(config::log_level::error, "http", "look_threw", e.what());
  }
}

std::vector<std::string> doorway::troubles() const {
  auto out = keys.troubles();
  if (auto link = links.trouble(); !link.empty()) out.push_back(std::move(link));
  for (auto& t : tls.troubles()) out.push_back(std::move(t));
  return out;
}

} // namespace adtrack::http
