// A gzip body (RFC 1952) back to what it was, within a bound: one member or several in a row, and nothing behind them. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace adtrack::http {

enum class gunzip_verdict : uint8_t {
  whole,
  too_large, // found while inflating: never holds more than one byte above the bound
  broken,    // damaged, cut off, or followed by something else
};

// Fills `out`, which holds nothing of use unless the verdict is `whole`. Throws std::bad_alloc.
gunzip_verdict gunzip(std::string_view packed, size_t bytes_max, std::string& out);

} // namespace adtrack::http
