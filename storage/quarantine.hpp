// The records that no rule could read, kept for the operator: a bounded durable list of this node over a shard store of its own.
// Says nothing about what counts: when it cannot be written, counting goes on without it. Thread-safe; no lock is held over a
// scan or an fsync. After a failed write the store is dropped and opened again at a later add.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>

#include "model/quarantined.hpp"
#include "storage/shard_store.hpp"
#include "storage/status.hpp"

namespace adtrack::storage {

struct quarantine_options {
  uint64_t entries_max = 10'000;      // kept of one source and partition; the oldest give way
  size_t value_bytes_max = 1'024;     // kept of a value
  int64_t retry_ms = 1'000;           // between two tries to open the store after a failure
  std::function<int64_t()> steady_ms; // monotonic; empty: the system's
};

class quarantine {
public:
  using opener = std::function<result<std::unique_ptr<shard_store>>()>;

  // errc::corrupt when what is stored does not decode: remove its folder, nothing that counts is in it. Else the opener's.
  static result<std::unique_ptr<quarantine>> open(opener open_store, quarantine_options options);

  // Adds entries in one write; one that stands there already is replaced and not counted again, and one that had to give way
  // stays away. Survives a power loss after sync() only.
  status add(std::span<const quarantined> entries);
  status sync();

  // Entries of query.source from query.from on.
  result<quarantine_page> list(const quarantine_query& query);

private:
  // Of one source and partition; stored with every change.
  struct shelf {
    uint64_t total = 0;   // that ever came
    uint64_t kept = 0;    // that stand there
    int64_t gone_to = -1; // every entry up to this offset had to give way
  };
  using shelf_key = std::pair<quarantine_source, uint32_t>;
  using shelves = std::map<shelf_key, shelf>;

  quarantine(opener open_store, quarantine_options options);
  status load();
  status ready(); // opens the store again when it was dropped
  status put(store_batch& batch, shelves& changed, const quarantined& entry);
  status make_room(store_batch& batch, shelves& changed, std::span<const quarantined> added);
  status dropped(status why);

  const opener open_store_;
  const quarantine_options options_;
  std::mutex mutex_;
  std::shared_ptr<shard_store> store_; // null after a failure; who scans or syncs holds it too
  shelves shelves_;
  bool dirty_ = false; // written since the last sync began
  int64_t retry_at_ms_ = 0;
};

} // namespace adtrack::storage
