// Analytics as CSV (RFC 4180, UTF-8, with a header row): a line a row, or a line a point when there are series. What JSON says
// around the rows stands in header fields. Also which of the two a client wants. Pure.
#pragma once

#include <string>
#include <string_view>

#include "http/reply.hpp"
#include "model/analytics.hpp"

namespace adtrack::http {

enum class answer_format : uint8_t { unsaid, json, csv };

// What an Accept header asks for: csv where it likes that better than JSON, else json.
answer_format preferred_format(std::string_view accept);

// A text as a cell: quoted where RFC 4180 wants it, and with an apostrophe before what a spreadsheet would take for a formula.
void append_csv_text(std::string& out, std::string_view text);

void render_analytics_csv(std::string& out, const analytics_answer& answer);
// Total, completeness, lag, window and faults of the log.
void add_analytics_headers(header_lines& out, const analytics_answer& answer);

} // namespace adtrack::http
