#include "http/loop_inbox.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>
#include <iterator>

namespace adtrack::http {

loop_inbox::~loop_inbox() {
  if (event_ >= 0) ::close(event_);
}

bool loop_inbox::open() {
  event_ = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  return event_ >= 0;
}

void loop_inbox::wake() const {
  uint64_t one = 1;
  // Cannot fail but by a full counter, which is awake enough.
  [[maybe_unused]] auto written = ::write(event_, &one, sizeof one);
}

void loop_inbox::woken() const {
  uint64_t count = 0;
  [[maybe_unused]] auto got = ::read(event_, &count, sizeof count);
}

void loop_inbox::adopt(int fd, listener from) {
  bool call = false;
  {
    std::lock_guard lock(mutex_);
    now_.adopted.emplace_back(fd, from);
    call = !std::exchange(called_, true);
  }
  if (call) wake();
}

void loop_inbox::complete(std::vector<actors::completion> completions) {
  bool call = false;
  {
    std::lock_guard lock(mutex_);
    auto& all = now_.completed;
    if (all.empty())
      all = std::move(completions);
    else
      all.insert(all.end(), std::make_move_iterator(completions.begin()), std::make_move_iterator(completions.end()));
    call = !std::exchange(called_, true);
  }
  if (call) wake();
}

void loop_inbox::drain() {
  {
    std::lock_guard lock(mutex_);
    now_.drain = called_ = true;
  }
  wake();
}

loop_inbox::contents loop_inbox::take() {
  contents out;
  std::lock_guard lock(mutex_);
  if (!std::exchange(called_, false)) return out;
  out.adopted.swap(now_.adopted);
  out.completed.swap(now_.completed);
  out.drain = now_.drain;
  return out;
}

} // namespace adtrack::http
