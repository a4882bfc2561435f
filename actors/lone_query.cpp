#include "actors/lone_query.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "actors/analytics.hpp"
#include "actors/shard.hpp"
#include "model/partitioner.hpp"

namespace adtrack::actors {

namespace {

constexpr uint32_t timeout_least_ms = 1'000; // a few sweeps

} // namespace

lone_query::lone_query(context_ptr context, uint32_t shard, analytics_query query, reply_ptr reply)
    : context_(std::move(context)), shard_(shard), query_(std::move(query)), reply_(std::move(reply)),
      deadline_(started_ + std::chrono::milliseconds(std::min(query_.timeout_ms, context_->options.query_timeout_ms))) {}

bool lone_query::suits(const analytics_query& query, uint32_t shards) {
  if (is_wide(query) || !query.min_positions.empty() || query.timeout_ms < timeout_least_ms) return false;
  const auto shard = shard_of(query.ad_ids.front(), shards);
  return std::all_of(query.ad_ids.begin(), query.ad_ids.end(), [&](uint64_t ad) { return shard_of(ad, shards) == shard; });
}

void lone_query::answered(shard_answer answer) { complete(std::move(answer)); }

void lone_query::missed() { complete({}); }

void lone_query::complete(std::optional<shard_answer> answer) {
  if (done_.exchange(true)) return;
  std::vector<shard_part> parts(1);
  parts[0].shard = shard_;
  parts[0].ad_ids = query_.ad_ids;
  if (!answer) parts[0].known_fault = context_->status->fault(shard_);
  parts[0].answer = std::move(answer);
  complete_query(*context_, query_, std::move(parts), started_, reply_);
}

void lone_queries::add(const lone_query_ptr& query) {
  std::lock_guard lock(mutex_);
  // What is done leaves from the front as new questions come, so that the list stays as short as what is in flight.
  while (!list_.empty() && list_.front().expired()) list_.pop_front();
  list_.push_back(query);
}

void lone_queries::sweep(steady_clock::time_point now) {
  std::vector<lone_query_ptr> seen; // outlive the lock: should one have no other owner any more, its end completes the question
  {
    std::lock_guard lock(mutex_);
    std::erase_if(list_, [&](const auto& weak) {
      auto query = weak.lock();
      if (!query) return true;
      seen.push_back(std::move(query));
      return seen.back()->deadline() <= now;
    });
  }
  for (const auto& query : seen)
    if (query->deadline() <= now) query->missed();
}

} // namespace adtrack::actors
