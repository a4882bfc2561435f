// A bucket row as stored: its numbers whole, its visitors whole or only those added since the value below it. The store merges
// such values: the newer's numbers, the union of the visitors. So a commit writes a few bytes of a sketch, not all of it. Of
// groups, cell by cell, it writes those that changed.
#pragma once

#include <string>
#include <string_view>

#include "model/bucket.hpp"

namespace adtrack::storage {

struct row_value {
  bucket_row row;
  uint8_t merges = 0; // so many values stand on the last whole one; its writer keeps that bounded
};

void encode(const bucket_row& row, const visitor_set& visitors, uint8_t merges, std::string& out);
// A row of groups with the cells that changed only and what was added to their visitors: for a merge.
void encode_added(const bucket_row& row, uint8_t merges, std::string& out);
// False when it is malformed.
bool decode(std::string_view value, row_value& out);
// A row of groups, of which only one dimension's cells are read (of all for `none`), and visitors only if asked for.
bool decode_groups(std::string_view value, group_dimension only, bool visitors, row_value& out);
// All but the groups and the visitors of the whole bucket, which are most of the bytes and of the work: both stay as they are.
bool decode_numbers(std::string_view value, row_value& out);
// The shard's clock when the row was written, unix ms, without reading the rest; -1 when it is malformed.
int64_t written_ms_of(std::string_view value) noexcept;

// `newer` on top of `older`, into `out`; associative. False when one is malformed.
bool merge_rows(std::string_view older, std::string_view newer, std::string& out);

} // namespace adtrack::storage
