// The texts of http/dashboard/, which the build puts into the program.
#pragma once

#include <cstddef>
#include <string_view>

namespace adtrack::http {

struct dashboard_file {
  std::string_view name;
  std::string_view text;
};

extern const dashboard_file dashboard_files[]; // index.html first
extern const size_t dashboard_file_count;

} // namespace adtrack::http
