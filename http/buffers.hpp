// Buffers that grow with what comes in. Pure.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>

namespace adtrack::http {

// Behind a body that is read where it stands, so that its reader need not move it.
inline constexpr size_t spare_bytes = 64;

// Room for `capacity` bytes; std::string itself would double what it has.
inline void reserve_just(std::string& buffer, size_t capacity) {
  std::string larger;
  larger.reserve(capacity);
  larger.append(buffer);
  buffer.swap(larger);
}

// Makes room for `more` bytes, doubling as std::string does, but not beyond `most` bytes when all that can come fits there.
inline void make_room(std::string& buffer, size_t more, size_t most) {
  size_t needed = buffer.size() + more;
  if (needed > buffer.capacity() && needed <= most) reserve_just(buffer, std::min(std::max(needed, 2 * buffer.capacity()), most));
}

} // namespace adtrack::http
