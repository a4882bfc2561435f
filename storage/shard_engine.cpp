#include "storage/shard_engine.hpp"

#include <algorithm>
#include <deque>
#include <map>
#include <utility>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "model/varint.hpp"
#include "storage/shard_duplicates.hpp"
#include "storage/shard_identities.hpp"
#include "storage/shard_keys.hpp"
#include "storage/shard_query.hpp"
#include "storage/shard_repeats.hpp"
#include "storage/shard_rows.hpp"

namespace adtrack::storage {

namespace {

constexpr uint64_t format_version = 4;
constexpr uint32_t logic_with_repeats = 2; // the version that brought them; records under an older one have none
constexpr uint32_t logic_with_restated = 4;
constexpr int64_t hour_ms = 3'600'000;
constexpr int64_t day_ms = 24 * hour_ms;
constexpr int64_t digest_stride = 65'536;
constexpr size_t digests_kept = 256;
constexpr size_t settle_at_once = 256;
// A shard that keeps up commits early once so many rows are dirty, unless many of them were written a moment ago, so that waiting
// saves writes: a question then waits for a commit of under 0.5 ms and not of 7 (measured: p99 at 5,000 events/s over 100,000 ads
// 1.8 ms, not 4.8). By log time and not at once, since behind a commit every row is a new one: without it, 40,000 events/s of
// 1,000 ads took 1.5 times the CPU; and 10,000 events/s of 1,000 ads in turn took 1.6 times until rows written again were
// counted.
constexpr size_t early_commit_rows = 64;
constexpr size_t early_commit_rewritten_one_in = 4;
constexpr int64_t early_commit_ms = 50;
constexpr size_t look_ahead = 12; // records whose memory is brought near before they are decided

// What a record became, as the chain hash sees it. Never renumber.
enum class fate : uint8_t { counted = 1, duplicate = 2, conflict = 3, control = 4, skipped = 5 };

// What is committed with every group, beside rows and identities.
struct engine_state {
  int64_t next_offset = 0;
  int64_t clock_ms = 0; // H
  int64_t dedupe_horizon_h = 0;
  bucket_horizons buckets;
  uint64_t chain = 0;
  uint64_t state_sum = 0;
  record_mark last; // for fork detection
  uint64_t next_run = 1;
  bool has_control = false;
  control current;
};

std::string encode_control(const control& c) {
  std::string out;
  for (uint64_t v : {uint64_t{c.logic}, static_cast<uint64_t>(c.dedupe_window_s), static_cast<uint64_t>(c.repeat_click_s),
                     static_cast<uint64_t>(c.second_days), static_cast<uint64_t>(c.minute_days), uint64_t{c.rules},
                     static_cast<uint64_t>(c.visitor_key_id.size())})
    put_varint(out, v);
  return out += c.visitor_key_id;
}

bool decode_control(std::string_view& in, control& c) {
  uint64_t v[7];
  for (auto& x : v)
    if (!get_varint(in, x)) return false;
  if (in.size() < v[6]) return false;
  c.logic = static_cast<uint32_t>(v[0]);
  c.dedupe_window_s = static_cast<int64_t>(v[1]);
  c.repeat_click_s = static_cast<int64_t>(v[2]);
  c.second_days = static_cast<int64_t>(v[3]);
  c.minute_days = static_cast<int64_t>(v[4]);
  c.rules = static_cast<uint32_t>(v[5]);
  c.visitor_key_id = in.substr(0, v[6]);
  in.remove_prefix(v[6]);
  return true;
}

std::string encode(const engine_state& s) {
  std::string out;
  put_varint(out, format_version);
  for (uint64_t v :
       {static_cast<uint64_t>(s.next_offset), static_cast<uint64_t>(s.clock_ms), static_cast<uint64_t>(s.dedupe_horizon_h),
        static_cast<uint64_t>(s.buckets.seconds_ms), static_cast<uint64_t>(s.buckets.minutes_ms), s.chain, s.state_sum,
        static_cast<uint64_t>(s.last.offset), s.last.hash, s.next_run, uint64_t{s.has_control}})
    put_fixed64(out, v);
  return out += encode_control(s.current);
}

bool decode(std::string_view in, engine_state& s) {
  uint64_t version = 0, v[11];
  if (!get_varint(in, version) || version != format_version) return false;
  for (auto& x : v)
    if (!get_fixed64(in, x)) return false;
  s.next_offset = static_cast<int64_t>(v[0]);
  s.clock_ms = static_cast<int64_t>(v[1]);
  s.dedupe_horizon_h = static_cast<int64_t>(v[2]);
  s.buckets = {static_cast<int64_t>(v[3]), static_cast<int64_t>(v[4])};
  s.chain = v[5];
  s.state_sum = v[6];
  s.last = {static_cast<int64_t>(v[7]), v[8]};
  s.next_run = v[9];
  s.has_control = v[10] != 0;
  return decode_control(in, s.current) && in.empty();
}

std::string encode(const erasure& erased) {
  std::string out;
  put_fixed64(out, erased.visitor);
  put_fixed64(out, erased.alias);
  return out;
}

std::string hex(uint64_t v) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string out(16, '0');
  for (size_t i = 0; i < 16; ++i) out[i] = digits[v >> (60 - 4 * i) & 15];
  return out;
}

class engine final : public shard_engine {
public:
  engine(std::unique_ptr<shard_store> store, const shard_options& options)
      : options_(options), store_(std::move(store)), rows_(*store_, options.cache_bytes),
        identities_(*store_, options.dedupe_bytes, options.worker), duplicates_(*store_), repeats_(*store_) {}

