#include "actors/eraser.hpp"

#include <prometheus/gauge.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <utility>

#include "config/telemetry.hpp"
#include "model/visitor_set.hpp"
#include "storage/checkpoints.hpp"
#include "storage/record_codec.hpp"

namespace adtrack::actors {

void eraser_state::init(pointer self, context_ptr context, log_writer_actor writer) {
  self_ = self;
  context_ = std::move(context);
  writer_ = std::move(writer);
}

void eraser_state::erase(uint64_t visitor, const reply_ptr& reply) {
  auto& log = context_->log();
  if (!log.takes_records()) return reply->fail(failure::overloaded, "this node answers from another one's log; ask that one");
  if (!context_->status->accepting())
    return reply->fail(failure::overloaded, "the node is starting: the log does not hold its settings yet");
  // Those would come into the log after the erasure.
  if (log.waiting() > 0)
    return reply->fail(failure::overloaded, "events wait in this node's spool, and some may be of this visitor");
  control with = context_->parts.wanted;
  const auto random = uint64_t{random_()} << 32 | random_();
  with.erased = {visitor, alias_of(visitor, random)};
  auto all = std::make_shared<appending>();
  all->reply = reply;
  all->waiting = log.partitions();
  all->done.log_keeps = !log.rewrites();
  const auto timeout = std::chrono::milliseconds(context_->options.ingest_timeout_ms);
  for (uint32_t shard = 0; shard < log.partitions(); ++shard)
    self_->request(writer_, timeout, control_atom_v, shard, with)
        .then([self = self_, all, shard](int64_t offset) { self->state.appended(*all, shard, offset); },
              [self = self_, all, shard](const caf::error&) { self->state.appended(*all, shard, {}); });
}

void eraser_state::appended(appending& all, uint32_t shard, std::optional<int64_t> offset) {
  if (!offset) all.failed = true;
  if (offset && *offset >= 0) all.done.positions.push_back({shard, *offset});
  if (--all.waiting > 0) return;
  if (all.failed) return all.reply->fail(failure::not_durable, "the log did not take the erasure everywhere; ask again");
  std::sort(all.done.positions.begin(), all.done.positions.end(), [](const auto& a, const auto& b) { return a.shard < b.shard; });
  all.reply->complete(std::move(all.done));
}

void eraser_state::take(erasure_job_ptr job) {
  jobs_.push_back(std::move(job));
  show_pending();
  if (!turn_sent_) next_turn(std::chrono::milliseconds(0));
}

void eraser_state::show_pending() {
  context_->metrics().erasures_pending().Set(static_cast<double>(jobs_.size() + current_.size()));
}

void eraser_state::next_turn(std::chrono::milliseconds wait) {
  turn_sent_ = true;
  if (wait.count() == 0)
    self_->send(self_, tick_atom_v);
  else
    self_->delayed_send(self_, wait, tick_atom_v);
}

// One part a turn, so that the node can stop in between.
void eraser_state::go_on() {
  turn_sent_ = false;
  if (current_.empty()) take_next();
  if (current_.empty()) return;
  if (const auto engine = current_.front()->engine.lock()) {
    const auto shard = current_.front()->shard_number;
    const bool of_log = current_.front()->of_log();
    auto why = of_log ? clear_log(shard) : engine->purge();
    if (why.ok() && (!of_log || at_ >= end_)) why = drop_checkpoints(shard, of_log);
    if (!why.ok()) {
      if (context_->status->set_trouble("erasure", why.message))
        config::log(config::log_level::error, "eraser", "not_cleared", why.message, {{"shard", shard}});
      return next_turn(std::chrono::milliseconds(context_->options.retry_ms));
    }
    context_->status->set_trouble("erasure", "");
    if (!of_log || at_ >= end_) finish();
  } else { // it failed; the shard hands over again what is left
    current_.clear();
    show_pending();
  }
  if (!current_.empty() || !jobs_.empty()) next_turn(std::chrono::milliseconds(0));
}

// They hold what is erased, too.
storage::status eraser_state::drop_checkpoints(uint32_t shard, bool of_log) const {
  if (!context_->parts.checkpoints) return storage::status::success();
  return context_->parts.checkpoints->remove_all(of_log ? "log" : "shard-" + std::to_string(shard));
}

// All that one pass can do.
void eraser_state::take_next() {
  if (jobs_.empty()) return;
  const auto first = jobs_.front();
  const auto joins = [&](const erasure_job_ptr& job) {
    return job->shard_number == first->shard_number && job->of_log() == first->of_log();
  };
  std::copy_if(jobs_.begin(), jobs_.end(), std::back_inserter(current_), joins);
  std::erase_if(jobs_, joins);
  at_ = end_ = 0;
  for (const auto& job : current_) end_ = std::max(end_, job->what.offset + 1);
}

// A part of the log.
storage::status eraser_state::clear_log(uint32_t shard) {
  auto& log = context_->log();
  if (!log.rewrites()) {
    at_ = end_;
    return storage::status::success();
  }
  at_ = std::max(at_, log.begin(shard));
  if (at_ < end_) {
    auto next = log.rewrite(shard, at_, end_, [this](const storage::stored_record& record) {
      std::optional<std::string> other;
      for (const auto& job : current_)
        if (record.offset <= job->what.offset)
          if (auto changed = storage::without(job->what.what, other ? *other : record.value)) other = std::move(changed);
      return other;
    });
    if (!next.ok()) return next.why;
    at_ = *next;
  }
  return at_ < end_ ? storage::status::success() : log.purge(shard);
}

void eraser_state::finish() {
  for (const auto& job : current_) {
    const std::string_view said = !job->of_log()               ? "the shard's store does not know the erased visitor any more"
                                  : context_->log().rewrites() ? "the log does not know the erased visitor any more"
                                                               : "the log keeps the erased visitor's records until it drops them";
    config::log(config::log_level::info, "eraser", job->of_log() ? "log_done" : "erased", said,
                {{"shard", job->shard_number}, {"offset", job->what.offset}});
    self_->send(job->shard, done_atom_v, job->what.offset, !job->of_log());
  }
  current_.clear();
  show_pending();
}

eraser_actor::behavior_type eraser(eraser_state::pointer self, context_ptr context, log_writer_actor writer) {
  self->state.init(self, std::move(context), std::move(writer));
  return {
      [self](delete_atom, uint64_t visitor, const reply_ptr& reply) { self->state.erase(visitor, reply); },
      [self](done_atom, const erasure_job_ptr& job) { self->state.take(job); },
      [self](tick_atom) { self->state.go_on(); },
  };
}

} // namespace adtrack::actors
