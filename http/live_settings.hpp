// The settings that change while the server runs, with GET and PUT /admin/v1/settings/{name}: the log's level and the rates. What
// is set holds until the process ends; the settings table's bounds hold here too. One object for all loops. Thread-safe.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "http/problem.hpp"
#include "http/rate_limit.hpp"

namespace adtrack::http {

inline constexpr uint32_t rate_max = 1'000'000; // a second
inline constexpr uint32_t burst_max = 1'000'000'000;

class live_settings {
public:
  using value = std::variant<uint64_t, std::string>;

  explicit live_settings(rate_limiter& rates) : rates_(rates) {}

  static bool knows(std::string_view name) noexcept;
  static std::string names();                                      // with commas, for people
  std::string show(std::string_view name) const;                   // {"name":"log.level","value":"info"}
  std::string show_all() const;                                    // {"settings":[...]}
  bool set(std::string_view name, const value& to);                // false: nothing that it can be
  static std::string_view accepts(std::string_view name) noexcept; // what it can be: "must be ..."

private:
  value get(std::string_view name) const;

  rate_limiter& rates_;
  std::mutex mutex_; // one change at a time
};

// The body {"value":...}. False with what is wrong with it.
bool read_setting(std::string_view body, live_settings::value& out, std::string& syntax, std::vector<field_error>& errors);

} // namespace adtrack::http
