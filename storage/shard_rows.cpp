#include "storage/shard_rows.hpp"

#include <algorithm>
#include <tuple>

#include "storage/shard_keys.hpp"

namespace adtrack::storage {

namespace {

// From this size on a visitor set is written as what was added.
constexpr size_t whole_visitors_bytes = 512;
// And a row of groups as the cells that changed.
constexpr size_t whole_groups_bytes = 8'192;
constexpr int64_t rewritten_within_ms = 1'000;
// So many additions in a row before a set is written whole again: bounds the chain that a read has to merge.
constexpr uint8_t merges_max = 32;

bool row_before(const bucket_key& a, bucket_level level, int64_t start) {
  return a.level != level ? a.level < level : a.start_s < start;
}

} // namespace

result<row_value> load_row(const store_reader& store, const bucket_key& key, bool visitors) {
  auto value = store.get(keys::bucket(key));
  if (!value.ok()) return value.why;
  row_value out;
  if (!(visitors ? decode(*value, out) : decode_numbers(*value, out)))
    return status{errc::corrupt, "a stored bucket does not decode"};
  return out;
}

std::vector<std::unique_ptr<shard_rows::cached_row>>::iterator shard_rows::place_of(ad_entry& ad, const bucket_key& key) {
  return std::lower_bound(ad.rows.begin(), ad.rows.end(), key,
                          [](const auto& c, const bucket_key& k) { return row_before(c->key, k.level, k.start_s); });
}

status shard_rows::obtain(ad_entry& ad, const bucket_key& key, bool may_exist, cached_row*& out, bool& made) {
  made = false;
  auto level = static_cast<size_t>(key.level);
  if (auto* c = ad.current[level]; c && c->key.start_s == key.start_s) {
    out = c;
    return status::success();
  }
  auto it = place_of(ad, key);
  if (it != ad.rows.end() && (*it)->key == key) {
    ad.current[level] = out = it->get();
    return status::success();
  }
  auto c = std::make_unique<cached_row>();
  c->key = key;
  made = true;
  if (may_exist) {
    auto stored = load_row(store_, key);
    if (stored.ok()) {
      c->row = std::make_shared<bucket_row>(std::move(stored->row));
      c->merges = stored->merges;
      c->stored = true;
      made = false;
    } else if (stored.why.code != errc::not_found) {
      return stored.why;
    }
  }
  if (!c->row) c->row = std::make_shared<bucket_row>();
  c->generation = generation_;
  c->place = by_touch_.insert(by_touch_.begin(), c.get());
  account(*c);
  out = c.get();
  ad.current[level] = out;
  ad.rows.insert(it, std::move(c));
  return status::success();
}

void shard_rows::account(cached_row& c) {
  size_t now = sizeof(cached_row) + c.row->memory_bytes() + c.delta.memory_bytes();
  bytes_ += now - c.bytes;
  c.bytes = now;
}

bucket_row& shard_rows::writable(cached_row& c) {
  if (c.frozen) {
    c.row = std::make_shared<bucket_row>(*c.row);
    c.frozen = false;
  }
  if (!c.dirty) {
    c.dirty = true;
    dirty_.push_back(&c);
  }
  if (!c.stale_hash) {
    c.stale_hash = true;
    stale_.push_back(&c);
  }
  touched_now(c);
  return *c.row;
}

bucket_row& shard_rows::writable(cached_row& c, int64_t clock_ms) {
  if (!c.dirty && c.staged_ms != 0 && clock_ms - c.staged_ms < rewritten_within_ms) ++rewritten_;
  writable(c);
  c.row->written_ms = std::max(c.row->written_ms, clock_ms); // minutes are settled out of order; the clock only rises
  return *c.row;
}

status shard_rows::with_rows(const touch& first, int64_t last_clock_ms, std::array<cached_row*, bucket_level_count>& out) {
  const auto& r = first.record;
  auto& slot = ads_[r.ad_id];
  if (!slot) slot = std::make_unique<ad_entry>();
  auto& ad = *slot;
  bool may_exist = true; // the ad's total and its days are looked up; finer rows are known by their parent's `children`
  for (size_t i = 0; i < bucket_level_count; ++i) {
    auto level = static_cast<bucket_level>(i);
    bucket_key key{r.ad_id, level, bucket_start(level, r.time_s)};
    uint32_t bit = i >= 2 ? child_bit(level, key.start_s) : 0;
    if (i >= 2) may_exist = (out[i - 1]->row->children & bit) != 0;
    bool made = false;
    if (auto why = obtain(ad, key, may_exist, out[i], made); !why.ok()) return why;
    if (level == bucket_level::minute && may_exist && (made || out[i]->row->written_ms < first.horizons.minutes_ms)) {
      // The minute had a row and it has expired: what comes late counts in the coarser buckets only. An empty row that was
      // just made in its place stays clean and is never stored.
      out[i] = nullptr;
      continue;
    }
    bool late = level == bucket_level::minute && !made && !out[i]->row->seconds_gone &&
                out[i]->row->written_ms < first.horizons.seconds_ms;
    auto& row = writable(*out[i], last_clock_ms);
    if (late) row.drop_seconds();
    if (bit && !(out[i - 1]->row->children & bit)) out[i - 1]->row->children |= bit;
  }
  return status::success();
}

void shard_rows::add(const shard_record& r, int64_t clock_ms, const bucket_horizons& horizons) {
  touches_.push_back({touch::kind::counted, r, clock_ms, horizons});
  groups_.take(touches_.back().record);
}

void shard_rows::add_duplicate(uint64_t ad_id, int64_t first_time_s, bool conflict, int64_t clock_ms,
                               const bucket_horizons& horizons) {
  auto& t = touches_.emplace_back();
  t.what = conflict ? touch::kind::conflict : touch::kind::duplicate;
  t.record.ad_id = ad_id;
  t.record.time_s = first_time_s;
  t.clock_ms = clock_ms;
  t.horizons = horizons;
}

// In runs of one ad and minute: each row is looked up once a run, and an ad's rows are in the processor's cache when they are
// needed again. Order between ads and between minutes decides nothing: numbers add up, visitor sets are canonical, and only a
// minute's own record of when it was written says whether it has expired.
status shard_rows::settle() {
  order_.clear();
  for (size_t i = 0; i < touches_.size(); ++i) {
    const auto& r = touches_[i].record;
    order_.push_back(static_cast<touch_order>(r.ad_id) << 64 | static_cast<touch_order>(r.time_s / 60) << 32 | i);
  }
  std::sort(order_.begin(), order_.end());
  for (size_t from = 0, to = 0; from < order_.size(); from = to) {
    const auto& first = touches_[static_cast<uint32_t>(order_[from])];
    // What the first one wrote must not have expired for the next: then that one finds the minute as the first one left it.
    auto joins = [&](touch_order o) {
      const auto& h = touches_[static_cast<uint32_t>(o)].horizons;
      return o >> 32 == order_[from] >> 32 && std::max(h.seconds_ms, h.minutes_ms) <= first.clock_ms;
    };
    for (to = from + 1; to < order_.size() && joins(order_[to]); ++to) {
    }
    if (auto why = settle_run(from, to); !why.ok()) return why;
  }
  const auto hour_of = [&](size_t i) {
    const auto& r = touches_[static_cast<uint32_t>(order_[i])].record;
    return std::pair(r.ad_id, r.time_s / span_s(bucket_level::hour_groups));
  };
  for (size_t from = 0, to = 0; from < order_.size(); from = to) {
    for (to = from + 1; to < order_.size() && hour_of(to) == hour_of(from); ++to) {
    }
    if (auto why = settle_groups(from, to); !why.ok()) return why;
  }
  touches_.clear();
  return status::success();
}

status shard_rows::settle_run(size_t from, size_t to) {
  auto touched = [&](size_t i) -> const touch& { return touches_[static_cast<uint32_t>(order_[i])]; };
  std::array<cached_row*, bucket_level_count> rows{};
  if (auto why = with_rows(touched(from), touched(to - 1).clock_ms, rows); !why.ok()) return why;
  auto* minute = rows[static_cast<size_t>(bucket_level::minute)];
  bool seconds = minute && !minute->row->seconds_gone;
  counters sum;
  clickers_.clear();
  for (size_t i = from; i < to; ++i) {
    const auto& t = touched(i);
    const auto& r = t.record;
    auto* cell = seconds ? &minute->row->cell(static_cast<uint8_t>(r.time_s % 60)) : nullptr;
    if (t.what != touch::kind::counted) {
      sum.add_duplicate(t.what == touch::kind::conflict);
      if (cell) cell->count.add_duplicate(t.what == touch::kind::conflict);
      continue;
    }
    sum.add(r, r.invalid);
    if (cell) cell->count.add(r, r.invalid);
    if (r.type != event_type::click || r.invalid != invalid_reason::none) continue;
    clickers_.push_back(r.visitor);
    if (cell) cell->clickers.add(r.visitor);
  }
  // From the finest: who is in a bucket is in every coarser one too, so only those that are new go on.
  std::span<uint64_t> fresh(clickers_);
  for (auto level = rows.rbegin(); level != rows.rend(); ++level) {
    if (!*level) continue;
    auto& c = **level;
    c.row->count += sum;
    if (&c == minute && seconds) continue;
    fresh = fresh.first(c.row->clickers.add_all(fresh));
    if (c.stored) c.delta.add_all(fresh);
  }
  return status::success();
}

// In log order, other than the rest: which values have a cell and which are `other` depends on which came first.
status shard_rows::settle_groups(size_t from, size_t to) {
  const auto by_number = [](touch_order a, touch_order b) { return static_cast<uint32_t>(a) < static_cast<uint32_t>(b); };
  std::sort(order_.begin() + static_cast<std::ptrdiff_t>(from), order_.begin() + static_cast<std::ptrdiff_t>(to), by_number);
  cached_row* row = nullptr;
  for (size_t i = from; i < to; ++i) {
    const auto& t = touches_[static_cast<uint32_t>(order_[i])];
    if (t.what != touch::kind::counted) continue;
    const auto& r = t.record;
    if (!row) {
      auto& ad = *ads_.find(r.ad_id)->second;
      const auto start_s = bucket_start(bucket_level::hour, r.time_s);
      cached_row* hour = nullptr;
      bool made = false;
      if (auto why = obtain(ad, {r.ad_id, bucket_level::hour, start_s}, true, hour, made); !why.ok()) return why;
      // Never stored without its hour.
      if (auto why = obtain(ad, {r.ad_id, bucket_level::hour_groups, start_s}, hour->stored, row, made); !why.ok()) return why;
      groups_.begin(writable(*row, t.clock_ms), row->stored);
    }
    row->row->written_ms = std::max(row->row->written_ms, t.clock_ms);
    groups_.add(r);
  }
  if (row) groups_.finish();
  return status::success();
}

// What a row says of time stays, so that it is as if the alias had come in the visitor's place.
status shard_rows::replace_visitor(uint64_t visitor, uint64_t alias, std::vector<uint64_t>& ads) {
  const auto replace = [&](cached_row& c) {
    if (!c.row->has_visitor(visitor)) return;
    writable(c).replace_visitor(visitor, alias);
    c.whole = true;
    account(c);
  };
  for (auto& [id, ad] : ads_) {
    ads.push_back(id);
    for (auto& c : ad->rows) replace(*c);
  }
  // A set names its visitors in eight bytes each; what has these bytes for another reason is looked at in vain.
  std::string bytes;
  put_fixed64(bytes, visitor);
  std::vector<bucket_key> found;
  status bad;
  auto why = store_.scan("b", "c", [&](std::string_view key, std::string_view value) {
    bucket_key k;
    if (!keys::parse_bucket(key, k)) bad = {errc::corrupt, "a stored bucket's key does not decode"};
    if (k.level == bucket_level::total) ads.push_back(k.ad_id);
    if (value.find(bytes) != std::string_view::npos) found.push_back(k);
    return bad.ok();
  });
  if (why.ok()) why = bad;
  for (size_t i = 0; i < found.size() && why.ok(); ++i) {
    auto& ad = ads_[found[i].ad_id];
    if (!ad) ad = std::make_unique<ad_entry>();
    cached_row* c = nullptr;
    bool made = false;
    why = obtain(*ad, found[i], true, c, made);
    if (why.ok()) replace(*c);
  }
  std::sort(ads.begin(), ads.end());
  ads.erase(std::unique(ads.begin(), ads.end()), ads.end());
  return why;
}

uint64_t shard_rows::state_sum() {
  for (auto* c : stale_) {
    // Written even to a frozen row: a view never reads the hash.
    uint64_t now = hash_of(c->key, *c->row);
    sum_ += now - c->row->hash;
    c->row->hash = now;
    c->stale_hash = false;
  }
  stale_.clear();
  return sum_;
}

void shard_rows::stage_row(store_batch& batch, cached_row& c, std::string& value) {
  value.clear();
  const bool groups = c.key.level == bucket_level::hour_groups;
  // A minute rewrites its seconds each time: nothing is gained by adding to its visitors.
  bool whole = !c.stored || c.whole || c.merges >= merges_max || c.key.level == bucket_level::minute ||
               (groups ? adtrack::memory_bytes(c.row->groups) <= whole_groups_bytes
                       : c.row->clickers.memory_bytes() <= whole_visitors_bytes);
  c.merges = whole ? 0 : static_cast<uint8_t>(c.merges + 1);
  if (groups && !whole)
    encode_added(*c.row, c.merges, value);
  else
    encode(*c.row, whole ? c.row->clickers : c.delta, c.merges, value);
  // Done to a frozen row too: a view reads the content only.
  for (auto& cell : c.row->groups.cells) cell.changed = false;
  c.row->groups.added = {};
  if (whole)
    batch.put(keys::bucket(c.key), value);
  else
    batch.merge(keys::bucket(c.key), value);
  c.stored = true;
  c.whole = false;
  c.dirty = false;
  c.delta = {};
}

void shard_rows::stage(store_batch& batch, int64_t clock_ms) {
  state_sum(); // rows are stored with their hash
  // In key order: RocksDB's memtable finds the next place from the last one (measured: 20 % of the whole cost of applying).
  std::sort(dirty_.begin(), dirty_.end(), [](const cached_row* a, const cached_row* b) {
    return std::tie(a->key.level, a->key.ad_id, a->key.start_s) < std::tie(b->key.level, b->key.ad_id, b->key.start_s);
  });
  std::string value;
  for (auto* c : dirty_) {
    stage_row(batch, *c, value);
    c->staged_ms = clock_ms;
    account(*c);
  }
  dirty_.clear();
  rewritten_ = 0;
}

void shard_rows::touched_now(cached_row& c) {
  if (c.generation == generation_) return;
  c.generation = generation_;
  by_touch_.splice(by_touch_.begin(), by_touch_, c.place);
}

void shard_rows::evict(const cached_row& c) {
  const auto found = ads_.find(c.key.ad_id);
  auto& ad = *found->second;
  auto& current = ad.current[static_cast<size_t>(c.key.level)];
  if (current == &c) current = nullptr;
  bytes_ -= c.bytes;
  by_touch_.erase(c.place);
  ad.rows.erase(place_of(ad, c.key)); // c ends here
  if (ad.rows.empty()) ads_.erase(found);
}

// A few rows a commit rather than many at once: nobody waits for a sweep through the cache.
void shard_rows::trim() {
  ++generation_;
  // The rows that are made anew without being stored come from expired minutes; like all others here they are clean.
  while (bytes_ > cache_bytes_ && !by_touch_.empty()) evict(*by_touch_.back());
}

std::vector<frozen_row> shard_rows::freeze(std::span<const uint64_t> ads, bool groups) {
  std::vector<frozen_row> out;
  auto take = [&](cached_row& c) {
    if (c.key.level == bucket_level::hour_groups && !groups) return;
    c.frozen = true;
    out.push_back({c.key, c.row});
  };
  if (ads.empty()) {
    for (auto* c : dirty_) take(*c);
  } else {
    for (auto id : ads)
      if (auto it = ads_.find(id); it != ads_.end())
        for (auto& c : it->second->rows)
          if (c->row->written_ms) take(*c);
  }
  return out;
}

} // namespace adtrack::storage
