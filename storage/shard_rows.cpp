#include "storage/shard_rows.hpp"

#include <algorithm>

#include "storage/shard_keys.hpp"

namespace adtrack::storage {

namespace {

// A visitor set up to this size stands in its row; a larger one under its own key, written as what was added.
constexpr size_t inline_visitors_max = 512;
// So many additions in a row before a set is written whole again: bounds the chain that a read has to merge.
constexpr uint8_t merges_max = 32;

bool row_before(const bucket_key& a, bucket_level level, int64_t start) {
  return a.level != level ? a.level < level : a.start_s < start;
}

} // namespace

result<loaded_row> load_row(const store_reader& store, const bucket_key& key, std::string_view value) {
  loaded_row out;
  if (!decode(value, out.row) || value.empty()) return status{errc::corrupt, "a stored bucket does not decode"};
  out.merges = static_cast<uint8_t>(value[0]);
  value.remove_prefix(1);
  std::string outside;
  if (out.merges > 0) {
    auto visitors = store.get(keys::bucket(visitor_key_prefix, key));
    if (!visitors.ok() && visitors.why.code == errc::not_found) return status{errc::corrupt, "a bucket's visitors are missing"};
    if (!visitors.ok()) return visitors.why;
    outside = std::move(*visitors);
    value = outside;
  }
  if (!visitor_set::decode(value, out.row.clickers) || !value.empty()) return status{errc::corrupt, "a bucket's visitors do not decode"};
  return out;
}

result<loaded_row> load_row(const store_reader& store, const bucket_key& key) {
  auto value = store.get(keys::bucket('b', key));
  if (!value.ok()) return value.why;
  return load_row(store, key, *value);
}

status shard_rows::obtain(ad_entry& ad, const bucket_key& key, bool may_exist, cached_row*& out, bool& made) {
  made = false;
  auto level = static_cast<size_t>(key.level);
  if (auto* c = ad.current[level]; c && c->key.start_s == key.start_s) {
    out = c;
    return status::success();
  }
  auto it = std::lower_bound(ad.rows.begin(), ad.rows.end(), key,
                             [](const auto& c, const bucket_key& k) { return row_before(c->key, k.level, k.start_s); });
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
      made = false;
    } else if (stored.why.code != errc::not_found) {
      return stored.why;
    }
  }
  if (!c->row) c->row = std::make_shared<bucket_row>();
  c->generation = generation_;
  account(*c);
  out = c.get();
  ad.current[level] = out;
  ad.rows.insert(it, std::move(c));
  return status::success();
}

void shard_rows::account(cached_row& c) {
  size_t now = sizeof(cached_row) + c.row->memory_bytes() + c.delta.capacity() * sizeof(uint64_t);
  bytes_ += now - c.bytes;
  c.bytes = now;
}

bucket_row& shard_rows::writable(cached_row& c, int64_t clock_ms) {
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
  c.generation = generation_;
  c.row->written_ms = clock_ms;
  return *c.row;
}

status shard_rows::with_rows(uint64_t ad_id, int64_t time_s, int64_t clock_ms, const bucket_horizons& horizons,
                             std::array<cached_row*, bucket_level_count>& out) {
  auto& slot = ads_[ad_id];
  if (!slot) slot = std::make_unique<ad_entry>();
  auto& ad = *slot;
  bool may_exist = true; // the ad's total and its days are looked up; finer rows are known by their parent's `children`
  for (size_t i = 0; i < bucket_level_count; ++i) {
    auto level = static_cast<bucket_level>(i);
    bucket_key key{ad_id, level, bucket_start(level, time_s)};
    uint32_t bit = i >= 2 ? child_bit(level, key.start_s) : 0;
    if (i >= 2) may_exist = (out[i - 1]->row->children & bit) != 0;
    bool made = false;
    if (auto why = obtain(ad, key, may_exist, out[i], made); !why.ok()) return why;
    if (level == bucket_level::minute && may_exist && (made || out[i]->row->written_ms < horizons.minutes_ms)) {
      // The minute had a row and it has expired: what comes late counts in the coarser buckets only. An empty row that was
      // just made in its place stays clean and is never stored.
      out[i] = nullptr;
      continue;
    }
    if (level == bucket_level::minute && !made && !out[i]->row->seconds_gone && out[i]->row->written_ms < horizons.seconds_ms)
      writable(*out[i], clock_ms).drop_seconds();
    writable(*out[i], clock_ms);
    if (bit && !(out[i - 1]->row->children & bit)) out[i - 1]->row->children |= bit;
  }
  return status::success();
}

