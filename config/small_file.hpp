// Reads a file that fits in memory, such as keys or a certificate.
#pragma once

#include <cstddef>
#include <string>

namespace adtrack::config {

inline constexpr size_t small_file_bytes_max = 1 << 20;

// The whole of the file in `text`. False: `error` is a sentence that names `what` and the file.
bool read_small_file(const char* what, const std::string& path, std::string& text, std::string& error);

} // namespace adtrack::config
