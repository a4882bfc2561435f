#include "http/event_loop.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <prometheus/gauge.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <utility>

#include "config/telemetry.hpp"
#include "http/buffers.hpp"
#include "http/peer_address.hpp"
#include "http/trace_context.hpp"

namespace adtrack::http {
namespace {

constexpr uint64_t wake_key = ~uint64_t{0};
constexpr size_t scratch_bytes = 64 << 10;
constexpr size_t discard_max = 1 << 20; // of a refused client; then it may not get its answer
constexpr int unsent_max = 128 * 1024;  // bytes that the kernel takes ahead of a client that does not read
constexpr int rounds_max = 8;           // receives of one connection before others have their turn
constexpr int turn_budget = 32;         // of one connection, in events
constexpr int other_cost = 16;          // what any other request takes of it
constexpr int handshakes_a_turn = 8;    // a signature takes up to a millisecond, and others wait for the turn's end

int64_t steady_us() {
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

uint64_t key_of(const connection& c) { return uint64_t{c.generation} << 32 | c.slot; }

} // namespace

event_loop::event_loop(uint32_t index, loop_shared& shared)
    : index_(index), shared_(shared), options_(shared.options),
      api_(shared.options, shared.doors, shared.gateway, shared.metrics), meter_(shared.metrics),
      handshakes_(shared.options, shared.metrics, shared.doors.tls.active()) {
  limits_.max_head_bytes = options_.max_head_bytes;
  limits_.max_headers = options_.max_headers;
  limits_.max_body_bytes = options_.max_body_bytes;
  limits_.body_limit = [this](std::string_view bytes, const request_head& head) {
    bool batch = head.method == http_method::post && match_route(head.path.of(bytes)).where == route::events;
    return batch ? options_.max_batch_bytes : options_.max_body_bytes;
  };
  scratch_.resize(scratch_bytes);
}

event_loop::~event_loop() {
  stop();
  if (epoll_ >= 0) ::close(epoll_);
}

bool event_loop::start(std::string& error) {
  epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  epoll_event e{};
  e.events = EPOLLIN | EPOLLET;
  e.data.u64 = wake_key;
  if (epoll_ < 0 || !inbox_.open() || ::epoll_ctl(epoll_, EPOLL_CTL_ADD, inbox_.fd(), &e) != 0) {
    error = std::string("cannot start an event loop: ") + std::strerror(errno);
    return false;
  }
  thread_ = std::thread([this] { run(); });
  return true;
}

void event_loop::adopt(int fd, listener from) { inbox_.adopt(fd, from); }
void event_loop::complete(std::vector<actors::completion> completions) { inbox_.complete(std::move(completions)); }
void event_loop::drain() { inbox_.drain(); }

void event_loop::stop() {
  if (!thread_.joinable()) return;
  stop_ = true;
  inbox_.wake();
  thread_.join();
}

void event_loop::run() {
  std::array<epoll_event, 256> events{};
  while (!stop_) {
    int count = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), wait_ms());
    tick_ms_ = steady_us() / 1000;
    api_.next_turn();
    wall_ms_ = shared_.now_ms();
    if (wall_ms_ / 1000 != date_s_) date_ = http_date(date_s_ = wall_ms_ / 1000);
    for (int i = 0; i < count; ++i) handle_event(events[static_cast<size_t>(i)].data.u64, events[static_cast<size_t>(i)].events);
    take_inbox();
    go_on();
    expire();
    submit_batch();
    show_in_flight();
  }
  for (auto& c : slots_)
    if (c->open()) close(*c);
  for (auto [fd, from] : inbox_.take().adopted) {
    ::close(fd);
    forget(from);
  }
  show_in_flight();
}

void event_loop::show_in_flight() {
  if (in_flight_ != shown_in_flight_)
    shared_.metrics.http_in_flight().Increment(static_cast<double>(in_flight_ - shown_in_flight_));
  shown_in_flight_ = in_flight_;
}

