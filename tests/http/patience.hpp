// How long a test waits for what must come: only a test that is about to fail waits so long, and a machine that stands still for
// a while fails none.
#pragma once

#include <chrono>

namespace adtrack::tests {

inline constexpr std::chrono::seconds patience{120};

} // namespace adtrack::tests
