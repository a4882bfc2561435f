#include "storage/shard_query.hpp"

#include <algorithm>
#include <functional>
#include <tuple>

#include <absl/container/flat_hash_map.h>

#include "model/series.hpp"
#include "model/window_cover.hpp"
#include "storage/shard_keys.hpp"

namespace adtrack::storage {

namespace {

bucket_level level_of(int64_t bucket_s) {
  switch (bucket_s) {
  case 86'400: return bucket_level::day;
  case 3'600: return bucket_level::hour;
  case 900: return bucket_level::quarter_hour;
  default: return bucket_level::minute;
  }
}

bool key_before(const frozen_row& row, const bucket_key& key) {
  const auto& k = row.key;
  return std::tie(k.level, k.ad_id, k.start_s) < std::tie(key.level, key.ad_id, key.start_s);
}

// Both edges moved outwards to multiples of `step_s`.
time_window widened_to(int64_t step_s, time_window w) {
  const auto down = [step_s](int64_t t) { return t - (t % step_s + step_s) % step_s; };
  if (w.since_s != time_window::unbounded_since) w.since_s = down(w.since_s);
  if (w.until_s != time_window::unbounded_until) w.until_s = down(w.until_s + step_s - 1);
  return w;
}

// The first `most` rows in an order, of all that are shown to it.
class top_rows {
public:
  top_rows(const row_order& order, size_t most) : most_(most), before_{order} {}

  void add(analytics_row&& row) {
    if (rows_.size() == most_) {
      if (most_ == 0 || !before_(row, rows_.front())) return;
      std::pop_heap(rows_.begin(), rows_.end(), before_);
      rows_.pop_back();
    }
    rows_.push_back(std::move(row));
    std::push_heap(rows_.begin(), rows_.end(), before_);
  }
  std::vector<analytics_row> take() {
    std::sort_heap(rows_.begin(), rows_.end(), before_);
    return std::move(rows_);
  }

private:
  struct before {
    row_order order;
    bool operator()(const analytics_row& a, const analytics_row& b) const { return stands_before(a, b, order); }
  };
  size_t most_;
  before before_;
  std::vector<analytics_row> rows_; // a heap: the last in the order stands in front
};

class view final : public shard_view {
public:
  view(std::shared_ptr<const store_reader> snapshot, std::vector<frozen_row> newer, const bucket_horizons& horizons,
       uint32_t shard, int64_t applied)
      : snapshot_(std::move(snapshot)), newer_(std::move(newer)), horizons_(horizons), shard_(shard), applied_(applied) {
    // Order of the store's keys: by level, then ad, then time.
    std::sort(newer_.begin(), newer_.end(), [](const frozen_row& a, const frozen_row& b) { return key_before(a, b.key); });
  }

  result<shard_answer> answer(const analytics_query& query) const override;

private:
  using row_visitor = std::function<void(const bucket_key&, const bucket_row&)>;
  using row_reader = bool (*)(std::string_view value, group_dimension by, row_value& out); // of a stored row
  struct group_sum {
    counters count;
    visitor_set clickers;
  };
  using group_sums = absl::flat_hash_map<std::string, group_sum>;
  enum class gone : uint8_t { nothing, seconds, minutes };

  // Rows of one level and ad that start in [from_s, to_s), the newer version of each; without `visitors` these may be missing in
  // them.
  status rows(bucket_level level, uint64_t ad, int64_t from_s, int64_t to_s, bool visitors, const row_visitor& visit) const;
  status read_rows(bucket_level level, uint64_t ad, int64_t from_s, int64_t to_s, row_reader read, group_dimension by,
                   const row_visitor& visit) const;
  result<std::shared_ptr<const bucket_row>> row(const bucket_key& key, bool visitors = true) const; // errc::not_found
  result<std::vector<uint64_t>> all_ads() const;

  // What of the buckets that [from_s, to_s) needs, all within one quarter-hour, has expired.
  result<gone> expired(uint64_t ad, int64_t from_s, int64_t to_s) const;
  status widen(uint64_t ad, const time_window& asked, time_window& wide, resolution& finest) const;
  status add_up(uint64_t ad, const time_window& window, const std::vector<cover_piece>& pieces, bool visitors,
                analytics_row& out) const;
  status add_rows(const std::vector<uint64_t>& ads, const analytics_query& query, shard_answer& out) const;
  status add_seconds(uint64_t ad, const cover_piece& piece, counters& count, visitor_set& clickers) const;

