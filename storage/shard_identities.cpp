#include "storage/shard_identities.hpp"

#include <algorithm>
#include <utility>

#include "storage/shard_keys.hpp"

namespace adtrack::storage {

namespace {

constexpr size_t open_entry_bytes = 80; // measured: 48 B a slot at the table's mean load
constexpr size_t open_rows_max = 1 << 18;
constexpr size_t open_rows_min = 1 << 10;
constexpr size_t merge_fan_in = 4;
constexpr size_t blobs_max = 4'096; // before they are written as one: bounds what a restart has to seek

uint32_t day_of(uint32_t segment) { return segment / 24; }

} // namespace

shard_identities::shard_identities(shard_store& store, size_t memory_bytes, std::shared_ptr<background> worker)
    : store_(store), open_max_(std::clamp(memory_bytes / 2 / open_entry_bytes, open_rows_min, open_rows_max)),
      filter_bytes_(memory_bytes / 2), worker_(std::move(worker)) {}

shard_identities::~shard_identities() {
  if (!job_) return;
  job_->cancelled = true;
  job_->done.wait(false);
}

status shard_identities::load(uint64_t next_run) {
  next_run_ = next_run;
  std::vector<std::pair<uint64_t, std::string>> found;
  auto why = store_.scan(keys::run(0), keys::run(~uint64_t{0}), [&](std::string_view key, std::string_view description) {
    found.emplace_back(read_big_endian<8>(key.substr(1)), description);
    return true;
  });
  if (!why.ok()) return why;
  size_t filters = 0;
  for (auto it = found.rbegin(); it != found.rend(); ++it) {
    auto run = open_run(store_, it->first, it->second, filters < filter_bytes_);
    if (!run.ok()) return run.why;
    filters += (*run)->filter.memory_bytes();
    runs_.push_back(std::move(*run));
  }
  std::sort(runs_.begin(), runs_.end(), [](const auto& a, const auto& b) {
    return a->segment_max > b->segment_max || (a->segment_max == b->segment_max && a->id > b->id);
  });
  if (why = erase_unnamed_runs(); !why.ok()) return why;
  return store_.scan(keys::open_identities(0), keys::open_identities(-1), [&](std::string_view, std::string_view rows) {
    ++blobs_;
    for (size_t at = 0; at + identity_row_bytes <= rows.size(); at += identity_row_bytes) {
      auto row = unpack(rows.data() + at);
      open_.insert_or_assign(row.id, value{row.offset, row.time_s, row.fields_hash, row.segment, row.fate});
    }
    return true;
  });
}

// A seal or a merge that was cut short leaves chunks that nothing names.
status shard_identities::erase_unnamed_runs() {
  std::vector<uint64_t> named;
  for (const auto& run : runs_) named.push_back(run->id);
  std::sort(named.begin(), named.end());
  named.push_back(~uint64_t{0});
  auto batch = store_.new_batch();
  uint64_t from = 0;
  for (auto id : named) {
    for (char kind : {'C', 'F'}) {
      bool any = false;
      auto why = store_.scan(keys::numbered(kind, from, 0), keys::numbered(kind, id, 0), [&](auto, auto) {
        any = true;
        return false;
      });
      if (!why.ok()) return why;
      if (any) batch->erase_range(keys::numbered(kind, from, 0), keys::numbered(kind, id, 0));
    }
    from = id + 1;
  }
  return batch->bytes() ? store_.write(*batch) : status::success();
}

void shard_identities::prefetch(const identity& id) const noexcept {
  open_.prefetch(id);
  for (const auto& run : runs_)
    if (!run->filter.empty()) run->filter.prefetch(id);
}

status shard_identities::find(const identity& id, uint32_t horizon, identity_row& out) const {
  if (auto it = open_.find(id); it != open_.end()) {
    const auto& v = it->second;
    if (v.segment < horizon) return {errc::not_found, {}}; // the newest has expired, so has every older one
    out = {id, v.offset, v.time_s, v.fields_hash, v.segment, v.fate};
    return status::success();
  }
  for (const auto& run : runs_) {
    if (run->segment_max < horizon || !run->filter.may_hold(id)) continue;
    auto row = run->find(store_, id);
    if (row.ok()) {
      if (row->segment < horizon) continue;
      out = *row;
      return status::success();
    }
    if (row.why.code != errc::not_found) return row.why;
  }
  return {errc::not_found, {}};
}

void shard_identities::insert(const identity_row& row) {
  open_.insert_or_assign(row.id, value{row.offset, row.time_s, row.fields_hash, row.segment, row.fate});
  pack(row, pending_);
}

status shard_identities::stage(store_batch& batch, int64_t next_offset, uint32_t horizon) {
  if (auto why = adopt(batch); !why.ok()) return why;
  if (open_.size() >= open_max_) {
    if (auto why = seal(batch, horizon); !why.ok()) return why;
  } else {
    stage_open(batch, next_offset);
  }
  drop_expired(batch, horizon);
  start_merge(horizon);
  fit_filters();
  return status::success();
}

void shard_identities::stage_open(store_batch& batch, int64_t next_offset) {
  if (pending_.empty()) return;
  if (++blobs_ > blobs_max) {
    pending_.clear();
    for (const auto& [id, v] : open_) pack({id, v.offset, v.time_s, v.fields_hash, v.segment, v.fate}, pending_);
    batch.erase_range(keys::open_identities(0), keys::open_identities(-1));
    blobs_ = 1;
  }
  batch.put(keys::open_identities(next_offset), pending_);
  pending_.clear();
}

status shard_identities::seal(store_batch& batch, uint32_t horizon) {
  std::vector<identity_row> rows;
  rows.reserve(open_.size());
  for (const auto& [id, v] : open_)
    if (v.segment >= horizon) rows.push_back({id, v.offset, v.time_s, v.fields_hash, v.segment, v.fate});
  std::sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  // The chunks go ahead of the batch that names them; a crash in between leaves them to load()'s cleaning.
  run_writer writer(store_, next_run_, rows.size());
  for (const auto& row : rows)
    if (auto why = writer.add(row); !why.ok()) return why;
  auto run = writer.finish();
  if (!run.ok()) return run.why;
  ++next_run_;
  if ((*run)->rows > 0) {
    batch.put(keys::run((*run)->id), describe(**run));
    runs_.insert(runs_.begin(), std::move(*run));
  }
  batch.erase_range(keys::open_identities(0), keys::open_identities(-1));
  pending_.clear();
  blobs_ = 0;
  sealed_ = true;
  return status::success();
}

void shard_identities::settled() {
  if (!sealed_) return;
  open_.clear();
  sealed_ = false;
}

std::vector<std::shared_ptr<identity_run>> shard_identities::pick_merge() const {
  // Within one day of the shard's clock: once a newer day has begun, all its runs; before, four neighbours of like size.
  for (size_t from = 0; from < runs_.size();) {
    size_t to = from + 1;
    while (to < runs_.size() && day_of(runs_[to]->segment_max) == day_of(runs_[from]->segment_max)) ++to;
    std::vector<std::shared_ptr<identity_run>> day(runs_.begin() + static_cast<long>(from),
                                                   runs_.begin() + static_cast<long>(to));
    if (from > 0 && day.size() > 1) return day;
    // Sizes fall into tiers of a factor of four; the newest run is the smallest.
    for (size_t i = 0; i + merge_fan_in <= day.size(); ++i) {
      bool alike = day[i + merge_fan_in - 1]->rows <= 2 * day[i]->rows;
      if (alike) return {day.begin() + static_cast<long>(i), day.begin() + static_cast<long>(i + merge_fan_in)};
    }
    from = to;
  }
  return {};
}

void shard_identities::start_merge(uint32_t horizon) {
  if (job_) return;
  auto inputs = pick_merge();
  if (inputs.empty()) return;
  job_ = std::make_shared<merge_job>();
  job_->inputs = std::move(inputs);
  auto work = [job = job_, &store = store_, id = next_run_++, horizon] {
    auto merged = merge_runs(store, job->inputs, id, horizon, [&] { return job->cancelled.load(); });
    if (merged.ok())
      job->merged = std::move(*merged);
    else
      job->why = merged.why;
    job->done = true;
    job->done.notify_all();
  };
  if (worker_)
    worker_->post(work);
  else
    work();
}

status shard_identities::adopt(store_batch& batch) {
  if (!job_ || !job_->done) return status::success();
  auto job = std::exchange(job_, nullptr);
  if (!job->merged) return job->why;
  for (const auto& input : job->inputs) {
    erase_run(batch, *input);
    auto it = std::find(runs_.begin(), runs_.end(), input);
    if (it == runs_.end()) continue;
    if (input == job->inputs.front() && job->merged->rows > 0)
      *it = job->merged;
    else
      runs_.erase(it);
  }
  if (job->merged->rows > 0) batch.put(keys::run(job->merged->id), describe(*job->merged));
  return status::success();
}

void shard_identities::drop_expired(store_batch& batch, uint32_t horizon) {
  std::erase_if(runs_, [&](const auto& run) {
    bool merging = job_ && std::find(job_->inputs.begin(), job_->inputs.end(), run) != job_->inputs.end();
    if (run->segment_max >= horizon || merging) return false;
    erase_run(batch, *run);
    return true;
  });
}

void shard_identities::fit_filters() {
  size_t used = 0;
  for (auto& run : runs_) {
    used += run->filter.memory_bytes();
    if (used <= filter_bytes_ || run->filter.empty()) continue;
    used -= run->filter.memory_bytes();
    // Runs are shared with a merge under way and immutable: put one without a filter in its place.
    auto bare = std::make_shared<identity_run>();
    bare->id = run->id;
    bare->rows = run->rows;
    bare->segment_min = run->segment_min;
    bare->segment_max = run->segment_max;
    bare->filter_parts = run->filter_parts;
    bare->index = run->index;
    if (!job_) run = std::move(bare);
  }
}

uint64_t shard_identities::size() const noexcept {
  uint64_t n = open_.size();
  for (const auto& run : runs_) n += run->rows;
  return n;
}

size_t shard_identities::memory_bytes() const noexcept {
  size_t n = open_.capacity() * (sizeof(identity) + sizeof(value) + 1) + pending_.capacity();
  for (const auto& run : runs_) n += run->memory_bytes();
  return n;
}

} // namespace adtrack::storage
