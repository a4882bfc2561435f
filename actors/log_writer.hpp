// The one writer of the event log: drains its mailbox into one append, so that all that arrived meanwhile share one fsync, and
// completes every ticket with what the log said of it. After a failed append it tries to bring the log back every second.
// Detached: an append may block. Never answers an event that the log did not confirm.
#pragma once

#include <array>
#include <deque>
#include <map>

#include "actors/context.hpp"
#include "actors/interfaces.hpp"

namespace prometheus {
class Counter;
class Histogram;
} // namespace prometheus

namespace adtrack::actors {

// One append's worth of jobs; shared with the log's callback, which may come from any thread and outlive the actor.
struct append_group {
  struct control_slot {
    uint64_t id = 0; // 0: an ingest job
    append_ptr job;
  };
  std::vector<control_slot> jobs;
  size_t records = 0;
  steady_clock::time_point started;
  std::shared_ptr<in_flight> flights;
  std::array<prometheus::Counter*, event_type_count> accepted{};
  prometheus::Histogram* seconds = nullptr;

  // Completes the tickets in one call of the sink. Tells `control_done` of each control record (offset, or -2 when not durable).
  // True when every record is durable.
  bool finish(const std::vector<storage::append_outcome>& outcomes, const std::function<void(uint64_t, int64_t)>& control_done);
};

class log_writer_state {
public:
  static constexpr const char* name = "log_writer";
  using pointer = log_writer_actor::stateful_pointer<log_writer_state>;

  void init(pointer self, context_ptr context);
  void append(append_ptr job);
  caf::result<int64_t> append_control(uint32_t partition, const control& value);
  void control_done(uint64_t id, int64_t offset);
  void flush();
  void failed();
  void reopen();

private:
  void enqueue(append_group::control_slot slot);

  pointer self_ = nullptr;
  context_ptr context_;
  std::deque<append_group::control_slot> pending_;
  bool flush_sent_ = false;
  bool reopening_ = false;
  uint64_t next_control_ = 1;
  std::map<uint64_t, caf::typed_response_promise<int64_t>> controls_;
  std::array<prometheus::Counter*, event_type_count> accepted_{};
  prometheus::Histogram* seconds_ = nullptr;
  prometheus::Histogram* records_ = nullptr;
};

log_writer_actor::behavior_type log_writer(log_writer_state::pointer self, context_ptr context);

} // namespace adtrack::actors