  status group_up(uint64_t ad, const time_window& window, group_dimension by, bool visitors, group_sums& out) const;
  status add_groups(const std::vector<uint64_t>& ads, const analytics_query& query, shard_answer& out) const;
  status add_group_visitors(group_dimension by, shard_answer& out) const;

  status add_series(const analytics_query& query, shard_answer& out) const;
  status add_to_series(uint64_t ad, bucket_level level, int64_t from_s, int64_t to_s, series_builder& out) const;
  status add_minutes_to_series(uint64_t ad, int64_t quarter_s, uint32_t children, series_builder& out) const;

  std::shared_ptr<const store_reader> snapshot_;
  std::vector<frozen_row> newer_;
  bucket_horizons horizons_;
  uint32_t shard_;
  int64_t applied_;
};

status view::rows(bucket_level level, uint64_t ad, int64_t from_s, int64_t to_s, bool visitors, const row_visitor& visit) const {
  const row_reader whole = [](std::string_view value, group_dimension, row_value& out) { return decode(value, out); };
  const row_reader numbers = [](std::string_view value, group_dimension, row_value& out) { return decode_numbers(value, out); };
  return read_rows(level, ad, from_s, to_s, visitors ? whole : numbers, group_dimension::none, visit);
}

status view::read_rows(bucket_level level, uint64_t ad, int64_t from_s, int64_t to_s, row_reader read, group_dimension by,
                       const row_visitor& visit) const {
  // Keys know minutes only, on which all rows start: one that starts in the minute that `to_s` cuts is asked for.
  const auto whole_minute = [](int64_t at_s) { return (at_s + 59) / 60 * 60; };
  auto low = bucket_key{ad, level, whole_minute(from_s)};
  auto high = bucket_key{ad, level, whole_minute(to_s)};
  auto it = std::lower_bound(newer_.begin(), newer_.end(), low, key_before);
  auto end = std::lower_bound(newer_.begin(), newer_.end(), high, key_before);
  status inner;
  auto why = snapshot_->scan(keys::bucket(low), keys::bucket(high), [&](std::string_view key, std::string_view value) {
    bucket_key k;
    if (!keys::parse_bucket(key, k)) {
      inner = {errc::corrupt, "a stored bucket's key does not decode"};
      return false;
    }
    for (; it != end && key_before(*it, k); ++it) visit(it->key, *it->row);
    if (it != end && it->key == k) {
      visit(k, *it->row);
      ++it;
      return true;
    }
    row_value stored;
    if (!read(value, by, stored)) {
      inner = {errc::corrupt, "a stored bucket does not decode"};
      return false;
    }
    visit(k, stored.row);
    return true;
  });
  if (!why.ok()) return why;
  if (!inner.ok()) return inner;
  for (; it != end; ++it) visit(it->key, *it->row);
  return status::success();
}

result<std::shared_ptr<const bucket_row>> view::row(const bucket_key& key, bool visitors) const {
  auto it = std::lower_bound(newer_.begin(), newer_.end(), key, key_before);
  if (it != newer_.end() && it->key == key) return it->row;
  auto stored = load_row(*snapshot_, key, visitors);
  if (!stored.ok()) return stored.why;
  return std::shared_ptr<const bucket_row>(std::make_shared<bucket_row>(std::move(stored->row)));
}

result<std::vector<uint64_t>> view::all_ads() const {
  std::vector<uint64_t> ads;
  auto it = std::lower_bound(newer_.begin(), newer_.end(), bucket_key{}, key_before);
  auto take_newer = [&](uint64_t below) {
    for (; it != newer_.end() && it->key.level == bucket_level::total && it->key.ad_id < below; ++it)
      ads.push_back(it->key.ad_id);
  };
  auto why =
      snapshot_->scan(keys::bucket({}), keys::bucket({0, bucket_level::day, 0}), [&](std::string_view key, std::string_view) {
        bucket_key k;
        if (!keys::parse_bucket(key, k)) return false;
        take_newer(k.ad_id);
        if (it != newer_.end() && it->key == k) ++it;
        ads.push_back(k.ad_id);
        return true;
      });
  if (!why.ok()) return why;
  take_newer(~uint64_t{0});
  return ads;
}

result<view::gone> view::expired(uint64_t ad, int64_t from_s, int64_t to_s) const {
  auto quarter = row({ad, bucket_level::quarter_hour, bucket_start(bucket_level::quarter_hour, from_s)}, false);
  if (!quarter.ok()) return quarter.why.code == errc::not_found ? result<gone>(gone::nothing) : result<gone>(quarter.why);
  gone worst = gone::nothing;
  for (int64_t m = bucket_start(bucket_level::minute, from_s); m < to_s; m += 60) {
    if (!((*quarter)->children & child_bit(bucket_level::minute, m))) continue;
    auto minute = row({ad, bucket_level::minute, m}, false);
    if (!minute.ok() && minute.why.code != errc::not_found) return minute.why;
    if (!minute.ok() || (*minute)->written_ms < horizons_.minutes_ms) return gone::minutes;
    bool cut = m < from_s || m + 60 > to_s;
    if (cut && ((*minute)->seconds_gone || (*minute)->written_ms < horizons_.seconds_ms)) worst = gone::seconds;
  }
  return worst;
}

// Moves an edge of `wide` outwards, never inwards, to a bucket that is still kept for this ad.
status view::widen(uint64_t ad, const time_window& asked, time_window& wide, resolution& finest) const {
  auto edge = [&](int64_t time_s, bool left) -> status {
    if (time_s <= 0 || time_s >= cover_end_s || time_s % 900 == 0) return status::success();
    int64_t quarter = time_s / 900 * 900;
    int64_t from = left ? time_s : std::max(quarter, asked.since_s);
    int64_t to = left ? std::min(quarter + 900, asked.until_s) : time_s;
    auto lost = expired(ad, from, to);
    if (!lost.ok()) return lost.why;
    if (*lost == gone::nothing) return status::success();
    int64_t step = *lost == gone::seconds ? 60 : 900;
    finest = std::max(finest, *lost == gone::seconds ? resolution::minute : resolution::quarter_hour);
    if (left)
      wide.since_s = std::min(wide.since_s, time_s / step * step);
    else
      wide.until_s = std::max(wide.until_s, (time_s + step - 1) / step * step);
    return status::success();
  };
  if (auto why = edge(asked.since_s, true); !why.ok()) return why;
  return edge(asked.until_s, false);
}

status view::add_seconds(uint64_t ad, const cover_piece& piece, counters& count, visitor_set& clickers) const {
  auto minute_s = bucket_start(bucket_level::minute, piece.from_s);
  auto minute = row({ad, bucket_level::minute, minute_s});
  if (!minute.ok()) return minute.why.code == errc::not_found ? status::success() : minute.why;
  for (const auto& c : (*minute)->seconds) {
    if (minute_s + c.second < piece.from_s || minute_s + c.second >= piece.to_s) continue;
    count += c.count;
    clickers.merge(c.clickers);
  }
  return status::success();
}

status view::add_up(uint64_t ad, const time_window& window, const std::vector<cover_piece>& pieces, bool visitors,
                    analytics_row& out) const {
  visitor_set clickers;
  out.ad_id = ad;
  auto take = [&](const bucket_key&, const bucket_row& r) {
    out.count += r.count;
    if (visitors) r.merge_clickers_into(clickers);
  };
  if (window == time_window{}) {
    auto total = row({ad, bucket_level::total, 0}, visitors);
    if (!total.ok() && total.why.code != errc::not_found) return total.why;
    if (total.ok()) take({}, **total);
  } else {
    for (const auto& piece : pieces) {
      auto why = piece.bucket_s == 1 ? add_seconds(ad, piece, out.count, clickers)
                                     : rows(level_of(piece.bucket_s), ad, piece.from_s, piece.to_s, visitors, take);
      if (!why.ok()) return why;
    }
  }
  out.unique_clicks = clickers.estimate();
  out.unique_error = clickers.standard_error();
  return status::success();
}

// Buckets go whole into the point that holds them; one that is cut by a point's or the window's edge is opened up into the next
// finer ones. So each point is read from the fewest buckets, wherever a zone's clock puts its edges.
status view::add_to_series(uint64_t ad, bucket_level level, int64_t from_s, int64_t to_s, series_builder& out) const {
  status inner;
  auto why = rows(level, ad, from_s, to_s, true, [&](const bucket_key& key, const bucket_row& r) {
    const time_window bucket{key.start_s, key.start_s + span_s(level)};
    if (!inner.ok() || out.full() || out.lost() || !out.touches(bucket)) return;
    if (out.holds(bucket)) {
      auto& sum = out.at(key.start_s);
      sum.count += r.count;
      r.merge_clickers_into(sum.clickers);
    } else if (level == bucket_level::quarter_hour) {
      inner = add_minutes_to_series(ad, key.start_s, r.children, out);
    } else {
      inner = add_to_series(ad, static_cast<bucket_level>(static_cast<uint8_t>(level) + 1), bucket.since_s, bucket.until_s, out);
    }
  });
  return why.ok() ? inner : why;
}

// The minutes of a quarter-hour, some of which may have expired.
status view::add_minutes_to_series(uint64_t ad, int64_t quarter_s, uint32_t children, series_builder& out) const {
  uint32_t live = 0;
  auto why = rows(bucket_level::minute, ad, quarter_s, quarter_s + 900, true, [&](const bucket_key& key, const bucket_row& r) {
    if (r.written_ms < horizons_.minutes_ms) return;
    live |= child_bit(bucket_level::minute, key.start_s);
    const time_window minute{key.start_s, key.start_s + 60};
    if (!out.touches(minute)) return;
    if (out.holds(minute)) {
      auto& sum = out.at(key.start_s);
      sum.count += r.count;
      r.merge_clickers_into(sum.clickers);
      return;
    }
    if (r.seconds_gone || r.written_ms < horizons_.seconds_ms) return out.lose();
    for (const auto& c : r.seconds) {
      const auto second = key.start_s + c.second;
      if (!out.touches({second, second + 1})) continue;
      auto& sum = out.at(second);
      sum.count += c.count;
      sum.clickers.merge(c.clickers);
    }
  });
  for (int64_t m = quarter_s; m < quarter_s + 900; m += 60)
    if ((children & ~live & child_bit(bucket_level::minute, m)) && out.touches({m, m + 60})) out.lose();
  return why;
}

status view::add_series(const analytics_query& query, shard_answer& out) const {
  time_zone zone;
  if (!time_zone::load(query.tz, zone)) return {errc::corrupt, "the time zone " + query.tz + " does not load here"};
  const time_grid grid(query.step, zone);
  const auto from_s = bucket_start(bucket_level::day, std::clamp<int64_t>(out.window.since_s, 0, cover_end_s));
  const auto to_s = std::clamp<int64_t>(out.window.until_s, 0, cover_end_s);
  size_t points = 0;
  for (auto& row : out.rows) {
    if (points > query.max_points) { // who wants this row wants those before it too
      row.fault_of_series = series_fault::too_many;
      continue;
    }
    series_builder builder(grid, out.window, query.max_points);
    if (auto why = add_to_series(row.ad_id, bucket_level::day, from_s, to_s, builder); !why.ok()) return why;
    if (builder.lost()) {
      row.fault_of_series = series_fault::not_kept;
      continue;
    }
    row.series = builder.finish();
    points += builder.full() ? query.max_points + 1 : length_of(row.series, out.window, grid, query.max_points);
    if (points <= query.max_points) continue;
    row.fault_of_series = series_fault::too_many;
    row.series.clear();
  }
  return status::success();
}

// The visitors of many ads are most of the work: where fewer rows are asked for and visitors do not decide which, only theirs are
// added up.
status view::add_rows(const std::vector<uint64_t>& ads, const analytics_query& query, shard_answer& out) const {
  const auto pieces = cover(out.window);
  const uint64_t most = uint64_t{query.page} * query.limit;
  const bool at_once = ads.size() <= most || query.order.key == sort_key::unique_clicks;
  top_rows top(query.order, most);
  for (auto ad : ads) {
    analytics_row row;
    if (auto why = add_up(ad, out.window, pieces, at_once, row); !why.ok()) return why;
    if (!row.count.any_event()) continue;
    ++out.total;
    top.add(std::move(row));
  }
  out.rows = top.take();
  for (auto& row : out.rows) {
    if (at_once) break;
    analytics_row whole;
    if (auto why = add_up(row.ad_id, out.window, pieces, true, whole); !why.ok()) return why;
    row = std::move(whole);
  }
  return status::success();
}

// Of one ad by the values of a dimension. The visitors of the valid events are the hour's own: they are not kept again by reason.
status view::group_up(uint64_t ad, const time_window& window, group_dimension by, bool visitors, group_sums& out) const {
  const auto from_s = std::clamp<int64_t>(window.since_s, 0, cover_end_s);
  const auto to_s = std::clamp<int64_t>(window.until_s, 0, cover_end_s);
  const row_reader whole = [](std::string_view value, group_dimension d, row_value& to) {
    return decode_groups(value, d, true, to);
  };
  const row_reader numbers = [](std::string_view value, group_dimension d, row_value& to) {
    return decode_groups(value, d, false, to);
  };
  std::vector<visitor_set*> sets; // by cell
  const auto add = [&](const bucket_key&, const bucket_row& r) {
    const auto& cells = r.groups.cells;
    for (const auto& cell : cells)
      if (cell.dimension == by) out[cell.name].count += cell.count;
    if (!visitors || !keeps_visitors(by)) return;
    sets.clear();
    for (const auto& cell : cells) sets.push_back(cell.dimension == by ? &out[cell.name].clickers : nullptr);
    r.groups.visitors.add_to(sets, by, cells);
  };
  auto why = read_rows(bucket_level::hour_groups, ad, from_s, to_s, visitors ? whole : numbers, by, add);
  const auto valid = by == group_dimension::invalid_reason && visitors ? out.find(std::string(group_valid)) : out.end();
  if (!why.ok() || valid == out.end()) return why;
  return rows(bucket_level::hour, ad, from_s, to_s, true,
              [&](const bucket_key&, const bucket_row& r) { valid->second.clickers.merge(r.clickers); });
}

status view::add_groups(const std::vector<uint64_t>& ads, const analytics_query& query, shard_answer& out) const {
  const uint64_t most = uint64_t{query.page} * query.limit;
  const bool at_once = ads.size() <= most || query.order.key == sort_key::unique_clicks; // as in add_rows()
  top_rows top(query.order, most);
  group_sums sums;
  for (auto ad : ads) {
    sums.clear();
    if (auto why = group_up(ad, out.window, query.by, at_once, sums); !why.ok()) return why;
    out.total += sums.size();
    for (const auto& [name, sum] : sums) {
      analytics_row row;
      row.ad_id = ad;
      row.group = name;
      row.count = sum.count;
      row.unique_clicks = sum.clickers.estimate();
      row.unique_error = sum.clickers.standard_error();
      top.add(std::move(row));
    }
  }
  out.rows = top.take();
  return at_once ? status::success() : add_group_visitors(query.by, out);
}

// The ads of the rows that are shown are read once more.
status view::add_group_visitors(group_dimension by, shard_answer& out) const {
  std::vector<analytics_row*> by_ad;
  for (auto& row : out.rows) by_ad.push_back(&row);
  std::sort(by_ad.begin(), by_ad.end(), [](const auto* a, const auto* b) { return a->ad_id < b->ad_id; });
  group_sums sums;
  uint64_t ad = 0;
  for (auto* row : by_ad) {
    if (row->ad_id != ad) {
      sums.clear();
      ad = row->ad_id;
      if (auto why = group_up(ad, out.window, by, true, sums); !why.ok()) return why;
    }
    const auto& clickers = sums[row->group].clickers;
    row->unique_clicks = clickers.estimate();
    row->unique_error = clickers.standard_error();
  }
  return status::success();
}

result<shard_answer> view::answer(const analytics_query& query) const {
  shard_answer out;
  out.shard = shard_;
  out.applied = applied_;
  out.window = query.window;
  std::vector<uint64_t> ads = query.ad_ids;
  if (ads.empty()) {
    auto all = all_ads();
    if (!all.ok()) return all.why;
    ads = std::move(*all);
  }
  if (query.by != group_dimension::none) {
    out.window = widened_to(span_s(bucket_level::hour_groups), query.window);
    out.finest = resolution::hour;
    if (auto why = add_groups(ads, query, out); !why.ok()) return why;
    return out;
  }
  // An edge is widened for all ads when one ad needs it. Widening can reach further buckets, so look again until it rests.
  for (bool moved = true; moved;) {
    auto before = out.window;
    for (auto ad : ads)
      if (auto why = widen(ad, before, out.window, out.finest); !why.ok()) return why;
    moved = out.window != before;
  }
  if (auto why = add_rows(ads, query, out); !why.ok()) return why;
  if (query.step != granularity::none)
    if (auto why = add_series(query, out); !why.ok()) return why;
  return out;
}

} // namespace

std::shared_ptr<const shard_view> make_shard_view(std::shared_ptr<const store_reader> snapshot, std::vector<frozen_row> newer,
                                                  const bucket_horizons& horizons, uint32_t shard, int64_t applied) {
  return std::make_shared<view>(std::move(snapshot), std::move(newer), horizons, shard, applied);
}

} // namespace adtrack::storage
