#include "http/problem.hpp"

#include <array>

#include "http/json_text.hpp"

namespace adtrack::http {
namespace {

struct entry {
  int status;
  std::string_view slug;
  std::string_view title;
  std::string_view detail; // when nobody knows better
};

// In the order of problem_kind.
constexpr std::array<entry, 28> entries = {{
    {400, "malformed", "The request cannot be read", "The request does not follow the rules of its format."},
    {400, "validation", "The request is not valid", "One or more fields are not valid; see errors."},
    {400, "unknown-ad", "The ad is not in the catalogue", "This server counts events of known ads only."},
    {401, "unauthorized", "A valid key is needed", "Send a key as Authorization: Bearer."},
    {403, "forbidden", "This call is not open", "No admin key is configured on this server."},
    {403, "bad-signature", "The link is not signed as it must be",
     "The link needs exp, kid and sig, made with a key of this server."},
    {404, "not-found", "There is nothing here", "No such resource."},
    {405, "method-not-allowed", "The method is not allowed here", "See the Allow header."},
    {408, "request-timeout", "The request did not arrive in time", "The request was not complete before its deadline."},
    {409, "not-kept", "It is not kept any more", "The shard is past that offset, and its digest there is not kept."},
    {409, "cannot", "This node has nothing of the kind", "This node has nothing that this could be done with."},
    {412, "precondition-failed", "The resource is not the one that was expected", "If-Match does not name the current version."},
    {413, "content-too-large", "The body is too large", "The body is larger than this server accepts."},
    {414, "uri-too-long", "The request target is too long", "The request target is longer than this server accepts."},
    {415, "unsupported-media-type", "The content type is not supported", "Send application/json."},
    {417, "expectation-failed", "The expectation cannot be met", "The only expectation known here is 100-continue."},
    {429, "rate-limited", "Too many events", "This key or address sent more events than it may; see Retry-After."},
    {431, "headers-too-large", "The headers are too large", "The head of the request is larger than this server accepts."},
    {500, "internal", "The server failed", "The request hit a defect of the server; the log names it by the request id."},
    {501, "not-implemented", "The request asks for something unknown", "This is not implemented here."},
    {503, "overloaded", "The server is busy", "Too much is in flight; try again."},
    {503, "not-durable", "The event could not be made durable",
     "The log refused the event or cannot say; sending it again is safe."},
    {503, "no-answer", "There was no answer in time", "The answer did not come in time; sending the request again is safe."},
    {503, "stopping", "The server is stopping", "The server is stopping; send the request again."},
    {503, "clock-jumped", "The server's clock is not to be trusted",
     "The wall clock left the monotonic clock; an operator must look at it."},
    {503, "not-ready", "The server is not ready", "The server cannot serve yet."},
    {504, "position-not-reached", "The position has not been applied", "The shard did not reach min_position within timeout_ms."},
    {505, "version-not-supported", "The HTTP version is not supported", "Only HTTP/1.0 and HTTP/1.1 are spoken here."},
}};

const entry& of(problem_kind kind) { return entries[static_cast<size_t>(kind)]; }

} // namespace

std::string_view slug(problem_kind kind) noexcept { return of(kind).slug; }

void append_errors(std::string& out, const std::vector<field_error>& errors) {
  out += "[";
  for (size_t i = 0; i < errors.size(); ++i) {
    out += i == 0 ? "{\"field\":" : ",{\"field\":";
    append_json_string(out, errors[i].field);
    out += ",\"message\":";
    append_json_string(out, errors[i].message);
    out += "}";
  }
  out += "]";
}

reply make_problem(problem_kind kind, std::string_view detail, std::string_view request_id,
                   const std::vector<field_error>& errors) {
  const entry& e = of(kind);
  reply r;
  r.status = e.status;
  r.content_type = "application/problem+json";
  std::string& out = r.body;
  out += "{\"type\":\"urn:adtrack:problem:";
  out += e.slug;
  out += "\",\"title\":\"";
  out += e.title;
  out += "\",\"status\":";
  append_int(out, e.status);
  out += ",\"detail\":";
  append_json_string(out, detail.empty() ? e.detail : detail);
  out += ",\"request_id\":";
  append_json_string(out, request_id);
  out += ",\"errors\":";
  append_errors(out, errors);
  out += "}";
  if (e.status == 503) r.headers.emplace_back("Retry-After", "1");
  if (e.status == 401) r.headers.emplace_back("WWW-Authenticate", "Bearer realm=\"adtrack\"");
  return r;
}

reply make_rate_problem(int64_t wait_ns, std::string_view request_id) {
  constexpr int64_t second_ns = 1'000'000'000;
  auto out = make_problem(problem_kind::rate_limited, {}, request_id);
  out.headers.emplace_back("Retry-After", std::to_string((wait_ns + second_ns - 1) / second_ns));
  return out;
}

problem_kind kind_of_frame_status(int status) noexcept {
  switch (status) {
  case 408: return problem_kind::request_timeout;
  case 413: return problem_kind::content_too_large;
  case 414: return problem_kind::uri_too_long;
  case 417: return problem_kind::expectation_failed;
  case 431: return problem_kind::headers_too_large;
  case 501: return problem_kind::not_implemented;
  case 505: return problem_kind::version_not_supported;
  default: return problem_kind::malformed;
  }
}

problem_kind kind_of(actors::failure why, bool has_min_position) noexcept {
  switch (why) {
  case actors::failure::overloaded: return problem_kind::overloaded;
  case actors::failure::not_durable: return problem_kind::not_durable;
  case actors::failure::timed_out: return has_min_position ? problem_kind::position_not_reached : problem_kind::no_answer;
  case actors::failure::stopping: return problem_kind::stopping;
  case actors::failure::clock_jumped: return problem_kind::clock_jumped;
  case actors::failure::unknown_ad: return problem_kind::unknown_ad;
  case actors::failure::not_found: return problem_kind::not_found;
  case actors::failure::precondition_failed: return problem_kind::precondition_failed;
  case actors::failure::position_not_reached: return problem_kind::position_not_reached;
  case actors::failure::not_kept: return problem_kind::not_kept;
  case actors::failure::cannot: return problem_kind::cannot;
  case actors::failure::no_such_shard:
  case actors::failure::no_series: return problem_kind::validation;
  }
  return problem_kind::internal;
}

} // namespace adtrack::http
