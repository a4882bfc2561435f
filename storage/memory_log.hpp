// An event log in memory: for tests and for trying things out. Keeps every promise of event_log except surviving the process.
// Thread-safe. Never fails an append.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "storage/event_log.hpp"

namespace adtrack::storage {

// `now_ms` gives log times, unix ms; called by the appending thread.
std::unique_ptr<event_log> make_memory_log(uint32_t partitions, std::function<int64_t()> now_ms);

} // namespace adtrack::storage
