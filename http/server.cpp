#include "http/server.hpp"

#include <prometheus/gauge.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>

#include "config/telemetry.hpp"
#include "http/acceptor.hpp"
#include "http/event_loop.hpp"
#include "http/repeater.hpp"

namespace adtrack::http {

struct server::impl {
  http_options options;
  std::function<int64_t()> now_ms;
  actors::gateway& gateway;
  doorway doors;
  httplib_bridge library;
  prometheus::Gauge& gauge;
  loop_shared shared;
  std::vector<std::unique_ptr<event_loop>> loops;
  std::unique_ptr<acceptor> door;
  repeater reloader;
  std::mutex mutex;
  std::condition_variable changed;
  uint16_t port = 0;
  bool bound = false;
  size_t next_loop = 0; // the acceptor's

  impl(http_options o, actors::gateway& g, config::metrics& metrics, std::function<int64_t()> clock)
      : options(std::move(o)), now_ms(std::move(clock)), gateway(g), doors(options, metrics),
        gauge(metrics.http_connections()), shared{options, doors, gateway, metrics, now_ms, library, [this] { on_closed(); }} {}

  void on_closed() {
    gauge.Decrement();
    if (shared.connections.load() != 0) return;
    // The lock orders this after the waiter's look at the count.
    { std::lock_guard lock(mutex); }
    changed.notify_all();
  }
  bool admit() {
    if (shared.connections.load() >= options.max_connections) return false;
    ++shared.connections;
    gauge.Increment();
    return true;
  }
  bool start(completion_sink* sink, std::string& error);
};

std::string check(const http_options& options) {
  config::metrics unused;
  std::string error;
  doorway(options, unused).open(error);
  return error;
}

bool server::impl::start(completion_sink* sink, std::string& error) {
  int listener = -1;
  if (!doors.open(error)) return false;
  if (!library.bind(options.host, options.port, options.backlog, listener, port, error)) return false;
  gateway.bind(sink);
  bound = true;
  for (uint32_t i = 0; i < std::max<uint32_t>(options.loops, 1); ++i) loops.push_back(std::make_unique<event_loop>(i, shared));
  for (auto& loop : loops)
    if (!loop->start(error)) return false;
  door = std::make_unique<acceptor>([this] { return admit(); }, [this](int fd) { loops[next_loop++ % loops.size()]->adopt(fd); });
  if (!door->start(listener, error)) return false;
  reloader.start(std::chrono::milliseconds(options.reload_ms), [this] { doors.look(); });
  return true;
}

server::server(http_options options, actors::gateway& gateway, config::metrics& metrics, std::function<int64_t()> now_ms)
    : impl_(std::make_unique<impl>(std::move(options), gateway, metrics, std::move(now_ms))) {}

server::~server() { stop(); }

bool server::start(std::string& error) {
  if (impl_->start(this, error)) return true;
  stop();
  return false;
}

uint16_t server::port() const noexcept { return impl_->port; }
size_t server::connections() const noexcept { return impl_->shared.connections.load(); }

void server::look_at_files() { impl_->doors.look(); }

void server::stop_accepting() {
  if (impl_->door) impl_->door->stop();
  impl_->library.close_listener();
}

bool server::drain(std::chrono::milliseconds within) {
  stop_accepting();
  for (auto& loop : impl_->loops) loop->drain();
  std::unique_lock lock(impl_->mutex);
  return impl_->changed.wait_for(lock, within, [this] { return impl_->shared.connections.load() == 0; });
}

void server::stop() {
  impl_->reloader.stop();
  stop_accepting();
  for (auto& loop : impl_->loops) loop->stop();
  if (std::exchange(impl_->bound, false)) impl_->gateway.bind(nullptr);
}

void server::complete(std::vector<actors::completion> completions) {
  auto& loops = impl_->loops;
  bool one_loop = std::all_of(completions.begin(), completions.end(),
                              [&](const auto& c) { return c.to.loop == completions.front().to.loop; });
  if (completions.empty()) return;
  if (one_loop) {
    uint32_t index = completions.front().to.loop;
    if (index < loops.size()) loops[index]->complete(std::move(completions));
    return;
  }
  std::vector<std::vector<actors::completion>> shares(loops.size());
  for (auto& c : completions)
    if (c.to.loop < loops.size()) shares[c.to.loop].push_back(std::move(c));
  for (size_t i = 0; i < loops.size(); ++i)
    if (!shares[i].empty()) loops[i]->complete(std::move(shares[i]));
}

} // namespace adtrack::http
