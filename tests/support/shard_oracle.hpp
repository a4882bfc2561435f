// The contract's definitions of counting, written plainly and slowly: lists and loops, no buckets. What the shard engine says is
// held against it. Also makes the random record streams that both are fed.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "model/analytics.hpp"
#include "model/control.hpp"
#include "model/event_fate.hpp"
#include "model/record_batch.hpp"

namespace adtrack::test {

class shard_oracle {
public:
  // `names` are what the record's places stand for.
  void apply(const shard_record& r, const std::vector<control>& controls, const std::vector<std::string>& names = {}) {
    if (r.what == shard_record::kind::control) settings_ = controls[r.index];
    tick(r.log_time_ms, r.what == shard_record::kind::control);
    if (r.what != shard_record::kind::event) return;
    auto it = seen_.find(r.id);
    if (it != seen_.end() && it->second.segment >= horizon_h_) {
      ++duplicates_seen;
      write(r.ad_id, it->second.time_s);
      const bool conflict = it->second.fields != r.fields_hash;
      ++it->second.fate.duplicates;
      it->second.fate.conflicts += conflict ? 1 : 0;
      duplicates_.push_back({r.ad_id, it->second.time_s, conflict});
      return;
    }
    ++counted_seen;
    auto counted = r;
    counted.restates = settings_.logic >= 4 && r.log_time_ms - r.time_s * 1'000 > 3'600'000;
    if (is_repeat(r)) counted.invalid = invalid_reason::repeat;
    event_fate fate;
    fate.verdict = counted.invalid == invalid_reason::none ? event_verdict::counted : event_verdict::invalid;
    fate.reason = counted.invalid;
    fate.at.offset = r.offset;
    fate.time_s = r.time_s;
    seen_[r.id] = {clock_ms_ / 3'600'000, r.fields_hash, r.time_s, fate};
    write(r.ad_id, r.time_s);
    counted_.push_back(counted);
    const auto name = [&](uint32_t at) { return at < names.size() ? names[at] : std::string(); };
    stamps_.push_back({name(r.browser), name(r.os), name(r.country)});
  }

