// The one table behind settings: a row a setting, pointing at the member that it fills. Names, ranges, units and meanings stand
// here and nowhere else; the defaults are the members' own initialisers. Internal to config/ and its tests.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "config/settings.hpp"

namespace adtrack::config {

// A member that takes one of a few names.
struct choice_target {
  std::vector<std::string_view> names;
  std::function<void(size_t)> set;
  std::function<size_t()> get;
};

struct setting_row {
  std::string_view name; // "http.port"
  std::variant<std::string*, uint16_t*, uint32_t*, uint64_t*, choice_target> target;
  uint64_t min = 0; // of a number
  uint64_t max = 0;
  std::string_view meaning;      // with its unit; no full stop
  std::string_view when_empty{}; // what "" means, for a text

  bool is_number() const noexcept { return target.index() >= 1 && target.index() <= 3; }
  std::string value() const;    // as text, without quotes
  std::string allowed() const;  // "integer from 0 to 65535", "one of mask, drop", "text"
  std::string variable() const; // "ADTRACK_HTTP_PORT"
  // Sets the member; returns "" or what is wrong, as "must be ...".
  std::string assign(std::string_view text) const;
};

// The rows of `s`, in the order of the documentation. They point into `s`, which must outlive them and stay where it is.
std::vector<setting_row> settings_table(settings& s);

// Rules over more than one setting: "" or a sentence.
std::string check_together(const settings& s);

std::string settings_help();     // --help
std::string settings_markdown(); // --settings-markdown: the README's table
std::string settings_toml();     // --settings-toml: config/adtrackd.toml

} // namespace adtrack::config
