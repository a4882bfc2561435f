// Writing JSON by appending: for answers whose field order is part of the contract. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace adtrack::http {

void append_json_string(std::string& out, std::string_view text); // with quotes; invalid UTF-8 becomes U+FFFD
void append_int(std::string& out, int64_t value);
void append_uint(std::string& out, uint64_t value);
void append_double(std::string& out, double value);   // shortest text that reads back the same; 30 is "30.0"; not finite is null
void append_time(std::string& out, int64_t unix_ms);  // "2025-08-11T07:49:18.342Z" in quotes
void append_time_s(std::string& out, int64_t unix_s); // "2025-08-11T07:49:18Z" in quotes

} // namespace adtrack::http
