#include "actors/supervisor.hpp"

#include <prometheus/gauge.h>

#include "config/telemetry.hpp"

namespace adtrack::actors {

namespace {

constexpr auto sweep_interval = std::chrono::milliseconds(200);
constexpr auto measure_interval = std::chrono::milliseconds(1'000);
// A shard that is further behind than this is named under `degraded`.
constexpr int64_t degraded_lag_ms = 10'000;

} // namespace

void supervisor_state::init(pointer self, context_ptr context) {
  self_ = self;
  context_ = std::move(context);
  const auto shards = context_->status->shards();
  meters_.resize(shards);
  for (uint32_t shard = 0; shard < shards; ++shard) {
    meters_[shard].records = &context_->metrics().shard_lag_records(shard);
    meters_[shard].seconds = &context_->metrics().shard_lag_seconds(shard);
  }
  self_->delayed_send(self_, sweep_interval, tick_atom_v);
  self_->delayed_send(self_, measure_interval, poll_atom_v);
}

void supervisor_state::sweep() {
  context_->flights->sweep(steady_clock::now());
  context_->lone->sweep(steady_clock::now());
  self_->delayed_send(self_, sweep_interval, tick_atom_v);
}

void supervisor_state::measure() {
  const auto now_ms = context_->parts.now_ms();
  const auto steady_ms = context_->parts.steady_ms();
  for (uint32_t shard = 0; shard < meters_.size(); ++shard) {
    auto& m = meters_[shard];
    if (context_->status->phase(shard) == shard_phase::opening) continue; // where it stands is not known yet
    const auto lag =
        m.lag.measure(context_->log(), *context_->handed, shard, context_->status->applied(shard), now_ms, steady_ms);
    m.records->Set(static_cast<double>(lag.records));
    m.seconds->Set(lag.ms < 0 ? -1.0 : static_cast<double>(lag.ms) / 1'000.0);
    const bool behind = lag.ms < 0 || lag.ms > degraded_lag_ms;
    if (behind == m.troubled) continue;
    m.troubled = behind;
    context_->status->set_trouble("shard " + std::to_string(shard), behind ? "lags behind the log" : "");
  }
  const auto health = context_->log().health();
  if (context_->status->set_trouble("shape of the log", health.message))
    config::log(config::log_level::error, "supervisor", "log_changed", health.message);
  const auto waiting = context_->log().waiting();
  context_->metrics().spool_records().Set(static_cast<double>(waiting));
  context_->status->set_trouble("spool", waiting == 0 ? "" : std::to_string(waiting) + " records wait in the spool for the log");
  if (context_->parts.troubles)
    for (const auto& [what, why] : context_->parts.troubles()) context_->status->set_trouble(what, why);
  if (context_->parts.every_second) context_->parts.every_second();
  self_->delayed_send(self_, measure_interval, poll_atom_v);
}

void supervisor_state::died(const caf::down_msg& down) {
  if (context_->status->stopping()) return;
  const auto why = "an actor ended unexpectedly (" + self_->system().render(down.reason) + ")";
  config::log(config::log_level::error, "supervisor", "actor_died", why, {{"actor", to_string(down.source)}});
  if (context_->parts.fatal) context_->parts.fatal(why);
}

supervisor_actor::behavior_type supervisor(supervisor_state::pointer self, context_ptr context,
                                           const std::vector<caf::strong_actor_ptr>& watched) {
  self->state.init(self, std::move(context));
  self->set_down_handler([self](caf::down_msg& down) { self->state.died(down); });
  for (const auto& one : watched) self->monitor(one);
  return {
      [self](tick_atom) { self->state.sweep(); },
      [self](poll_atom) { self->state.measure(); },
  };
}

} // namespace adtrack::actors
