// What stands between a call of the gateway and its completion: the bounds on it, the exactly-once rule and the deadline.
// Shared by the gateway (any thread), the log writer and the actors that answer; never blocks but for short locks. CAF-free.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <vector>

#include "actors/gateway.hpp"

namespace prometheus {
class Gauge;
}

namespace adtrack::actors {

class ingest_batch;
class deferred_reply;
using ingest_ptr = std::shared_ptr<ingest_batch>;
using reply_ptr = std::shared_ptr<deferred_reply>;
using steady_clock = std::chrono::steady_clock;

// The loop of tickets that are the node's own, as of the inbox: http never sees their completions.
inline constexpr uint32_t inner_loop = UINT32_MAX;

struct in_flight_limits {
  uint64_t events = 100'000;
  uint64_t bytes = 64u << 20;
  uint64_t asks = 10'000; // queries and catalogue requests
  std::chrono::milliseconds ingest_timeout{5'000};
};

class in_flight : public std::enable_shared_from_this<in_flight> {
public:
  in_flight(const in_flight_limits& limits, prometheus::Gauge* gauge);

  // nullptr detaches: when bind returns, no completion is being delivered to the earlier sink any more. The sink may call the
  // gateway from complete(), except bind().
  void bind(completion_sink* sink);
  void bind_inner(completion_sink* sink); // likewise, of the tickets of inner_loop
  void deliver(std::vector<completion> completions);

  // Reserves room for the items; null when the bounds do not allow it. The room is given back when the batch dies. With
  // `together` that ticket gets one outcome for all of them.
  ingest_ptr admit(std::vector<ingest_item>& items, std::optional<ticket> together = {});
  // Reserves room for one question; null when too many wait.
  reply_ptr admit(ticket from);

  // Completes every batch whose deadline has passed with timed_out; its late result is dropped.
  void sweep(steady_clock::time_point now);
  // Completes all that is left, whatever its deadline.
  void abandon(failure why, const std::string& detail);

  size_t count() const noexcept { return events_.load() + asks_.load(); }
  bool wait_idle(steady_clock::time_point deadline);

private:
  friend class ingest_batch;
  friend class deferred_reply;
  void release_batch(uint64_t events, uint64_t bytes);
  void release_ask();
  void wake_when_idle();

  const in_flight_limits limits_;
  prometheus::Gauge* const gauge_;
  std::shared_mutex sink_mutex_;
  completion_sink* sink_ = nullptr;
  completion_sink* inner_ = nullptr;
  std::atomic<uint64_t> events_{0};
  std::atomic<uint64_t> bytes_{0};
  std::atomic<uint64_t> asks_{0};
  std::mutex list_mutex_;
  std::deque<std::weak_ptr<ingest_batch>> batches_; // by deadline: the time-out is one constant
  std::mutex idle_mutex_;
  std::condition_variable idle_;
};

// The events of one submit call on their way to the log. They share one fate at a time: all of them go into one append.
// Invariant: exactly one caller of claim() is told true, and that one completes every ticket.
class ingest_batch {
public:
  ingest_batch(std::vector<ingest_item> from, std::optional<ticket> whole, uint64_t bytes, steady_clock::time_point deadline,
               std::shared_ptr<in_flight> home);
  ~ingest_batch(); // completes with not_durable if nobody did: a lost message is never a lost ticket
  ingest_batch(const ingest_batch&) = delete;
  ingest_batch& operator=(const ingest_batch&) = delete;

  bool claim() noexcept { return !claimed_.exchange(true); }
  void fail(failure why, const std::string& detail); // claims; nothing when claimed already
  steady_clock::time_point deadline() const noexcept { return deadline_; }

  std::vector<ingest_item> items;       // enrich moves the texts out
  const std::optional<ticket> together; // in place of the items' own tickets

private:
  const uint64_t bytes_;
  const steady_clock::time_point deadline_;
  const std::shared_ptr<in_flight> home_;
  std::atomic<bool> claimed_{false};
};

// One question's way back. Completes exactly once: the first complete() wins, and the destructor says `stopping` if there was
// none.
class deferred_reply {
public:
  deferred_reply(ticket to, std::shared_ptr<in_flight> home);
  ~deferred_reply();
  deferred_reply(const deferred_reply&) = delete;
  deferred_reply& operator=(const deferred_reply&) = delete;

  void complete(outcome what);
  void fail(failure why, std::string detail) { complete(failed{why, std::move(detail)}); }

private:
  const ticket to_;
  const std::shared_ptr<in_flight> home_;
  std::atomic<bool> done_{false};
};

} // namespace adtrack::actors