unanswered& event_loop::take_on(connection& c) {
  ++in_flight_;
  return c.waiting.emplace_back();
}

int event_loop::wait_ms() {
  if (!again_.empty()) return 0;
  int64_t soonest = tick_ms_ + 1'000;
  for (auto& list : timers_)
    if (auto* first = list.first()) soonest = std::min(soonest, first->deadline_ms);
  int64_t now = steady_us() / 1000;
  return static_cast<int>(std::clamp<int64_t>(soonest - now, 0, 1'000));
}

void event_loop::handle_event(uint64_t key, uint32_t events) {
  if (key == wake_key) return inbox_.woken();
  auto* c = find(static_cast<uint32_t>(key), static_cast<uint32_t>(key >> 32));
  if (c == nullptr) return;
  if (events & EPOLLERR) return close(*c);
  if (events & (EPOLLRDHUP | EPOLLHUP)) c->peer_done = true;
  if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP)) stir(*c);
  if (c->tls && c->tls->blocked()) c->readable = true;
  if (c->in_handshake()) return queue(*c); // a few a turn
  drive(*c);
}

// The socket may hold more than was read.
void event_loop::stir(connection& c) {
  c.readable = true;
  if (c.tls) c.tls->stir(c.peer_done);
}

void event_loop::take_inbox() {
  const auto came = inbox_.take();
  const bool drain_now = came.drain && !draining_;
  if (drain_now) { // first, so that the answers below say that they are the last
    draining_ = true;
    drain_until_ms_ = tick_ms_ + options_.drain_timeout_ms;
  }
  for (auto [fd, from] : came.adopted) open(fd, from);
  for (const auto& done : came.completed) complete_one(done);
  if (drain_now) begin_drain();
}

void event_loop::go_on() {
  auto these = std::exchange(again_, {});
  int handshakes = 0;
  for (auto [slot, generation] : these) {
    auto* c = find(slot, generation);
    if (c == nullptr) continue;
    if (c->in_handshake() && ++handshakes > handshakes_a_turn) {
      again_.emplace_back(slot, generation);
      continue;
    }
    c->queued = false;
    drive(*c);
  }
}

// Idle connections end here; the others when their answer is sent. What was sent before and not read yet is read first.
void event_loop::begin_drain() {
  for (const auto& c : slots_) {
    if (!c->open()) continue;
    stir(*c);
    drive(*c);
  }
}

void event_loop::submit_batch() {
  if (batch_.empty()) return;
  std::vector<actors::ticket> tickets;
  tickets.reserve(batch_.size());
  for (const auto& item : batch_) tickets.push_back(item.from);
  if (shared_.gateway.submit(std::exchange(batch_, {}))) return;
  for (const auto& t : tickets) complete_one({t, actors::failed{actors::failure::overloaded, {}}});
}

// A connection is gone.
void event_loop::forget(listener from) {
  if (from == listener::admin) --shared_.admin_connections;
  --shared_.connections;
  shared_.on_closed();
}

void event_loop::open(int fd, listener from) {
  uint32_t slot = 0;
  if (free_.empty()) {
    slot = static_cast<uint32_t>(slots_.size());
    slots_.push_back(std::make_unique<connection>());
  } else {
    slot = free_.back();
    free_.pop_back();
  }
  connection& c = *slots_[slot];
  c.fd = fd;
  c.from = from;
  c.slot = slot;
  ++c.generation;
  c.peer = peer_of(fd);
  int yes = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  ::setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent_max, sizeof unsent_max);
  epoll_event e{};
  e.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  e.data.u64 = key_of(c);
  if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &e) != 0) {
    config::log(config::log_level::error, "http", "epoll_add_failed", std::strerror(errno));
    return close(c);
  }
  if (shared_.doors.tls.active()) {
    make_room_for_handshake();
    c.tls = shared_.doors.tls.accept(from, fd);
    if (c.tls == nullptr) return close(c);
    handshakes_.begin();
  }
  arm(c);
}

