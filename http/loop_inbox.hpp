// What other threads hand to one event loop: accepted sockets, outcomes, the wish to drain. Its eventfd wakes the loop, once for
// all that came since the loop last took it.
#pragma once

#include <mutex>
#include <utility>
#include <vector>

#include "actors/gateway.hpp"
#include "http/options.hpp"

namespace adtrack::http {

class loop_inbox {
public:
  struct contents {
    std::vector<std::pair<int, listener>> adopted;
    std::vector<actors::completion> completed;
    bool drain = false; // was asked for, now or earlier
  };

  ~loop_inbox();
  bool open(); // false: errno says why
  int fd() const noexcept { return event_; }

  // From any thread:
  void adopt(int fd, listener from);
  void complete(std::vector<actors::completion> completions);
  void drain();
  void wake() const;

  // By the loop:
  void woken() const; // after epoll said that fd() is readable
  contents take();

private:
  int event_ = -1;
  std::mutex mutex_; // guards the rest
  contents now_;
  bool called_ = false; // the loop was woken, or is about to be
};

} // namespace adtrack::http
