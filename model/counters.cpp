#include "model/counters.hpp"

#include <algorithm>
#include <bit>
#include <cstddef>

#include "model/varint.hpp"

namespace adtrack {
namespace {

constexpr metric at(metric first, size_t step) noexcept { return static_cast<metric>(static_cast<size_t>(first) + step); }

constexpr size_t invalid_kinds = invalid_reason_count - 1; // without `none`

constexpr metric valid_of(event_type type) noexcept { return at(metric::valid_clicks, static_cast<size_t>(type)); }

constexpr metric invalid_of(event_type type, invalid_reason reason) noexcept {
  return at(metric::invalid_clicks, static_cast<size_t>(type) * invalid_kinds + static_cast<size_t>(reason) - 1);
}

static_assert(invalid_of(event_type::click, invalid_reason::repeat) == static_cast<metric>(7));
static_assert(invalid_of(event_type::playback, invalid_reason::bot) == metric::invalid_playbacks);
static_assert(at(metric::playback_progress, 5) == metric::duplicates && metric_count == 30);
static_assert(metric_count <= 64, "the compact form's mask is one 64-bit number");

} // namespace

uint64_t counters::invalid(event_type type, invalid_reason reason) const noexcept { return (*this)[invalid_of(type, reason)]; }

uint64_t counters::gross(event_type type) const noexcept {
  uint64_t sum = (*this)[valid_of(type)];
  for (size_t i = 0; i < invalid_kinds; ++i) sum += (*this)[at(invalid_of(type, invalid_reason::bot), i)];
  return sum;
}

bool counters::any_event() const noexcept {
  const auto first = values.begin();
  return std::any_of(first, first + static_cast<std::ptrdiff_t>(metric::playback_progress), [](uint64_t v) { return v != 0; });
}

counters& counters::operator+=(const counters& other) noexcept {
  for (size_t i = 0; i < metric_count; ++i) values[i] += other.values[i];
  last_counted_ms = std::max(last_counted_ms, other.last_counted_ms);
  return *this;
}

void counters::add(const shard_record& r, invalid_reason invalid) noexcept {
  last_counted_ms = std::max(last_counted_ms, r.log_time_ms);
  if (r.restates) ++(*this)[metric::restated];
  if (invalid != invalid_reason::none) {
    ++(*this)[invalid_of(r.type, invalid)];
    return;
  }
  ++(*this)[valid_of(r.type)];
  switch (r.type) {
  case event_type::click:
    if (r.play_time_secs != absent) {
      ++(*this)[metric::play_time_count];
      (*this)[metric::play_time_sum] += static_cast<uint64_t>(r.play_time_secs);
    }
    if (r.watched_percent != absent) {
      ++(*this)[metric::watched_count];
      (*this)[metric::watched_sum] += static_cast<uint64_t>(r.watched_percent);
    }
    break;
  case event_type::impression: break;
  case event_type::playback:
    if (r.progress != playback_progress::none) {
      ++(*this)[at(metric::playback_progress, static_cast<size_t>(r.progress) - static_cast<size_t>(playback_progress::start))];
    }
    break;
  }
}

void counters::add_duplicate(bool conflict) noexcept {
  ++(*this)[metric::duplicates];
  if (conflict) ++(*this)[metric::conflicts];
}

void encode(const counters& c, std::string& out) {
  uint64_t mask = 0;
  for (size_t i = 0; i < metric_count; ++i) mask |= static_cast<uint64_t>(c.values[i] != 0) << i;
  put_varint(out, mask);
  for (uint64_t left = mask; left != 0; left &= left - 1) put_varint(out, c.values[static_cast<size_t>(std::countr_zero(left))]);
  put_varint(out, static_cast<uint64_t>(c.last_counted_ms));
}

bool decode(std::string_view& in, counters& out) noexcept {
  std::string_view rest = in;
  counters c;
  uint64_t mask = 0;
  if (!get_varint(rest, mask) || mask >> metric_count != 0) return false;
  for (; mask != 0; mask &= mask - 1) {
    uint64_t& value = c.values[static_cast<size_t>(std::countr_zero(mask))];
    if (!get_varint(rest, value) || value == 0) return false;
  }
  uint64_t last = 0;
  if (!get_varint(rest, last)) return false;
  c.last_counted_ms = static_cast<int64_t>(last);
  out = c;
  in = rest;
  return true;
}

} // namespace adtrack
