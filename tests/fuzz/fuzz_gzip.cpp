// Inflating: whatever the bytes, never more than the bound, the same again, and whole only with what a gzip of it explains.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "http/gzip.hpp"

using namespace adtrack::http;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0 || size > 65'536) return 0;
  // Small bounds, so that they are met, and at times one that is not.
  const size_t bytes_max = data[0] % 2 == 0 ? size_t{data[0]} * 64 : 1 << 20;
  const auto packed = std::make_unique<char[]>(size - 1); // of just its size, so that a look beyond it is seen
  for (size_t i = 1; i < size; ++i) packed[i - 1] = static_cast<char>(data[i]);
  const std::string_view bytes(packed.get(), size - 1);
  std::string out, again, more;
  const auto verdict = gunzip(bytes, bytes_max, out);
  require(out.size() <= bytes_max + 1);
  require(gunzip(bytes, bytes_max, again) == verdict);
  if (verdict != gunzip_verdict::whole) return 0;
  require(out.size() <= bytes_max && out == again && size - 1 >= 18);
  require(gunzip(bytes, out.size(), more) == gunzip_verdict::whole && more == out);
  if (!out.empty()) require(gunzip(bytes, out.size() - 1, more) == gunzip_verdict::too_large);
  require(gunzip(std::string(bytes) + "x", bytes_max, more) == gunzip_verdict::broken);
  require(gunzip(bytes.substr(0, bytes.size() - 1), bytes_max, more) == gunzip_verdict::broken);
  return 0;
}
