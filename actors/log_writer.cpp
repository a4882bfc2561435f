#include "actors/log_writer.hpp"

#include <prometheus/counter.h>
#include <prometheus/histogram.h>

#include <algorithm>
#include <span>
#include <utility>

#include "config/telemetry.hpp"
#include "storage/record_codec.hpp"

namespace adtrack::actors {

namespace {

constexpr int64_t not_durable_offset = -2;

bool on_disk(storage::append_fate fate) { return fate == storage::append_fate::durable || fate == storage::append_fate::spooled; }

outcome outcome_of(const storage::append_outcome& said, uint32_t partition) {
  switch (said.fate) {
  case storage::append_fate::durable: return ingested{false, partition, said.offset};
  case storage::append_fate::spooled: return ingested{true, partition, -1};
  case storage::append_fate::refused: return failed{failure::not_durable, "the log refused the event"};
  case storage::append_fate::unknown: break;
  }
  return failed{failure::not_durable, "it is not known whether the event reached the log"};
}

// What a batch's one ticket is told: `outcomes` are those of the job's records that the log has spoken of.
outcome outcome_together(const append_job& job, std::span<const storage::append_outcome> outcomes) {
  batch_ingested done;
  done.events = job.records.size();
  std::map<uint32_t, int64_t> highest; // -1: an offset of that shard is not known
  for (size_t i = 0; i < job.records.size(); ++i) {
    const auto said = i < outcomes.size() ? outcomes[i] : storage::append_outcome{};
    const auto partition = job.records[i].partition;
    auto one = outcome_of(said, partition);
    if (!on_disk(said.fate)) return one;
    const auto& alone = std::get<ingested>(one);
    done.spooled = done.spooled || alone.spooled;
    const auto found = highest.try_emplace(partition, alone.offset).first;
    found->second = alone.offset < 0 || found->second < 0 ? -1 : std::max(found->second, alone.offset);
  }
  for (const auto& [shard, offset] : highest)
    if (offset >= 0) done.positions.push_back({shard, offset});
  return done;
}

} // namespace

bool append_group::finish(const std::vector<storage::append_outcome>& outcomes,
                          const std::function<void(uint64_t, int64_t)>& control_done) {
  const std::chrono::duration<double> took = steady_clock::now() - started;
  if (seconds != nullptr) seconds->Observe(took.count());
  bool all_durable = true;
  std::array<uint64_t, event_type_count> accepted_now{};
  std::vector<completion> completions;
  size_t answers = 0;
  for (const auto& [id, job] : jobs) answers += job->batch && job->batch->together ? 1 : job->records.size();
  completions.reserve(answers);
  size_t at = 0;
  for (auto& [id, job] : jobs) {
    const bool ours = job->batch && job->batch->claim(); // false: the deadline was faster, or a control record
    const bool together = ours && job->batch->together.has_value();
    if (together)
      completions.push_back(
          {*job->batch->together, outcome_together(*job, std::span(outcomes).subspan(std::min(at, outcomes.size())))});
    for (size_t i = 0; i < job->records.size(); ++i, ++at) {
      // A log that answers short has not said anything of the rest.
      const auto said = at < outcomes.size() ? outcomes[at] : storage::append_outcome{};
      all_durable = all_durable && on_disk(said.fate);
      if (job->batch && on_disk(said.fate)) ++accepted_now[static_cast<size_t>(job->batch->items[i].what.type)];
      if (ours && !together) completions.push_back({job->batch->items[i].from, outcome_of(said, job->records[i].partition)});
      // A control record in the spool is not in force before what is appended after it: it is not there until the log has it.
      if (id != 0) control_done(id, said.fate == storage::append_fate::durable ? said.offset : not_durable_offset);
    }
  }
  for (size_t type = 0; type < accepted_now.size(); ++type)
    if (accepted_now[type] != 0 && accepted[type] != nullptr) accepted[type]->Increment(static_cast<double>(accepted_now[type]));
  flights->deliver(std::move(completions));
  jobs.clear();
  return all_durable;
}

void log_writer_state::init(pointer self, context_ptr context) {
  self_ = self;
  context_ = std::move(context);
  auto& metrics = context_->metrics();
  for (auto type : {event_type::click, event_type::impression, event_type::playback})
    accepted_[static_cast<size_t>(type)] = &metrics.events(to_string(type), "accepted");
  seconds_ = &metrics.log_append();
  records_ = &metrics.log_batch();
  if (!context_->log().writable()) failed();
}

void log_writer_state::enqueue(append_group::control_slot slot) {
  pending_.push_back(std::move(slot));
  if (flush_sent_) return;
  // The flush stands behind everything that is in the mailbox now, so that all of it shares the append.
  flush_sent_ = true;
  self_->send(self_, flush_atom_v);
}

void log_writer_state::append(append_ptr job) { enqueue({0, std::move(job)}); }

caf::result<int64_t> log_writer_state::append_control(uint32_t partition, const control& value) {
  auto job = std::make_shared<append_job>();
  job->records.resize(1);
  job->records[0].partition = partition;
  job->records[0].value = storage::encode(value);
  const auto id = next_control_++;
  auto promise = self_->make_response_promise<int64_t>();
  controls_.emplace(id, promise);
  enqueue({id, std::move(job)});
  return promise;
}

void log_writer_state::control_done(uint64_t id, int64_t offset) {
  auto found = controls_.find(id);
  if (found == controls_.end()) return;
  auto promise = found->second;
  controls_.erase(found);
  if (offset == not_durable_offset)
    promise.deliver(make_error(trouble::not_durable));
  else
    promise.deliver(offset);
}

void log_writer_state::flush() {
  flush_sent_ = false;
  if (pending_.empty()) return;
  auto group = std::make_shared<append_group>();
  while (!pending_.empty()) {
    const auto more = pending_.front().job->records.size();
    if (group->records != 0 && group->records + more > context_->options.log_batch_records) break;
    group->records += more;
    group->jobs.push_back(std::move(pending_.front()));
    pending_.pop_front();
  }
  if (!pending_.empty()) {
    flush_sent_ = true;
    self_->send(self_, flush_atom_v);
  }
  std::vector<storage::log_record> records;
  records.reserve(group->records);
  // The partition stays behind in the job: completions name it.
  for (auto& slot : group->jobs)
    for (auto& record : slot.job->records) records.push_back({record.partition, std::move(record.value)});
  group->started = steady_clock::now();
  group->flights = context_->flights;
  group->accepted = accepted_;
  group->seconds = seconds_;
  records_->Observe(static_cast<double>(group->records));
  context_->log().append(std::move(records), [group, me = caf::actor_cast<log_writer_actor>(self_)](
                                                 const std::vector<storage::append_outcome>& outcomes) {
    const bool fine =
        group->finish(outcomes, [&me](uint64_t id, int64_t offset) { caf::anon_send(me, done_atom_v, id, offset); });
    if (!fine) caf::anon_send(me, failed_atom_v);
  });
}

void log_writer_state::failed() {
  if (reopening_) return;
  reopening_ = true;
  context_->status->set_trouble("log", "an append failed; events may be refused until the log takes them again");
  config::log(config::log_level::error, "log", "append_failed", "an append was not durable: the log is being reopened");
  self_->delayed_send(self_, std::chrono::milliseconds(context_->options.retry_ms), open_atom_v);
}

void log_writer_state::reopen() {
  if (auto status = context_->log().reopen(); !status.ok()) {
    if (context_->status->set_trouble("log", status.message))
      config::log(config::log_level::error, "log", "reopen_failed", status.message);
    self_->delayed_send(self_, std::chrono::milliseconds(context_->options.retry_ms), open_atom_v);
    return;
  }
  reopening_ = false;
  context_->status->set_trouble("log", "");
  config::log(config::log_level::info, "log", "reopened", "the log takes events again");
}

log_writer_actor::behavior_type log_writer(log_writer_state::pointer self, context_ptr context) {
  self->state.init(self, std::move(context));
  return {
      [self](append_atom, const append_ptr& job) { self->state.append(job); },
      [self](control_atom, uint32_t partition, const control& value) { return self->state.append_control(partition, value); },
      [self](flush_atom) { self->state.flush(); },
      [self](done_atom, uint64_t id, int64_t offset) { self->state.control_done(id, offset); },
      [self](failed_atom) { self->state.failed(); },
      [self](open_atom) { self->state.reopen(); },
  };
}

} // namespace adtrack::actors