// Unfinished handshakes are memory that costs a client nothing: the oldest makes way.
void event_loop::make_room_for_handshake() {
  auto* oldest = timers_[static_cast<size_t>(waits_for::handshake)].first();
  if (!handshakes_.full() || oldest == nullptr) return;
  auto& c = static_cast<connection&>(*oldest);
  handshakes_.end(handshake_result::crowded_out);
  c.tls.reset();
  close(c);
}

// What came was not TLS: nobody there can be answered, but an alert may be on its way.
void event_loop::lose_tls(connection& c) {
  handshakes_.end(c.tls->why());
  c.tls.reset();
  ::shutdown(c.fd, SHUT_WR);
  c.readable = true;
  c.last_request = c.refused = c.lingering = true;
  arm(c);
  queue(c);
}

void event_loop::close(connection& c) {
  timer_list::remove(c);
  if (c.in_handshake())
    handshakes_.end(handshake_result::closed);
  else if (c.tls)
    c.tls->say_goodbye();
  if (c.stream) --shared_.streams;
  in_flight_ -= static_cast<int64_t>(c.waiting.size());
  ::close(c.fd);
  shared_.buffered -= c.accounted;
  uint32_t slot = c.slot;
  uint32_t generation = c.generation;
  auto from = c.from;
  // An assignment would leave its strings their memory, and the next connection of this slot would pay for it.
  std::destroy_at(&c);
  std::construct_at(&c);
  c.slot = slot;
  c.generation = generation;
  free_.push_back(slot);
  forget(from);
}

// For who does not read: a plain close would leave the kernel with the unsent bytes for as long as the client likes.
void event_loop::abort(connection& c) {
  linger at_once{1, 0};
  ::setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  close(c);
}

connection* event_loop::find(uint32_t slot, uint32_t generation) {
  if (slot >= slots_.size()) return nullptr;
  auto* c = slots_[slot].get();
  return c->open() && c->generation == generation ? c : nullptr;
}

// Goes on with a connection as far as it can without waiting, within one turn's budget. The connection may be closed afterwards.
void event_loop::drive(connection& c) {
  if (c.lingering) return discard(c);
  if (c.stream) return drive_stream(c);
  flush(c);
  // An expectation that had to wait for earlier answers can be met now.
  if (c.open() && c.seen == framer::state::need_body && c.frame.head().expect_continue && !c.continued && c.waiting.empty())
    c.hungry = false;
  int budget = turn_budget;
  for (int round = 0; c.open() && c.out.empty() && !c.last_request; ++round) {
    std::string_view bytes = c.in;
    bool borrowed = false;
    if (c.hungry) {
      if (!c.readable) break;
      // Behind what waits for an outcome, no more is taken in than a little: it could be refused by nobody.
      if (!c.waiting.empty() && c.in.size() >= scratch_bytes) break;
      if (round == rounds_max) {
        queue(c);
        break;
      }
      size_t got = 0;
      if (!receive(c, got)) return;
      if (got == 0) break;
      borrowed = c.in.empty();
      if (!borrowed) {
        // Of a batch at once for all that will come: what is not written yet costs no memory.
        if (awaits_batch(c) && c.in.capacity() < c.frame.size() + spare_bytes) reserve_just(c.in, c.frame.size() + spare_bytes);
        c.in.append(scratch_, 0, got);
      }
      bytes = borrowed ? std::string_view(scratch_).substr(0, got) : std::string_view(c.in);
    }
    size_t used = consume(c, bytes, budget);
    if (handed_)
      hand_over(c, bytes, used, borrowed);
    else
      keep(c, bytes, used, borrowed);
    flush(c);
    if (!c.hungry) break; // goes on when an earlier request is answered, or in its next turn
  }
  if (c.open()) after(c);
}

