// The log record's value: compact JSON with a schema version, that other readers are welcome to (see the README).
//   {"schema":1,"kind":"event","type":"click","ad_id":32,"event_id":"...","timestamp":1753200972,"user_ip":"192.168.1.0",
//    "agent":"...","play_time_secs":30,"watched_percent":80,"progress":"start","visitor":"16 hex","fields":"8 hex",
//    "invalid":"bot","rules":1,"device":"phone","browser":"Chrome Mobile","os":"Android","country":"FR"}
//   {"schema":1,"kind":"control","logic":2,"dedupe_window_secs":604800,"repeat_click_secs":2,"second_days":2,"minute_days":90,
//    "rules":1,"visitor_key":"8 hex","erase":"16 hex","as":"16 hex"}
// Absent optional fields are left out. Unknown fields are ignored; a higher schema is "schema".
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "model/control.hpp"
#include "model/event.hpp"
#include "model/record_batch.hpp"
#include "storage/event_log.hpp"

namespace adtrack::storage {

inline constexpr int record_schema = 1;

std::string encode(const event& e);
std::string encode(const control& c);

// The record without the erased visitor: an event has the alias and neither address nor agent, the erasure itself no visitor.
// Nothing when it says nothing of the visitor.
std::optional<std::string> without(const erasure& erased, std::string_view value);

// The hash by which a record_mark knows a record's value again. Stored with every commit of a shard: never change it.
uint64_t hash_of_value(std::string_view value) noexcept;

// Decodes a run of records of `partition` (of `partitions`) for the shard. What cannot be read, lacks a stamp or sits in the
// wrong partition becomes a skipped record with its reason. `from` is the position that was read from.
// Not thread-safe: one decoder a thread (it owns the simdjson parser).
class record_decoder {
public:
  record_decoder();
  ~record_decoder();
  record_decoder(record_decoder&&) noexcept;
  record_batch decode(uint32_t partition, uint32_t partitions, int64_t from, std::span<const stored_record> records);

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace adtrack::storage
