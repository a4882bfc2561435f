// The bucket rows of one shard: a bounded cache over the store with its dirty rows. Collects counted events and duplicates,
// settles them ad by ad into every level, expires seconds and minutes by the shard's clock, and keeps the sum of row hashes. One
// thread; frozen rows may be read by others.
#pragma once

#include <array>
#include <cstdint>
#include <list>
#include <memory>
#include <span>
#include <vector>

#include <absl/container/flat_hash_map.h>

#include "model/bucket.hpp"
#include "storage/group_adder.hpp"
#include "storage/row_value.hpp"
#include "storage/shard_store.hpp"

namespace adtrack::storage {

// Rows last written before these (shard's clock, unix ms) have lost their seconds, or are gone. Both only rise.
struct bucket_horizons {
  int64_t seconds_ms = 0;
  int64_t minutes_ms = 0;
};

struct frozen_row {
  bucket_key key;
  std::shared_ptr<const bucket_row> row;
};

// Reads one row, with its visitors or without; errc::not_found when there is none.
result<row_value> load_row(const store_reader& store, const bucket_key& key, bool visitors = true);

class shard_rows {
public:
  shard_rows(const shard_store& store, size_t cache_bytes) : store_(store), cache_bytes_(cache_bytes) {}

  // Before a batch's records are added.
  void use_names(const std::vector<std::string>& names) { groups_.use_names(names, touches_.empty()); }
  // Adds a counted event (valid, or invalid for its reason) to the buckets and groups of its event time: at the next settle().
  void add(const shard_record& r, int64_t clock_ms, const bucket_horizons& horizons);
  // Adds a duplicate to the buckets of the first one's event time: at the next settle().
  void add_duplicate(uint64_t ad_id, int64_t first_time_s, bool conflict, int64_t clock_ms, const bucket_horizons& horizons);

  // Brings what was added into the rows. Comes before each of the calls below; when it fails, these rows are lost.
  status settle();

  // After settle(): in every row, cached or only stored, the visitor is the alias. Reads the whole store. Adds all ads to `ads`.
  status replace_visitor(uint64_t visitor, uint64_t alias, std::vector<uint64_t>& ads);

  // Sum of the hashes of all rows as of now; brings changed rows' hashes up to date.
  uint64_t state_sum();
  void set_state_sum(uint64_t sum) { sum_ = sum; }

  // Puts every dirty row into the batch and calls it clean. `clock_ms` as in add().
  void stage(store_batch& batch, int64_t clock_ms);
  // After the batch is written: gives memory back while over the bound, what was touched longest ago first.
  void trim();
  size_t dirty_rows() const noexcept { return dirty_.size(); }
  size_t rewritten_rows() const noexcept { return rewritten_; } // dirty ones that were staged within the last second of the clock
  size_t memory_bytes() const noexcept {
    return bytes_ + touches_.capacity() * (sizeof(touch) + sizeof(touch_order)) + groups_.memory_bytes();
  }

  // Rows for a view: those of the ads (cached, dirty or not), or all dirty ones when `ads` is empty. Rows of groups, which are
  // large to copy when they are written next, only if asked for.
  std::vector<frozen_row> freeze(std::span<const uint64_t> ads, bool groups);

private:
  // What one record does to its ad's rows, and when by the shard's clock.
  struct touch {
    enum class kind : uint8_t { counted, duplicate, conflict };
    kind what = kind::counted;
    shard_record record; // its names are groups_' own
    int64_t clock_ms = 0;
    bucket_horizons horizons;
  };
  using touch_order = unsigned __int128; // ad, minute, number of the touch: sorts as one number
  struct cached_row {
    bucket_key key;
    std::shared_ptr<bucket_row> row;
    visitor_set delta; // visitors added since the last stage
    bool dirty = false;
    bool stale_hash = false;
    bool frozen = false;     // a view may hold `row`: copy before writing
    bool stored = false;     // the store holds it
    bool whole = false;      // stored next as a whole, as something has been taken out of it
    uint8_t merges = 0;      // as row_value::merges
    uint32_t generation = 0; // of the last touch
    int64_t staged_ms = 0;   // when it was, by the shard's clock; 0: not since it is in memory
    size_t bytes = 0;
    std::list<cached_row*>::iterator place; // in by_touch_
  };
  struct ad_entry {
    std::array<cached_row*, row_level_count> current{};
    std::vector<std::unique_ptr<cached_row>> rows; // sorted by (level, start)
  };

  // The rows of one ad and minute: which levels take part, coarsest first; the minute may be gone by the first one's horizons.
  status with_rows(const touch& first, int64_t last_clock_ms, std::array<cached_row*, bucket_level_count>& out);
  // Touches [from, to) of the order are of one ad and one minute, and the first one's expiry holds for all.
  status settle_run(size_t from, size_t to);
  // Touches [from, to) of the order are of one ad and one hour, and their rows are settled; brings them into log order.
  status settle_groups(size_t from, size_t to);
  static std::vector<std::unique_ptr<cached_row>>::iterator place_of(ad_entry& ad, const bucket_key& key); // or where it belongs
  status obtain(ad_entry& ad, const bucket_key& key, bool may_exist, cached_row*& out, bool& made);
  bucket_row& writable(cached_row& c); // dirty, but not written by an event
  bucket_row& writable(cached_row& c, int64_t clock_ms);
  void account(cached_row& c);
  void stage_row(store_batch& batch, cached_row& c, std::string& value);
  void touched_now(cached_row& c);
  void evict(const cached_row& c);

  const shard_store& store_;
  size_t cache_bytes_;
  size_t bytes_ = 0;
  uint32_t generation_ = 0;
  uint64_t sum_ = 0;
  absl::flat_hash_map<uint64_t, std::unique_ptr<ad_entry>> ads_;
  std::list<cached_row*> by_touch_; // newest first; within a commit group in no order
  std::vector<cached_row*> dirty_;
  size_t rewritten_ = 0;
  std::vector<cached_row*> stale_;
  std::vector<touch> touches_; // added since the last settle()
  std::vector<touch_order> order_;
  std::vector<uint64_t> clickers_; // of one run, kept for its memory
  group_adder groups_;
};

} // namespace adtrack::storage