  status load();
  status apply(const record_batch& batch) override;
  status commit() override;
  status sync() override;
  status checkpoint(const std::string& path) override;
  int64_t next_offset() const noexcept override { return state_.next_offset; }
  record_mark last_record() const noexcept override { return state_.last; }
  int64_t synced_offset() const noexcept override { return synced_offset_; }
  bool dirty() const noexcept override { return uncommitted_ > 0; }
  int64_t clock_ms() const noexcept override { return state_.clock_ms; }
  bool has_control() const noexcept override { return state_.has_control; }
  const control& current_control() const noexcept override { return state_.current; }
  const fates_by_type& fates() const noexcept override { return fates_; }
  size_t memory_bytes() const noexcept override {
    return rows_.memory_bytes() + identities_.memory_bytes() + duplicates_.memory_bytes() + repeats_.memory_bytes();
  }
  result<event_fate> fate_of(const identity& id) const override;
  result<std::shared_ptr<const shard_view>> view(std::span<const uint64_t> ads, bool groups) override {
    if (auto why = rows_.settle(); !why.ok()) return why;
    return make_shard_view(store_->snapshot(), rows_.freeze(ads, groups), state_.buckets, options_.shard, state_.next_offset);
  }
  result<shard_digest> digest() override { return digest_at(state_.next_offset); }
  std::vector<shard_digest> kept_digests() const override { return {digests_.begin(), digests_.end()}; }
  std::vector<pending_erasure> erasures() const override;
  status log_erased(int64_t offset) override;
  status purge() override;
  status purged(int64_t offset) override;

private:
  status apply_record(const record_batch& batch, const shard_record& r);
  status apply_event(const shard_record& stamped, fate& what, uint64_t& about);
  status erase(int64_t offset, const erasure& erased);
  void stage_erasures(store_batch& batch);
  bool is_repeat(const shard_record& r);
  uint32_t dedupe_horizon() const noexcept { return static_cast<uint32_t>(std::max<int64_t>(0, state_.dedupe_horizon_h)); }
  void advance_clock(int64_t log_time_ms);
  status pass_digest_marks(int64_t offset);
  void stage_digests(store_batch& batch);
  result<shard_digest> digest_at(int64_t offset);

