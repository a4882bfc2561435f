// The room that connections may take in memory, all of them together, and what becomes of one for which there is none.
#include <algorithm>
#include <utility>

#include "http/event_loop.hpp"

namespace adtrack::http {

// The rest of a body that is larger than that of one event.
bool event_loop::awaits_batch(const connection& c) const {
  return c.seen == framer::state::need_body && c.frame.head().content_length > options_.max_body_bytes;
}

bool loop_shared::take_room(size_t bytes) {
  size_t held = buffered;
  do {
    if (held + bytes > options.max_buffered_bytes) return false;
  } while (!buffered.compare_exchange_weak(held, held + bytes));
  return true;
}

// Invariant: shared_.buffered is the sum of what all connections hold and of the batches in work. A batch whose length is known
// counts in full from its first byte on: whoever was let in is not refused half way, and the others know it before they have sent
// it. Bodies of the size of one event count as they come: who only announces them takes no room from others.
void event_loop::account(connection& c) {
  size_t holds = std::max(c.in.capacity(), awaits_batch(c) ? c.frame.size() : 0) + c.out.capacity() + c.frame.held_bytes();
  for (const auto& entry : c.waiting) holds += sizeof entry + entry.done.capacity();
  if (c.stream) holds += c.stream->held_bytes();
  if (holds <= 256) holds = 0; // small strings
  if (holds == c.accounted) return;
  const bool let_in = awaits_batch(c) && c.accounted >= c.frame.size();
  const bool must_fit = holds > c.accounted && holds >= 4'096 && !let_in;
  const size_t more = holds - c.accounted; // also less: sizes wrap
  if (!must_fit) {
    shared_.buffered += more;
  } else if (!shared_.take_room(more)) {
    if (!c.out.empty()) return abort(c); // it does not read, and others need the room
    if (c.waiting.empty() && !c.stream) return refuse_for_room(c);
    shared_.buffered += more;
  }
  c.accounted = holds;
}

void event_loop::refuse_for_room(connection& c) {
  refuse(c, problem_kind::overloaded, "Too many unfinished requests; try again.");
  std::string().swap(c.in);
  c.frame.reset();
  c.seen = framer::state::need_head;
  shared_.buffered -= std::exchange(c.accounted, 0); // at once: the others must not be refused for it
  queue(c);
}

} // namespace adtrack::http
