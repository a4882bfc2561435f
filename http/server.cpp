#include "http/server.hpp"

#include <prometheus/gauge.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>

#include "config/telemetry.hpp"
#include "http/acceptor.hpp"
#include "http/batch_pool.hpp"
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
  batch_pool batches;
  loop_shared shared;
  std::vector<std::unique_ptr<event_loop>> loops;
  std::unique_ptr<acceptor> door;
  httplib_bridge admin_library; // binds only
  std::unique_ptr<acceptor> admin_door;
  repeater reloader;
  std::mutex mutex;
  std::condition_variable changed;
  uint16_t port = 0;
  uint16_t admin_port = 0;
  bool bound = false;
  std::atomic<size_t> next_loop{0};

  impl(http_options o, actors::gateway& g, config::metrics& metrics, std::function<int64_t()> clock)
      : options(std::move(o)), now_ms(std::move(clock)), gateway(g), doors(options, metrics), gauge(metrics.http_connections()),
        batches(options, doors.rates, gateway, metrics), shared{options, doors,   gateway, metrics,
                                                                now_ms,  library, batches, [this] { on_closed(); }} {}

  void on_closed() {
    gauge.Decrement();
    if (shared.connections.load() != 0) return;
    // The lock orders this after the waiter's look at the count.
    { std::lock_guard lock(mutex); }
    changed.notify_all();
  }
  bool admit(listener from) {
    size_t admins = shared.admin_connections.load();
    if (from == listener::admin ? admins >= options.admin_max_connections
                                : shared.connections.load() - admins >= options.max_connections)
      return false;
    ++shared.connections;
    if (from == listener::admin) ++shared.admin_connections;
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
  int main_fd = -1;
  int admin_fd = -1;
  if (!doors.open(error)) return false;
  if (!library.bind(options.host, options.port, options.backlog, main_fd, port, error)) return false;
  if (!options.admin_host.empty() &&
      !admin_library.bind(options.admin_host, options.admin_port, options.backlog, admin_fd, admin_port, error))
    return false;
  gateway.bind(sink);
  bound = true;
  batches.start(*sink);
  for (uint32_t i = 0; i < std::max<uint32_t>(options.loops, 1); ++i) loops.push_back(std::make_unique<event_loop>(i, shared));
  for (auto& loop : loops)
    if (!loop->start(error)) return false;
  auto open_door = [&](std::unique_ptr<acceptor>& to, listener from, int fd) {
    to = std::make_unique<acceptor>(
        doors.tls.active(), [this, from] { return admit(from); },
        [this, from](int client) { loops[next_loop++ % loops.size()]->adopt(client, from); });
    return to->start(fd, error);
  };
  if (!open_door(door, listener::main, main_fd)) return false;
  if (admin_fd >= 0 && !open_door(admin_door, listener::admin, admin_fd)) return false;
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
uint16_t server::admin_port() const noexcept { return impl_->admin_port; }
size_t server::connections() const noexcept { return impl_->shared.connections.load(); }

void server::look_at_files() { impl_->doors.look(); }

void server::turn_away() { impl_->doors.turning_away = true; }

void server::stop_accepting() {
  if (impl_->door) impl_->door->stop();
  if (impl_->admin_door) impl_->admin_door->stop();
  impl_->library.close_listener();
  impl_->admin_library.close_listener();
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
  impl_->batches.stop();
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
