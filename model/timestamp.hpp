// Instants as text: RFC 3339 in, RFC 3339 out. Pure but for the loading of time zones. Any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "model/time_zone.hpp"

namespace adtrack {

// Parses an RFC 3339 date-time ('T', 't' or a space; any fraction; 'Z', 'z' or an offset), or a bare YYYY-MM-DD: midnight in
// `tz`, or the day's first instant where midnight was skipped. Years 0001-9999. Digits past the microsecond round up, so that a
// window's edge rounded up to a whole second stays exact. A leap second (23:59:60 UTC at a month's end) is the second after it.
// Returns false and leaves `unix_us` alone for anything else, an unknown `tz` included.
bool parse_rfc3339(std::string_view text, std::string_view tz, int64_t& unix_us);

// "2025-08-11T07:49:18.342Z" and "2025-08-11T07:49:18Z". What lies outside the years 0001-9999 is shown as their first or last
// instant.
std::string format_rfc3339_ms(int64_t unix_ms);
std::string format_rfc3339_s(int64_t unix_s);
// "2025-08-11T09:49:18+02:00": on the zone's clock, with its offset. "Z" in UTC, and where the offset is no whole minute, which
// RFC 3339 cannot say.
std::string format_rfc3339_s(int64_t unix_s, const time_zone& zone);

} // namespace adtrack
