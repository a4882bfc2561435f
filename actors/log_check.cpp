#include "actors/log_check.hpp"

#include <string>
#include <utility>

#include "storage/record_codec.hpp"

namespace adtrack::actors {

namespace {

using verdict = log_check::verdict;

log_check faulty(log_fault fault, std::string detail) { return {verdict::faulty, fault, std::move(detail), {}}; }

std::string record_at(int64_t offset) { return "the record at offset " + std::to_string(offset); }

// What was taken lies at or past the end: so it is, or the end is not known well enough.
log_check past_the_end(const storage::log_end& end, const std::string& taken, int64_t asked_ms) {
  if (end.confirmed_ms < asked_ms) return {};
  return faulty(log_fault::fork, "it ends at offset " + std::to_string(end.offset) + ", but " + taken + " was applied");
}

} // namespace

std::string describe(log_fault fault, const std::string& detail) {
  switch (fault) {
  case log_fault::none: return {};
  case log_fault::fork: return "the log has forked: " + detail;
  case log_fault::gap: return "the log has a gap: " + detail;
  }
  return {};
}

log_check check_log(storage::event_log& log, uint32_t partition, const record_mark& last, int64_t next, int64_t asked_ms) {
  const auto begin = log.begin(partition);
  if (next < begin)
    return faulty(log_fault::gap, "the records from offset " + std::to_string(next) + " to " + std::to_string(begin - 1) +
                                      " were removed before they were applied");
  if (last.offset < begin) { // none, or trimmed since
    const auto end = log.end(partition);
    if (next <= end.offset) return {verdict::same, {}, {}, {}};
    return past_the_end(end, "what is below offset " + std::to_string(next), asked_ms);
  }
  auto read = log.read(partition, last.offset, 1, 1);
  // Out of range by bounds that say otherwise is a log that is still finding out: it is asked again.
  if (!read.ok() && read.why.code != storage::errc::out_of_range) return {verdict::failed, {}, {}, std::move(read.why)};
  if (!read.ok() || read->empty()) {
    const auto end = log.end(partition);
    if (last.offset >= end.offset) return past_the_end(end, record_at(last.offset), asked_ms);
    return read.ok() ? log_check{} : log_check{verdict::failed, {}, {}, std::move(read.why)};
  }
  const auto& found = read->front();
  if (found.offset != last.offset)
    return faulty(log_fault::fork,
                  record_at(last.offset) + " was applied and is gone; the next one stands at " + std::to_string(found.offset));
  if (storage::hash_of_value(found.value) != last.hash)
    return faulty(log_fault::fork, record_at(last.offset) + " is not the one that was applied");
  return {verdict::same, {}, {}, {}};
}

} // namespace adtrack::actors
