// What a connection is waited for, and what becomes of it when that does not come in time.
#include <algorithm>
#include <array>

#include "config/telemetry.hpp"
#include "http/event_loop.hpp"

namespace adtrack::http {

void event_loop::arm(connection& c) {
  auto want = waits_for::request;
  uint32_t request_number = c.framed;
  if (c.lingering) {
    want = waits_for::linger;
  } else if (c.in_handshake()) {
    want = waits_for::handshake;
  } else if (!c.out.empty()) {
    want = waits_for::write;
  } else if (!c.waiting.empty()) {
    want = is_visit(c.waiting.front().where) ? waits_for::visit : waits_for::reply;
    request_number = c.answered;
  } else if (c.stream) {
    want = waits_for::stream;
  } else if (c.seen == framer::state::need_body) {
    want = waits_for::body;
  } else if (!c.in.empty()) {
    want = waits_for::head;
  }
  bool unfinished =
      want == waits_for::request || want == waits_for::head || want == waits_for::body || want == waits_for::handshake;
  if (draining_ && unfinished) want = waits_for::drain;
  if (c.previous != nullptr && c.armed == want && c.armed_for == request_number) return;
  if (want == waits_for::drain) { // one deadline for all of them
    timer_list::remove(c);
    c.armed = want;
    c.armed_for = request_number;
    return timers_[static_cast<size_t>(want)].append(c, drain_until_ms_);
  }
  // In the order of waits_for.
  const std::array<uint32_t, waits_for_count - 1> timeouts = {
      options_.idle_timeout_ms,   options_.head_timeout_ms,          options_.body_timeout_ms,
      options_.reply_timeout_ms,  options_.visit_max_wait_ms,        options_.write_timeout_ms,
      options_.linger_timeout_ms, options_.tls_handshake_timeout_ms, options_.stream_interval_ms};
  timer_list::remove(c);
  c.armed = want;
  c.armed_for = request_number;
  timers_[static_cast<size_t>(want)].append(c, tick_ms_ + std::max<uint32_t>(timeouts[static_cast<size_t>(want)], 1));
}

void event_loop::expire() {
  for (auto& list : timers_) {
    while (auto* first = list.first()) {
      if (first->deadline_ms > tick_ms_) break;
      time_out(static_cast<connection&>(*first));
    }
  }
}

// Invariant: takes the connection out of its list, or closes it.
void event_loop::time_out(connection& c) {
  switch (c.armed) {
  case waits_for::write: return abort(c);
  case waits_for::request:
  case waits_for::linger: return close(c);
  case waits_for::handshake:
    handshakes_.end(handshake_result::timed_out);
    c.tls.reset();
    return close(c);
  case waits_for::head:
  case waits_for::body:
    timer_list::remove(c);
    refuse(c, problem_kind::request_timeout, {});
    std::string().swap(c.in);
    return drive(c);
  case waits_for::drain:
    if (c.in.empty() && c.seen != framer::state::need_body) return close(c);
    timer_list::remove(c);
    refuse(c, problem_kind::stopping, "The server is stopping and the request did not arrive in full; send it again.");
    std::string().swap(c.in);
    return drive(c);
  case waits_for::stream:
    timer_list::remove(c);
    ask_again(c);
    return drive(c);
  case waits_for::reply:
  case waits_for::visit:
    timer_list::remove(c);
    give_up_waiting(c);
    return drive(c);
  }
}

// The outcome of the oldest request did not come; if it still does, it finds nobody.
void event_loop::give_up_waiting(connection& c) {
  auto& entry = c.waiting.front();
  config::log(config::log_level::warning, "http", "reply_timeout", "no outcome came in time",
              {{"request_id", entry.request_id}, {"route", pattern(entry.where)}});
  if (entry.later.stream) {
    stream_outcome(c, entry, nullptr);
    return settle(c);
  }
  end_if_last(c, entry);
  entry.later.findings = nullptr;
  answer(entry, api_.render(actors::failed{actors::failure::timed_out, {}}, entry.later, entry.request_id));
  settle(c);
}

} // namespace adtrack::http
