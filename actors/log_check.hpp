// Whether a partition of the log still holds the last record that was taken out of it, and what comes after that: the one thing
// that tells a log which forked, was made anew or lost records from one that only grew. CAF-free; reads at most one record.
#pragma once

#include <cstdint>
#include <string>

#include "model/analytics.hpp"
#include "model/record_batch.hpp"
#include "storage/event_log.hpp"

namespace adtrack::actors {

// For people: "the log has forked: <detail>".
std::string describe(log_fault fault, const std::string& detail);

struct log_check {
  enum class verdict : uint8_t {
    same,    // reading may go on
    pending, // the log cannot say yet: ask again
    faulty,  // `fault` and `detail` say how
    failed   // the log could not be read: `why`
  };
  verdict what = verdict::pending;
  log_fault fault = log_fault::none;
  std::string detail; // for people
  storage::status why;
};

// `last` was taken out of the partition, and `next` is where reading goes on; none taken: next is where it begins. An end counts
// only when it was confirmed at or after `asked_ms` (monotonic). A last record below the log's begin cannot be compared: same.
log_check check_log(storage::event_log& log, uint32_t partition, const record_mark& last, int64_t next, int64_t asked_ms);

} // namespace adtrack::actors
