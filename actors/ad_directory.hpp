// Which ads there are and where each leads, for whoever must know at once. Filled by the catalogue's actor; any thread may look.
// CAF-free; short locks.
#pragma once

#include <cstdint>
#include <shared_mutex>
#include <string>
#include <utility>
#include <vector>

#include <absl/container/flat_hash_map.h>

#include "actors/gateway.hpp"

namespace adtrack::actors {

class ad_directory {
public:
  void load(const std::vector<std::pair<uint64_t, std::string>>& urls); // all there are; until then every look says `loading`
  void put(uint64_t id, std::string url);
  void remove(uint64_t id);

  // Fills `url` when the ad is known; null when it is not wanted.
  ad_state find(uint64_t id, std::string* url) const;

private:
  mutable std::shared_mutex mutex_;
  bool loaded_ = false;
  absl::flat_hash_map<uint64_t, std::string> urls_;
};

} // namespace adtrack::actors
