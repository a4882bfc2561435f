// An hour's numbers of one ad by the values of each dimension: by device, browser and so on. Of a dimension the first values in log
// order have a cell each, what comes after goes to `other`; so memory is bounded and a replay makes the same cells. Pure values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/counters.hpp"
#include "model/visitor_set.hpp"

namespace adtrack {

// Stored in rows: never renumber.
enum class group_dimension : uint8_t { none, device, browser, os, country, invalid_reason, progress };
inline constexpr size_t group_dimension_count = 7; // with `none`
std::string_view to_string(group_dimension d) noexcept;
bool parse(std::string_view text, group_dimension& out) noexcept; // not none

inline constexpr std::string_view group_unknown = "unknown"; // of what the record does not say
inline constexpr std::string_view group_other = "other";
inline constexpr std::string_view group_valid = "valid"; // of invalid_reason: what has none

// How many values an hour keeps apart. A part of the logic version: another bound gives other results.
constexpr size_t group_values_max(group_dimension d) noexcept {
  switch (d) {
  case group_dimension::browser:
  case group_dimension::os: return 64; // clients name them
  default: return 256;                 // more than there are countries; the others are enumerated
  }
}
// Visitors are those of valid clicks: an hour has them once, not again for its reason; and a click has no progress.
constexpr bool keeps_visitors(group_dimension d) noexcept { return d <= group_dimension::country; }

struct group_cell {
  group_dimension dimension = group_dimension::none;
  std::string name;
  counters count;       // never duplicates: nobody remembers which values the first one had
  visitor_set clickers; // of valid clicks, where keeps_visitors()
  // Since the row was last written, for whoever stores it; no part of the content.
  bool changed = false;
  visitor_set added;
};
using group_cells = std::vector<group_cell>; // those of one dimension in the order in which they came

// What whoever adds events calls the cells, in their order, so that it finds them without reading their names; no part of the content.
struct group_tags {
  uint32_t epoch = 0; // of the names; tags of another epoch say nothing
  std::vector<uint32_t> of_cell;
};

// Where the cell of a value stands, made when there is none; `other`'s when there are too many.
size_t cell_of(group_cells& cells, group_dimension dimension, std::string_view name);

// Canonical: of the content, whatever the order of the cells.
uint64_t hash_of(const group_cells& cells) noexcept;
size_t memory_bytes(const group_cells& cells) noexcept;

// The whole content; or, with `added_only`, the cells that changed, with the visitors that were added to them.
void encode(const group_cells& cells, bool added_only, std::string& out);
// Consumes what encode() wrote. Only one dimension unless that is `none`; visitors only if asked for. False when it is malformed.
bool decode(std::string_view& in, group_dimension only, bool visitors, group_cells& out);
// `newer` on top of `older`: cell by cell the newer's numbers and the union of visitors. Associative.
void merge(group_cells& older, group_cells&& newer);

} // namespace adtrack
