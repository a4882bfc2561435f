// One client's connection: what a loop remembers between two events. An idle connection holds no buffer.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "http/api.hpp"
#include "http/framer.hpp"
#include "http/request_meter.hpp"
#include "http/timer_list.hpp"
#include "http/tls_session.hpp"

namespace adtrack::http {

// What a connection waits for; each has its own time-out.
enum class waits_for : uint8_t { request, head, body, reply, visit, write, linger, handshake, stream, drain };
inline constexpr size_t waits_for_count = 10;

// A request that was read and is not answered yet, or whose answer must let earlier ones go first.
struct unanswered {
  awaited later;
  std::string request_id;
  std::string trace; // as trace_parent() gives it; empty: none
  std::string done;  // the rendered answer, once there is one
  const header_lines* cors = nullptr;
  int64_t started_us = 0;
  route where = route::none;
  uint8_t method = other_method;
  bool is_done = false;
  bool head_only = false;
  bool close = false;
  bool http_1_0 = false;
};

struct connection : timer_node {
  int fd = -1;
  listener from = listener::main;
  std::unique_ptr<tls_session> tls; // null: plain, or what is left of a handshake that failed
  uint32_t slot = 0;
  uint32_t generation = 0; // tells this user of the slot from earlier ones; tickets and epoll events carry it
  uint32_t answered = 0;   // requests whose answers were handed to `out`: the number of unanswered.front()
  uint32_t framed = 0;     // requests read; framed - answered == unanswered.size()
  ip_address peer;
  framer frame;
  std::string in;  // bytes of requests not yet taken
  std::string out; // bytes of answers not yet sent
  size_t sent = 0; // of `out`
  size_t accounted = 0;
  size_t discarded = 0;
  std::vector<unanswered> waiting;      // in the order of the requests
  std::shared_ptr<event_stream> stream; // once one has begun: nothing but its events is sent any more, and nothing is read

  waits_for armed = waits_for::request;
  uint32_t armed_for = 0; // the request that the deadline is for
  framer::state seen = framer::state::need_head;
  bool readable = false;     // the socket may hold more than was read
  bool peer_done = false;    // epoll said that the peer sends no more
  bool at_end = false;       // recv said so
  bool hungry = true;        // all of `in` was looked at: only more bytes help
  bool last_request = false; // nothing after this answer: close
  bool refused = false;      // closed on our own account: what the client still sends is read and dropped
  bool lingering = false;
  bool continued = false; // 100 was sent for the request in work
  bool queued = false;    // in the loop's list of those to go on with
  bool in_handshake() const noexcept { return tls != nullptr && !tls->established(); }
  bool open() const noexcept { return fd >= 0; }
};

} // namespace adtrack::http
