// Another node's log, read over its admin calls (GET /admin/v1/log/{n}): for nodes that check, restate or watch what another one
// counts, on a machine of their own and without its files. Takes no records. Thread-safe, as event_log says.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "storage/event_log.hpp"

namespace adtrack::storage {

struct remote_log_options {
  std::string url;             // "http://host:port", or https
  std::string key_file;        // a file with the token of an admin key; "": none
  uint32_t partitions = 16;    // what the other node has
  uint32_t poll_ms = 250;      // between two looks at where the log ends
  uint32_t timeout_ms = 5'000; // of connecting, and of sending or receiving anything
  // What is done to each record's value when it is read; empty: nothing. The same value must always become the same. Called by
  // any thread, by several at once.
  std::function<void(std::string& value)> rewrite;
};

// errc::io when the node is not there or does not answer, errc::mismatch when it refuses the key, has other partitions, or there
// is no such key file.
result<std::unique_ptr<event_log>> open_remote_log(remote_log_options options);

} // namespace adtrack::storage
