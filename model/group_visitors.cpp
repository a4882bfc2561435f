#include <algorithm>
#include <array>
#include <functional>
#include <utility>

#include "model/groups.hpp"
#include "model/mix.hpp"
#include "model/varint.hpp"

namespace adtrack {
namespace {

constexpr std::array dimensions{group_dimension::device, group_dimension::browser, group_dimension::os, group_dimension::country};
constexpr char form_listed = 'l', form_split = 's';

// Of names, not places, and a name's hash knows its dimension; of the visitor as visitor_set's is. The constant keeps 0 from
// hashing to 0.
uint64_t digest_of(const group_visit& v, const group_cells& cells) noexcept {
  uint64_t sum = mix64(sketch_register_of(v.visitor) + 0x8cb92ba72f3d8dd7u);
  for (const auto d : dimensions) sum += cells[v.cell(d)].name_hash;
  return mix64(sum);
}

} // namespace

size_t group_visitors::add_all(std::span<group_visit> visits, const group_cells& cells) {
  std::sort(visits.begin(), visits.end());
  visits = visits.first(static_cast<size_t>(std::unique(visits.begin(), visits.end()) - visits.begin()));
  size_t changed = 0;
  if (!listed()) {
    if (sets_.size() < cells.size()) sets_.resize(cells.size());
    for (const auto& v : visits) {
      bool fresh = false;
      for (const auto d : dimensions) fresh |= sets_[v.cell(d)].add(v.visitor);
      if (fresh) visits[changed++] = v;
    }
    return changed;
  }
  auto at = visits_.begin();
  for (const auto& v : visits) {
    at = std::lower_bound(at, visits_.end(), v);
    if (at != visits_.end() && *at == v) continue;
    digest_ += digest_of(v, cells);
    visits[changed++] = v;
  }
  // One pass from the back instead of a shift a visit.
  size_t from = visits_.size(), more = changed;
  visits_.resize(from + more);
  for (size_t to = visits_.size(); more > 0;)
    visits_[--to] = from > 0 && visits_[from - 1] > visits[more - 1] ? visits_[--from] : visits[--more];
  if (visits_.size() > listed_max) split(cells);
  return changed;
}

bool group_visitors::has(uint64_t visitor) const noexcept {
  const auto at = std::lower_bound(visits_.begin(), visits_.end(), group_visit{visitor});
  if (at != visits_.end() && at->visitor == visitor) return true;
  return std::any_of(sets_.begin(), sets_.end(), [&](const auto& set) { return set.has(visitor); });
}

void group_visitors::replace(uint64_t visitor, uint64_t alias, const group_cells& cells) {
  for (auto& set : sets_) set.replace(visitor, alias);
  const auto first = std::lower_bound(visits_.begin(), visits_.end(), group_visit{visitor});
  const auto last = std::find_if(first, visits_.end(), [&](const auto& v) { return v.visitor != visitor; });
  std::vector<group_visit> moved(first, last);
  visits_.erase(first, last);
  for (auto& v : moved) {
    digest_ -= digest_of(v, cells);
    v.visitor = alias;
  }
  add_all(moved, cells);
}

void group_visitors::split(const group_cells& cells) {
  sets_.resize(cells.size());
  for (const auto& v : visits_)
    for (const auto d : dimensions) sets_[v.cell(d)].add(v.visitor);
  std::vector<group_visit>().swap(visits_);
  digest_ = 0;
}

void group_visitors::merge(group_visitors&& other, const std::vector<size_t>& places, const group_cells& cells) {
  if (!other.listed()) {
    if (listed()) split(cells);
    sets_.resize(std::max(sets_.size(), cells.size()));
    for (size_t i = 0; i < other.sets_.size(); ++i) sets_[places[i]].merge(other.sets_[i]);
    return;
  }
  for (auto& v : other.visits_) {
    const auto theirs = std::exchange(v, {v.visitor, 0});
    for (const auto d : dimensions) v.set_cell(d, places[theirs.cell(d)]);
  }
  add_all(other.visits_, cells);
}

void group_visitors::add_to(std::span<visitor_set* const> sets, group_dimension d, const group_cells& cells) const {
  for (const auto& v : visits_) sets[v.cell(d)]->add(v.visitor);
  for (size_t i = 0; i < sets_.size(); ++i)
    if (!sets_[i].empty() && cells[i].dimension == d) sets[i]->merge(sets_[i]);
}

uint64_t group_visitors::digest(const group_cells& cells) const noexcept {
  uint64_t sum = digest_;
  for (size_t i = 0; i < sets_.size(); ++i)
    if (!sets_[i].empty()) sum += mix64(sets_[i].digest() ^ cells[i].name_hash);
  return sum;
}

size_t group_visitors::memory_bytes() const noexcept {
  size_t n = visits_.capacity() * sizeof(group_visit);
  for (const auto& set : sets_) n += set.memory_bytes();
  return n;
}

// The form and, if listed, how many visits and their visitors; then a part a dimension, its length first: if listed the ordinals
// of the visits' cells, else the ordinals of those that have visitors, with their sets.
void group_visitors::encode(std::span<const size_t> ordinals, const group_cells& cells, std::string& out) const {
  out.push_back(listed() ? form_listed : form_split);
  if (listed()) {
    put_varint(out, visits_.size());
    for (const auto& v : visits_) put_fixed64(out, v.visitor);
  }
  std::string part;
  for (const auto d : dimensions) {
    part.clear();
    for (const auto& v : visits_) put_varint(part, ordinals[v.cell(d)]);
    for (size_t i = 0; i < sets_.size(); ++i) {
      if (cells[i].dimension != d || sets_[i].empty()) continue;
      put_varint(part, ordinals[i]);
      sets_[i].encode(part);
    }
    put_varint(out, part.size());
    out += part;
  }
}

bool group_visitors::decode(std::string_view in, group_dimension only, const places_by_dimension& places,
                            const group_cells& cells, group_visitors& out) {
  out = {};
  if (in.empty()) return false;
  const char form = in[0];
  in.remove_prefix(1);
  if (form == form_listed) {
    uint64_t n = 0;
    if (!get_varint(in, n) || n > listed_max || in.size() / 8 < n) return false;
    out.visits_.resize(n);
    for (auto& v : out.visits_) get_fixed64(in, v.visitor);
  } else if (form == form_split) {
    out.sets_.resize(cells.size());
  } else {
    return false;
  }
  for (const auto d : dimensions) {
    std::string_view part;
    if (!take_string(in, part)) return false;
    if (only != group_dimension::none && only != d) continue;
    const auto& of_dimension = places[static_cast<size_t>(d)];
    const auto take_place = [&](size_t& place) {
      uint64_t ordinal = 0;
      if (!get_varint(part, ordinal) || ordinal >= of_dimension.size()) return false;
      place = of_dimension[ordinal];
      return true;
    };
    size_t place = 0;
    for (auto& v : out.visits_) {
      if (!take_place(place)) return false;
      v.set_cell(d, place);
    }
    while (form == form_split && !part.empty()) {
      if (!take_place(place) || !out.sets_[place].empty() || !visitor_set::decode(part, out.sets_[place])) return false;
    }
    if (!part.empty()) return false;
  }
  if (!in.empty()) return false;
  if (only != group_dimension::none) return true;
  if (std::adjacent_find(out.visits_.begin(), out.visits_.end(), std::greater_equal<>()) != out.visits_.end()) return false;
  for (const auto& v : out.visits_) out.digest_ += digest_of(v, cells);
  return true;
}

} // namespace adtrack
