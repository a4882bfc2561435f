// What a storage call says of itself. Must be looked at: a failed write is never dropped.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace adtrack::storage {

enum class errc : uint8_t {
  ok,
  io,        // the medium refused: disk full, failed write or fsync
  read_only, // refused because an earlier write failed; reopen first
  corrupt,   // what is stored does not decode
  mismatch,  // what is stored was made under other fixed settings (number of shards, format)
  locked,    // another process holds it
  not_found,
  out_of_range, // an offset below the log's start or past its end
  cannot,       // nothing of this kind does it, ever
};

struct [[nodiscard]] status {
  errc code = errc::ok;
  std::string message; // names the thing and what to do; empty when ok
  bool ok() const noexcept { return code == errc::ok; }
  static status success() { return {}; }
};

// A value, or the status that says why there is none. Implicit, so that a function returns either as it is.
template <class T>
struct [[nodiscard]] result {
  std::optional<T> value;
  status why;
  result(T v) : value(std::move(v)) {}    // NOLINT(google-explicit-constructor): on purpose, see above
  result(status s) : why(std::move(s)) {} // NOLINT(google-explicit-constructor)
  bool ok() const noexcept { return value.has_value(); }
  T& operator*() { return *value; }
  T* operator->() { return &*value; }
};

} // namespace adtrack::storage
