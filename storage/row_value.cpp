#include "storage/row_value.hpp"

namespace adtrack::storage {

void encode(const bucket_row& row, const visitor_set& visitors, uint8_t merges, std::string& out) {
  out.push_back(static_cast<char>(merges));
  encode(row, out);
  visitors.encode(out);
}

bool decode(std::string_view value, row_value& out) {
  if (value.empty()) return false;
  out.merges = static_cast<uint8_t>(value[0]);
  value.remove_prefix(1);
  return decode(value, out.row) && visitor_set::decode(value, out.row.clickers) && value.empty();
}

bool merge_rows(std::string_view older, std::string_view newer, std::string& out) {
  row_value below, above;
  if (!decode(older, below) || !decode(newer, above)) return false;
  below.row.clickers.merge(above.row.clickers);
  out.clear();
  encode(above.row, below.row.clickers, above.merges, out);
  return true;
}

} // namespace adtrack::storage
