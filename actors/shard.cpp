#include "actors/shard.hpp"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>

#include <algorithm>
#include <utility>

#include "actors/log_check.hpp"
#include "config/telemetry.hpp"
#include "storage/checkpoints.hpp"
#include "storage/quarantine.hpp"

namespace adtrack::actors {

namespace {

std::chrono::milliseconds ms(uint32_t value) { return std::chrono::milliseconds(value); }

constexpr const char* quarantine_name = "quarantine";

void add(config::metrics& metrics, event_type type, std::string_view fate, uint64_t now, uint64_t before) {
  if (now > before) metrics.events(to_string(type), fate).Increment(static_cast<double>(now - before));
}

} // namespace

void shard_state::init(pointer self, context_ptr context, uint32_t shard, shard_peers peers) {
  self_ = self;
  context_ = std::move(context);
  shard_ = shard;
  peers_ = std::move(peers);
  apply_seconds_ = &context_->metrics().shard_apply();
  for (const auto kind : {log_fault::fork, log_fault::gap}) context_->metrics().log_faults(shard_, to_string(kind)).Set(0);
  const auto end = context_->log().end(shard_).offset;
  // The first record of every partition is a control record: see check_control.
  if (end > 0) context_->status->control_logged(shard_);
}

void shard_state::open() {
  if (engine_ || halted_) return;
  auto opened = context_->parts.open_engine(shard_);
  if (!opened.ok()) {
    const auto phase = epoch_ == 0 ? shard_phase::opening : shard_phase::reopening;
    context_->status->set_phase(shard_, phase, opened.why.message);
    if (context_->status->set_trouble("store of shard " + std::to_string(shard_), opened.why.message))
      config::log(config::log_level::error, "shard", "open_failed", opened.why.message, {{"shard", shard_}});
    self_->delayed_send(self_, ms(context_->options.retry_ms), open_atom_v);
    return;
  }
  engine_ = std::move(*opened);
  counted_ = engine_->fates();
  ++epoch_;
  if (end_at_start_ < 0) end_at_start_ = context_->log().end(shard_).offset;
  // Unless the log is certainly empty: then it is another one than the shard was made from.
  const auto end = context_->log().end(shard_);
  if (engine_->has_control() && (end.offset > 0 || end.confirmed_ms < 0)) context_->status->control_logged(shard_);
  context_->status->set_trouble("store of shard " + std::to_string(shard_), "");
  context_->status->set_applied(shard_, engine_->next_offset());
  context_->status->set_phase(shard_, shard_phase::serving);
  config::log(config::log_level::info, "shard", "opened", "the shard's store is open",
              {{"shard", shard_}, {"offset", engine_->next_offset()}, {"log_end", end.offset}});
  start_reading();
  serve_waiters();
}

void shard_state::start_reading() {
  verified_ = false;
  self_->send(peers_.reader, seek_atom_v, shard_, epoch_, engine_->next_offset(), engine_->last_record());
}

void shard_state::found(uint64_t epoch, const log_finding& finding) {
  if (!engine_ || epoch != epoch_) return;
  verified_ = finding.fault == log_fault::none;
  if (!verified_) return faulty(finding);
  if (fault_ != log_fault::none) sound_again();
  check_control();
  hand_over_erasures();
}

void shard_state::faulty(const log_finding& finding) {
  const auto sentence = describe(finding.fault, finding.detail);
  auto& metrics = context_->metrics();
  if (fault_ != log_fault::none) metrics.log_faults(shard_, to_string(fault_)).Set(0);
  metrics.log_faults(shard_, to_string(finding.fault)).Set(1);
  context_->status->set_fault(shard_, finding.fault, sentence);
  // Also after the engine was opened again, but not again and again: the reader tells of each change once.
  if (fault_ != finding.fault)
    config::log(config::log_level::error, "shard", "log_fault", sentence,
                {{"shard", shard_}, {"kind", to_string(finding.fault)}, {"offset", engine_->next_offset()}});
  fault_ = finding.fault;
}

void shard_state::sound_again() {
  context_->metrics().log_faults(shard_, to_string(fault_)).Set(0);
  context_->status->set_fault(shard_, log_fault::none);
  config::log(config::log_level::warning, "shard", "log_sound_again", "the log holds the last applied record again",
              {{"shard", shard_}, {"kind", to_string(fault_)}, {"offset", engine_->next_offset()}});
  fault_ = log_fault::none;
  arm_commit();
  arm_sync();
}

void shard_state::engine_failed(const storage::status& why, std::string_view doing) {
  config::log(config::log_level::error, "shard", "engine_failed", why.message, {{"shard", shard_}, {"doing", doing}});
  context_->status->set_phase(shard_, shard_phase::reopening, why.message);
  engine_.reset(); // before it is opened again: the store is locked by it
  handed_over_.clear();
  ++epoch_; // what is on its way to the dropped engine is void
  self_->delayed_send(self_, ms(context_->options.retry_ms), open_atom_v);
}

void shard_state::apply(uint64_t epoch, const record_batch& batch) {
  if (!engine_ || halted_ || epoch != epoch_) return;
  if (batch.first_offset != engine_->next_offset()) {
    // Cannot happen with one reader and epochs; starting over is right whatever the cause.
    config::log(config::log_level::error, "shard", "gap", "a batch does not start where the shard stands; it is read again",
                {{"shard", shard_}, {"stands_at", engine_->next_offset()}, {"batch_from", batch.first_offset}});
    ++epoch_;
    start_reading();
    return;
  }
  keep_skipped(batch); // first: once it is applied it is not read again
  const auto started = steady_clock::now();
  auto status = apply_and_serve(batch);
  apply_seconds_->Observe(std::chrono::duration<double>(steady_clock::now() - started).count());
  if (!engine_) return;
  if (status.code == storage::errc::mismatch) {
    halted_ = true;
    context_->status->set_phase(shard_, shard_phase::stopped, status.message);
    config::log(config::log_level::error, "shard", "halted", status.message,
                {{"shard", shard_}, {"offset", engine_->next_offset()}});
    return;
  }
  if (!status.ok()) return engine_failed(status, "applying");
  context_->status->set_applied(shard_, engine_->next_offset());
  self_->send(peers_.reader, credit_atom_v, shard_, epoch_);
  count_fates();
  arm_commit();
  arm_sync();
  check_control();
  serve_waiters();
}

namespace {

// A batch without the records outside of [from, to), which its own bounds enclose. Where it ends within the batch, the mark of
// its last record is not known.
record_batch part_of(record_batch batch, int64_t from, int64_t to) {
  if (to != batch.next_offset) batch.last = {};
  batch.first_offset = from;
  batch.next_offset = to;
  std::erase_if(batch.records, [=](const shard_record& r) { return r.offset < from || r.offset >= to; });
  return batch;
}

} // namespace

// Stops at each offset within the batch whose very state is waited for.
storage::status shard_state::apply_and_serve(const record_batch& batch) {
  for (;;) {
    const auto stands_at = engine_->next_offset();
    auto stop_at = batch.next_offset;
    for (const auto& each : waiters_)
      if (each.exactly && each.needed > stands_at) stop_at = std::min(stop_at, each.needed);
    const bool whole = stands_at == batch.first_offset && stop_at == batch.next_offset;
    auto status = whole ? engine_->apply(batch) : engine_->apply(part_of(batch, stands_at, stop_at));
    if (!status.ok() || stop_at == batch.next_offset) return status;
    serve_waiters();
    if (!engine_) return {}; // it could not be looked at, and is being opened again
  }
}

void shard_state::count_fates() {
  const auto& now = engine_->fates();
  auto& metrics = context_->metrics();
  for (size_t i = 0; i < now.size(); ++i) {
    const auto type = static_cast<event_type>(i);
    add(metrics, type, "counted", now[i].counted, counted_[i].counted);
    add(metrics, type, "duplicate", now[i].duplicates, counted_[i].duplicates);
    add(metrics, type, "conflict", now[i].conflicts, counted_[i].conflicts);
    if (const auto more = now[i].late - counted_[i].late; more > 0)
      metrics.events_late(to_string(type)).Increment(static_cast<double>(more));
    for (size_t k = 1; k < invalid_reason_count; ++k)
      if (const auto more = now[i].invalid[k] - counted_[i].invalid[k]; more > 0)
        metrics.events_invalid(to_string(type), to_string(static_cast<invalid_reason>(k))).Increment(static_cast<double>(more));
  }
  counted_ = now;
}

void shard_state::keep_skipped(const record_batch& batch) {
  if (batch.skipped.empty()) return;
  std::vector<quarantined> entries;
  entries.reserve(batch.skipped.size());
  for (const auto& skipped : batch.skipped) {
    context_->metrics().quarantined(skipped.reason).Increment();
    entries.push_back(
        {quarantine_source::events, shard_, skipped.offset, skipped.log_time_ms, skipped.reason, skipped.value, skipped.size});
  }
  const auto& first = batch.skipped.front();
  config::log(config::log_level::warning, "shard", "quarantined", "records of the log could not be read and are passed over",
              {{"shard", shard_}, {"records", entries.size()}, {"offset", first.offset}, {"reason", first.reason}});
  if (!context_->parts.quarantine) return;
  if (auto status = context_->parts.quarantine->add(entries); !status.ok()) return quarantine_failed(status);
  if (std::exchange(quarantine_troubled_, false)) context_->status->set_trouble(quarantine_name, "");
}

void shard_state::sync_quarantine() {
  if (!context_->parts.quarantine) return;
  if (auto status = context_->parts.quarantine->sync(); !status.ok()) quarantine_failed(status);
}

// Counting goes on: what counts does not depend on what is kept for people.
void shard_state::quarantine_failed(const storage::status& why) {
  quarantine_troubled_ = true;
  const auto text = "records that could not be read are not kept: " + why.message;
  if (context_->status->set_trouble(quarantine_name, text))
    config::log(config::log_level::error, "shard", "quarantine_failed", text, {{"shard", shard_}});
}

// Until this shard's next turn: each has its own place in the period, so that they do not all commit, or sync, at one moment and
// keep every question waiting meanwhile.
std::chrono::nanoseconds shard_state::until_turn(uint32_t period_ms) const {
  const std::chrono::nanoseconds period = ms(period_ms);
  const auto place = period * shard_ / context_->log().partitions();
  return period - (self_->clock().now().time_since_epoch() + period - place) % period;
}

void shard_state::arm_commit() {
  if (commit_armed_ || !may_commit() || !engine_->dirty()) return;
  commit_armed_ = true;
  self_->delayed_send(self_, until_turn(context_->options.commit_ms), commit_atom_v);
}

void shard_state::commit() {
  commit_armed_ = false;
  if (!engine_ || !may_commit()) return;
  if (auto status = engine_->commit(); !status.ok()) engine_failed(status, "committing");
}

void shard_state::arm_sync() {
  if (sync_armed_ || !may_commit() || engine_->synced_offset() == engine_->next_offset()) return;
  sync_armed_ = true;
  self_->delayed_send(self_, until_turn(context_->options.sync_ms), sync_atom_v);
}

void shard_state::sync() {
  sync_armed_ = false;
  if (!engine_ || !may_commit()) return;
  sync_quarantine();
  if (auto status = engine_->sync(); !status.ok()) return engine_failed(status, "syncing");
  hand_over_erasures();
}

// Once an erasure cannot be unapplied by a power loss. A log is rewritten up to the erasure, and the last applied record, by
// which this shard knows its log again, must stand behind that: so where nothing comes by itself, the settings are said once
// more.
void shard_state::hand_over_erasures() {
  if (!engine_ || halted_ || !verified_) return;
  auto& log = context_->log();
  for (const auto& one : engine_->erasures()) {
    const bool of_store = one.what.visitor == 0;
    const auto needed = one.offset + (log.rewrites() ? 2 : 1);
    if (engine_->synced_offset() < needed) {
      if (engine_->synced_offset() == one.offset + 1 && !std::exchange(restating_, true))
        self_->request(peers_.writer, ms(context_->options.ingest_timeout_ms), control_atom_v, shard_, context_->parts.wanted)
            .then([self = self_](int64_t) { self->state.restating_ = false; },
                  [self = self_](const caf::error&) {
                    self->state.restating_ = false;
                    self->delayed_send(self, ms(self->state.context_->options.retry_ms), control_atom_v);
                  });
      continue;
    }
    if (!handed_over_.emplace(one.offset, of_store).second) continue;
    self_->send(peers_.eraser, done_atom_v,
                std::make_shared<const erasure_job>(erasure_job{shard_, one, engine_, caf::actor_cast<shard_actor>(self_)}));
  }
}

void shard_state::erased(int64_t offset, bool of_store) {
  if (!engine_) return; // it is handed over again
  auto status = of_store ? engine_->purged(offset) : engine_->log_erased(offset);
  if (!status.ok()) return engine_failed(status, "erasing");
  hand_over_erasures();
}

// Once, after the start: when the shard stands where the log ended and what is in force is not what is wanted, a control record
// is appended to the partition. On a fresh log it is the partition's first record, as events are refused until it is there.
void shard_state::check_control() {
  if (control_done_ || !engine_ || halted_ || !verified_ || engine_->next_offset() < end_at_start_) return;
  const bool in_force = engine_->has_control() && engine_->current_control() == context_->parts.wanted;
  // Once ours is applied we are done even if a later record of another node says something else: two nodes must not fight.
  const bool ours_applied = control_acked_ && control_offset_ >= 0 && engine_->next_offset() > control_offset_;
  // What another node's log says is what counts there, whatever is wanted here.
  if (in_force || ours_applied || !context_->log().takes_records()) {
    control_done_ = true;
    context_->status->control_logged(shard_);
    context_->status->caught_up(shard_);
    return;
  }
  if (control_asked_ || control_acked_) return;
  control_asked_ = true;
  const auto timeout = ms(context_->options.ingest_timeout_ms);
  self_->request(peers_.writer, timeout, control_atom_v, shard_, context_->parts.wanted)
      .then([self = self_](int64_t offset) { self->state.control_appended(offset); },
            [self = self_](const caf::error&) {
              // Repeating it is harmless: the newest one counts, and they are equal.
              auto& state = self->state;
              config::log(config::log_level::warning, "shard", "control_not_logged", "the control record is not durable yet",
                          {{"shard", state.shard_}});
              state.control_asked_ = false;
              self->delayed_send(self, ms(state.context_->options.retry_ms), control_atom_v);
            });
}

void shard_state::control_appended(int64_t offset) {
  control_acked_ = true;
  control_offset_ = offset;
  context_->status->control_logged(shard_);
  check_control();
}

int64_t shard_state::needed_offset(const analytics_query& q) const {
  int64_t needed = 0;
  for (const auto& p : q.min_positions)
    if (p.shard == shard_) needed = std::max(needed, p.offset + 1);
  return needed;
}

// Now, or once the engine has come so far.
template <class Answer, class Question>
caf::result<Answer> shard_state::answer_at(int64_t needed, bool exactly, const Question& q) {
  const bool later = must_wait(needed);
  if (!later && !engine_) return make_error(trouble::down);
  // Before the promise is made: from then on only the promise answers.
  if (later && waiters_.size() >= context_->options.max_position_waiters) return make_error(trouble::busy);
  auto reply = self_->make_response_promise<Answer>();
  if (later)
    wait({needed,
          exactly,
          {},
          [this, q, reply] { answer(q, reply); },
          [reply](caf::error why) mutable { reply.deliver(std::move(why)); }},
         q.timeout_ms);
  else
    answer(q, reply);
  return reply;
}

caf::result<shard_answer> shard_state::query(const analytics_query& q) {
  return answer_at<shard_answer>(needed_offset(q), false, q);
}

caf::result<shard_digest> shard_state::digest(const digest_question& q) { return answer_at<shard_digest>(q.offset, true, q); }

void shard_state::wait(waiter w, uint32_t timeout_ms) {
  w.deadline = self_->clock().now() + ms(timeout_ms);
  waiters_.push_back(std::move(w));
  if (expire_armed_) return;
  expire_armed_ = true;
  self_->delayed_send(self_, ms(timeout_ms), expire_atom_v);
}

void shard_state::serve_waiters() {
  if (!engine_ || waiters_.empty()) return;
  const auto applied = engine_->next_offset();
  for (auto it = waiters_.begin(); engine_ && it != waiters_.end();) {
    if (it->needed > applied) {
      ++it;
      continue;
    }
    it->serve();
    it = waiters_.erase(it);
  }
}

void shard_state::expire() {
  expire_armed_ = false;
  const auto now = self_->clock().now();
  auto next = caf::actor_clock::time_point::max();
  for (auto it = waiters_.begin(); it != waiters_.end();) {
    if (it->deadline <= now) {
      it->fail(caf::make_error(caf::sec::request_timeout));
      it = waiters_.erase(it);
    } else {
      next = std::min(next, it->deadline);
      ++it;
    }
  }
  if (waiters_.empty()) return;
  expire_armed_ = true;
  self_->delayed_send(self_, next - now, expire_atom_v);
}

// How far a state is behind a log that it may not come from, nobody knows: -1.
int64_t shard_state::lag_ms() {
  if (!verified_) return -1;
  const auto& parts = context_->parts;
  return lag_.measure(context_->log(), *context_->handed, shard_, engine_->next_offset(), parts.now_ms(), parts.steady_ms()).ms;
}

shard_answer shard_state::head_of_answer() {
  shard_answer head;
  head.shard = shard_;
  head.applied = engine_->next_offset();
  head.fault = fault_;
  head.lag_ms = lag_ms();
  head.node = context_->options.node_id;
  return head;
}

namespace {

// The view fills what it knows; what is the actor's own is put on top.
void complete_answer(shard_answer& out, const shard_answer& head, steady_clock::time_point started) {
  out.shard = head.shard;
  out.applied = head.applied;
  out.lag_ms = head.lag_ms;
  out.fault = head.fault;
  out.node = head.node;
  out.took_us = std::chrono::duration_cast<std::chrono::microseconds>(steady_clock::now() - started).count();
}

} // namespace

// A view must not outlive its engine's store, and a worker may hold it while the engine is dropped here: so it owns both.
storage::result<view_ptr> shard_state::view_of(const analytics_query& q) {
  auto made = engine_->view(q.ad_ids, q.by != group_dimension::none);
  if (!made.ok()) {
    engine_failed(made.why, "looking");
    return made.why;
  }
  struct owned_view {
    std::shared_ptr<storage::shard_engine> engine; // destroyed last
    view_ptr view;
  };
  auto both = std::make_shared<owned_view>(owned_view{engine_, std::move(*made)});
  return view_ptr{both, both->view.get()};
}

storage::result<shard_answer> shard_state::narrow_answer(const analytics_query& q) {
  const auto started = steady_clock::now();
  auto head = head_of_answer();
  auto view = view_of(q);
  if (!view.ok()) return view.why;
  auto rows = (*view)->answer(q);
  if (rows.ok())
    complete_answer(*rows, head, started);
  else
    config::log(config::log_level::error, "shard", "query_failed", rows.why.message, {{"shard", shard_}});
  return rows;
}

void shard_state::answer(const analytics_query& q, promise reply) {
  if (is_wide(q)) return answer_wide(q, reply);
  auto rows = narrow_answer(q);
  if (rows.ok())
    reply.deliver(std::move(*rows));
  else
    reply.deliver(make_error(trouble::storage, rows.why.message));
}

void shard_state::answer(lone_query& q) {
  // A shard that stood still has other work than what nobody waits for.
  if (!engine_ || q.deadline() <= steady_clock::now()) return q.missed();
  auto rows = narrow_answer(q.query());
  if (rows.ok())
    q.answered(std::move(*rows));
  else
    q.missed();
}

void shard_state::answer_wide(const analytics_query& q, promise reply) {
  const auto head = head_of_answer();
  auto view = view_of(q);
  if (!view.ok()) {
    reply.deliver(make_error(trouble::storage, view.why.message));
    return;
  }
  if (wide_in_flight_ >= context_->options.max_wide_queries || peers_.workers.empty()) {
    reply.deliver(make_error(trouble::busy));
    return;
  }
  ++wide_in_flight_;
  const auto started = steady_clock::now();
  const auto& worker = peers_.workers[next_worker_++ % peers_.workers.size()];
  self_->request(worker, ms(q.timeout_ms), query_atom_v, std::move(*view), q)
      .then(
          [self = self_, head, reply, started](shard_answer& rows) mutable {
            --self->state.wide_in_flight_;
            complete_answer(rows, head, started);
            reply.deliver(std::move(rows));
          },
          [self = self_, reply](caf::error& why) mutable {
            --self->state.wide_in_flight_;
            reply.deliver(std::move(why));
          });
}

caf::result<event_fate> shard_state::fate_of(const event_question& q) {
  if (!engine_) return make_error(trouble::down);
  auto found = engine_->fate_of(q.id);
  if (!found.ok() && found.why.code != storage::errc::not_found) {
    engine_failed(found.why, "looking");
    return make_error(trouble::storage, found.why.message);
  }
  auto out = found.ok() ? *found : event_fate{};
  out.lag_ms = lag_ms();
  out.fault = fault_;
  if (!found.ok() && out.lag_ms != 0) out.verdict = event_verdict::pending;
  return out;
}

// The shard stands at the offset asked for or past it.
void shard_state::answer(const digest_question& q, caf::typed_response_promise<shard_digest> reply) {
  if (q.offset < 0 || q.offset == engine_->next_offset()) {
    auto made = engine_->digest();
    if (!made.ok()) {
      engine_failed(made.why, "looking");
      reply.deliver(make_error(trouble::storage, made.why.message));
    } else {
      reply.deliver(std::move(*made));
    }
    return;
  }
  auto kept = engine_->kept_digests();
  const auto found = std::find_if(kept.begin(), kept.end(), [&](const auto& each) { return each.offset == q.offset; });
  if (found == kept.end())
    reply.deliver(make_error(trouble::not_kept));
  else
    reply.deliver(std::move(*found));
}

// On the shard's own thread, so that the copy is of one offset whose digest is known. Takes a flush of what the store has in memory
// and a few hard links: tens of milliseconds.
void shard_state::copy(const reply_ptr& reply) {
  if (!context_->parts.checkpoints) return reply->fail(failure::cannot, "this node makes no checkpoints");
  if (!engine_ || !may_commit()) return reply->fail(failure::overloaded, "the shard cannot commit now");
  auto digest = engine_->digest();
  if (!digest.ok()) {
    engine_failed(digest.why, "looking");
    return reply->fail(failure::overloaded, digest.why.message);
  }
  auto made =
      context_->parts.checkpoints->make("shard-" + std::to_string(shard_), digest->offset, [this](const std::string& directory) {
        return engine_->checkpoint(directory + "/store");
      });
  if (made.ok()) return reply->complete(shard_checkpoint{shard_, digest->offset, std::move(digest->value), std::move(*made)});
  config::log(config::log_level::error, "shard", "checkpoint_failed", made.why.message, {{"shard", shard_}});
  reply->fail(made.why.code == storage::errc::cannot ? failure::cannot : failure::overloaded, made.why.message);
}

void shard_state::stop() {
  if (engine_ && may_commit()) {
    sync_quarantine();
    if (auto status = engine_->sync(); !status.ok())
      config::log(config::log_level::error, "shard", "sync_failed",
                  status.message + "; what is missing is applied again from the log at the next start", {{"shard", shard_}});
  }
  engine_.reset();
  self_->quit(caf::exit_reason::user_shutdown);
}

shard_actor::behavior_type shard(shard_state::pointer self, context_ptr context, uint32_t shard_number, shard_peers peers) {
  self->state.init(self, std::move(context), shard_number, std::move(peers));
  return {
      [self](open_atom) { self->state.open(); },
      [self](apply_atom, uint64_t epoch, const record_batch& batch) { self->state.apply(epoch, batch); },
      [self](found_atom, uint64_t epoch, const log_finding& finding) { self->state.found(epoch, finding); },
      [self](commit_atom) { self->state.commit(); },
      [self](sync_atom) { self->state.sync(); },
      [self](control_atom) {
        self->state.check_control();
        self->state.hand_over_erasures();
      },
      [self](copy_atom, const reply_ptr& reply) { self->state.copy(reply); },
      [self](done_atom, int64_t offset, bool of_store) { self->state.erased(offset, of_store); },
      [self](expire_atom) { self->state.expire(); },
      [self](query_atom, const analytics_query& q) { return self->state.query(q); },
      [self](query_atom, const lone_query_ptr& q) { self->state.answer(*q); },
      [self](get_atom, const event_question& q) { return self->state.fate_of(q); },
      [self](get_atom, const digest_question& q) { return self->state.digest(q); },
      [self](stop_atom) { self->state.stop(); },
  };
}

} // namespace adtrack::actors