// False: the connection is closed, or there is nothing to go on with. `got` 0: nothing more for now.
bool event_loop::receive(connection& c, size_t& got) {
  for (;;) {
    ssize_t n = c.tls ? receive_tls(c) : ::recv(c.fd, scratch_.data(), scratch_.size(), 0);
    if (n > 0) {
      got = static_cast<size_t>(n);
      // Edge-triggered: a short read emptied the socket, unless the end stands behind it. Of TLS only EAGAIN says so.
      if (got < scratch_.size() && !c.peer_done && !c.tls) c.readable = false;
      return true;
    }
    if (n < 0 && errno == EINTR) continue;
    c.readable = false;
    got = 0;
    if (n == 0) {
      c.at_end = true;
      return true;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) return true;
    if (errno == EPROTO && c.in_handshake())
      lose_tls(c);
    else
      close(c);
    return false;
  }
}

ssize_t event_loop::receive_tls(connection& c) {
  bool was_in_handshake = c.in_handshake();
  ssize_t n = c.tls->receive(scratch_.data(), scratch_.size());
  if (!was_in_handshake || c.in_handshake()) return n;
  int error = errno;
  handshakes_.end(handshake_result::ok);
  errno = error;
  return n;
}

// Takes requests out of `bytes`, up to and with a batch; gives the number of bytes that are done with.
size_t event_loop::consume(connection& c, std::string_view bytes, int& budget) {
  size_t used = 0;
  c.hungry = true;
  while (used < bytes.size() && !c.last_request) {
    if (budget <= 0) {
      c.hungry = false;
      queue(c);
      return used;
    }
    auto rest = bytes.substr(used);
    c.seen = c.frame.advance(rest, limits_);
    switch (c.seen) {
    case framer::state::need_head: return used;
    case framer::state::need_body:
      if (c.frame.head().expect_continue && !c.continued && c.waiting.empty()) {
        // The room first: whoever was told to go on is let in, whatever another loop's connections take meanwhile.
        if (c.out.empty()) account(c);
        if (c.last_request) return bytes.size();
        c.continued = true;
        if (rest.size() == c.frame.head().size) c.out += "HTTP/1.1 100 Continue\r\n\r\n";
      }
      return used;
    case framer::state::bad:
      refuse(c, kind_of_frame_status(c.frame.error().status), c.frame.error().detail,
             shared_.doors.cors.lines(c.frame.head().value(header::origin, rest)));
      return bytes.size();
    case framer::state::complete:
      if (!serve(c, rest, budget)) {
        c.hungry = false;
        return used;
      }
      if (handed_) {
        handed_->at = used + c.frame.head().size;
        handed_->size = c.frame.body(rest).size();
        if (c.frame.head().chunked) handed_->bytes = c.frame.take_chunks();
      }
      used += c.frame.size();
      c.frame.reset();
      c.seen = framer::state::need_head;
      c.continued = false;
      if (handed_) return used;
      break;
    }
  }
  return c.last_request ? bytes.size() : used;
}

void event_loop::keep(connection& c, std::string_view bytes, size_t used, bool borrowed) {
  if (used == bytes.size())
    std::string().swap(c.in);
  else if (borrowed)
    c.in.assign(bytes.substr(used));
  else
    c.in.erase(0, used);
  if (c.seen == framer::state::need_body && c.frame.head().chunked) c.frame.compact(c.in);
}

// Gives a batch to the pool with the buffer that it stands in. What came behind it waits until it is answered.
void event_loop::hand_over(connection& c, std::string_view bytes, size_t used, bool borrowed) {
  auto job = std::move(handed_);
  std::string rest(bytes.substr(used));
  if (!job->bytes.empty()) {
    job->at = 0; // it came in chunks
  } else if (borrowed) {
    job->bytes.reserve(job->size + spare_bytes);
    job->bytes.assign(bytes.substr(job->at, job->size));
    job->at = 0;
  } else {
    job->bytes = std::move(c.in);
  }
  c.in = std::move(rest);
  c.hungry = c.in.empty();
  job->counted = {shared_.buffered, job->bytes.capacity()};
  if (shared_.batches.offer(job)) return;
  auto& entry = c.waiting.back();
  answer(entry, api_.render(actors::failed{actors::failure::overloaded, {}}, entry.later, entry.request_id));
  settle(c);
  queue(c);
}

