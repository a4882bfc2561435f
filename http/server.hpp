// The front door: binds, accepts, spreads connections over event loops, and takes the outcomes of deferred requests. Owned by the
// composition root, which calls start, then turn_away, stop_accepting, drain and stop from one thread; complete() comes from any thread.
// Talks to the gateway only.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "actors/gateway.hpp"
#include "http/options.hpp"

namespace adtrack::config {
class metrics;
}

namespace adtrack::http {

// What start() would refuse in the options or in the files that they name: "" or a sentence. Changes nothing.
std::string check(const http_options& options);

class server final : public actors::completion_sink {
public:
  // `now_ms` is the wall clock in unix ms. The gateway and the metrics outlive the server.
  server(http_options options, actors::gateway& gateway, config::metrics& metrics, std::function<int64_t()> now_ms);
  ~server() override;

  // Binds the gateway's sink and starts listening. On false `error` is a sentence; nothing runs.
  bool start(std::string& error);
  uint16_t port() const noexcept;       // the one bound; after start
  uint16_t admin_port() const noexcept; // the same of the admin listener; 0 without one

  // Looks at the files of the options for changes; a thread of the server's does it every reload_ms, and nobody else may
  // meanwhile.
  void look_at_files();

  // From now on /readyz is 503, and nothing else changes: who spreads requests over nodes sends no more to this one.
  void turn_away();
  void stop_accepting();
  // Answers what is in flight and closes every connection; true when none is left within the time given.
  bool drain(std::chrono::milliseconds within);
  // Closes what is left, detaches from the gateway and joins all threads. A completion that comes later is dropped.
  void stop();

  void complete(std::vector<actors::completion> completions) override;
  size_t connections() const noexcept;

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace adtrack::http
