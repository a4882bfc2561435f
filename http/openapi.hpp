// The text of http/openapi.json, which is kept by hand; the build puts it into the program.
#pragma once

#include <string_view>

namespace adtrack::http {

extern const std::string_view openapi_document;

} // namespace adtrack::http
