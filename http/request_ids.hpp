// The id of a request: the client's own `X-Request-Id`, or one that is made here. One object a loop, its thread only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace adtrack::http {

class request_ids {
public:
  request_ids();
  // `given` when it may be echoed into headers and logs, else a made one, valid until the next call.
  std::string_view of(std::string_view given);

private:
  uint64_t state_ = 0;
  std::string made_;
};

} // namespace adtrack::http
