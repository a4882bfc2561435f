// The ads catalogue: what ads there are, over a compacted stream that it reads in full at load. Owned by one actor; not
// thread-safe. An ad's id is its creation record's offset + 1, so ids are unique in the cluster and never used again. After a
// write of unknown fate it reads the stream again before it writes anything else; what it shows stays readable meanwhile.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "model/ad.hpp"
#include "storage/compacted_stream.hpp"

namespace adtrack::storage {

// 32 random hex digits from the operating system.
std::string random_token();

class ads_catalogue {
public:
  enum class verdict : uint8_t { done, not_found, precondition_failed, failed };
  struct change {
    verdict what = verdict::failed;
    ad value;   // done: the ad as it is now, or as it was last (remove)
    status why; // failed: io, read_only; nothing is known to have changed
  };
  struct slice {
    std::vector<ad> ads;
    uint64_t total = 0; // over all pages
  };

  // `tokens` gives stream keys, each different; `now_ms` gives created and updated times, unix ms.
  ads_catalogue(std::unique_ptr<compacted_stream> stream, std::function<std::string()> tokens, std::function<int64_t()> now_ms);

  // As compacted_stream::checkpoint.
  status checkpoint(const std::string& path) { return stream_->checkpoint(path); }

  // Reads the whole stream, then swaps it in. Must succeed once before anything else is called.
  status load();

  result<ad> create(ad_fields fields);
  // `if_match`: empty for any, "*", or the If-Match header's entity tags ("\"17\", \"18\""), strongly compared with ad::version.
  change update(uint64_t id, ad_fields fields, std::string_view if_match);
  change remove(uint64_t id, std::string_view if_match);

  const ad* find(uint64_t id) const; // null when there is none; valid until the next change
  // By id; `page` counts from 1; empty past the end. Costs O(limit).
  slice page(uint32_t page, uint32_t limit) const;
  void each(const std::function<void(const ad&)>& visit) const; // by id
  size_t size() const noexcept { return ids_.size(); }
  uint64_t loads() const noexcept { return loads_; }     // how often the stream was read: then any ad may have changed
  uint64_t skipped() const noexcept { return skipped_; } // entries of the last load that do not parse

private:
  struct entry {
    std::string token;
    ad value;
  };
  using entries = std::unordered_map<uint64_t, entry>;

  status recover();
  change check(uint64_t id, std::string_view if_match);

  std::unique_ptr<compacted_stream> stream_;
  std::function<std::string()> tokens_;
  std::function<int64_t()> now_ms_;
  entries entries_;
  std::vector<uint64_t> ids_; // sorted, those of entries_
  uint64_t loads_ = 0;
  uint64_t skipped_ = 0;
  bool stale_ = false; // a write failed: the stream may hold more than this does
};

} // namespace adtrack::storage
