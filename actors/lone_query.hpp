// A question about ads of one shard, on its short way: the shard completes it itself. Through analytics each answer waited for two
// more threads to get a processor. What the shard has not answered in time the supervisor's sweep completes as analytics would:
// without that shard, saying so. CAF-free.
#pragma once

#include <atomic>
#include <chrono>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>

#include "actors/in_flight.hpp"
#include "model/analytics.hpp"

namespace adtrack::actors {

struct node_context;

class lone_query {
public:
  lone_query(std::shared_ptr<const node_context> context, uint32_t shard, analytics_query query, reply_ptr reply);

  // Whether a question may take this way: one shard, few ads, no position to wait for, and a time-out that the sweep can keep.
  static bool suits(const analytics_query& query, uint32_t shards);

  const analytics_query& query() const noexcept { return query_; }
  uint32_t shard() const noexcept { return shard_; }
  steady_clock::time_point deadline() const noexcept { return deadline_; }
  // Any thread; the first of all calls completes the question.
  void answered(shard_answer answer);
  void missed();

private:
  void complete(std::optional<shard_answer> answer);

  const std::shared_ptr<const node_context> context_;
  const uint32_t shard_;
  const analytics_query query_;
  const reply_ptr reply_;
  const steady_clock::time_point started_ = steady_clock::now();
  const steady_clock::time_point deadline_;
  std::atomic<bool> done_{false};
};
using lone_query_ptr = std::shared_ptr<lone_query>;

// Those on their way, and for at most a sweep those that are done behind one that is not. Thread-safe.
class lone_queries {
public:
  void add(const lone_query_ptr& query);
  // Completes those whose deadline has passed.
  void sweep(steady_clock::time_point now);

private:
  std::mutex mutex_;
  std::deque<std::weak_ptr<lone_query>> list_;
};

} // namespace adtrack::actors
