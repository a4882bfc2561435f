// Events: what a client sent (`submission`), what the log keeps (`event`), and what a shard needs (`shard_record`).
// Plain values. A submission holds the full address and therefore never reaches a disk; the enrich step turns it
// into an event with the address masked and the visitor key and fields hash stamped.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "model/agent_rules.hpp"
#include "model/identity.hpp"
#include "model/ip_address.hpp"

namespace adtrack {

enum class event_type : uint8_t { click, impression, playback };
inline constexpr size_t event_type_count = 3;

// VAST 4 progress of a playback; `none` for other types.
enum class playback_progress : uint8_t { none, start, first_quartile, midpoint, third_quartile, complete };

// Why an event does not count as valid traffic. `none`: valid.
enum class invalid_reason : uint8_t { none, bot, no_agent, datacenter, prefetch, repeat };
inline constexpr size_t invalid_reason_count = 6;

std::string_view to_string(event_type type) noexcept;
std::string_view to_string(playback_progress progress) noexcept;
std::string_view to_string(invalid_reason reason) noexcept;
// Return false and leave `out` alone when `text` is not the name of an enumerator; `none` is the lack of one, not a name.
bool parse(std::string_view text, event_type& out) noexcept;
bool parse(std::string_view text, playback_progress& out) noexcept;
bool parse(std::string_view text, invalid_reason& out) noexcept;

inline constexpr uint64_t max_ad_id = (uint64_t{1} << 53) - 1;
inline constexpr int32_t absent = -1; // an optional number that the client did not send

// An event as a client sent it, checked against the contract's rules, before enrichment.
struct submission {
  event_type type = event_type::click;
  playback_progress progress = playback_progress::none;
  bool prefetch = false;      // the request carried a prefetch header
  bool address_given = false; // in the body, not taken from the peer
  bool agent_given = false;   // in the body, not taken from User-Agent
  bool time_given = false;    // in the body, not the server's clock
  uint64_t ad_id = 0;         // 1 ... max_ad_id
  std::string event_id;       // 1-128 characters of 0x21-0x7E
  ip_address address;         // full; family none when unknown
  std::string agent;          // at most 1,024 bytes of UTF-8
  int64_t time_s = 0;         // event time, unix seconds
  int32_t play_time_secs = absent;
  int32_t watched_percent = absent;
};

// What the rules of ingest say of a submission; see storage/traffic_rules.hpp.
struct traffic_stamp {
  invalid_reason invalid = invalid_reason::none; // never `repeat`
  device_class device = device_class::unknown;
  std::string browser, os; // families, bounded; empty: unknown
  std::string country;     // ISO 3166-1, two capital letters; empty: unknown
  uint32_t rules = 0;      // version of the rules; 0: none judged it
};

// An accepted event, as the log keeps it.
struct event {
  event_type type = event_type::click;
  playback_progress progress = playback_progress::none;
  uint64_t ad_id = 0;
  std::string event_id;
  int64_t time_s = 0;
  std::string address; // masked, canonical text; empty when unknown
  std::string agent;
  int32_t play_time_secs = absent;
  int32_t watched_percent = absent;
  uint64_t visitor = 0;     // keyed hash of the unmasked address and the agent
  uint32_t fields_hash = 0; // keyed hash of the client's own fields, see model/visitor_key.hpp
  traffic_stamp traffic;
};

// What a shard needs of one log record: no text, no heap.
struct shard_record {
  enum class kind : uint8_t { event, control, skipped };
  kind what = kind::event;
  event_type type = event_type::click;
  playback_progress progress = playback_progress::none;
  invalid_reason invalid = invalid_reason::none;
  uint32_t fields_hash = 0;
  int64_t offset = 0;
  int64_t log_time_ms = 0; // unix ms, the time that the log gave the record
  identity id;
  uint64_t ad_id = 0;
  uint64_t visitor = 0;
  int64_t time_s = 0; // event time, unix seconds
  int32_t play_time_secs = absent;
  int32_t watched_percent = absent;
  uint32_t index = 0; // of the control in record_batch::controls or of the entry in record_batch::skipped
  // What it is grouped by. Families and countries are places in record_batch::names; 0: unknown.
  device_class device = device_class::unknown;
  bool restates = false; // the shard finds that it came so late that it changes what was read already
  uint32_t browser = 0, os = 0, country = 0;
};

} // namespace adtrack