reply_frame event_loop::frame_of(const unanswered& entry) const {
  return {entry.request_id, entry.head_only, entry.close, entry.http_1_0, date_, entry.cors};
}

// Answers or defers one framed request. False: it must wait until earlier ones are answered.
bool event_loop::serve(connection& c, std::string_view bytes, int& budget) {
  const auto& head = c.frame.head();
  auto target = head.asterisk ? route_match{} : match_route(head.path.of(bytes));
  bool admin_calls = options_.admin_host.empty() || c.from == listener::admin;
  if (!visible(target.where, admin_calls)) target = {};
  bool hot = (head.method == http_method::post && takes_one_event(target.where)) ||
             (head.method == http_method::get && is_visit(target.where));
  if (!c.waiting.empty() && (!hot || c.waiting.size() >= options_.max_pipelined)) return false;

  bool batch = head.method == http_method::post && target.where == route::events;
  budget -= hot ? 1 : other_cost;
  auto& entry = take_on(c);
  entry.request_id = ids_.of(head.has(header::request_id) ? head.value(header::request_id, bytes) : std::string_view());
  if (head.has(header::traceparent)) entry.trace = trace_parent(head.value(header::traceparent, bytes));
  entry.started_us = steady_us();
  entry.where = target.where;
  entry.method = static_cast<uint8_t>(head.method);
  entry.head_only = head.method == http_method::head;
  entry.close = !head.keep_alive || (draining_ && (bytes.size() == c.frame.size() || tick_ms_ >= drain_until_ms_));
  entry.http_1_0 = head.http_1_0;
  entry.cors = shared_.doors.cors.lines(head.value(header::origin, bytes));
  ++c.framed;
  c.last_request = entry.close;
  request r{head,
            bytes.substr(0, c.frame.size()),
            c.frame.body(bytes),
            target,
            entry.request_id,
            entry.trace,
            c.peer,
            wall_ms_,
            entry.started_us,
            admin_calls};
  try {
    if (hot)
      serve_ingest(c, r, entry);
    else if (batch)
      serve_batch(c, r, entry);
    else
      serve_other(c, r, entry);
  } catch (const std::exception& e) {
    config::log(config::log_level::error, "http", "request_threw", e.what(), {{"request_id", entry.request_id}});
    answer(entry, make_problem(problem_kind::internal, {}, entry.request_id));
    settle(c);
  }
  return true;
}

void event_loop::serve_ingest(connection& c, const request& r, unanswered& entry) {
  actors::ingest_item item;
  reply refused;
  const bool taken =
      is_visit(entry.where) ? api_.visit(r, item.what, entry.later, refused) : api_.ingest(r, item.what, entry.later, refused);
  if (taken) {
    item.from = {index_, c.slot, uint64_t{c.generation} << 32 | (c.framed - 1)};
    batch_.push_back(std::move(item));
  } else {
    answer(entry, refused);
    settle(c);
  }
}

void event_loop::serve_batch(connection& c, const request& r, unanswered& entry) {
  auto job = std::make_unique<batch_job>();
  reply refused;
  if (api_.batch(r, *job, entry.later, refused)) {
    job->to = {index_, c.slot, uint64_t{c.generation} << 32 | (c.framed - 1)};
    handed_ = std::move(job);
  } else {
    answer(entry, refused);
    settle(c);
  }
}

