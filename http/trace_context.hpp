// The `traceparent` header of a request (W3C Trace Context): what of it goes into logs and records. Pure.
#pragma once

#include <string_view>

namespace adtrack::http {

// The part of the header that is passed on, `<version>-<trace id>-<parent id>-<flags>`, 55 characters; empty when it is not valid, as
// then there is no trace. What a later version puts behind that is not passed on.
std::string_view trace_parent(std::string_view header) noexcept;

// The trace id in what trace_parent() gave: 32 hex digits.
std::string_view trace_id(std::string_view parent) noexcept;

} // namespace adtrack::http
