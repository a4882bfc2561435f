// What went wrong, for people and programs: RFC 9457 problem details. `type` is "urn:adtrack:problem:<slug>", stable for ever;
// the slugs and their statuses are the one table in problem.cpp. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "actors/gateway.hpp"
#include "http/reply.hpp"

namespace adtrack::http {

enum class problem_kind : uint8_t {
  malformed,          // 400: not HTTP, not JSON, not a query string
  validation,         // 400: `errors` names the fields
  unknown_ad,         // 400: the event's ad is not in the catalogue, and that is required here
  unauthorized,       // 401
  forbidden,          // 403
  bad_signature,      // 403: of a click link
  not_found,          // 404
  method_not_allowed, // 405
  request_timeout,    // 408
  not_kept,
  cannot,                 // 409: what was asked for is past
  precondition_failed,    // 412
  content_too_large,      // 413
  uri_too_long,           // 414
  unsupported_media_type, // 415
  expectation_failed,     // 417
  rate_limited,           // 429: its Retry-After is the caller's
  headers_too_large,      // 431
  internal,               // 500
  not_implemented,        // 501
  overloaded,             // 503
  not_durable,            // 503
  no_answer,              // 503: nothing answered in time
  stopping,               // 503
  clock_jumped,           // 503
  not_ready,              // 503
  position_not_reached,   // 504
  version_not_supported,  // 505
};

struct field_error {
  std::string field;
  std::string message;
  bool operator==(const field_error&) const = default;
};

void append_errors(std::string& out, const std::vector<field_error>& errors); // as a JSON array

// 401 carries WWW-Authenticate, every 503 Retry-After.
reply make_problem(problem_kind kind, std::string_view detail, std::string_view request_id,
                   const std::vector<field_error>& errors = {});

// 429 with a Retry-After that is not too early.
reply make_rate_problem(int64_t wait_ns, std::string_view request_id);

problem_kind kind_of_frame_status(int status) noexcept; // of framer's and the deadlines' statuses
problem_kind kind_of(actors::failure why, bool has_min_position) noexcept;
std::string_view slug(problem_kind kind) noexcept;

} // namespace adtrack::http
