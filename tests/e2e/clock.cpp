// Preloaded into a server, it makes the wall clock stand CLOCK_DAYS_AGO days in the past, so that a test can let days of log time
// pass between two starts; and an hour in the past from when a file CLOCK_JUMP_FILE is there. The monotonic clock is untouched, and
// absolute deadlines of the wall clock are moved back to the true one.
#include <cstdlib>
#include <ctime>
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

namespace {

time_t behind() {
  static const time_t seconds = [] {
    const char* days = std::getenv("CLOCK_DAYS_AGO");
    return days == nullptr ? time_t{0} : std::strtol(days, nullptr, 10) * 86'400;
  }();
  static const char* const jump = std::getenv("CLOCK_JUMP_FILE");
  return seconds + (jump != nullptr && access(jump, F_OK) == 0 ? 3'600 : 0);
}

} // namespace

extern "C" {

int clock_gettime(clockid_t clock, timespec* out) noexcept {
  const int failed = static_cast<int>(syscall(SYS_clock_gettime, clock, out));
  if (failed == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) out->tv_sec -= behind();
  return failed;
}

int gettimeofday(timeval* out, void*) noexcept {
  timespec now;
  if (clock_gettime(CLOCK_REALTIME, &now) != 0) return -1;
  out->tv_sec = now.tv_sec;
  out->tv_usec = now.tv_nsec / 1'000;
  return 0;
}

time_t time(time_t* out) noexcept {
  timespec now;
  if (clock_gettime(CLOCK_REALTIME, &now) != 0) return -1;
  if (out != nullptr) *out = now.tv_sec;
  return now.tv_sec;
}

int pthread_cond_timedwait(pthread_cond_t* condition, pthread_mutex_t* mutex, const timespec* deadline) {
  timespec truly = *deadline;
  truly.tv_sec += behind();
  return pthread_cond_clockwait(condition, mutex, CLOCK_REALTIME, &truly);
}
}
