// Inflates and reads batches on threads of its own, so that no event loop is held up, and hands what is valid to the gateway. The
// queue before it is bounded by a number; the bytes of what waits and of what is in work count as buffered ones of the loops.
// Owned by the server; offer() comes from the loops.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "actors/gateway.hpp"
#include "http/batch_parser.hpp"
#include "http/options.hpp"
#include "http/rate_limit.hpp"
#include "http/reject_counters.hpp"
#include "http/reply.hpp"

namespace adtrack::http {

// Bytes that are counted as long as this lives.
class counted_bytes {
public:
  counted_bytes() = default;
  counted_bytes(std::atomic<size_t>& sum, size_t bytes) : sum_(&sum), bytes_(bytes) { sum += bytes; }
  counted_bytes(counted_bytes&& from) noexcept : sum_(std::exchange(from.sum_, nullptr)), bytes_(from.bytes_) {}
  counted_bytes& operator=(counted_bytes&& from) noexcept {
    std::swap(sum_, from.sum_);
    std::swap(bytes_, from.bytes_);
    return *this;
  }
  ~counted_bytes() {
    if (sum_ != nullptr) *sum_ -= bytes_;
  }

private:
  std::atomic<size_t>* sum_ = nullptr;
  size_t bytes_ = 0;
};

// What a worker found out about a batch; read by the loop once the batch's ticket is completed.
struct batch_findings {
  std::optional<reply> answer; // there is nothing to wait for: this is the answer
  std::string rejected;        // the rejections as JSON
  size_t rejected_count = 0;
  size_t valid_count = 0;
  bool handed_on = false; // to the gateway: its completion may come at any time, and all of this is the loop's
};

struct batch_job {
  actors::ticket to;
  batch_format format = batch_format::json_array;
  bool gzip = false;
  std::string bytes; // the body stands in it, `size` bytes from `at`
  size_t at = 0, size = 0;
  counted_bytes counted;
  std::string request_id;
  std::string agent; // as header_agent() gives it
  std::string trace; // as trace_parent() gives it; empty: none
  ip_address peer;
  std::shared_ptr<token_bucket> bucket; // of the sender's key; null: it has none
  bool prefetch = false;
  int64_t now_s = 0;
  std::shared_ptr<batch_findings> findings; // shared with who waits; nobody else holds it: nobody waits any more
};
using batch_job_ptr = std::unique_ptr<batch_job>;

class batch_pool {
public:
  batch_pool(const http_options& options, rate_limiter& rates, actors::gateway& gateway, config::metrics& metrics);
  ~batch_pool() { stop(); }

  void start(actors::completion_sink& sink); // the sink of what the pool answers itself
  // False: the queue is full or stopped; the job is left alone.
  bool offer(batch_job_ptr& job);
  void stop(); // joins; what still waits is dropped

private:
  void run();
  // True: the gateway answers. False: the findings hold the answer.
  bool work(batch_job& job, batch_parser& parser, std::string& inflated);
  bool submit(batch_job& job, batch_reading& reading);

  const http_options& options_;
  rate_limiter& rates_;
  actors::gateway& gateway_;
  reject_counters rejected_;
  actors::completion_sink* sink_ = nullptr;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<batch_job_ptr> queue_;
  bool stopped_ = true;
  std::vector<std::thread> threads_;
};

} // namespace adtrack::http
