// How a shard store merges two values of one key, by the kind of key: bucket rows (the newer's numbers, the union of the
// visitors) and duplicates (their sum). Associative and canonical, so the order in which a store merges does not show.
#pragma once

#include "storage/row_value.hpp"
#include "storage/shard_duplicates.hpp"
#include "storage/shard_keys.hpp"

namespace adtrack::storage {

// False when one is malformed.
inline bool merge_values(std::string_view key, std::string_view older, std::string_view newer, std::string& out) {
  uint32_t segment = 0;
  return keys::parse_duplicates(key, segment) ? merge_duplicates(older, newer, out) : merge_rows(older, newer, out);
}

} // namespace adtrack::storage
