#include "model/timestamp.hpp"

#include <algorithm>
#include <chrono>
#include <cstdlib>

namespace adtrack {
namespace {

namespace chrono = std::chrono;

constexpr int64_t day_s = 86'400;

constexpr int64_t days_from_epoch(chrono::year_month_day date) noexcept {
  return chrono::sys_days(date).time_since_epoch().count();
}

using namespace std::chrono_literals;
constexpr int64_t first_s = days_from_epoch(1y / 1 / 1) * day_s;
constexpr int64_t last_s = days_from_epoch(9999y / 12 / 31) * day_s + day_s - 1;

// Reads from the front of a text; every step says whether it was there.
class scanner {
public:
  explicit scanner(std::string_view text) noexcept : rest_(text) {}

  bool done() const noexcept { return rest_.empty(); }
  bool next_is_digit() const noexcept { return !rest_.empty() && rest_[0] >= '0' && rest_[0] <= '9'; }

  bool any_of(std::string_view characters, char& out) noexcept {
    if (rest_.empty() || characters.find(rest_[0]) == std::string_view::npos) return false;
    out = rest_[0];
    rest_.remove_prefix(1);
    return true;
  }
  bool literal(char c) noexcept {
    char ignored = 0;
    return any_of({&c, 1}, ignored);
  }
  // Exactly `digits` decimal digits of a value in [low, high].
  bool number(size_t digits, int low, int high, int& out) noexcept {
    int value = 0;
    for (size_t i = 0; i < digits; ++i) {
      if (!next_is_digit()) return false;
      value = value * 10 + (rest_[0] - '0');
      rest_.remove_prefix(1);
    }
    out = value;
    return value >= low && value <= high;
  }

private:
  std::string_view rest_;
};

bool scan_date(scanner& in, chrono::year_month_day& out) noexcept {
  int year = 0, month = 0, day = 0;
  if (!in.number(4, 1, 9999, year) || !in.literal('-') || !in.number(2, 1, 12, month) || !in.literal('-') ||
      !in.number(2, 1, 31, day)) {
    return false;
  }
  out = chrono::year(year) / month / day;
  return out.ok();
}

// ".d+" as microseconds; what is finer rounds up.
bool scan_fraction(scanner& in, int64_t& out_us) noexcept {
  out_us = 0;
  if (!in.literal('.')) return true;
  if (!in.next_is_digit()) return false;
  int64_t unit_us = 100'000;
  bool finer = false;
  for (int digit = 0; in.next_is_digit();) {
    if (!in.number(1, 0, 9, digit)) return false;
    out_us += digit * unit_us;
    finer = finer || (unit_us == 0 && digit != 0);
    unit_us /= 10;
  }
  out_us += finer;
  return true;
}

bool scan_offset(scanner& in, int64_t& out_s) noexcept {
  char sign = 0;
  out_s = 0;
  if (in.any_of("Zz", sign)) return true;
  int hours = 0, minutes = 0;
  if (!in.any_of("+-", sign) || !in.number(2, 0, 23, hours) || !in.literal(':') || !in.number(2, 0, 59, minutes)) return false;
  out_s = (int64_t{hours} * 60 + minutes) * (sign == '-' ? -60 : 60);
  return true;
}

// Leap seconds stand at the end of a UTC month: the second after one is a month's first.
bool starts_a_month(int64_t unix_s) noexcept {
  if (unix_s % day_s != 0) return false;
  return chrono::year_month_day(chrono::sys_days(chrono::days(unix_s / day_s))).day() == 1d;
}

bool scan_time(scanner& in, int64_t day, int64_t& unix_us) noexcept {
  int hour = 0, minute = 0, second = 0;
  int64_t fraction_us = 0, offset_s = 0;
  if (!in.number(2, 0, 23, hour) || !in.literal(':') || !in.number(2, 0, 59, minute) || !in.literal(':') ||
      !in.number(2, 0, 60, second) || !scan_fraction(in, fraction_us) || !scan_offset(in, offset_s) || !in.done()) {
    return false;
  }
  const int64_t unix_s = day * day_s + int64_t{hour} * 3'600 + int64_t{minute} * 60 + second - offset_s;
  if (second == 60 && !starts_a_month(unix_s)) return false;
  unix_us = unix_s * 1'000'000 + fraction_us;
  return true;
}

void put_digits(std::string& out, unsigned value, unsigned digits) {
  const size_t start = out.size();
  out.append(digits, '0');
  for (size_t i = start + digits; i > start; value /= 10) out[--i] = static_cast<char>('0' + value % 10);
}

// Without the closing 'Z'; `unix_s` within the years 0001-9999.
std::string date_time(int64_t unix_s) {
  const auto day = chrono::floor<chrono::days>(chrono::sys_seconds(chrono::seconds(unix_s)));
  const chrono::year_month_day date(day);
  const auto second = static_cast<unsigned>(unix_s - day.time_since_epoch().count() * day_s);
  std::string text;
  text.reserve(24);
  put_digits(text, static_cast<unsigned>(static_cast<int>(date.year())), 4);
  text += '-';
  put_digits(text, static_cast<unsigned>(date.month()), 2);
  text += '-';
  put_digits(text, static_cast<unsigned>(date.day()), 2);
  text += 'T';
  put_digits(text, second / 3'600, 2);
  text += ':';
  put_digits(text, second / 60 % 60, 2);
  text += ':';
  put_digits(text, second % 60, 2);
  return text;
}

} // namespace

bool parse_rfc3339(std::string_view text, std::string_view tz, int64_t& unix_us) {
  time_zone zone;
  scanner in(text);
  chrono::year_month_day date{};
  if (!time_zone::load(tz, zone) || !scan_date(in, date)) return false;
  if (in.done()) {
    unix_us = zone.start_of_day_s(days_from_epoch(date)) * 1'000'000;
    return true;
  }
  char separator = 0;
  return in.any_of("Tt ", separator) && scan_time(in, days_from_epoch(date), unix_us);
}

std::string format_rfc3339_ms(int64_t unix_ms) {
  const int64_t ms = std::clamp(unix_ms, first_s * 1'000, last_s * 1'000 + 999);
  const int64_t s = (ms - (ms % 1'000 + 1'000) % 1'000) / 1'000;
  std::string text = date_time(s);
  text += '.';
  put_digits(text, static_cast<unsigned>(ms - s * 1'000), 3);
  text += 'Z';
  return text;
}

std::string format_rfc3339_s(int64_t unix_s) { return date_time(std::clamp(unix_s, first_s, last_s)) + 'Z'; }

std::string format_rfc3339_s(int64_t unix_s, const time_zone& zone) {
  const auto offset_s = zone.offset_s(unix_s);
  const bool utc = zone.is_utc() || offset_s % 60 != 0;
  if (utc || unix_s < first_s + day_s || unix_s > last_s - day_s) return format_rfc3339_s(unix_s);
  std::string text = date_time(unix_s + offset_s);
  const auto minutes = static_cast<unsigned>(std::abs(offset_s) / 60);
  text += offset_s < 0 ? '-' : '+';
  put_digits(text, minutes / 60, 2);
  text += ':';
  put_digits(text, minutes % 60, 2);
  return text;
}

} // namespace adtrack
