// Erases visitors. Asked for one it appends the erasure to every partition, from where the visitor is an alias in the shards.
// What shards have applied of it durably they hand over: then the records before it are rewritten, the old ones taken off the
// disk, and after that what the shard's store still held. Each step can be done again, and the shard remembers which is next, so
// a restart goes on there. Detached: reads, writes and compactions block.
#pragma once

#include <deque>
#include <optional>
#include <random>

#include "actors/context.hpp"
#include "actors/interfaces.hpp"
#include "model/visitor_erased.hpp"

namespace adtrack::actors {

class eraser_state {
public:
  static constexpr const char* name = "eraser";
  using pointer = eraser_actor::stateful_pointer<eraser_state>;

  void init(pointer self, context_ptr context, log_writer_actor writer);
  void erase(uint64_t visitor, const reply_ptr& reply);
  void take(erasure_job_ptr job);
  void go_on();

private:
  // Of one erasure, until every partition has spoken.
  struct appending {
    visitor_erased done;
    size_t waiting = 0;
    bool failed = false;
    reply_ptr reply;
  };
  void appended(appending& all, uint32_t shard, std::optional<int64_t> offset);
  void take_next();
  storage::status clear_log(uint32_t shard);
  storage::status drop_checkpoints(uint32_t shard, bool of_log) const;
  void finish();
  void show_pending();
  void next_turn(std::chrono::milliseconds wait);

  pointer self_ = nullptr;
  context_ptr context_;
  log_writer_actor writer_;
  std::deque<erasure_job_ptr> jobs_;     // waiting
  std::vector<erasure_job_ptr> current_; // of one shard, and all of its log or all of its store: one pass does them
  int64_t at_ = 0, end_ = 0;             // how far the log is cleared for them, and how far it has to be
  bool turn_sent_ = false;
  std::random_device random_;
};

eraser_actor::behavior_type eraser(eraser_state::pointer self, context_ptr context, log_writer_actor writer);

} // namespace adtrack::actors
