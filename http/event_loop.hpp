// One thread, one epoll: reads, frames and answers the requests of its connections. Nothing in it blocks. All ingest requests of
// one round go to the gateway in one submit(); outcomes come back through complete() and are rendered here. Pipelined ingest
// requests wait for their outcomes together, answers go out in the order of the requests; any other request waits until it is
// alone. A connection is served a few requests a turn, and none while its client does not take the answers.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "actors/gateway.hpp"
#include "http/api.hpp"
#include "http/batch_pool.hpp"
#include "http/connection.hpp"
#include "http/handshakes.hpp"
#include "http/httplib_bridge.hpp"
#include "http/loop_inbox.hpp"
#include "http/options.hpp"
#include "http/request_ids.hpp"
#include "http/request_meter.hpp"

namespace adtrack::http {

// What all loops share; outlives them.
struct loop_shared {
  const http_options& options;
  doorway& doors;
  actors::gateway& gateway;
  config::metrics& metrics;
  const std::function<int64_t()>& now_ms;
  httplib_bridge& library;
  batch_pool& batches;
  std::function<void()> on_closed;          // after every closed connection
  std::atomic<size_t> connections{0};       // counted by the acceptor before adopt()
  std::atomic<size_t> buffered{0};          // bytes held for all connections, and of batches in work
  std::atomic<size_t> streams{0};           // of server-sent events
  std::atomic<size_t> admin_connections{0}; // those among them of the admin listener

  // Adds to `buffered`. False, and nothing is taken, when it does not fit: it must not be in others' way for a moment.
  bool take_room(size_t bytes);
};

class event_loop {
public:
  event_loop(uint32_t index, loop_shared& shared);
  ~event_loop();

  bool start(std::string& error);
  // From any thread:
  void adopt(int fd, listener from);
  void complete(std::vector<actors::completion> completions);
  void drain(); // answers what is in flight, closes what is idle, keeps nothing alive
  void stop();  // joins; closes what is left

private:
  void run();
  void handle_event(uint64_t key, uint32_t events);
  void take_inbox();
  void submit_batch();
  void go_on();
  void expire();
  int wait_ms();
  void begin_drain();

  void open(int fd, listener from);
  void close(connection& c);
  void abort(connection& c);
  connection* find(uint32_t slot, uint32_t generation);

  void drive(connection& c);
  bool receive(connection& c, size_t& got);
  ssize_t receive_tls(connection& c);
  size_t consume(connection& c, std::string_view bytes, int& budget);
  void keep(connection& c, std::string_view bytes, size_t used, bool borrowed);
  bool serve(connection& c, std::string_view bytes, int& budget);
  void serve_ingest(connection& c, const request& r, unanswered& entry);
  void serve_batch(connection& c, const request& r, unanswered& entry);
  void hand_over(connection& c, std::string_view bytes, size_t used, bool borrowed);
  void serve_other(connection& c, const request& r, unanswered& entry);
  void refuse(connection& c, problem_kind kind, std::string_view detail, const header_lines* cors = nullptr);
  void time_out(connection& c);
  void give_up_waiting(connection& c);

  void drive_stream(connection& c);
  void ask_again(connection& c);
  void stream_outcome(connection& c, unanswered& entry, const actors::outcome* what);
  void complete_one(const actors::completion& done);
  void end_if_last(connection& c, unanswered& entry) const;
  void answer(unanswered& entry, const reply& r);
  void record(const unanswered& entry, int status);
  void settle(connection& c);
  void flush(connection& c);
  void discard(connection& c);
  void after(connection& c);
  bool awaits_batch(const connection& c) const;
  void account(connection& c);
  void refuse_for_room(connection& c);
  void arm(connection& c);
  void queue(connection& c);
  reply_frame frame_of(const unanswered& entry) const;
  void forget(listener from);
  unanswered& take_on(connection& c);
  void show_in_flight();
  void stir(connection& c);
  void lose_tls(connection& c);
  void make_room_for_handshake();

  const uint32_t index_;
  loop_shared& shared_;
  const http_options& options_;
  frame_limits limits_;
  api api_;
  request_meter meter_;
  request_ids ids_;
  handshakes handshakes_;
  std::thread thread_;
  int epoll_ = -1;

  loop_inbox inbox_;
  std::atomic<bool> stop_{false};

  // The rest belongs to the loop's thread.
  bool draining_ = false;
  int64_t drain_until_ms_ = 0; // steady clock: no request is waited for any longer
  int64_t tick_ms_ = 0;        // steady clock of this round
  int64_t wall_ms_ = 0;
  int64_t date_s_ = -1; // the second that date_ says
  std::string date_;
  std::vector<std::unique_ptr<connection>> slots_;
  std::vector<uint32_t> free_;
  timer_list timers_[waits_for_count];
  std::vector<actors::ingest_item> batch_;
  batch_job_ptr handed_;                             // the batch that was served last, before its bytes are handed over
  std::vector<std::pair<uint32_t, uint32_t>> again_; // slot and generation of those to go on with without a new event
  std::string scratch_;
  int64_t in_flight_ = 0, shown_in_flight_ = 0; // requests without their reply
};

} // namespace adtrack::http
