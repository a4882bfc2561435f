// One client's stream of analytics as server-sent events: the same question asked again and again, and an event whenever its
// rows, or whether they are complete, have changed. Source of the format: the WHATWG HTML standard, "Server-sent events". One
// loop's thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "http/reply.hpp"
#include "model/analytics.hpp"

namespace adtrack::http {

inline constexpr std::string_view event_stream_type = "text/event-stream";

class event_stream {
public:
  // `question` is the query string; `last_event_id` what the client saw last, as it sent it.
  event_stream(std::string_view question, std::string_view last_event_id, uint32_t heartbeat_ms)
      : question_(question), last_id_(last_event_id), heartbeat_ms_(heartbeat_ms) {}

  const std::string& question() const noexcept { return question_; }
  bool begun() const noexcept { return begun_; }

  // The answer's head, which has no length, and the first event: none when the client has seen it.
  void begin(std::string& out, const analytics_answer& answer, const reply_frame& frame, int64_t steady_ms);
  // An event when the answer is another one; a comment when nothing was said for a heartbeat; else nothing.
  void go_on(std::string& out, const analytics_answer& answer, int64_t steady_ms);
  // Likewise when there was no answer: it is asked again.
  void wait(std::string& out, int64_t steady_ms);

  size_t held_bytes() const noexcept { return sizeof *this + question_.capacity() + last_id_.capacity(); }

private:
  std::string question_;
  std::string last_id_;
  uint32_t heartbeat_ms_;
  int64_t said_ms_ = 0; // steady clock, when the client was last sent anything
  bool begun_ = false;
};

} // namespace adtrack::http
