// Calls a function again and again on a thread of its own, until it is stopped.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace adtrack::http {

class repeater {
public:
  ~repeater() { stop(); }
  // First after `period`. The function must not throw.
  void start(std::chrono::milliseconds period, std::function<void()> work) {
    thread_ = std::thread([this, period, work = std::move(work)] {
      std::unique_lock lock(mutex_);
      while (!changed_.wait_for(lock, period, [this] { return stop_; })) {
        lock.unlock();
        work();
        lock.lock();
      }
    });
  }
  void stop() {
    if (!thread_.joinable()) return;
    {
      std::lock_guard lock(mutex_);
      stop_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stop_ = false;
  std::thread thread_;
};

} // namespace adtrack::http
