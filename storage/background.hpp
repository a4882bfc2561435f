// One thread for work that nobody waits for (merging runs of identities), shared by all shards of a node.
// With no background a caller does such work at once, on its own thread: deterministic, for tests.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace adtrack::storage {

class background {
public:
  background() : thread_([this] { run(); }) {}
  ~background() {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  background(const background&) = delete;
  background& operator=(const background&) = delete;

  // Runs `work` later; every posted work runs, also while stopping. Bounded by the callers: a shard posts one at a time.
  void post(std::function<void()> work) {
    {
      std::lock_guard lock(mutex_);
      queue_.push_back(std::move(work));
    }
    changed_.notify_one();
  }

private:
  void run() {
    for (;;) {
      std::function<void()> work;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
        if (queue_.empty()) return;
        work = std::move(queue_.front());
        queue_.pop_front();
      }
      work();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> queue_;
  bool stopping_ = false;
  std::thread thread_;
};

} // namespace adtrack::storage
