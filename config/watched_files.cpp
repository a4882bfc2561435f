#include "config/watched_files.hpp"

#include <xxhash.h>

#include "config/small_file.hpp"
#include "config/telemetry.hpp"

namespace adtrack::config {

watched_files::watched_files(std::string name, std::string kept, std::vector<part> parts, taker take)
    : name_(std::move(name)), kept_(std::move(kept)), parts_(std::move(parts)), take_(std::move(take)) {}

// True: what they hold is new and in force. False: nothing changed (`error` is empty), or what is there now cannot be used.
bool watched_files::read(std::string& error) {
  error.clear();
  std::vector<std::string> texts(parts_.size());
  std::string all;
  for (size_t i = 0; i < parts_.size() && error.empty(); ++i) {
    if (!parts_[i].path.empty()) read_small_file(parts_[i].what, parts_[i].path, texts[i], error);
    all += std::to_string(texts[i].size()) + ' ' + texts[i];
  }
  all += error;
  const auto found = XXH3_128bits(all.data(), all.size());
  const hash seen{found.high64, found.low64};
  if (seen == seen_) return error.clear(), false;
  seen_ = seen;
  if (!error.empty() || !take_(texts, error)) return false;
  const std::lock_guard lock(mutex_);
  trouble_.clear();
  return true;
}

bool watched_files::open(std::string& error) { return !active() || read(error); }

void watched_files::look() {
  if (!active()) return;
  std::string error;
  if (read(error)) {
    log(log_level::info, "config", name_ + "_loaded", std::string("the ") + parts_.front().what + " changed and is in force",
        {{"file", parts_.front().path}});
  } else if (!error.empty()) {
    error += "; " + kept_;
    log(log_level::error, "config", name_ + "_not_loaded", error);
    const std::lock_guard lock(mutex_);
    trouble_ = std::move(error);
  }
}

std::string watched_files::trouble() const {
  const std::lock_guard lock(mutex_);
  return trouble_;
}

} // namespace adtrack::config
