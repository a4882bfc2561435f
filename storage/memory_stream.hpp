// A compacted stream in memory, for tests. One thread uses it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "storage/compacted_stream.hpp"

namespace adtrack::storage {

// `now_ms` gives entry times, unix ms.
std::unique_ptr<compacted_stream> make_memory_stream(std::function<int64_t()> now_ms);

} // namespace adtrack::storage
