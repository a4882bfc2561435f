// Records that no rule could read, as they are kept for the operator, asked for and listed. Plain values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/analytics.hpp"

namespace adtrack {

// Which stream the record stood in. Stored: never renumber.
enum class quarantine_source : uint8_t {
  events = 0, // the log's own partitions
  inbox = 1,  // what other producers hand in
};
inline constexpr std::string_view to_string(quarantine_source source) noexcept {
  return source == quarantine_source::events ? "events" : "inbox";
}
inline bool parse(std::string_view text, quarantine_source& out) noexcept {
  for (const auto each : {quarantine_source::events, quarantine_source::inbox}) {
    if (text != to_string(each)) continue;
    out = each;
    return true;
  }
  return false;
}

struct quarantined {
  quarantine_source source = quarantine_source::events;
  uint32_t partition = 0;
  int64_t offset = 0;
  int64_t time_ms = 0; // unix ms, given by the log
  std::string reason;
  std::string value; // the beginning of it, any bytes
  uint64_t size = 0; // bytes of the whole value
};

struct quarantine_query {
  quarantine_source source = quarantine_source::events;
  position from;      // the first position of interest
  uint32_t max = 100; // entries
};

struct quarantine_page {
  std::vector<quarantined> entries; // by partition and offset
  uint64_t total = 0;               // of the source, those that had to give way included
  bool more = false;
  position next; // when `more`: where to go on
};

} // namespace adtrack
