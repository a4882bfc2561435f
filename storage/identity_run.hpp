// A sealed run: identities that a shard has seen, sorted, in chunks of the store, with an index and a blocked Bloom filter in
// memory. Immutable once written. Lookups may run on the engine's thread while another thread merges.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "model/identity.hpp"
#include "storage/shard_store.hpp"

namespace adtrack::storage {

// What is remembered of the first event with an identity.
struct identity_row {
  identity id;
  int64_t offset = 0;       // where in the log
  uint32_t time_s = 0;      // its event time: which buckets its duplicates count in
  uint32_t fields_hash = 0; // a duplicate with another is a conflict
  uint32_t segment = 0;     // hour of the shard's clock when it came
  uint8_t fate = 0;         // its invalid_reason; 0 = valid
};

inline constexpr size_t identity_row_bytes = 37;
void pack(const identity_row& row, std::string& out); // identity big-endian first: packed rows sort as identities do
identity_row unpack(const char* at) noexcept;         // reads identity_row_bytes

// Blocked Bloom filter: 16 bits a key, seven bits within one cache line; about 0.2 % false positives.
// Source: Putze, Sanders, Singler, "Cache-, hash- and space-efficient Bloom filters" (2007).
class identity_filter {
public:
  identity_filter() = default;
  explicit identity_filter(uint64_t keys);
  void add(const identity& id) noexcept;
  bool may_hold(const identity& id) const noexcept;
  void prefetch(const identity& id) const noexcept { __builtin_prefetch(&words_[block(id)]); }
  size_t memory_bytes() const noexcept { return words_.size() * sizeof(uint64_t); }
  bool empty() const noexcept { return words_.empty(); }
  std::string part(size_t n) const; // bytes [n, n + 1) * part_bytes, for storing; empty past the end
  void append_part(std::string_view bytes);
  static constexpr size_t part_bytes = 1 << 20;

private:
  size_t block(const identity& id) const noexcept;
  std::vector<uint64_t> words_;
};

struct identity_run {
  uint64_t id = 0;
  uint64_t rows = 0;
  uint32_t segment_min = 0, segment_max = 0;
  uint32_t filter_parts = 0;   // stored
  std::vector<uint64_t> index; // high word of each chunk's first identity
  identity_filter filter;      // empty when it does not fit: then every lookup goes to the store

  static constexpr size_t chunk_rows = 128;
  // The row with that identity; errc::not_found.
  result<identity_row> find(const store_reader& store, const identity& wanted) const;
  size_t memory_bytes() const noexcept { return sizeof(*this) + index.size() * 8 + filter.memory_bytes(); }
};

// Writes the chunks and the filter of one run, rows given in order; the description is the caller's to commit, last.
class run_writer {
public:
  run_writer(shard_store& store, uint64_t id, uint64_t rows_expected);
  status add(const identity_row& row);
  result<std::shared_ptr<identity_run>> finish();

private:
  status flush_chunk();
  status flush_batch();
  shard_store& store_;
  std::shared_ptr<identity_run> run_;
  std::unique_ptr<store_batch> batch_;
  std::string chunk_;
  uint32_t chunks_ = 0;
};

// Merges runs into one; of equal identities the one of the highest segment stays, rows of segments below `horizon` go.
// Each run holds an identity once.
result<std::shared_ptr<identity_run>> merge_runs(shard_store& store, std::span<const std::shared_ptr<identity_run>> runs,
                                                 uint64_t id, uint32_t horizon, const std::function<bool()>& cancelled);

std::string describe(const identity_run& run); // the value under keys::run
result<std::shared_ptr<identity_run>> open_run(const store_reader& store, uint64_t id, std::string_view description,
                                               bool with_filter);
void erase_run(store_batch& batch, const identity_run& run); // all its keys

} // namespace adtrack::storage
