#include "model/event.hpp"

namespace adtrack {
namespace {

// `first` ... `last`: the enumerators that have a name which may be read.
template <class Enum>
bool parse_named(std::string_view text, Enum first, Enum last, Enum& out) noexcept {
  for (auto i = static_cast<uint8_t>(first); i <= static_cast<uint8_t>(last); ++i) {
    if (to_string(static_cast<Enum>(i)) == text) {
      out = static_cast<Enum>(i);
      return true;
    }
  }
  return false;
}

} // namespace

std::string_view to_string(event_type type) noexcept {
  switch (type) {
  case event_type::click: return "click";
  case event_type::impression: return "impression";
  case event_type::playback: return "playback";
  }
  return {};
}

std::string_view to_string(playback_progress progress) noexcept {
  switch (progress) {
  case playback_progress::none: return "none";
  case playback_progress::start: return "start";
  case playback_progress::first_quartile: return "first_quartile";
  case playback_progress::midpoint: return "midpoint";
  case playback_progress::third_quartile: return "third_quartile";
  case playback_progress::complete: return "complete";
  }
  return {};
}

std::string_view to_string(invalid_reason reason) noexcept {
  switch (reason) {
  case invalid_reason::none: return "none";
  case invalid_reason::bot: return "bot";
  case invalid_reason::no_agent: return "no_agent";
  case invalid_reason::datacenter: return "datacenter";
  case invalid_reason::prefetch: return "prefetch";
  case invalid_reason::repeat: return "repeat";
  }
  return {};
}

bool parse(std::string_view text, event_type& out) noexcept {
  return parse_named(text, event_type::click, event_type::playback, out);
}

bool parse(std::string_view text, playback_progress& out) noexcept {
  return parse_named(text, playback_progress::start, playback_progress::complete, out);
}

bool parse(std::string_view text, invalid_reason& out) noexcept {
  return parse_named(text, invalid_reason::bot, invalid_reason::repeat, out);
}

} // namespace adtrack
