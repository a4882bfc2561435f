#include "model/groups.hpp"

#include <algorithm>
#include <utility>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "model/varint.hpp"

namespace adtrack {

std::string_view to_string(group_dimension d) noexcept {
  switch (d) {
  case group_dimension::none: return "none";
  case group_dimension::device: return "device";
  case group_dimension::browser: return "browser";
  case group_dimension::os: return "os";
  case group_dimension::country: return "country";
  case group_dimension::invalid_reason: return "invalid_reason";
  case group_dimension::progress: return "progress";
  }
  return {};
}

bool parse(std::string_view text, group_dimension& out) noexcept {
  for (size_t i = 1; i < group_dimension_count; ++i) {
    const auto d = static_cast<group_dimension>(i);
    if (to_string(d) != text) continue;
    out = d;
    return true;
  }
  return false;
}

namespace {

constexpr size_t nowhere = ~size_t{0};

uint64_t hash_of_name(group_dimension dimension, std::string_view name) noexcept {
  return XXH3_64bits_withSeed(name.data(), name.size(), static_cast<uint64_t>(dimension));
}

size_t find(const group_cells& cells, group_dimension dimension, std::string_view name) noexcept {
  for (size_t i = 0; i < cells.size(); ++i)
    if (cells[i].dimension == dimension && cells[i].name == name) return i;
  return nowhere;
}

size_t append(group_cells& cells, group_dimension dimension, std::string_view name) {
  auto& cell = cells.emplace_back();
  cell.dimension = dimension;
  cell.name = name;
  cell.name_hash = hash_of_name(dimension, name);
  return cells.size() - 1;
}

} // namespace

size_t cell_of(group_cells& cells, group_dimension dimension, std::string_view name) {
  if (const auto at = find(cells, dimension, name); at != nowhere) return at;
  // `other` takes no place of the others: it is made beyond the bound.
  const auto taken = std::count_if(cells.begin(), cells.end(),
                                   [&](const group_cell& c) { return c.dimension == dimension && c.name != group_other; });
  if (static_cast<size_t>(taken) < group_values_max(dimension)) return append(cells, dimension, name);
  const auto other = find(cells, dimension, group_other);
  return other != nowhere ? other : append(cells, dimension, group_other);
}

uint64_t hash_of(const event_groups& groups) noexcept {
  uint64_t sum = groups.visitors.digest(groups.cells);
  for (const auto& c : groups.cells) {
    const uint64_t head[2] = {c.name_hash, static_cast<uint64_t>(c.count.last_counted_ms)};
    sum += XXH3_64bits_withSeed(c.count.values.data(), sizeof c.count.values, XXH3_64bits(head, sizeof head));
  }
  return sum;
}

size_t memory_bytes(const event_groups& groups) noexcept {
  size_t n = groups.cells.capacity() * sizeof(group_cell) + groups.visitors.memory_bytes() + groups.added.memory_bytes();
  for (const auto& c : groups.cells) n += c.name.capacity();
  return n;
}

// By dimension: its number, how many cells, how long their numbers are, and these; a 0; how long the visitors are, and these. So
// whoever wants one dimension, or no visitors, passes over the rest.
void encode(const event_groups& groups, bool added_only, std::string& out) {
  std::string numbers;
  std::vector<size_t> ordinals(groups.cells.size());
  for (size_t d = 1; d < group_dimension_count; ++d) {
    size_t n = 0;
    numbers.clear();
    for (size_t i = 0; i < groups.cells.size(); ++i) {
      const auto& c = groups.cells[i];
      if (static_cast<size_t>(c.dimension) != d || (added_only && !c.changed)) continue;
      ordinals[i] = n++;
      put_varint(numbers, c.name.size());
      numbers += c.name;
      encode(c.count, numbers);
    }
    if (n == 0) continue;
    out.push_back(static_cast<char>(d));
    put_varint(out, n);
    put_varint(out, numbers.size());
    out += numbers;
  }
  out.push_back(0);
  std::string visitors;
  (added_only ? groups.added : groups.visitors).encode(ordinals, groups.cells, visitors);
  put_varint(out, visitors.size());
  out += visitors;
}

namespace {

bool decode_cells(std::string_view numbers, uint64_t n, group_dimension dimension, group_cells& out,
                  std::vector<size_t>& places) {
  for (uint64_t i = 0; i < n; ++i) {
    std::string_view name;
    if (!take_string(numbers, name)) return false;
    places.push_back(append(out, dimension, name));
    if (!decode(numbers, out.back().count)) return false;
  }
  return numbers.empty();
}

} // namespace

bool decode(std::string_view& in, group_dimension only, bool visitors, event_groups& out) {
  out = {};
  group_visitors::places_by_dimension places;
  for (size_t before = 0;;) {
    if (in.empty()) return false;
    const size_t d = static_cast<uint8_t>(in[0]);
    in.remove_prefix(1);
    if (d == 0) break;
    uint64_t n = 0;
    std::string_view numbers;
    if (d <= before || d >= group_dimension_count || !get_varint(in, n) || n == 0 || !take_string(in, numbers)) return false;
    before = d;
    const auto dimension = static_cast<group_dimension>(d);
    if (only != group_dimension::none && only != dimension) continue;
    if (!decode_cells(numbers, n, dimension, out.cells, places[d])) return false;
  }
  std::string_view text;
  if (!take_string(in, text)) return false;
  return !visitors || group_visitors::decode(text, only, places, out.cells, out.visitors);
}

void merge(event_groups& older, event_groups&& newer) {
  std::vector<size_t> places;
  places.reserve(newer.cells.size());
  for (auto& cell : newer.cells) {
    auto at = find(older.cells, cell.dimension, cell.name);
    if (at == nowhere) {
      at = older.cells.size();
      older.cells.push_back(std::move(cell));
    } else {
      older.cells[at].count = cell.count;
    }
    places.push_back(at);
  }
  older.visitors.merge(std::move(newer.visitors), places, older.cells);
}

} // namespace adtrack