void event_loop::serve_other(connection& c, const request& r, unanswered& entry) {
  actors::ticket to{index_, c.slot, uint64_t{c.generation} << 32 | (c.framed - 1)};
  auto frame = frame_of(entry);
  int status = shared_.library.process(
      r.head.method, r.head.path.of(r.bytes), frame, [&](reply& now) { return !api_.handle(r, to, now, entry.later); },
      entry.done);
  if (status == 0) return; // deferred
  entry.is_done = true;
  record(entry, status);
  settle(c);
}

void event_loop::answer(unanswered& entry, const reply& r) {
  append_reply(entry.done, r, frame_of(entry));
  entry.is_done = true;
  record(entry, r.status);
}

void event_loop::record(const unanswered& entry, int status) {
  const int64_t took_us = steady_us() - entry.started_us;
  meter_.record(entry.where, entry.method, status, took_us);
  if (config::current_log_level() > config::log_level::debug) return;
  const config::log_field id{"request_id", entry.request_id}, where{"route", pattern(entry.where)}, what{"status", status},
      took{"took_us", took_us};
  if (entry.trace.empty())
    config::log(config::log_level::debug, "http", "request", "answered", {id, where, what, took});
  else
    config::log(config::log_level::debug, "http", "request", "answered",
                {id, {"trace_id", trace_id(entry.trace)}, where, what, took});
}

// Moves what is answered, in order, to the outgoing bytes.
void event_loop::settle(connection& c) {
  size_t ready = 0;
  while (ready < c.waiting.size() && c.waiting[ready].is_done) {
    if (c.out.empty())
      c.out.swap(c.waiting[ready].done);
    else
      c.out += c.waiting[ready].done;
    ++ready;
  }
  if (ready == 0) return;
  c.answered += static_cast<uint32_t>(ready);
  in_flight_ -= static_cast<int64_t>(ready);
  if (ready == c.waiting.size())
    std::vector<unanswered>().swap(c.waiting);
  else
    c.waiting.erase(c.waiting.begin(), c.waiting.begin() + static_cast<ptrdiff_t>(ready));
}

// The last answer of a draining connection says so.
void event_loop::end_if_last(connection& c, unanswered& entry) const {
  if (draining_ && &entry == &c.waiting.back() && c.in.empty() && !c.readable) entry.close = c.last_request = true;
}

void event_loop::complete_one(const actors::completion& done) {
  auto* c = find(done.to.slot, static_cast<uint32_t>(done.to.serial >> 32));
  if (c == nullptr) return; // the client went away
  uint32_t place = static_cast<uint32_t>(done.to.serial) - c->answered;
  if (place >= c->waiting.size() || c->waiting[place].is_done) return; // answered already: it came too late
  auto& entry = c->waiting[place];
  if (entry.later.stream) {
    stream_outcome(*c, entry, &done.what);
  } else {
    end_if_last(*c, entry);
    answer(entry, api_.render(done.what, entry.later, entry.request_id));
  }
  settle(*c);
  // The rest of the round's outcomes may be for this connection too: one send for all of them.
  queue(*c);
}

// The outcome of a stream's question, null when none came. The first one is an answer like any other, or the stream's beginning.
void event_loop::stream_outcome(connection& c, unanswered& entry, const actors::outcome* what) {
  auto& stream = *entry.later.stream;
  auto* answered = what == nullptr ? nullptr : std::get_if<actors::analytics_result>(what);
  const bool has_rows = answered != nullptr && *answered != nullptr;
  if (stream.begun()) {
    entry.is_done = true;
    return has_rows ? stream.go_on(entry.done, **answered, tick_ms_) : stream.wait(entry.done, tick_ms_);
  }
  if (!has_rows || draining_ || shared_.streams >= options_.max_streams) {
    actors::failed why{has_rows && draining_ ? actors::failure::stopping : actors::failure::overloaded, {}};
    if (what == nullptr) why.why = actors::failure::timed_out;
    if (what != nullptr && std::holds_alternative<actors::failed>(*what)) why = std::get<actors::failed>(*what);
    end_if_last(c, entry);
    return answer(entry, api_.render(why, entry.later, entry.request_id));
  }
  ++shared_.streams;
  c.stream = entry.later.stream;
  std::string().swap(c.in);
  c.frame.reset();
  entry.is_done = true;
  stream.begin(entry.done, **answered, frame_of(entry), tick_ms_);
  record(entry, 200);
}

