#include "actors/in_flight.hpp"

#include <prometheus/gauge.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace adtrack::actors {

namespace {

uint64_t bytes_of(const std::vector<ingest_item>& items) {
  uint64_t sum = 0;
  for (const auto& item : items) sum += sizeof(ingest_item) + item.what.event_id.size() + item.what.agent.size();
  return sum;
}

// Adds `amount` unless the sum would pass `limit`. One batch alone always fits, so that a limit below the largest batch
// cannot refuse it for ever.
bool take(std::atomic<uint64_t>& level, uint64_t amount, uint64_t limit) {
  auto now = level.load();
  do {
    if (now != 0 && now + amount > limit) return false;
  } while (!level.compare_exchange_weak(now, now + amount));
  return true;
}

} // namespace

in_flight::in_flight(const in_flight_limits& limits, prometheus::Gauge* gauge) : limits_(limits), gauge_(gauge) {}

void in_flight::bind(completion_sink* sink) {
  std::unique_lock lock(sink_mutex_);
  sink_ = sink;
}

void in_flight::bind_inner(completion_sink* sink) {
  std::unique_lock lock(sink_mutex_);
  inner_ = sink;
}

void in_flight::deliver(std::vector<completion> completions) {
  const auto outer = [](const completion& one) { return one.to.loop != inner_loop; };
  const auto split = std::stable_partition(completions.begin(), completions.end(), outer);
  std::vector<completion> inner(std::make_move_iterator(split), std::make_move_iterator(completions.end()));
  completions.erase(split, completions.end());
  std::shared_lock lock(sink_mutex_);
  if (sink_ != nullptr && !completions.empty()) sink_->complete(std::move(completions));
  if (inner_ != nullptr && !inner.empty()) inner_->complete(std::move(inner));
}

ingest_ptr in_flight::admit(std::vector<ingest_item>& items, std::optional<ticket> together) {
  const auto bytes = bytes_of(items);
  if (!take(events_, items.size(), limits_.events)) return nullptr;
  if (!take(bytes_, bytes, limits_.bytes)) {
    events_ -= items.size();
    wake_when_idle();
    return nullptr;
  }
  if (gauge_ != nullptr) gauge_->Increment(static_cast<double>(items.size()));
  const auto now = steady_clock::now();
  auto batch =
      std::make_shared<ingest_batch>(std::move(items), together, bytes, now + limits_.ingest_timeout, shared_from_this());
  std::lock_guard lock(list_mutex_);
  // What is done leaves from the front as new work comes, so that the list stays as short as what is in flight.
  while (!batches_.empty() && batches_.front().expired()) batches_.pop_front();
  batches_.push_back(batch);
  return batch;
}

reply_ptr in_flight::admit(ticket from) {
  if (!take(asks_, 1, limits_.asks)) return nullptr;
  return std::make_shared<deferred_reply>(from, shared_from_this());
}

void in_flight::sweep(steady_clock::time_point now) {
  std::vector<ingest_ptr> late;
  ingest_ptr next; // outlives the lock: should it be the last owner, its destructor delivers to the sink
  {
    std::lock_guard lock(list_mutex_);
    while (!batches_.empty()) {
      next = batches_.front().lock();
      if (next && next->deadline() > now) break;
      if (next) late.push_back(std::move(next));
      batches_.pop_front();
    }
  }
  for (const auto& batch : late)
    batch->fail(failure::timed_out, "the log did not answer in time; a retry with the same event_id is safe");
}

void in_flight::abandon(failure why, const std::string& detail) {
  std::deque<std::weak_ptr<ingest_batch>> left;
  {
    std::lock_guard lock(list_mutex_);
    left.swap(batches_);
  }
  for (const auto& weak : left)
    if (auto batch = weak.lock()) batch->fail(why, detail);
}

bool in_flight::wait_idle(steady_clock::time_point deadline) {
  std::unique_lock lock(idle_mutex_);
  return idle_.wait_until(lock, deadline, [this] { return count() == 0; });
}

void in_flight::wake_when_idle() {
  if (count() != 0) return;
  std::lock_guard lock(idle_mutex_); // orders the change before a waiter's check
  idle_.notify_all();
}

void in_flight::release_batch(uint64_t events, uint64_t bytes) {
  bytes_ -= bytes;
  events_ -= events;
  if (gauge_ != nullptr) gauge_->Decrement(static_cast<double>(events));
  wake_when_idle();
}

void in_flight::release_ask() {
  --asks_;
  wake_when_idle();
}

ingest_batch::ingest_batch(std::vector<ingest_item> from, std::optional<ticket> whole, uint64_t bytes,
                           steady_clock::time_point deadline, std::shared_ptr<in_flight> home)
    : items(std::move(from)), together(whole), bytes_(bytes), deadline_(deadline), home_(std::move(home)) {}

ingest_batch::~ingest_batch() {
  fail(failure::not_durable, "the event did not reach the log");
  home_->release_batch(items.size(), bytes_);
}

void ingest_batch::fail(failure why, const std::string& detail) {
  if (!claim()) return;
  std::vector<completion> completions;
  if (together) {
    completions.push_back({*together, failed{why, detail}});
  } else {
    completions.reserve(items.size());
    for (const auto& item : items) completions.push_back({item.from, failed{why, detail}});
  }
  home_->deliver(std::move(completions));
}

deferred_reply::deferred_reply(ticket to, std::shared_ptr<in_flight> home) : to_(to), home_(std::move(home)) {}

deferred_reply::~deferred_reply() { fail(failure::stopping, "the node is stopping"); }

void deferred_reply::complete(outcome what) {
  if (done_.exchange(true)) return;
  std::vector<completion> one;
  one.push_back({to_, std::move(what)});
  home_->deliver(std::move(one));
  home_->release_ask(); // whoever still holds the reply: nobody waits for it any more
}

} // namespace adtrack::actors
