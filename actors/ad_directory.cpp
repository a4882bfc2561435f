#include "actors/ad_directory.hpp"

#include <mutex>

namespace adtrack::actors {

void ad_directory::load(const std::vector<std::pair<uint64_t, std::string>>& urls) {
  absl::flat_hash_map<uint64_t, std::string> fresh;
  fresh.reserve(urls.size());
  for (const auto& [id, url] : urls) fresh.insert_or_assign(id, url);
  std::unique_lock lock(mutex_);
  urls_.swap(fresh);
  loaded_ = true;
}

void ad_directory::put(uint64_t id, std::string url) {
  std::unique_lock lock(mutex_);
  urls_.insert_or_assign(id, std::move(url));
}

void ad_directory::remove(uint64_t id) {
  std::unique_lock lock(mutex_);
  urls_.erase(id);
}

ad_state ad_directory::find(uint64_t id, std::string* url) const {
  std::shared_lock lock(mutex_);
  if (!loaded_) return ad_state::loading;
  const auto found = urls_.find(id);
  if (found == urls_.end()) return ad_state::unknown;
  if (url != nullptr) *url = found->second;
  return ad_state::known;
}

} // namespace adtrack::actors
