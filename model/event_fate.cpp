#include "model/event_fate.hpp"

namespace adtrack {

std::string_view to_string(event_verdict v) noexcept {
  switch (v) {
  case event_verdict::unknown: break;
  case event_verdict::pending: return "pending";
  case event_verdict::counted: return "counted";
  case event_verdict::invalid: return "invalid";
  }
  return "unknown";
}

} // namespace adtrack
