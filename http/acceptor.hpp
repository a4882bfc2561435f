// Accepts connections on its own thread and hands them on; at the limit says 503 (but over TLS) and closes. Never blocks but in
// poll().
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <thread>

namespace adtrack::http {

class acceptor {
public:
  // `admit` counts a connection and says whether there is room for it; `hand_on` takes its descriptor. Whoever speaks TLS cannot
  // be told that there is none.
  acceptor(bool tls, std::function<bool()> admit, std::function<void(int fd)> hand_on);
  ~acceptor();
  bool start(int listener, std::string& error); // the listener stays the caller's
  void stop();                                  // takes what waits in the backlog, then joins

private:
  enum class took : uint8_t { all, some, starved }; // starved: out of descriptors or memory
  void run();
  took accept_some();

  const bool tls_;
  std::function<bool()> admit_;
  std::function<void(int)> hand_on_;
  std::thread thread_;
  int listener_ = -1;
  int event_ = -1;
};

} // namespace adtrack::http
