#include "http/batch_pool.hpp"

#include <algorithm>
#include <chrono>
#include <exception>

#include "config/telemetry.hpp"
#include "http/gzip.hpp"
#include "http/problem.hpp"
#include "http/render.hpp"

namespace adtrack::http {
namespace {

constexpr size_t kept_bytes_max = 1 << 20; // of a worker's buffer, between two batches

batch_limits limits_of(const http_options& options, actors::gateway& gateway) {
  batch_limits out{options.max_batch_events, options.max_body_bytes, options.max_batch_rejections, {}};
  if (options.require_known_ads)
    out.known_ad = [&gateway](uint64_t id) { return gateway.find_ad(id, nullptr) == actors::ad_state::known; };
  return out;
}

// Each error under the item that it belongs to: "[3].ad_id", or "[3]" for the item as a whole.
std::vector<field_error> all_errors(const std::vector<rejection>& rejections) {
  std::vector<field_error> out;
  for (const auto& [index, errors] : rejections)
    for (const auto& error : errors) {
      std::string field = "[" + std::to_string(index) + "]";
      if (!error.field.empty()) field += "." + error.field;
      out.push_back({std::move(field), error.message});
    }
  return out;
}

} // namespace

batch_pool::batch_pool(const http_options& options, rate_limiter& rates, actors::gateway& gateway, config::metrics& metrics)
    : options_(options), rates_(rates), gateway_(gateway), rejected_(metrics) {}

void batch_pool::start(actors::completion_sink& sink) {
  sink_ = &sink;
  stopped_ = false;
  for (uint32_t i = 0; i < std::max<uint32_t>(options_.batch_workers, 1); ++i) threads_.emplace_back([this] { run(); });
}

bool batch_pool::offer(batch_job_ptr& job) {
  {
    std::lock_guard lock(mutex_);
    if (stopped_ || queue_.size() >= options_.batch_queue) return false;
    queue_.push_back(std::move(job));
  }
  changed_.notify_one();
  return true;
}

void batch_pool::stop() {
  {
    std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_all();
  for (auto& thread : threads_) thread.join();
  threads_.clear();
  queue_.clear();
}

void batch_pool::run() {
  batch_parser parser(limits_of(options_, gateway_));
  std::string inflated;
  for (;;) {
    batch_job_ptr job;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return stopped_ || !queue_.empty(); });
      if (stopped_) return;
      job = std::move(queue_.front());
      queue_.pop_front();
    }
    if (job->findings.use_count() == 1) continue; // the client went away or was told to try again
    bool answered = false;
    try {
      answered = !work(*job, parser, inflated);
    } catch (const std::exception& e) {
      config::log(config::log_level::error, "http", "batch_threw", e.what(), {{"request_id", job->request_id}});
      if (job->findings->handed_on) continue; // what the gateway was given, it completes
      job->findings->answer = make_problem(problem_kind::internal, {}, job->request_id);
      answered = true;
    }
    if (inflated.capacity() > kept_bytes_max) std::string().swap(inflated);
    auto to = job->to;
    job.reset(); // its bytes are free before the answer can bring the next
    if (answered) sink_->complete({{to, actors::failed{}}});
  }
}

bool batch_pool::work(batch_job& job, batch_parser& parser, std::string& inflated) {
  auto answer = [&](problem_kind kind, std::string_view detail, const std::vector<field_error>& errors = {}) {
    job.findings->answer = make_problem(kind, detail, job.request_id, errors);
    return false;
  };
  if (options_.require_known_ads && gateway_.find_ad(0, nullptr) == actors::ad_state::loading)
    return answer(problem_kind::not_ready, "The catalogue of ads is being loaded.");
  std::string* text = &job.bytes;
  if (job.gzip) {
    switch (gunzip(std::string_view(job.bytes).substr(job.at, job.size), options_.max_batch_bytes, inflated)) {
    case gunzip_verdict::whole: break;
    case gunzip_verdict::too_large: return answer(problem_kind::content_too_large, "The body is too large once it is inflated.");
    case gunzip_verdict::broken:
      rejected_.count(reject_reason::syntax);
      return answer(problem_kind::malformed, "The body is not gzip, is damaged, or goes on behind its end.");
    }
    text = &inflated;
    job.at = 0;
    job.size = inflated.size();
  }
  if (text->capacity() < text->size() + event_padding) reserve_just(*text, text->size() + event_padding);

  event_context context;
  context.peer = job.peer;
  context.user_agent = job.agent;
  context.trace = job.trace;
  context.agent_is_clean = true;
  context.prefetch = job.prefetch;
  context.now_s = job.now_s;
  context.max_future_skew_secs = options_.max_future_skew_secs;
  batch_reading reading;
  std::string why;
  switch (parser.parse(job.format, std::string_view(*text).substr(job.at, job.size), context, reading, why)) {
  case batch_verdict::read: break;
  case batch_verdict::too_many:
    return answer(problem_kind::content_too_large,
                  "A batch holds at most " + std::to_string(options_.max_batch_events) + " events.");
  case batch_verdict::broken: rejected_.count(reject_reason::syntax); return answer(problem_kind::malformed, why);
  }
  rejected_.count(reject_reason::syntax, reading.not_json);
  rejected_.count(reject_reason::validation, reading.not_valid);
  rejected_.count(reject_reason::unknown_ad, reading.unknown_ads);
  const size_t bad = reading.rejected();
  if (reading.items.empty() && bad > 0)
    return answer(problem_kind::validation, "Of the " + std::to_string(bad) + " events none is valid; see errors.",
                  all_errors(reading.rejections));
  return submit(job, reading);
}

bool batch_pool::submit(batch_job& job, batch_reading& reading) {
  auto& findings = *job.findings;
  findings.rejected_count = reading.rejected();
  findings.valid_count = reading.items.size();
  render_rejections(findings.rejected, reading.rejections);
  if (reading.items.empty()) { // a batch of nothing: all of it is durable
    reply now;
    now.status = 202;
    now.content_type = "application/json";
    render_batch(now.body, {}, findings.rejected, 0);
    findings.answer = std::move(now);
    return false;
  }
  if (rates_.active() && findings.valid_count > 1) { // the loop took the first one's token
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    const int64_t wait_ns = rates_.take(job.bucket.get(), job.peer, static_cast<uint32_t>(findings.valid_count - 1),
                                        std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
    if (wait_ns > 0) {
      rejected_.count(reject_reason::rate, findings.valid_count);
      findings.answer = make_rate_problem(wait_ns, job.request_id);
      return false;
    }
  }
  findings.handed_on = true;
  if (gateway_.submit_batch(job.to, std::move(reading.items))) return true;
  findings.handed_on = false;
  rejected_.count(reject_reason::overloaded, findings.valid_count);
  findings.answer = make_problem(problem_kind::overloaded, {}, job.request_id);
  return false;
}

} // namespace adtrack::http
