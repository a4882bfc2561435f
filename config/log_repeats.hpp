// Which lines of the log would only say again what others just said: of one component's event `burst` are written in a window,
// the others are counted. Remembers a bounded number of events; those that come after are never left out. Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

namespace adtrack::config {

class log_repeats {
public:
  log_repeats(uint32_t burst, int64_t window_us, size_t events_max)
      : burst_(burst), window_us_(window_us), events_max_(events_max) {}

  struct verdict {
    bool write = true;
    bool last = false;     // those that follow within the window are left out
    uint64_t left_out = 0; // since the line before
  };
  // `now_us` is any clock; one that went back begins a new window.
  verdict ask(std::string_view component, std::string_view event, int64_t now_us);

private:
  struct state {
    int64_t began_us = 0;
    uint32_t written = 0;
    uint64_t left_out = 0;
  };
  const uint32_t burst_;
  const int64_t window_us_;
  const size_t events_max_;
  std::mutex mutex_;
  std::map<std::string, state, std::less<>> events_;
};

} // namespace adtrack::config
