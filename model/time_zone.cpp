#include "model/time_zone.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include <absl/time/civil_time.h>

namespace adtrack {

namespace {

// Whether every '/'-separated part is made of the characters of IANA names. No '.', so no way out of the folder and one spelling
// a file.
bool is_plain_zone_name(std::string_view tz) noexcept {
  if (tz.size() > 64 || tz.front() == '/' || tz.back() == '/' || tz.find("//") != std::string_view::npos) return false;
  if (tz == "localtime" || tz.starts_with("posix/") || tz.starts_with("right/")) return false; // not names, but in the folder
  return std::all_of(tz.begin(), tz.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '/' || c == '_' || c == '-' ||
           c == '+';
  });
}

// Abseil remembers every name that it was ever asked for, unknown ones too, so only names of files may reach it: that bounds
// memory.
bool load_zone(std::string_view tz, absl::TimeZone& out) {
  if (tz.empty() || tz == "UTC") {
    out = absl::UTCTimeZone();
    return true;
  }
  if (!is_plain_zone_name(tz)) return false;
  const char* folder = std::getenv("TZDIR"); // as Abseil does
  std::error_code error;
  const auto file = std::filesystem::path(folder != nullptr ? folder : "/usr/share/zoneinfo") / tz;
  return std::filesystem::is_regular_file(file, error) && absl::LoadTimeZone({tz.data(), tz.size()}, &out);
}

} // namespace

bool time_zone::load(std::string_view tz, time_zone& out) { return load_zone(tz, out.zone_); }

int64_t time_zone::start_of_day_s(int64_t day) const {
  const absl::CivilDay date = absl::CivilDay(1970, 1, 1) + day;
  const auto info = zone_.At(absl::CivilSecond(date));
  return absl::ToUnixSeconds(info.kind == absl::TimeZone::TimeInfo::SKIPPED ? info.trans : info.pre);
}

bool is_time_zone(std::string_view tz) {
  time_zone ignored;
  return time_zone::load(tz, ignored);
}

} // namespace adtrack
