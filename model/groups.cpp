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

size_t find(const group_cells& cells, group_dimension dimension, std::string_view name) noexcept {
  for (size_t i = 0; i < cells.size(); ++i)
    if (cells[i].dimension == dimension && cells[i].name == name) return i;
  return nowhere;
}

size_t append(group_cells& cells, group_dimension dimension, std::string_view name) {
  auto& cell = cells.emplace_back();
  cell.dimension = dimension;
  cell.name = name;
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

uint64_t hash_of(const group_cells& cells) noexcept {
  uint64_t sum = 0;
  for (const auto& c : cells) {
    const uint64_t head[4] = {static_cast<uint64_t>(c.dimension), XXH3_64bits(c.name.data(), c.name.size()), c.clickers.digest(),
                              static_cast<uint64_t>(c.count.last_counted_ms)};
    sum += XXH3_64bits_withSeed(c.count.values.data(), sizeof c.count.values, XXH3_64bits(head, sizeof head));
  }
  return sum;
}

size_t memory_bytes(const group_cells& cells) noexcept {
  size_t n = cells.capacity() * sizeof(group_cell);
  for (const auto& c : cells)
    n += c.clickers.memory_bytes() + c.added.memory_bytes() - sizeof c.clickers - sizeof c.added + c.name.capacity();
  return n;
}

// By dimension: its number, how many cells, how long their numbers and how long their visitors are, then these. So whoever wants one
// dimension, or no visitors, passes over the rest.
void encode(const group_cells& cells, bool added_only, std::string& out) {
  std::string numbers, visitors;
  for (size_t d = 1; d < group_dimension_count; ++d) {
    const auto dimension = static_cast<group_dimension>(d);
    uint64_t n = 0;
    numbers.clear();
    visitors.clear();
    for (const auto& c : cells) {
      if (c.dimension != dimension || (added_only && !c.changed)) continue;
      ++n;
      put_varint(numbers, c.name.size());
      numbers += c.name;
      encode(c.count, numbers);
      if (keeps_visitors(dimension)) (added_only ? c.added : c.clickers).encode(visitors);
    }
    if (n == 0) continue;
    out.push_back(static_cast<char>(d));
    put_varint(out, n);
    put_varint(out, numbers.size());
    put_varint(out, visitors.size());
    out += numbers;
    out += visitors;
  }
  out.push_back(0);
}

namespace {

bool decode_cell(std::string_view& numbers, group_cell& out) {
  uint64_t length = 0;
  if (!get_varint(numbers, length) || numbers.size() < length) return false;
  out.name = numbers.substr(0, length);
  numbers.remove_prefix(length);
  return decode(numbers, out.count);
}

} // namespace

bool decode(std::string_view& in, group_dimension only, bool visitors, group_cells& out) {
  out.clear();
  for (size_t before = 0; !in.empty();) {
    const size_t d = static_cast<uint8_t>(in[0]);
    in.remove_prefix(1);
    if (d == 0) return true;
    uint64_t n = 0, number_bytes = 0, visitor_bytes = 0;
    if (d <= before || d >= group_dimension_count || !get_varint(in, n) || !get_varint(in, number_bytes) ||
        !get_varint(in, visitor_bytes) || number_bytes > in.size() || visitor_bytes > in.size() - number_bytes)
      return false;
    before = d;
    auto numbers = in.substr(0, number_bytes), sets = in.substr(number_bytes, visitor_bytes);
    in.remove_prefix(number_bytes + visitor_bytes);
    const auto dimension = static_cast<group_dimension>(d);
    if (only != group_dimension::none && only != dimension) continue;
    const bool with_sets = visitors && keeps_visitors(dimension);
    for (uint64_t i = 0; i < n; ++i) {
      auto& cell = out.emplace_back();
      cell.dimension = dimension;
      if (!decode_cell(numbers, cell) || (with_sets && !visitor_set::decode(sets, cell.clickers))) return false;
    }
    if (!numbers.empty() || ((with_sets || !keeps_visitors(dimension)) && !sets.empty())) return false;
  }
  return false; // the end is missing
}

void merge(group_cells& older, group_cells&& newer) {
  for (auto& cell : newer) {
    const auto at = find(older, cell.dimension, cell.name);
    if (at == nowhere) {
      older.push_back(std::move(cell));
      continue;
    }
    older[at].count = cell.count;
    older[at].clickers.merge(cell.clickers);
  }
}

} // namespace adtrack
