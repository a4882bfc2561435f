#include "http/event_stream.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "http/json_text.hpp"
#include "http/render.hpp"

namespace adtrack::http {

namespace {

constexpr std::string_view retry = "retry: 2000\n\n"; // ms until a client that lost the stream asks again

// Of what a reader would call a change: not when it was made, how late it may be or where a trailing window ends.
std::string id_of(const analytics_answer& answer, std::string_view rendered) {
  const auto rows = rendered.substr(0, rendered.find(",\"generated_at\":"));
  const auto rest = uint64_t{answer.complete} << 1 | uint64_t{answer.log_changed};
  std::string out;
  append_uint(out, XXH3_64bits_withSeed(rows.data(), rows.size(), rest));
  return out;
}

} // namespace

void event_stream::begin(std::string& out, const analytics_answer& answer, const reply_frame& frame, int64_t steady_ms) {
  begun_ = true;
  said_ms_ = steady_ms;
  reply head;
  head.content_type = event_stream_type;
  head.body = retry;
  head.endless = true;
  head.headers.emplace_back("Cache-Control", "no-store");
  head.headers.emplace_back("X-Accel-Buffering", "no"); // nginx would hold events back
  append_reply(out, head, frame);
  go_on(out, answer, steady_ms);
}

void event_stream::go_on(std::string& out, const analytics_answer& answer, int64_t steady_ms) {
  std::string body;
  render_analytics(body, answer, false);
  auto id = id_of(answer, body);
  if (id == last_id_) return wait(out, steady_ms);
  out += "event: analytics\nid: ";
  out += id;
  out += "\ndata: ";
  out += body; // one line: JSON has no line break in it
  out += "\n\n";
  last_id_ = std::move(id);
  said_ms_ = steady_ms;
}

void event_stream::wait(std::string& out, int64_t steady_ms) {
  if (steady_ms - said_ms_ < heartbeat_ms_) return;
  out += ":\n\n";
  said_ms_ = steady_ms;
}

} // namespace adtrack::http