  // The window that an answer for these ads must show: widened where what it needs has expired.
  time_window widened(const std::set<uint64_t>& ads, time_window w, resolution& finest) const {
    for (bool moved = true; moved;) {
      auto before = w;
      for (const auto& [key, m] : minutes_) {
        auto [ad, start] = key;
        if (!ads.empty() && !ads.count(ad)) continue;
        for (bool left : {true, false}) {
          int64_t edge = left ? before.since_s : before.until_s;
          if (edge <= 0 || edge > 4'000'000'000 || edge % 900 == 0 || edge / 900 != start / 900) continue;
          int64_t from = left ? edge : std::max(edge / 900 * 900, before.since_s);
          int64_t to = left ? std::min(edge / 900 * 900 + 900, before.until_s) : edge;
          if (start + 60 <= from || start >= to) continue; // not needed
          bool cut = start < from || start + 60 > to;
          int64_t step = m.gone || m.written_ms < minutes_ms_                    ? 900
                         : cut && (m.seconds_gone || m.written_ms < seconds_ms_) ? 60
                                                                                 : 0;
          if (!step) continue;
          finest = std::max(finest, step == 60 ? resolution::minute : resolution::quarter_hour);
          if (left)
            w.since_s = std::min(w.since_s, edge / step * step);
          else
            w.until_s = std::max(w.until_s, (edge + step - 1) / step * step);
        }
      }
      moved = !(w == before);
    }
    return w;
  }

  struct row {
    counters count;
    std::set<uint64_t> visitors;
  };
  std::map<uint64_t, row> rows(const std::set<uint64_t>& ads, const time_window& w) const {
    std::map<uint64_t, row> out;
    auto in = [&](uint64_t ad, int64_t t) { return (ads.empty() || ads.count(ad)) && t >= w.since_s && t < w.until_s; };
    for (const auto& r : counted_) {
      if (!in(r.ad_id, r.time_s)) continue;
      count(r, out[r.ad_id]);
    }
    for (const auto& d : duplicates_)
      if (auto it = out.find(d.ad); it != out.end() && in(d.ad, d.time_s)) {
        ++it->second.count[metric::duplicates];
        if (d.conflict) ++it->second.count[metric::conflicts];
      }
    return out;
  }

  // `unknown` once the window has passed it.
  event_fate fate_of(const identity& id) const {
    auto it = seen_.find(id);
    return it == seen_.end() || it->second.segment < horizon_h_ ? event_fate{} : it->second.fate;
  }

  // Both edges outwards to whole hours.
  static time_window widened_to_hours(time_window w) {
    if (w.since_s != time_window::unbounded_since)
      while (w.since_s % 3'600 != 0) --w.since_s;
    if (w.until_s != time_window::unbounded_until)
      while (w.until_s % 3'600 != 0) ++w.until_s;
    return w;
  }
  // By ad and group. Of an hour's values, those that came first have a group of their own.
  std::map<std::pair<uint64_t, std::string>, row> groups(group_dimension by, const std::set<uint64_t>& ads,
                                                         const time_window& w) const {
    const size_t most = by == group_dimension::browser || by == group_dimension::os ? 64 : 256;
    std::map<std::pair<uint64_t, std::string>, row> out;
    std::map<std::pair<uint64_t, int64_t>, std::set<std::string>> own;
    for (size_t i = 0; i < counted_.size(); ++i) {
      const auto& r = counted_[i];
      if ((!ads.empty() && !ads.count(r.ad_id)) || r.time_s < w.since_s || r.time_s >= w.until_s) continue;
      if (by == group_dimension::progress && r.type != event_type::playback) continue;
      auto name = value_of(i, by);
      auto& known = own[{r.ad_id, r.time_s / 3'600}];
      if (name != "other" && !known.count(name)) {
        if (known.size() < most)
          known.insert(name);
        else
          name = "other";
      }
      count(r, out[{r.ad_id, name}]);
    }
    return out;
  }

  uint64_t counted_seen = 0, duplicates_seen = 0;
  int64_t clock_ms() const { return clock_ms_; }

private:
  struct first {
    int64_t segment;
    uint32_t fields;
    int64_t time_s;
    event_fate fate;
  };
  struct minute {
    int64_t written_ms = 0;
    bool seconds_gone = false, gone = false;
  };
  struct stamp {
    std::string browser, os, country;
  };
  struct duplicate {
    uint64_t ad;
    int64_t time_s;
    bool conflict;
  };

  static void count(const shard_record& r, row& o) {
    constexpr size_t reasons = 5;
    const auto type = static_cast<size_t>(r.type);
    const bool click = r.type == event_type::click, valid = r.invalid == invalid_reason::none;
    auto of = [&](metric first, size_t number) -> uint64_t& { return o.count.values[static_cast<size_t>(first) + number]; };
    if (valid)
      ++of(metric::valid_clicks, type);
    else
      ++of(metric::invalid_clicks, type * reasons + static_cast<size_t>(r.invalid) - 1);
    if (valid && r.progress != playback_progress::none) ++of(metric::playback_progress, static_cast<size_t>(r.progress) - 1);
    if (click && valid) {
      o.visitors.insert(r.visitor);
      if (r.play_time_secs != absent) {
        ++o.count[metric::play_time_count];
        o.count[metric::play_time_sum] += static_cast<uint64_t>(r.play_time_secs);
      }
      if (r.watched_percent != absent) {
        ++o.count[metric::watched_count];
        o.count[metric::watched_sum] += static_cast<uint64_t>(r.watched_percent);
      }
    }
    o.count[metric::restated] += r.restates;
    o.count.last_counted_ms = std::max(o.count.last_counted_ms, r.log_time_ms);
  }
  std::string value_of(size_t i, group_dimension by) const {
    const auto& r = counted_[i];
    std::string out;
    switch (by) {
    case group_dimension::none: break;
    case group_dimension::device: out = to_string(r.device); break;
    case group_dimension::browser: out = stamps_[i].browser; break;
    case group_dimension::os: out = stamps_[i].os; break;
    case group_dimension::country: out = stamps_[i].country; break;
    case group_dimension::invalid_reason: out = r.invalid == invalid_reason::none ? "valid" : to_string(r.invalid); break;
    case group_dimension::progress: out = r.progress == playback_progress::none ? "" : to_string(r.progress); break;
    }
    return out.empty() ? "unknown" : out;
  }
  void tick(int64_t t, bool is_control) {
    // A control record's own settings take part from the next record on.
    const auto& s = is_control ? before_ : settings_;
    clock_ms_ = clock_ms_ == 0 ? t : std::max(clock_ms_, std::min(t, clock_ms_ + 3'600'000));
    horizon_h_ = std::max(horizon_h_, (clock_ms_ - s.dedupe_window_s * 1'000) / 3'600'000);
    seconds_ms_ = std::max(seconds_ms_, clock_ms_ - s.second_days * 86'400'000);
    minutes_ms_ = std::max(minutes_ms_, clock_ms_ - s.minute_days * 86'400'000);
    before_ = settings_;
  }
  // Against the latest valid click of that visitor on that ad, for an hour of the clock (in whole seconds) after it came.
  bool is_repeat(const shard_record& r) {
    const int64_t within_s = settings_.repeat_click_s, now_s = clock_ms_ / 1'000;
    if (r.type != event_type::click || r.invalid != invalid_reason::none || settings_.logic < 2 || within_s == 0) return false;
    auto known = latest_.find({r.ad_id, r.visitor});
    if (known != latest_.end() && now_s < known->second.came_s + 3'600) {
      const auto t = known->second.time_s;
      if (t <= r.time_s && r.time_s < t + within_s) return true;
      if (r.time_s < t) return false;
    }
    latest_[{r.ad_id, r.visitor}] = {r.time_s, now_s};
    return false;
  }
  void write(uint64_t ad, int64_t time_s) {
    auto [it, made] = minutes_.try_emplace({ad, time_s / 60 * 60});
    auto& m = it->second;
    if (!made && (m.gone || m.written_ms < minutes_ms_)) {
      m.gone = true;
      return;
    }
    if (!made && m.written_ms < seconds_ms_) m.seconds_gone = true;
    m.written_ms = clock_ms_;
  }

  control settings_, before_;
  int64_t clock_ms_ = 0, horizon_h_ = 0, seconds_ms_ = 0, minutes_ms_ = 0;
  std::map<identity, first> seen_;
  struct valid_click {
    int64_t time_s, came_s;
  };
  std::map<std::pair<uint64_t, uint64_t>, valid_click> latest_; // by ad and visitor
  std::map<std::pair<uint64_t, int64_t>, minute> minutes_;
  std::vector<shard_record> counted_;
  std::vector<stamp> stamps_; // of counted_
  std::vector<duplicate> duplicates_;
};

struct stream_options {
  size_t records = 10'000;
  uint64_t ads = 20;
  int64_t start_ms = 1'700'000'000'000;
  int64_t step_ms_max = 500; // between records, uniform from 0
  double duplicates = 0.2;   // share of records that repeat an earlier one, of all that came
  double late = 0.05;        // share whose event time is days old
  double again = 0.1;   // share of the other records that are a new event of an earlier one's visitor and ad, seconds from it
  int64_t jump_at = -1; // this record's log time is a year ahead, and that one's only
  int64_t window_s = 7 * 86'400;
  uint64_t visitors = 500;
  uint32_t families = 10; // names of browsers; systems and countries have them too
};

// A stream as the log reader would hand it over: a control record first.
struct random_stream {
  std::vector<shard_record> records;
  std::vector<control> controls;
  std::vector<std::string> names = {};
};

inline random_stream make_stream(uint64_t seed, const stream_options& o) {
  std::mt19937_64 rng(seed);
  auto below = [&](uint64_t n) { return rng() % n; };
  auto chance = [&](double p) { return static_cast<double>(rng() >> 11) * 0x1p-53 < p; };
  random_stream out;
  control c;
  c.dedupe_window_s = o.window_s;
  out.controls.push_back(c);
  out.names = {"", "other"};
  for (uint32_t i = 0; i < o.families; ++i) out.names.push_back("family " + std::to_string(i));
  int64_t now = o.start_ms, offset = 0;
  for (size_t i = 0; i < o.records; ++i) {
    now += static_cast<int64_t>(below(static_cast<uint64_t>(o.step_ms_max) + 1));
    shard_record r;
    if (i == 0) {
      r.what = shard_record::kind::control;
    } else if (i > 1 && chance(o.duplicates)) {
      r = out.records[1 + below(out.records.size() - 1)];
      if (r.what == shard_record::kind::event && chance(0.2)) r.fields_hash ^= 1;
    } else {
      r.type = chance(0.1) ? event_type::playback : chance(0.5) ? event_type::click : event_type::impression;
      if (r.type == event_type::playback) r.progress = static_cast<playback_progress>(below(6));
      r.invalid = chance(0.1) ? invalid_reason::bot : invalid_reason::none;
      r.ad_id = 1 + below(o.ads) * below(o.ads) / o.ads;
      r.id = {rng(), rng()};
      r.visitor = below(o.visitors) * 0x9E3779B97F4A7C15ull;
      r.fields_hash = static_cast<uint32_t>(rng());
      r.time_s = now / 1'000 - static_cast<int64_t>(chance(o.late) ? below(120 * 86'400) : below(90));
      if (r.type == event_type::click && chance(0.5)) r.play_time_secs = static_cast<int32_t>(below(100));
      if (r.type == event_type::click && chance(0.5)) r.watched_percent = static_cast<int32_t>(below(101));
      if (i > 1 && chance(o.again)) {
        const auto& earlier = out.records[1 + below(out.records.size() - 1)];
        r.ad_id = earlier.ad_id;
        r.visitor = earlier.visitor;
        r.time_s = earlier.time_s - 3 + static_cast<int64_t>(below(7));
      }
      // As a rule all that a visitor does is done with the same things.
      const auto used = chance(0.8) ? r.visitor >> 20 : rng();
      const auto name = [&](uint64_t part) { return static_cast<uint32_t>(part % out.names.size()); };
      r.device = static_cast<device_class>(used % 7);
      r.browser = name(used >> 8);
      r.os = name(used >> 16);
      r.country = name(used >> 24);
    }
    r.offset = offset;
    offset += chance(0.01) ? 3 : 1; // offsets need not be dense
    r.log_time_ms = static_cast<int64_t>(i) == o.jump_at ? now + 365ll * 86'400'000 : now - static_cast<int64_t>(below(50));
    out.records.push_back(r);
  }
  return out;
}

// Cuts records [from, to) of a stream into one batch; `first_offset` is where the shard stands. Each batch has its own names.
inline record_batch cut(const random_stream& s, size_t from, size_t to, int64_t first_offset) {
  record_batch b;
  b.first_offset = first_offset;
  b.records.assign(s.records.begin() + static_cast<long>(from), s.records.begin() + static_cast<long>(to));
  b.controls = s.controls;
  b.names = {""};
  std::map<std::string, uint32_t> places{{"", 0}};
  for (auto& r : b.records)
    for (auto* place : {&r.browser, &r.os, &r.country}) {
      const auto& name = s.names.empty() ? b.names[0] : s.names[*place];
      const auto [it, made] = places.try_emplace(name, static_cast<uint32_t>(b.names.size()));
      if (made) b.names.push_back(name);
      *place = it->second;
    }
  b.next_offset = b.records.empty() ? first_offset : b.records.back().offset + 1;
  return b;
}

} // namespace adtrack::test
