// The keys of a shard store. One byte names the kind; numbers are big-endian, so that key order is number order.
#pragma once

#include <string>

#include "model/bucket.hpp"
#include "model/varint.hpp"

namespace adtrack::storage::keys {

inline const std::string meta = "m";

// 'b' level ad start-minute -> row_value
inline std::string bucket(const bucket_key& k) {
  std::string out;
  out.reserve(14);
  out.push_back('b');
  out.push_back(static_cast<char>(k.level));
  put_big_endian<8>(out, k.ad_id);
  put_big_endian<4>(out, static_cast<uint64_t>(k.start_s / 60));
  return out;
}
inline bool parse_bucket(std::string_view key, bucket_key& out) noexcept {
  if (key.size() != 14 || static_cast<uint8_t>(key[1]) >= row_level_count) return false;
  out.level = static_cast<bucket_level>(key[1]);
  out.ad_id = read_big_endian<8>(key.substr(2));
  out.start_s = static_cast<int64_t>(read_big_endian<4>(key.substr(10))) * 60;
  return true;
}

inline std::string numbered(char kind, uint64_t number) {
  std::string out(1, kind);
  put_big_endian<8>(out, number);
  return out;
}
inline std::string numbered(char kind, uint64_t number, uint32_t part) {
  auto out = numbered(kind, number);
  put_big_endian<4>(out, part);
  return out;
}

// 'i' offset -> packed identities of one commit, of the open segment
inline std::string open_identities(int64_t offset) { return numbered('i', static_cast<uint64_t>(offset)); }
// 'c' offset -> packed valid clicks of one commit, by which later ones are repeats
inline std::string clicks(int64_t offset) { return numbered('c', static_cast<uint64_t>(offset)); }
// 'R' run -> description; 'C' run chunk -> sorted identities; 'F' run part -> filter
inline std::string run(uint64_t id) { return numbered('R', id); }
inline std::string chunk(uint64_t id, uint32_t n) { return numbered('C', id, n); }
inline std::string filter(uint64_t id, uint32_t n) { return numbered('F', id, n); }
// 'd' segment offset -> how often the event of that offset, first seen in that segment, was sent again
inline std::string duplicates(uint32_t segment, int64_t offset) {
  std::string out(1, 'd');
  put_big_endian<4>(out, segment);
  put_big_endian<8>(out, static_cast<uint64_t>(offset));
  return out;
}
// False when it is a key of another kind.
inline bool parse_duplicates(std::string_view key, uint32_t& segment) noexcept {
  if (key.size() != 13 || key[0] != 'd') return false;
  segment = static_cast<uint32_t>(read_big_endian<4>(key.substr(1)));
  return true;
}
// 'e' offset -> the visitor that the record of that offset erases, and its alias; until nothing knows the visitor any more
inline std::string erasure(int64_t offset) { return numbered('e', static_cast<uint64_t>(offset)); }
// 'g' offset -> digest at that offset
inline std::string digest(int64_t offset) { return numbered('g', static_cast<uint64_t>(offset)); }

} // namespace adtrack::storage::keys
