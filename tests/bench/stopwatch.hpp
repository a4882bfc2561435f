// What a piece of a benchmark took: CPU of this thread and of the process, and wall time, in seconds.
#pragma once

#include <ctime>

namespace adtrack::bench {

struct figures {
  double cpu_s = 0, process_cpu_s = 0, wall_s = 0;
};

inline double clock_s(clockid_t id) {
  timespec t{};
  clock_gettime(id, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9;
}

// Adds what passes while it lives.
class stopwatch {
public:
  explicit stopwatch(figures& to)
      : to_(to), thread_(clock_s(CLOCK_THREAD_CPUTIME_ID)), process_(clock_s(CLOCK_PROCESS_CPUTIME_ID)),
        wall_(clock_s(CLOCK_MONOTONIC)) {}
  ~stopwatch() {
    to_.cpu_s += clock_s(CLOCK_THREAD_CPUTIME_ID) - thread_;
    to_.process_cpu_s += clock_s(CLOCK_PROCESS_CPUTIME_ID) - process_;
    to_.wall_s += clock_s(CLOCK_MONOTONIC) - wall_;
  }
  stopwatch(const stopwatch&) = delete;
  stopwatch& operator=(const stopwatch&) = delete;

private:
  figures& to_;
  double thread_, process_, wall_;
};

} // namespace adtrack::bench