  shard_options options_;
  std::unique_ptr<shard_store> store_;
  shard_rows rows_;
  shard_identities identities_;
  shard_duplicates duplicates_;
  shard_repeats repeats_;
  engine_state state_;
  fates_by_type fates_;
  int64_t synced_offset_ = 0;
  size_t uncommitted_ = 0; // records since the last commit
  int64_t committed_clock_ms_ = 0;
  std::deque<shard_digest> digests_;
  size_t fresh_digests_ = 0; // at the back of digests_, not yet stored
  std::map<int64_t, erasure> erasures_;
  bool fresh_erasures_ = false; // one of them is not yet stored
};

status engine::load() {
  auto meta = store_->get(keys::meta);
  if (!meta.ok() && meta.why.code != errc::not_found) return meta.why;
  if (meta.ok() && !decode(*meta, state_))
    return {errc::corrupt, "shard " + std::to_string(options_.shard) +
                               ": its state does not decode; remove the shard's folder to rebuild it from the log"};
  rows_.set_state_sum(state_.state_sum);
  if (auto why = identities_.load(state_.next_run); !why.ok()) return why;
  if (auto why = repeats_.load(state_.clock_ms); !why.ok()) return why;
  synced_offset_ = state_.next_offset; // what was recovered is on the disk
  auto why = store_->scan(keys::erasure(0), keys::erasure(-1), [&](std::string_view key, std::string_view value) {
    auto& erased = erasures_[static_cast<int64_t>(read_big_endian<8>(key.substr(1)))];
    return get_fixed64(value, erased.visitor) && get_fixed64(value, erased.alias);
  });
  if (!why.ok()) return why;
  return store_->scan(keys::digest(0), keys::digest(-1), [&](std::string_view key, std::string_view value) {
    digests_.push_back({options_.shard, static_cast<int64_t>(read_big_endian<8>(key.substr(1))), std::string(value)});
    return true;
  });
}

status engine::apply(const record_batch& batch) {
  if (batch.first_offset != state_.next_offset)
    return {errc::out_of_range, "shard " + std::to_string(options_.shard) + ": asked to apply from " +
                                    std::to_string(batch.first_offset) + " but stands at " + std::to_string(state_.next_offset)};
  const auto& records = batch.records;
  rows_.use_names(batch.names);
  const auto near = [this](const shard_record& r) {
    identities_.prefetch(r.id);
    if (r.type == event_type::click) repeats_.prefetch(r.ad_id, r.visitor);
  };
  for (size_t i = 0; i < std::min(look_ahead, records.size()); ++i) near(records[i]);
  for (size_t i = 0; i < records.size(); ++i) {
    if (i + look_ahead < records.size()) near(records[i + look_ahead]);
    if (auto why = pass_digest_marks(records[i].offset); !why.ok()) return why;
    if (auto why = apply_record(batch, records[i]); !why.ok()) return why;
    state_.next_offset = records[i].offset + 1;
    if (auto why = pass_digest_marks(state_.next_offset); !why.ok()) return why;
    ++uncommitted_;
  }
  if (batch.next_offset > state_.next_offset) { // offsets need not be dense
    if (auto why = pass_digest_marks(batch.next_offset - 1); !why.ok()) return why;
    state_.next_offset = batch.next_offset;
    ++uncommitted_;
  }
  if (batch.last.offset >= 0) state_.last = batch.last;
  // Where a group ends decides nothing: it depends on the batches that came. Never within one: the last record of what is
  // committed must be known.
  // At a digest's mark everything has just been settled and hashed: what a commit there has left to do is little.
  if (uncommitted_ >= options_.commit_records || (fresh_digests_ > 0 && uncommitted_ >= options_.commit_records / 4))
    if (auto why = commit(); !why.ok()) return why;
  // While batches are small the shard keeps up, and a question or commit should find little left to do; grouping pays when it
  // catches up.
  if (records.size() > settle_at_once) return status::success();
  if (auto why = rows_.settle(); !why.ok()) return why;
  const auto dirty = rows_.dirty_rows();
  const bool early = dirty >= early_commit_rows && rows_.rewritten_rows() * early_commit_rewritten_one_in <= dirty &&
                     state_.clock_ms >= committed_clock_ms_ + early_commit_ms;
  return early ? commit() : status::success();
}

// H is the running maximum of log time, but rises at most an hour a record: one record with a wrong clock cannot expire
// everything.
void engine::advance_clock(int64_t log_time_ms) {
  auto& s = state_;
  s.clock_ms = s.clock_ms == 0 ? log_time_ms : std::max(s.clock_ms, std::min(log_time_ms, s.clock_ms + hour_ms));
  // Horizons only rise, also when a control record makes a window longer: what has expired may be gone.
  s.dedupe_horizon_h = std::max(s.dedupe_horizon_h, (s.clock_ms - s.current.dedupe_window_s * 1'000) / hour_ms);
  s.buckets.seconds_ms = std::max(s.buckets.seconds_ms, s.clock_ms - s.current.second_days * day_ms);
  s.buckets.minutes_ms = std::max(s.buckets.minutes_ms, s.clock_ms - s.current.minute_days * day_ms);
}

status engine::apply_record(const record_batch& batch, const shard_record& r) {
  fate what = fate::counted;
  uint64_t about = 0; // more of the verdict, for the chain
  if (r.what == shard_record::kind::control && batch.controls[r.index].logic > logic_version)
    return {errc::mismatch, "shard " + std::to_string(options_.shard) + ": the log asks for logic version " +
                                std::to_string(batch.controls[r.index].logic) + ", this build knows " +
                                std::to_string(logic_version) + ": upgrade this node"};
  if (r.log_time_ms > 0) advance_clock(r.log_time_ms);
  switch (r.what) {
  case shard_record::kind::control: {
    what = fate::control;
    state_.current = batch.controls[r.index];
    state_.has_control = true;
    const auto erased = std::exchange(state_.current.erased, {});
    if (auto why = erase(r.offset, erased); !why.ok()) return why;
    auto bytes = encode_control(state_.current);
    about = XXH3_64bits(bytes.data(), bytes.size());
    break;
  }
  case shard_record::kind::skipped: what = fate::skipped; break;
  case shard_record::kind::event:
    if (auto why = apply_event(r, what, about); !why.ok()) return why;
    break;
  }
  uint64_t link[4] = {state_.chain, static_cast<uint64_t>(r.offset), static_cast<uint64_t>(what), about};
  state_.chain = XXH3_64bits(link, sizeof link);
  return status::success();
}

// Afterwards all is as if the alias had come in the visitor's place, as a replay of the rewritten log will have it. Digests
// cannot tell the two apart, so those made before hold as well.
status engine::erase(int64_t offset, const erasure& erased) {
  if (erased.visitor == 0) return status::success();
  if (auto why = rows_.settle(); !why.ok()) return why;
  std::vector<uint64_t> ads;
  if (auto why = rows_.replace_visitor(erased.visitor, erased.alias, ads); !why.ok()) return why;
  repeats_.replace(erased.visitor, erased.alias, ads);
  erasures_[offset] = erased;
  fresh_erasures_ = true;
  return status::success();
}

void engine::stage_erasures(store_batch& batch) {
  if (!std::exchange(fresh_erasures_, false)) return;
  for (const auto& [offset, erased] : erasures_) batch.put(keys::erasure(offset), encode(erased));
}

std::vector<pending_erasure> engine::erasures() const {
  std::vector<pending_erasure> out;
  for (const auto& [offset, erased] : erasures_) out.push_back({offset, erased});
  return out;
}

status engine::log_erased(int64_t offset) {
  const auto found = erasures_.find(offset);
  if (found == erasures_.end()) return status::success();
  found->second.visitor = 0;
  auto batch = store_->new_batch();
  batch->put(keys::erasure(offset), encode(found->second));
  return store_->write(*batch);
}

// Rows, clicks and erasures: all that names visitors.
status engine::purge() {
  if (auto why = store_->purge("b", "d"); !why.ok()) return why;
  return store_->purge("e", "f");
}

status engine::purged(int64_t offset) {
  erasures_.erase(offset);
  auto batch = store_->new_batch();
  batch->erase(keys::erasure(offset));
  return store_->write(*batch);
}

// Only a click that nothing else makes invalid is looked at, and only a valid one is remembered.
bool engine::is_repeat(const shard_record& r) {
  const auto& in_force = state_.current;
  return r.type == event_type::click && r.invalid == invalid_reason::none && in_force.logic >= logic_with_repeats &&
         in_force.repeat_click_s > 0 &&
         repeats_.is_repeat(r.ad_id, r.visitor, r.time_s, in_force.repeat_click_s, state_.clock_ms);
}

status engine::apply_event(const shard_record& stamped, fate& what, uint64_t& about) {
  auto r = stamped;
  auto& fates = fates_[static_cast<size_t>(r.type)];
  identity_row first;
  auto seen = identities_.find(r.id, dedupe_horizon(), first);
  if (seen.ok()) {
    bool conflict = first.fields_hash != r.fields_hash;
    what = conflict ? fate::conflict : fate::duplicate;
    about = static_cast<uint64_t>(first.offset);
    ++fates.duplicates;
    if (conflict) ++fates.conflicts;
    duplicates_.add(first, conflict);
    rows_.add_duplicate(r.ad_id, first.time_s, conflict, state_.clock_ms, state_.buckets);
    return status::success();
  }
  if (seen.code != errc::not_found) return seen;
  if (is_repeat(r)) r.invalid = invalid_reason::repeat;
  about = static_cast<uint64_t>(r.invalid);
  ++fates.counted;
  r.restates = state_.current.logic >= logic_with_restated && r.time_s * 1'000 + restated_after_ms < r.log_time_ms;
  fates.late += r.restates;
  ++fates.invalid[static_cast<size_t>(r.invalid)];
  identities_.insert({r.id, r.offset, static_cast<uint32_t>(r.time_s), r.fields_hash,
                      static_cast<uint32_t>(state_.clock_ms / hour_ms), static_cast<uint8_t>(r.invalid)});
  rows_.add(r, state_.clock_ms, state_.buckets);
  return status::success();
}

result<event_fate> engine::fate_of(const identity& id) const {
  identity_row first;
  if (auto why = identities_.find(id, dedupe_horizon(), first); !why.ok()) return why;
  auto again = duplicates_.of(first);
  if (!again.ok()) return again.why;
  event_fate out;
  out.reason = static_cast<invalid_reason>(first.fate);
  out.verdict = out.reason == invalid_reason::none ? event_verdict::counted : event_verdict::invalid;
  out.at = {options_.shard, first.offset};
  out.time_s = first.time_s;
  out.duplicates = again->duplicates;
  out.conflicts = again->conflicts;
  return out;
}

// Digests stand at every multiple of the stride, over all records below it.
status engine::pass_digest_marks(int64_t offset) {
  auto mark = (state_.next_offset + digest_stride - 1) / digest_stride * digest_stride;
  if (mark == 0) mark = digest_stride;
  auto last = digests_.empty() ? 0 : digests_.back().offset;
  for (; mark <= offset; mark += digest_stride) {
    if (mark <= last) continue;
    auto digest = digest_at(mark);
    if (!digest.ok()) return digest.why;
    digests_.push_back(std::move(*digest));
    ++fresh_digests_;
  }
  return status::success();
}

result<shard_digest> engine::digest_at(int64_t offset) {
  if (auto why = rows_.settle(); !why.ok()) return why;
  auto settings = encode_control(state_.current);
  uint64_t parts[6] = {rows_.state_sum(),
                       static_cast<uint64_t>(state_.clock_ms),
                       static_cast<uint64_t>(state_.dedupe_horizon_h),
                       static_cast<uint64_t>(state_.buckets.seconds_ms),
                       static_cast<uint64_t>(state_.buckets.minutes_ms),
                       XXH3_64bits(settings.data(), settings.size())};
  return shard_digest{options_.shard, offset, hex(state_.chain) + hex(XXH3_64bits(parts, sizeof parts))};
}

void engine::stage_digests(store_batch& batch) {
  for (size_t i = digests_.size() - fresh_digests_; i < digests_.size(); ++i)
    batch.put(keys::digest(digests_[i].offset), digests_[i].value);
  fresh_digests_ = 0;
  for (; digests_.size() > digests_kept; digests_.pop_front()) batch.erase(keys::digest(digests_.front().offset));
}

status engine::commit() {
  if (uncommitted_ == 0) return status::success();
  auto batch = store_->new_batch();
  const auto horizon = dedupe_horizon();
  if (auto why = rows_.settle(); !why.ok()) return why;
  rows_.stage(*batch, state_.clock_ms);
  if (auto why = identities_.stage(*batch, state_.next_offset, horizon); !why.ok()) return why;
  duplicates_.stage(*batch);
  repeats_.stage(*batch, state_.next_offset, state_.clock_ms);
  stage_erasures(*batch);
  stage_digests(*batch);
  state_.state_sum = rows_.state_sum();
  state_.next_run = identities_.next_run();
  batch->put(keys::meta, encode(state_));
  if (auto why = store_->write(*batch); !why.ok()) return why;
  identities_.settled();
  rows_.trim();
  store_->set_horizons({state_.buckets.seconds_ms, state_.buckets.minutes_ms, horizon});
  uncommitted_ = 0;
  committed_clock_ms_ = state_.clock_ms;
  return status::success();
}

status engine::checkpoint(const std::string& path) {
  if (auto why = commit(); !why.ok()) return why;
  return store_->checkpoint(path);
}

status engine::sync() {
  if (auto why = commit(); !why.ok()) return why;
  if (synced_offset_ == state_.next_offset) return status::success();
  if (auto why = store_->sync(); !why.ok()) return why;
  synced_offset_ = state_.next_offset;
  return status::success();
}

} // namespace

result<std::unique_ptr<shard_engine>> shard_engine::open(std::unique_ptr<shard_store> store, const shard_options& options) {
  auto e = std::make_unique<engine>(std::move(store), options);
  if (auto why = e->load(); !why.ok()) return why;
  return std::unique_ptr<shard_engine>(std::move(e));
}

} // namespace adtrack::storage
