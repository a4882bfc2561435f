#include "storage/row_value.hpp"

#include <utility>

#include "model/varint.hpp"

namespace adtrack::storage {

void encode(const bucket_row& row, const visitor_set& visitors, uint8_t merges, std::string& out) {
  out.push_back(static_cast<char>(merges));
  encode(row, out);
  visitors.encode(out);
  if (!row.groups.cells.empty()) encode(row.groups, false, out);
}

void encode_added(const bucket_row& row, uint8_t merges, std::string& out) {
  out.push_back(static_cast<char>(merges));
  encode(row, out);
  row.clickers.encode(out);
  encode(row.groups, true, out);
}

namespace {

// Takes the numbers from the front of `value`.
bool take_numbers(std::string_view& value, row_value& out) {
  if (value.empty()) return false;
  out.merges = static_cast<uint8_t>(value[0]);
  value.remove_prefix(1);
  return decode(value, out.row);
}

} // namespace

bool decode(std::string_view value, row_value& out) { return decode_groups(value, group_dimension::none, true, out); }

bool decode_groups(std::string_view value, group_dimension only, bool visitors, row_value& out) {
  if (!take_numbers(value, out) || !visitor_set::decode(value, out.row.clickers)) return false;
  return (value.empty() || decode(value, only, visitors, out.row.groups)) && value.empty();
}

bool decode_numbers(std::string_view value, row_value& out) { return take_numbers(value, out); }

int64_t written_ms_of(std::string_view value) noexcept {
  constexpr size_t before = 2; // merges, and the row's first byte
  if (value.size() < before) return -1;
  value.remove_prefix(before);
  uint64_t written = 0;
  return get_varint(value, written) ? static_cast<int64_t>(written) : -1;
}

bool merge_rows(std::string_view older, std::string_view newer, std::string& out) {
  row_value below, above;
  if (!decode(older, below) || !decode(newer, above)) return false;
  below.row.clickers.merge(above.row.clickers);
  merge(below.row.groups, std::move(above.row.groups));
  above.row.groups = std::move(below.row.groups);
  out.clear();
  encode(above.row, below.row.clickers, above.merges, out);
  return true;
}

} // namespace adtrack::storage
