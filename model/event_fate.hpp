// What became of one event: the question, and the answer of the shard that holds its ad. Plain values.
#pragma once

#include <cstdint>
#include <string_view>

#include "model/analytics.hpp"
#include "model/event.hpp"
#include "model/identity.hpp"

namespace adtrack {

struct event_question {
  event_type type = event_type::click;
  uint64_t ad_id = 0;
  identity id;
};

enum class event_verdict : uint8_t {
  unknown, // never seen, or longer ago than the dedupe window
  pending, // not seen yet, but records that may hold it are not applied
  counted, // as valid traffic
  invalid, // counted, but not as valid traffic
};
std::string_view to_string(event_verdict v) noexcept;

struct event_fate {
  event_verdict verdict = event_verdict::unknown;
  invalid_reason reason = invalid_reason::none; // of `invalid`
  position at;                       // where in the log the first one with this identity stands; of counted and invalid
  int64_t time_s = 0;                // its event time, unix seconds
  uint64_t duplicates = 0;           // later ones with this identity
  uint64_t conflicts = 0;            // those of them whose own fields differed
  int64_t lag_ms = -1;               // of the shard, as shard_answer::lag_ms
  log_fault fault = log_fault::none; // not none: the answer is as of before it
};

} // namespace adtrack
