// A file that an operator may replace while the process runs: its content, and whether it changed since. Plain functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "storage/status.hpp"

namespace adtrack::storage {

// What the file system says of a file; another one, or other content, has another stamp.
struct file_stamp {
  uint64_t device = 0, inode = 0;
  int64_t size = -1; // -1: there is none
  int64_t written_ns = 0, changed_ns = 0;
  bool operator==(const file_stamp&) const = default;
};
file_stamp stamp_of(const std::string& path);

// True while the file may be written again without another stamp: the kernel's clock of files moves in steps of milliseconds.
bool is_fresh(const file_stamp& stamp);

// The whole of a file of at most `bytes_max`. The message names `what` and the file.
result<std::string> read_rule_file(const std::string& what, const std::string& path, size_t bytes_max);

} // namespace adtrack::storage
