// Owns one shard's engine: applies what the reader sends, commits and syncs by the clock, answers queries, and sees to it that
// the wanted control record is in force. When the engine fails it is dropped and opened again, and the reader starts over at its
// offset. When the reader says that the log has forked or lacks records, it keeps its state, goes on answering and says so;
// nothing that may rest on records of another history is committed. What could not be read goes to the node's quarantine.
// Detached: commits and fsyncs block. Never decides what counts: that is the engine's, from the log alone.
#pragma once

#include <array>
#include <functional>
#include <list>
#include <set>
#include <utility>

#include "actors/context.hpp"
#include "actors/interfaces.hpp"
#include "actors/lag.hpp"

namespace prometheus {
class Histogram;
} // namespace prometheus

namespace adtrack::actors {

struct shard_peers {
  log_reader_actor reader;
  log_writer_actor writer;
  eraser_actor eraser;
  std::vector<query_worker_actor> workers;
};

// Queries that name up to this many ads, and want neither series nor groups, are answered by the shard itself; wider ones by a
// query worker.
inline constexpr size_t narrow_query_ads = 64;
inline bool is_wide(const analytics_query& q) {
  return q.ad_ids.empty() || q.ad_ids.size() > narrow_query_ads || q.step != granularity::none || q.by != group_dimension::none;
}

class shard_state {
public:
  static constexpr const char* name = "shard";
  using pointer = shard_actor::stateful_pointer<shard_state>;

  void init(pointer self, context_ptr context, uint32_t shard, shard_peers peers);
  void open();
  void apply(uint64_t epoch, const record_batch& batch);
  void found(uint64_t epoch, const log_finding& finding);
  void commit();
  void sync();
  void check_control();
  void expire();
  caf::result<shard_answer> query(const analytics_query& q);
  void answer(lone_query& q);
  caf::result<event_fate> fate_of(const event_question& q);
  caf::result<shard_digest> digest(const digest_question& q);
  void erased(int64_t offset, bool of_store);
  void hand_over_erasures();
  void copy(const reply_ptr& reply);
  void stop();

private:
  using promise = caf::typed_response_promise<shard_answer>;
  struct waiter {
    int64_t needed = 0;   // the engine's next offset must have reached it
    bool exactly = false; // and the question is about the state there
    caf::actor_clock::time_point deadline;
    std::function<void()> serve;
    std::function<void(caf::error)> fail;
  };

  void start_reading(); // in the current epoch, from where the engine stands
  void faulty(const log_finding& finding);
  void sound_again();
  bool may_commit() const noexcept { return fault_ != log_fault::fork; }
  void engine_failed(const storage::status& why, std::string_view doing);
  std::chrono::nanoseconds until_turn(uint32_t period_ms) const;
  void arm_commit();
  void arm_sync();
  void count_fates();
  void keep_skipped(const record_batch& batch);
  void sync_quarantine();
  void quarantine_failed(const storage::status& why);
  bool must_wait(int64_t needed) const { return needed > (engine_ ? engine_->next_offset() : 0); }
  void wait(waiter w, uint32_t timeout_ms);
  void serve_waiters();
  storage::status apply_and_serve(const record_batch& batch);
  int64_t needed_offset(const analytics_query& q) const;
  template <class Answer, class Question>
  caf::result<Answer> answer_at(int64_t needed, bool exactly, const Question& q);
  void answer(const analytics_query& q, promise reply);
  storage::result<view_ptr> view_of(const analytics_query& q);
  storage::result<shard_answer> narrow_answer(const analytics_query& q);
  void answer_wide(const analytics_query& q, promise reply);
  void answer(const digest_question& q, caf::typed_response_promise<shard_digest> reply);
  shard_answer head_of_answer();
  int64_t lag_ms();
  void control_appended(int64_t offset);

  pointer self_ = nullptr;
  context_ptr context_;
  uint32_t shard_ = 0;
  shard_peers peers_;
  std::shared_ptr<storage::shard_engine> engine_; // null while down; views that a worker holds keep it alive
  uint64_t epoch_ = 0;
  bool halted_ = false;   // for good: it stands before a record that this build does not know
  bool verified_ = false; // in this epoch the reader found the last applied record in the log
  log_fault fault_ = log_fault::none;
  bool commit_armed_ = false;
  bool sync_armed_ = false;
  bool expire_armed_ = false;
  bool restating_ = false; // a control record is being appended behind an erasure
  bool quarantine_troubled_ = false;
  storage::fates_by_type counted_; // what the metrics have of this engine
  std::list<waiter> waiters_;
  std::set<std::pair<int64_t, bool>> handed_over_; // erasures: offset, and whether it is the store that is left
  size_t wide_in_flight_ = 0;
  size_t next_worker_ = 0;
  lag_meter lag_;
  // The control record: nothing is appended before the shard stands where the log ended at the start.
  int64_t end_at_start_ = -1;
  bool control_done_ = false;
  bool control_asked_ = false;
  bool control_acked_ = false;
  int64_t control_offset_ = -1;
  prometheus::Histogram* apply_seconds_ = nullptr;
};

shard_actor::behavior_type shard(shard_state::pointer self, context_ptr context, uint32_t shard_number, shard_peers peers);

} // namespace adtrack::actors
