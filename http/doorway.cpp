#include "http/doorway.hpp"

namespace adtrack::http {

doorway::doorway(const http_options& options, config::metrics& metrics) : keys(options, metrics), options_(options) {}

bool doorway::open(std::string& error) { return proxies.add(options_.trusted_proxies, error) && keys.open(error); }

void doorway::look() {
  try {
    keys.look();
  } catch (const std::exception& e) {
    config::log(config::log_level::error, "http", "look_threw", e.what());
  }
}

std::vector<std::string> doorway::troubles() const { return keys.troubles(); }

} // namespace adtrack::http
