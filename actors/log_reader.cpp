#include "actors/log_reader.hpp"

#include <prometheus/gauge.h>

#include <algorithm>
#include <utility>

#include "actors/log_check.hpp"
#include "config/telemetry.hpp"

namespace adtrack::actors {

namespace {

// A fault is looked at again after so many times retry_ms, and a log that cannot say is shown after as long.
constexpr int recheck_retries = 10;
// Under load the partitions are looked at in so many parts: handed all at once, their shards would keep every question waiting
// for a processor (measured: p99 of a one-ad query at 5,000 events/s 3.3 ms at one part, 2.5 at four).
constexpr uint32_t sweep_parts = 4;

std::string name_of(uint32_t partition) { return "reader of shard " + std::to_string(partition); }

} // namespace

void log_wake::attach(log_reader_actor reader) {
  std::lock_guard lock(mutex_);
  reader_ = std::move(reader);
}

void log_wake::close() {
  std::lock_guard lock(mutex_);
  reader_ = nullptr;
}

void log_wake::ring() {
  if (rung_.exchange(true)) return;
  std::lock_guard lock(mutex_);
  if (reader_) caf::anon_send(reader_, poll_atom_v);
}

void log_reader_state::init(pointer self, context_ptr context, std::shared_ptr<log_wake> wake) {
  self_ = self;
  context_ = std::move(context);
  wake_ = std::move(wake);
  partitions_.resize(context_->log().partitions());
  for (uint32_t p = 0; p < partitions_.size(); ++p) partitions_[p].waiting = &context_->metrics().shard_batches_waiting(p);
  tick();
}

void log_reader_state::set_credit(partition_state& p, uint32_t credit) const {
  p.credit = credit;
  p.waiting->Set(static_cast<double>(context_->options.reader_credit_batches) - credit);
}

caf::actor_clock::time_point log_reader_state::now() const { return self_->clock().now(); }

void log_reader_state::seek(shard_actor shard, uint32_t partition, uint64_t epoch, int64_t offset, const record_mark& last) {
  if (partition >= partitions_.size()) return;
  auto& p = partitions_[partition];
  p.shard = std::move(shard);
  p.epoch = epoch;
  p.next = offset;
  context_->handed->forget(partition);
  set_credit(p, context_->options.reader_credit_batches);
  p.starved = false;
  p.retry_at = {};
  p.last = last;
  p.verified = p.checking = p.told = false;
  woken();
}

void log_reader_state::credit(uint32_t partition, uint64_t epoch) {
  if (partition >= partitions_.size()) return;
  auto& p = partitions_[partition];
  if (p.epoch != epoch) return;
  set_credit(p, p.credit + 1);
  // Only a reader that fell behind reads on here; else small batches would follow each other at the pace of applying.
  if (!p.starved) return;
  p.starved = false;
  while (read_one(partition)) {
  }
}

void log_reader_state::woken() {
  rung_ = true;
  if (armed_) return;
  if (now() >= looked_at_ + step()) return look();
  arm(step());
}

std::chrono::microseconds log_reader_state::step() const {
  return std::chrono::microseconds(std::chrono::milliseconds(context_->options.reader_sweep_ms)) / sweep_parts;
}

void log_reader_state::arm(std::chrono::microseconds after) {
  armed_ = true;
  if (after.count() == 0)
    self_->send(self_, flush_atom_v);
  else
    self_->delayed_send(self_, after, flush_atom_v);
}

void log_reader_state::look() {
  armed_ = false;
  const auto count = static_cast<uint32_t>(partitions_.size());
  const bool rested = now() >= looked_at_ + step() * sweep_parts;
  const bool whole = rested || more_; // in parts while it keeps up
  if (rested || left_ == 0) {
    left_ = count;
    more_ = rung_ = false;
    wake_->clear(); // before looking: whatever is appended from here on rings again
  }
  looked_at_ = now();
  const uint32_t part = whole ? left_ : std::min(left_, (count + sweep_parts - 1) / sweep_parts);
  for (uint32_t k = 0; k < part; ++k) more_ = read_one((first_ + k) % count) || more_;
  left_ -= part;
  first_ = (first_ + part + (left_ == 0 ? 1 : 0)) % std::max(count, 1u);
  if (more_)
    arm(std::chrono::microseconds(0));
  else if (left_ > 0 || rung_)
    arm(step());
}

void log_reader_state::tick() {
  self_->delayed_send(self_, std::chrono::milliseconds(context_->options.reader_poll_ms), tick_atom_v);
  if (!armed_) look();
}

bool log_reader_state::read_one(uint32_t partition) {
  auto& p = partitions_[partition];
  if (p.epoch == 0 || now() < p.retry_at) return false;
  auto& log = context_->log();
  if (p.verified && log.generation(partition) != p.generation) p.verified = false;
  if (!p.verified && !verify(partition)) return false;
  if (log.end(partition).offset == p.next) return false; // past the end is for read() to refuse
  if (p.credit == 0) {
    p.starved = true;
    return false;
  }
  const auto& options = context_->options;
  auto records = log.read(partition, p.next, options.reader_batch_records, options.reader_batch_bytes);
  // What was read may follow something else than what was taken before: it is read again once that is known.
  if (log.generation(partition) != p.generation) return true;
  if (!records.ok()) {
    p.verified = records.why.code != storage::errc::out_of_range; // the bounds have changed: what is below too?
    if (!p.verified && p.next < log.begin(partition)) return true;
    return reading_failed(partition, records.why);
  }
  if (std::exchange(p.troubled, false)) context_->status->set_trouble(name_of(partition), "");
  if (records->empty()) return false;
  const auto first = p.next;
  auto batch = decoder_.decode(partition, static_cast<uint32_t>(partitions_.size()), p.next, *records);
  p.next = batch.next_offset;
  p.last = batch.last;
  set_credit(p, p.credit - 1);
  context_->handed->add(partition, first, p.next, records->front().time_ms);
  self_->send(p.shard, apply_atom_v, p.epoch, std::move(batch));
  return log.end(partition).offset > p.next;
}

bool log_reader_state::verify(uint32_t partition) {
  auto& p = partitions_[partition];
  auto& log = context_->log();
  const auto patience = std::chrono::milliseconds(context_->options.retry_ms) * recheck_retries;
  if (!std::exchange(p.checking, true)) {
    p.checking_since_ms = context_->parts.steady_ms();
    p.overdue_at = now() + patience;
  }
  const auto generation = log.generation(partition);
  auto found = check_log(log, partition, p.last, p.next, p.checking_since_ms);
  if (log.generation(partition) != generation) return false; // it changed once more: at the next look
  switch (found.what) {
  case log_check::verdict::failed:
    // A log that goes on denying what should be there is taken at its word.
    if (found.why.code != storage::errc::out_of_range || now() < p.overdue_at) return reading_failed(partition, found.why);
    found = {log_check::verdict::faulty, log_fault::fork, found.why.message, {}};
    [[fallthrough]];
  case log_check::verdict::faulty:
    p.checking = false;
    p.retry_at = now() + patience;
    tell(partition, found.fault, std::move(found.detail));
    return false;
  case log_check::verdict::pending:
    if (now() < p.overdue_at) return false;
    p.overdue_at = now() + patience;
    return reading_failed(partition, {storage::errc::io, "the log does not say whether it still holds the last applied record"});
  case log_check::verdict::same: break;
  }
  p.checking = false;
  p.verified = true;
  p.generation = generation;
  tell(partition, log_fault::none, {});
  return true;
}

void log_reader_state::tell(uint32_t partition, log_fault fault, std::string detail) {
  auto& p = partitions_[partition];
  if (std::exchange(p.troubled, false)) context_->status->set_trouble(name_of(partition), "");
  if (std::exchange(p.told, true) && p.fault == fault) return;
  p.fault = fault;
  self_->send(p.shard, found_atom_v, p.epoch, log_finding{fault, std::move(detail)});
}

bool log_reader_state::reading_failed(uint32_t partition, const storage::status& why) {
  auto& p = partitions_[partition];
  p.retry_at = now() + std::chrono::milliseconds(context_->options.retry_ms);
  p.troubled = true;
  if (context_->status->set_trouble(name_of(partition), why.message))
    config::log(config::log_level::error, "log_reader", "read_failed", why.message, {{"shard", partition}, {"from", p.next}});
  return false;
}

log_reader_actor::behavior_type log_reader(log_reader_state::pointer self, context_ptr context, std::shared_ptr<log_wake> wake) {
  self->state.init(self, std::move(context), std::move(wake));
  return {
      [self](seek_atom, uint32_t partition, uint64_t epoch, int64_t offset, const record_mark& last) {
        self->state.seek(caf::actor_cast<shard_actor>(self->current_sender()), partition, epoch, offset, last);
      },
      [self](credit_atom, uint32_t partition, uint64_t epoch) { self->state.credit(partition, epoch); },
      [self](poll_atom) { self->state.woken(); },
      [self](flush_atom) { self->state.look(); },
      [self](tick_atom) { self->state.tick(); },
  };
}

} // namespace adtrack::actors
