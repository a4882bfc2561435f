// Instants as text: RFC 3339 in, RFC 3339 (UTC) out. Pure but for time zones, which Abseil reads from the system's database
// once a name. Any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace adtrack {

// Whether `tz` is an IANA name that the system's database has ("Europe/Paris"), or empty, which means UTC. Names come from
// clients: nothing that could leave the database's folder or is not a plain name is ever looked up.
bool is_time_zone(std::string_view tz);

// Parses an RFC 3339 date-time ('T', 't' or a space; any fraction; 'Z', 'z' or an offset), or a bare YYYY-MM-DD: midnight in `tz`, or
// the day's first instant where midnight was skipped. Years 0001-9999. Digits past the microsecond round up, so that a window's edge
// rounded up to a whole second stays exact. A leap second (23:59:60 UTC at a month's end) is the second after it.
// Returns false and leaves `unix_us` alone for anything else, an unknown `tz` included.
bool parse_rfc3339(std::string_view text, std::string_view tz, int64_t& unix_us);

// "2025-08-11T07:49:18.342Z" and "2025-08-11T07:49:18Z". What lies outside the years 0001-9999 is shown as their first or last instant.
std::string format_rfc3339_ms(int64_t unix_ms);
std::string format_rfc3339_s(int64_t unix_s);

} // namespace adtrack
