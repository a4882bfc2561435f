// Asks every shard that a question concerns, gathers their parts until the time-out, and completes the question with the merged
// answer. An answer that lacks a shard says so; it never waits for ever. What became of one event it asks that ad's shard.
// Detached, so that a busy pool cannot hold answers up.
#pragma once

#include <optional>
#include <vector>

#include "actors/context.hpp"
#include "actors/interfaces.hpp"

namespace adtrack::actors {

// A shard that takes part in a question.
struct shard_part {
  uint32_t shard = 0;
  std::vector<uint64_t> ad_ids;       // of this shard; empty: all
  bool rows = true;                   // false: asked only because of a min_position
  std::optional<shard_answer> answer; // of the newest round
  // Of all rounds: a window that another round has widened looks to its shard as if it had been asked for.
  resolution finest = resolution::second;

  log_fault known_fault = log_fault::none; // of a shard that did not answer
};

// The shards that `query` concerns, by number: those that hold its ads (all, when it names none) and those of its min_positions.
std::vector<shard_part> parts_of(const analytics_query& query, uint32_t shards);

// The smallest window that covers the windows of all parts that answered with rows; `asked` when there is none.
time_window union_of_windows(const std::vector<shard_part>& parts, const time_window& asked);
bool windows_agree(const std::vector<shard_part>& parts);

// Merges the parts: rows in the order asked for, the page that was asked for, totals and what the answer says of itself.
// `shards.total` counts the shards that the question concerns, not those of the log: a query for one ad is complete when that
// ad's shard has answered. Nothing is complete over a log with a fault: what the shard answers is as of before it.
analytics_answer merge(std::vector<shard_part> parts, const analytics_query& query, int64_t now_ms, int64_t real_time_lag_ms);

// Completes a question with what its parts say; with what is wrong with it when they say so.
void complete_query(const node_context& context, const analytics_query& query, std::vector<shard_part> parts,
                    steady_clock::time_point started, const reply_ptr& reply);

class analytics_state {
public:
  static constexpr const char* name = "analytics";
  using pointer = analytics_actor::stateful_pointer<analytics_state>;
  static constexpr int max_rounds = 3; // of asking again with a wider window

  void init(pointer self, context_ptr context, std::vector<shard_actor> shards);
  void query(analytics_query q, reply_ptr reply);
  void fate_of(const event_question& q, const reply_ptr& reply);
  void digest(digest_question q, const reply_ptr& reply);

private:
  struct gather {
    analytics_query query;
    reply_ptr reply;
    std::vector<shard_part> parts;
    size_t waiting = 0;
    int round = 1;
    bool wide = false;
    bool late = false; // a min_position was not reached
    std::string late_detail;
    steady_clock::time_point started;
    caf::actor_clock::time_point deadline;
  };
  using gather_ptr = std::shared_ptr<gather>;

  void ask(const gather_ptr& g);
  void missed(const gather_ptr& g, size_t part, const caf::error& why);
  void arrived(const gather_ptr& g);
  void finish(const gather_ptr& g);

  pointer self_ = nullptr;
  context_ptr context_;
  std::vector<shard_actor> shards_;
  size_t wide_in_flight_ = 0;
};

analytics_actor::behavior_type analytics(analytics_state::pointer self, context_ptr context, std::vector<shard_actor> shards);

} // namespace adtrack::actors
