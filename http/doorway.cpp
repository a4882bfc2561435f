#include "http/doorway.hpp"

#include <algorithm>

namespace adtrack::http {

doorway::doorway(const http_options& options, config::metrics& metrics)
    : keys(options, metrics), links(options.link_key_file), rates(options.rates), tls(options, metrics), options_(options),
      files_(keys.files()) {
  files_.push_back(&links.file());
  files_.push_back(&tls.files());
}

bool doorway::open(std::string& error) {
  if (options_.require_signed_clicks && !links.file().active()) {
    error = "redirect.require_signature needs redirect.key_file";
    return false;
  }
  return proxies.add(options_.trusted_proxies, error) && cors.open(options_.cors_origins, options_.cors_max_age_secs, error) &&
         std::all_of(files_.begin(), files_.end(), [&](auto* file) { return file->open(error); });
}

void doorway::look() {
  try {
    for (auto* file : files_) file->look();
  } catch (const std::exception& e) {
    config::log(config::log_level::error, "http", "look_threw", e.what());
  }
}

std::vector<std::string> doorway::troubles() const {
  std::vector<std::string> out;
  for (const auto* file : files_)
    if (auto trouble = file->trouble(); !trouble.empty()) out.push_back(std::move(trouble));
  return out;
}

} // namespace adtrack::http
