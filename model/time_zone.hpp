// A time zone of the system's database, which Abseil reads once a name. Names come from clients: nothing that could leave the
// database's folder or is not a plain name is ever looked up. Any thread.
#pragma once

#include <cstdint>
#include <string_view>

#include <absl/time/time.h>

namespace adtrack {

class time_zone {
public:
  time_zone() : zone_(absl::UTCTimeZone()) {}

  // An IANA name that the system's database has ("Europe/Paris"), or empty, which means UTC. False for anything else.
  static bool load(std::string_view tz, time_zone& out);

  bool is_utc() const { return zone_ == absl::UTCTimeZone(); }
  // Seconds that the zone's clock is ahead of UTC at that instant.
  int64_t offset_s(int64_t unix_s) const { return zone_.At(absl::FromUnixSeconds(unix_s)).offset; }
  // The first instant of that date on the zone's clock (days since 1970-01-01 of the calendar): midnight, its first one where it
  // came twice, and the next instant that there is where it was skipped.
  int64_t start_of_day_s(int64_t day) const;

private:
  absl::TimeZone zone_;
};

bool is_time_zone(std::string_view tz); // whether load() would take it

} // namespace adtrack
