// A secret that stands in a file, so that no command line and no environment shows it. Plain function.
#pragma once

#include <string>
#include <string_view>

#include "storage/status.hpp"

namespace adtrack::storage {

// The first line of a file, which the setting of that name says. errc::mismatch.
result<std::string> read_secret(const std::string& path, std::string_view setting);

} // namespace adtrack::storage
