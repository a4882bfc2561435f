// "a=1&b=x%20y" into names and values: strict percent-decoding, '+' is a space, bounded. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace adtrack::http {

inline constexpr size_t query_parameters_max = 1'024;

struct query_parameter {
  std::string name;
  std::string value;
};

// Decodes %XX; false for a broken escape. `plus_is_space` as in queries, not in paths.
bool percent_decode(std::string_view text, bool plus_is_space, std::string& out);

// False with a sentence in `error`: a broken escape, bytes that are not UTF-8 or a NUL, an empty name, too many. Empty parts
// ("a=1&&b=2") pass.
bool parse_query_string(std::string_view text, std::vector<query_parameter>& out, std::string& error);

} // namespace adtrack::http
