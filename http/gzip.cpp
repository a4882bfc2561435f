#include "http/gzip.hpp"

#define ZLIB_CONST // zlib only reads its input
#include <zlib.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <new>

#include "http/buffers.hpp"

namespace adtrack::http {
namespace {

constexpr int gzip_only = 15 + 16; // the largest window, and a gzip header where zlib's own would be taken otherwise
constexpr size_t first_guess = 4;  // times smaller is what events become, at the least
constexpr size_t least_room = 64 << 10;

struct end_inflate {
  void operator()(z_stream* z) const { inflateEnd(z); }
};

} // namespace

gunzip_verdict gunzip(std::string_view packed, size_t bytes_max, std::string& out) {
  if (packed.size() > std::numeric_limits<uInt>::max()) return gunzip_verdict::too_large;
  z_stream z{};
  if (inflateInit2(&z, gzip_only) != Z_OK) throw std::bad_alloc();
  const std::unique_ptr<z_stream, end_inflate> ending(&z);
  z.next_in = reinterpret_cast<const Bytef*>(packed.data());
  z.avail_in = static_cast<uInt>(packed.size());
  out.clear();
  for (size_t used = 0;;) {
    if (used == out.size()) {
      const size_t next = std::min(std::max({2 * used, first_guess * packed.size(), least_room}), bytes_max + 1);
      make_room(out, next - used, bytes_max + spare_bytes);
      out.resize(next);
    }
    const size_t room = std::min<size_t>(out.size() - used, std::numeric_limits<uInt>::max());
    z.next_out = reinterpret_cast<Bytef*>(out.data() + used);
    z.avail_out = static_cast<uInt>(room);
    const int code = inflate(&z, Z_NO_FLUSH);
    used += room - z.avail_out;
    if (used > bytes_max) return gunzip_verdict::too_large;
    if (code == Z_MEM_ERROR) throw std::bad_alloc();
    if (code == Z_OK) continue;
    // As there was room for output, Z_BUF_ERROR is input that ended too early.
    if (code != Z_STREAM_END) return gunzip_verdict::broken;
    if (z.avail_in == 0) {
      out.resize(used);
      return gunzip_verdict::whole;
    }
    inflateReset(&z);
  }
}

} // namespace adtrack::http