status shard_rows::add(const shard_record& r, invalid_reason invalid, int64_t clock_ms, const bucket_horizons& horizons) {
  std::array<cached_row*, bucket_level_count> rows{};
  if (auto why = with_rows(r.ad_id, r.time_s, clock_ms, horizons, rows); !why.ok()) return why;
  bool clicker = r.type == event_type::click && invalid == invalid_reason::none;
  for (auto* c : rows) {
    if (!c) continue;
    auto& row = *c->row;
    row.count.add(r, invalid);
    if (c->key.level == bucket_level::minute && !row.seconds_gone) {
      auto& cell = row.cell(static_cast<uint8_t>(r.time_s % 60));
      cell.count.add(r, invalid);
      if (clicker) cell.clickers.add(r.visitor);
    } else if (clicker && row.clickers.add(r.visitor) && c->merges > 0) {
      c->delta.push_back(r.visitor);
    }
  }
  return status::success();
}

status shard_rows::add_duplicate(uint64_t ad_id, int64_t first_time_s, bool conflict, int64_t clock_ms, const bucket_horizons& horizons) {
  std::array<cached_row*, bucket_level_count> rows{};
  if (auto why = with_rows(ad_id, first_time_s, clock_ms, horizons, rows); !why.ok()) return why;
  for (auto* c : rows) {
    if (!c) continue;
    c->row->count.add_duplicate(conflict);
    if (c->key.level == bucket_level::minute && !c->row->seconds_gone)
      c->row->cell(static_cast<uint8_t>(first_time_s % 60)).count.add_duplicate(conflict);
  }
  return status::success();
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

void shard_rows::stage_row(store_batch& batch, cached_row& c) {
  std::string value, visitors;
  encode(*c.row, value);
  if (c.merges > 0 && c.merges < merges_max) {
    if (!c.delta.empty()) {
      visitor_set added;
      for (auto v : c.delta) added.add(v);
      added.encode(visitors);
      batch.merge(keys::bucket(visitor_key_prefix, c.key), visitors);
      ++c.merges;
    }
    value.push_back(static_cast<char>(c.merges));
  } else {
    c.row->clickers.encode(visitors);
    bool inside = c.key.level == bucket_level::minute || visitors.size() <= inline_visitors_max;
    c.merges = inside ? 0 : 1;
    value.push_back(static_cast<char>(c.merges));
    if (inside)
      value += visitors;
    else
      batch.put(keys::bucket(visitor_key_prefix, c.key), visitors);
  }
  c.delta.clear();
  batch.put(keys::bucket('b', c.key), value);
}

void shard_rows::stage(store_batch& batch) {
  state_sum(); // rows are stored with their hash
  for (auto* c : dirty_) {
    stage_row(batch, *c);
    c->dirty = false;
    account(*c);
  }
  dirty_.clear();
}

void shard_rows::evict(uint32_t keep_since) {
  for (auto it = ads_.begin(); it != ads_.end();) {
    auto& ad = *it->second;
    std::erase_if(ad.rows, [&](const auto& c) {
      if (c->dirty || c->generation >= keep_since) return false;
      auto& current = ad.current[static_cast<size_t>(c->key.level)];
      if (current == c.get()) current = nullptr;
      bytes_ -= c->bytes;
      return true;
    });
    if (ad.rows.empty())
      ads_.erase(it++);
    else
      ++it;
  }
}

void shard_rows::trim() {
  ++generation_;
  if (bytes_ <= cache_bytes_) return;
  // Down to three quarters of the bound: rows untouched for eight commits first, then all clean ones.
  evict(generation_ > 8 ? generation_ - 8 : 0);
  if (bytes_ > cache_bytes_ / 4 * 3) evict(generation_);
}

std::vector<frozen_row> shard_rows::freeze(std::span<const uint64_t> ads) {
  std::vector<frozen_row> out;
  auto take = [&](cached_row& c) {
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
