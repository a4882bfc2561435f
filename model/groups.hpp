// An hour's numbers of one ad by the values of each dimension: by device, browser and so on. Of a dimension the first values in
// log order have a cell each, what comes after goes to `other`; so memory is bounded and a replay makes the same cells. Pure
// values.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>
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
  uint64_t name_hash = 0; // of dimension and name
  counters count;         // never duplicates: nobody remembers which values the first one had
  bool changed = false;   // since the row was last written, for whoever stores it; no part of the content
};
using group_cells = std::vector<group_cell>; // those of one dimension in the order in which they came

// A visitor and where the cells stand that a valid click of its went to, one a dimension that keeps visitors.
struct group_visit {
  uint64_t visitor = 0;
  uint64_t cells = 0; // 16 bits each, the first dimension's on top
  auto operator<=>(const group_visit&) const = default;

  static constexpr int shift(group_dimension d) noexcept {
    return 16 * (static_cast<int>(group_dimension::country) - static_cast<int>(d));
  }
  size_t cell(group_dimension d) const noexcept { return cells >> shift(d) & 0xffff; }
  void set_cell(group_dimension d, size_t place) noexcept { cells |= uint64_t{place} << shift(d); } // where none was set
};

// Who clicked, by cell. A visitor has nearly always the same values, so while they are few it is one list for all dimensions;
// then each cell has a set. Canonical as visitor_set is: which form depends on what was added, never on order, grouping or
// merges.
class group_visitors {
public:
  using places_by_dimension = std::array<std::vector<size_t>, group_dimension_count>;
  static constexpr size_t listed_max = 4'096;

  // Adds them all: sorts the span, moves those that changed the state to its front and returns how many these are. `cells` are
  // those that the visits name, here and below.
  size_t add_all(std::span<group_visit> visits, const group_cells& cells);
  // The other's cells stand at `places` here.
  void merge(group_visitors&& other, const std::vector<size_t>& places, const group_cells& cells);
  bool empty() const noexcept { return listed() && visits_.empty(); }
  bool has(uint64_t visitor) const noexcept; // as visitor_set
  void replace(uint64_t visitor, uint64_t alias, const group_cells& cells);
  // Adds the visitors of each cell of the dimension to the set that stands at the cell's place.
  void add_to(std::span<visitor_set* const> sets, group_dimension d, const group_cells& cells) const;
  // Commutative, of names and visitors.
  uint64_t digest(const group_cells& cells) const noexcept;
  size_t memory_bytes() const noexcept;

  // `ordinals`: of each cell among those of its dimension that are written.
  void encode(std::span<const size_t> ordinals, const group_cells& cells, std::string& out) const;
  // All that encode() wrote; `places`: where the cells stand, by dimension and ordinal. Of only one dimension unless that is
  // `none`, and then for nothing but add_to(). False when it is malformed.
  static bool decode(std::string_view in, group_dimension only, const places_by_dimension& places, const group_cells& cells,
                     group_visitors& out);

private:
  bool listed() const noexcept { return sets_.empty(); }
  void split(const group_cells& cells);

  std::vector<group_visit> visits_; // sorted, while listed
  uint64_t digest_ = 0;             // of visits_
  std::vector<visitor_set> sets_;   // by cell, empty for those that keep none
};

struct event_groups {
  group_cells cells;
  group_visitors visitors;
  group_visitors added; // since the row was last written, for whoever stores it; no part of the content
};

// What whoever adds events calls the cells, in their order, so that it finds them without reading their names; no part of the
// content.
struct group_tags {
  uint32_t epoch = 0; // of the names; tags of another epoch say nothing
  std::vector<uint32_t> of_cell;
};

// Where the cell of a value stands, made when there is none; `other`'s when there are too many.
size_t cell_of(group_cells& cells, group_dimension dimension, std::string_view name);

// Canonical: of the content, whatever the order of the cells.
uint64_t hash_of(const event_groups& groups) noexcept;
size_t memory_bytes(const event_groups& groups) noexcept;

// The whole content; or, with `added_only`, the cells that changed and the visits that were added.
void encode(const event_groups& groups, bool added_only, std::string& out);
// Consumes what encode() wrote. Only one dimension unless that is `none`; visitors only if asked for. False when it is malformed.
bool decode(std::string_view& in, group_dimension only, bool visitors, event_groups& out);
// `newer` on top of `older`: cell by cell the newer's numbers, and the union of visitors. Associative.
void merge(event_groups& older, event_groups&& newer);

} // namespace adtrack
