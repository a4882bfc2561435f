// Renders one log line as a JSON object. Pure, so that tests see every byte; log() writes what it returns.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "config/telemetry.hpp"

namespace adtrack::config {

std::string_view to_string(log_level level) noexcept;

// Without a line end. Control characters are escaped, so it is one line; invalid UTF-8 becomes U+FFFD; a number that JSON cannot
// say (NaN, infinity) is null.
std::string log_line(int64_t unix_us, log_level level, std::string_view component, std::string_view event,
                     std::string_view message, std::initializer_list<log_field> fields);

} // namespace adtrack::config
