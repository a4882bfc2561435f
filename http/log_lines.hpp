// A page of the log's records as NDJSON, a record a line: {"offset":7,"time":"2025-08-11T07:49:18.342Z","record":{...}}, the
// record as it stands in the log, byte for byte. One that is no JSON object on one line is "base64" instead. Pure.
#pragma once

#include <string>
#include <string_view>

#include "model/log_page.hpp"

namespace adtrack::http {

inline constexpr std::string_view ndjson_type = "application/x-ndjson";

void render_log_page(std::string& out, const log_page& page);

} // namespace adtrack::http
