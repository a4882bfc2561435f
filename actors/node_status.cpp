#include "actors/node_status.hpp"

namespace adtrack::actors {

namespace {

std::string name_of(uint32_t shard) { return "shard " + std::to_string(shard); }

std::string with_reason(const std::string& text, const std::string& reason) {
  return reason.empty() ? text : text + ": " + reason;
}

} // namespace

node_status::node_status(uint32_t shards)
    : shards_(shards), state_(std::make_unique<shard_state[]>(shards)), without_control_(shards), reasons_(shards),
      faults_(shards) {}

void node_status::set_phase(uint32_t shard, shard_phase phase, const std::string& reason) {
  std::lock_guard lock(mutex_);
  state_[shard].phase = phase;
  reasons_[shard] = reason;
}

void node_status::set_fault(uint32_t shard, log_fault fault, const std::string& sentence) {
  std::lock_guard lock(mutex_);
  state_[shard].fault = fault;
  faults_[shard] = sentence;
}

void node_status::control_logged(uint32_t shard) noexcept {
  if (!state_[shard].control_logged.exchange(true)) --without_control_;
}

bool node_status::set_trouble(const std::string& name, const std::string& text) {
  std::lock_guard lock(mutex_);
  if (text.empty()) {
    troubles_.erase(name);
    return false;
  }
  auto& slot = troubles_[name];
  if (slot == text) return false;
  slot = text;
  return true;
}

std::string node_status::not_ready_reason() const {
  if (stopping_) return "the node is stopping";
  uint32_t serving = 0, faulty = 0;
  for (uint32_t shard = 0; shard < shards_; ++shard) {
    switch (state_[shard].phase.load()) {
    case shard_phase::opening: return with_reason(name_of(shard) + " is being opened", reasons_[shard]);
    case shard_phase::stopped: return with_reason(name_of(shard) + " stopped", reasons_[shard]);
    case shard_phase::reopening: break;
    case shard_phase::serving: ++serving; break;
    }
  }
  if (serving == 0) return with_reason("no shard serves", reasons_.empty() ? std::string() : reasons_.front());
  // A shard that the log has left behind neither counts nor catches up until an operator has looked; the others and the log take
  // what comes meanwhile. When there are no others, this is not a node that serves.
  for (uint32_t shard = 0; shard < shards_; ++shard)
    if (state_[shard].fault != log_fault::none && ++faulty == shards_) return with_reason(name_of(0), faults_[0]);
  for (uint32_t shard = 0; shard < shards_; ++shard)
    if (!state_[shard].caught_up && state_[shard].fault == log_fault::none)
      return name_of(shard) + " has not caught up with the log since the start";
  if (!catalogue_loaded_) return "the catalogue of ads is not loaded";
  return {};
}

readiness node_status::report() const {
  readiness out;
  std::lock_guard lock(mutex_);
  out.reason = not_ready_reason();
  out.ready = out.reason.empty();
  for (uint32_t shard = 0; shard < shards_; ++shard)
    if (state_[shard].phase == shard_phase::reopening)
      out.degraded.push_back(with_reason(name_of(shard) + " is being reopened", reasons_[shard]));
  for (uint32_t shard = 0; shard < shards_; ++shard)
    if (state_[shard].fault != log_fault::none) out.degraded.push_back(with_reason(name_of(shard), faults_[shard]));
  for (const auto& [name, text] : troubles_) out.degraded.push_back(with_reason(name, text));
  return out;
}

} // namespace adtrack::actors
