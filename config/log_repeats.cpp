#include "config/log_repeats.hpp"

#include <utility>

namespace adtrack::config {

log_repeats::verdict log_repeats::ask(std::string_view component, std::string_view event, int64_t now_us) {
  std::string name(component);
  name.append("/").append(event);
  std::lock_guard lock(mutex_);
  auto found = events_.find(name);
  if (found == events_.end()) {
    if (events_.size() >= events_max_) return {};
    found = events_.emplace(std::move(name), state{now_us, 0, 0}).first;
  }
  auto& s = found->second;
  if (now_us - s.began_us >= window_us_ || now_us < s.began_us) s = {now_us, 0, s.left_out};
  if (s.written == burst_) {
    ++s.left_out;
    return {.write = false};
  }
  ++s.written;
  return {.last = s.written == burst_, .left_out = std::exchange(s.left_out, 0)};
}

} // namespace adtrack::config
