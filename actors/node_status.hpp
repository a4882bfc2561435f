// What the node knows of itself, for /readyz, metrics and the supervisor. Written by the actors, read by any thread; holds a
// short lock for texts only.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "actors/gateway.hpp"
#include "model/analytics.hpp"

namespace adtrack::actors {

enum class shard_phase : uint8_t {
  opening, // never served yet
  serving,
  reopening, // its store failed; opened again every second
  stopped,   // for good: needs another build of adtrack
};

class node_status {
public:
  explicit node_status(uint32_t shards);
  uint32_t shards() const noexcept { return shards_; }

  void set_phase(uint32_t shard, shard_phase phase, const std::string& reason = {});
  shard_phase phase(uint32_t shard) const noexcept { return state_[shard].phase; }
  void set_applied(uint32_t shard, int64_t next_offset) noexcept { state_[shard].applied = next_offset; }
  int64_t applied(uint32_t shard) const noexcept { return state_[shard].applied; }

  // What is wrong with the log below the shard, with a sentence that says so; none clears. The shard goes on answering.
  void set_fault(uint32_t shard, log_fault fault, const std::string& sentence = {});
  log_fault fault(uint32_t shard) const noexcept { return state_[shard].fault; }

  // The partition holds a control record, so that every event after it is judged by known rules.
  void control_logged(uint32_t shard) noexcept;
  // The wanted control is in force in the shard, and the shard has caught up with the log's end as of start.
  void caught_up(uint32_t shard) noexcept { state_[shard].caught_up = true; }
  // Every partition holds a control record: events may be taken.
  bool accepting() const noexcept { return without_control_ == 0; }

  // "" clears. The name says what is troubled, such as "shard 3 reader"; the text is shown as a degraded reason.
  // True when the text is new, so that the caller logs a lasting trouble once.
  bool set_trouble(const std::string& name, const std::string& text);

  void set_catalogue_loaded(bool loaded) noexcept { catalogue_loaded_ = loaded; }
  void set_stopping() noexcept { stopping_ = true; }
  bool stopping() const noexcept { return stopping_; }

  // Everything but the log's and the clock's state, which the gateway adds.
  readiness report() const;

private:
  struct shard_state {
    std::atomic<shard_phase> phase{shard_phase::opening};
    std::atomic<log_fault> fault{log_fault::none};
    std::atomic<int64_t> applied{0};
    std::atomic<bool> control_logged{false};
    std::atomic<bool> caught_up{false};
  };
  std::string not_ready_reason() const;

  const uint32_t shards_;
  std::unique_ptr<shard_state[]> state_;
  std::atomic<uint32_t> without_control_;
  std::atomic<bool> catalogue_loaded_{false};
  std::atomic<bool> stopping_{false};
  mutable std::mutex mutex_;
  std::vector<std::string> reasons_; // a shard, of its phase
  std::vector<std::string> faults_;  // a shard
  std::map<std::string, std::string> troubles_;
};

} // namespace adtrack::actors
