// Adds events to the group cells of their ad and hour, in runs, and keeps the names that records of several batches stand for
// until those are added. Owned by shard_rows; one thread. Knows neither rows nor the store.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <absl/container/flat_hash_map.h>

#include "model/bucket.hpp"
#include "model/event.hpp"

namespace adtrack::storage {

static_assert(group_dimension_count <= 8, "a tag has three bits for it");

class group_adder {
public:
  // Before records of a batch are taken: what their names are. Names of earlier batches are forgotten if `idle`: no record that
  // was taken is still to be added.
  void use_names(const std::vector<std::string>& batch_names, bool idle);
  // Makes the record's names this object's own. One that the batch does not have is unknown.
  void take(shard_record& r) const noexcept;

  // A run: events of one ad and hour in log order. `note_added`: what changes is noted in the cells too.
  void begin(bucket_row& row, bool note_added);
  void add(const shard_record& taken);
  void finish();

  size_t memory_bytes() const noexcept { return names_.size() * (family_bytes_max + 64); }

private:
  struct known_cell {
    uint32_t run = 0; // 0: of no run
    uint32_t cell = 0;
  };
  uint32_t cell_for(group_dimension d, uint32_t value, std::string_view name);
  size_t find_cell(group_dimension d, uint32_t value, std::string_view name);

  std::vector<std::string> names_{{}};
  absl::flat_hash_map<std::string, uint32_t> numbers_; // of names_ but the empty one
  std::vector<uint32_t> of_batch_;                     // the batch's numbers to ours
  uint32_t epoch_ = 1;                                 // another one when names have been forgotten

  event_groups* groups_ = nullptr;
  std::vector<uint32_t>* tags_ = nullptr; // of their cells; 0: none yet
  bool note_added_ = false;
  uint32_t run_ = 0;
  std::array<std::vector<known_cell>, group_dimension_count> known_; // by value: looked up by name once a run
  std::vector<group_visit> visits_;
};

} // namespace adtrack::storage
