#include "model/bucket.hpp"

#include <algorithm>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "model/varint.hpp"

namespace adtrack {

second_cell& bucket_row::cell(uint8_t second) {
  if (!seconds.empty() && seconds.back().second == second) return seconds.back();
  auto it =
      std::lower_bound(seconds.begin(), seconds.end(), second, [](const second_cell& c, uint8_t s) { return c.second < s; });
  if (it == seconds.end() || it->second != second) {
    it = seconds.emplace(it);
    it->second = second;
  }
  return *it;
}

void bucket_row::drop_seconds() {
  for (const auto& c : seconds) clickers.merge(c.clickers);
  seconds.clear();
  seconds.shrink_to_fit();
  seconds_gone = true;
}

void bucket_row::merge_clickers_into(visitor_set& out) const {
  out.merge(clickers);
  for (const auto& c : seconds) out.merge(c.clickers);
}

bool bucket_row::has_visitor(uint64_t visitor) const noexcept {
  return clickers.has(visitor) || groups.visitors.has(visitor) ||
         std::any_of(seconds.begin(), seconds.end(), [&](const auto& c) { return c.clickers.has(visitor); });
}

void bucket_row::replace_visitor(uint64_t visitor, uint64_t alias) {
  clickers.replace(visitor, alias);
  groups.visitors.replace(visitor, alias, groups.cells);
  for (auto& c : seconds) c.clickers.replace(visitor, alias);
}

size_t bucket_row::memory_bytes() const noexcept {
  size_t n = sizeof(bucket_row) + clickers.memory_bytes() + seconds.capacity() * sizeof(second_cell) +
             adtrack::memory_bytes(groups) + tags.of_cell.capacity() * sizeof(uint32_t);
  for (const auto& c : seconds) n += c.clickers.memory_bytes();
  return n;
}

uint32_t child_bit(bucket_level level, int64_t start_s) noexcept {
  auto parent = static_cast<bucket_level>(static_cast<uint8_t>(level) - 1);
  if (parent == bucket_level::total) return 0;
  return uint32_t{1} << static_cast<uint32_t>(start_s % span_s(parent) / span_s(level));
}

namespace {

uint64_t hash_counters(const counters& c, uint64_t seed) {
  uint64_t h = XXH3_64bits_withSeed(c.values.data(), sizeof c.values, seed);
  return h ^ XXH64(&c.last_counted_ms, sizeof c.last_counted_ms, seed);
}

} // namespace

uint64_t hash_of(const bucket_key& key, const bucket_row& row) {
  uint64_t head[6] = {key.ad_id,
                      static_cast<uint64_t>(key.level),
                      static_cast<uint64_t>(key.start_s),
                      static_cast<uint64_t>(row.written_ms),
                      (uint64_t{row.children} << 1) | (row.seconds_gone ? 1u : 0u),
                      row.clickers.digest()};
  uint64_t h = hash_counters(row.count, XXH3_64bits(head, sizeof head));
  for (const auto& c : row.seconds) {
    uint64_t cell[3] = {h, c.second, c.clickers.digest()};
    h = hash_counters(c.count, XXH3_64bits(cell, sizeof cell));
  }
  if (row.groups.cells.empty()) return h;
  const uint64_t both[2] = {h, hash_of(row.groups)};
  return XXH3_64bits(both, sizeof both);
}

void encode(const bucket_row& row, std::string& out) {
  out.push_back(static_cast<char>(row.seconds_gone ? 1 : 0));
  put_varint(out, static_cast<uint64_t>(row.written_ms));
  put_varint(out, row.children);
  put_fixed64(out, row.hash);
  encode(row.count, out);
  put_varint(out, row.seconds.size());
  for (const auto& c : row.seconds) {
    out.push_back(static_cast<char>(c.second));
    encode(c.count, out);
    c.clickers.encode(out);
  }
}

bool decode(std::string_view& in, bucket_row& out) {
  uint64_t written = 0, children = 0, n = 0;
  if (in.empty() || static_cast<uint8_t>(in[0]) > 1) return false;
  out.seconds_gone = in[0] == 1;
  in.remove_prefix(1);
  if (!get_varint(in, written) || !get_varint(in, children) || !get_fixed64(in, out.hash)) return false;
  out.written_ms = static_cast<int64_t>(written);
  out.children = static_cast<uint32_t>(children);
  if (!decode(in, out.count) || !get_varint(in, n) || n > 60) return false;
  out.seconds.clear();
  out.seconds.reserve(n);
  for (uint64_t i = 0; i < n; ++i) {
    if (in.empty() || static_cast<uint8_t>(in[0]) > 59) return false;
    auto& c = out.seconds.emplace_back();
    c.second = static_cast<uint8_t>(in[0]);
    in.remove_prefix(1);
    if (!decode(in, c.count) || !visitor_set::decode(in, c.clickers)) return false;
  }
  return true;
}

} // namespace adtrack