// A stream's connection: what is ready is sent, what the client sends is dropped, and both ends may end it.
void event_loop::drive_stream(connection& c) {
  flush(c);
  for (int round = 0; c.open() && c.readable; ++round) {
    if (round == rounds_max) {
      queue(c);
      break;
    }
    size_t got = 0;
    if (!receive(c, got)) return;
    if (got == 0) break;
  }
  if (!c.open()) return;
  if (c.at_end || (draining_ && c.out.empty())) return close(c);
  account(c);
  if (c.open()) arm(c);
}

void event_loop::ask_again(connection& c) {
  auto& entry = take_on(c);
  entry.started_us = steady_us();
  entry.where = route::stream;
  entry.later.what = awaited::kind::stream;
  entry.later.stream = c.stream;
  const actors::ticket to{index_, c.slot, uint64_t{c.generation} << 32 | c.framed++};
  api_.ask_again(*c.stream, to, wall_ms_);
}

void event_loop::queue(connection& c) {
  if (c.queued) return;
  c.queued = true;
  again_.emplace_back(c.slot, c.generation);
}

// Answers what cannot be taken and ends the connection once that is read.
void event_loop::refuse(connection& c, problem_kind kind, std::string_view detail, const header_lines* cors) {
  auto& entry = take_on(c);
  entry.request_id = ids_.of({});
  entry.started_us = steady_us();
  entry.head_only = c.frame.head().method == http_method::head; // where the request was read that far
  entry.cors = cors;
  entry.close = true;
  ++c.framed;
  c.last_request = c.refused = true;
  answer(entry, make_problem(kind, detail, entry.request_id));
  settle(c);
}

void event_loop::flush(connection& c) {
  while (c.sent < c.out.size()) {
    const char* from = c.out.data() + c.sent;
    size_t size = c.out.size() - c.sent;
    ssize_t n = c.tls ? c.tls->send(from, size) : ::send(c.fd, from, size, MSG_NOSIGNAL);
    if (n >= 0) {
      c.sent += static_cast<size_t>(n);
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      return;
    } else if (errno != EINTR) {
      return close(c);
    }
  }
  if (c.out.empty()) return;
  c.sent = 0;
  std::string().swap(c.out);
}

// Reads and drops what a refused client still sends, so that closing does not destroy the answer on its way (RFC 9112, 9.6).
void event_loop::discard(connection& c) {
  for (int round = 0; c.readable; ++round) {
    if (round == rounds_max) return queue(c);
    size_t got = 0;
    if (!receive(c, got)) return;
    c.discarded += got;
    if (c.at_end || c.discarded > discard_max) return close(c);
    if (got == 0) return;
  }
}

// After all that could be done for now: closes, or sets the deadline for what is waited for.
void event_loop::after(connection& c) {
  bool quiet = c.out.empty() && c.waiting.empty();
  if (quiet && c.last_request) {
    if (!c.refused && !c.readable && c.in.empty()) return close(c);
    if (c.tls) c.tls->say_goodbye();
    ::shutdown(c.fd, SHUT_WR);
    c.lingering = true;
    std::string().swap(c.in);
    c.frame.reset();
    arm(c);
    return discard(c);
  }
  // While draining, a connection that was just accepted has until the deadline to send its first request.
  if (quiet && c.hungry && (c.at_end || (draining_ && c.in.empty() && c.framed > 0))) return close(c);
  account(c);
  if (c.open()) arm(c);
}

} // namespace adtrack::http
