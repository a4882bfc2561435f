#include "http/api.hpp"

#include <prometheus/counter.h>

#include "config/telemetry.hpp"
#include "http/analytics_request.hpp"
#include "http/json_text.hpp"
#include "http/render.hpp"

namespace adtrack::http {
namespace {

constexpr std::string_view json_type = "application/json";
constexpr int64_t second_ns = 1'000'000'000;

reply json_reply(int status, std::string body) {
  reply r;
  r.status = status;
  r.content_type = json_type;
  r.body = std::move(body);
  return r;
}

reject_reason reason_of(actors::failure why) {
  switch (why) {
  case actors::failure::overloaded: return reject_reason::overloaded;
  case actors::failure::timed_out:
  case actors::failure::stopping:
  case actors::failure::position_not_reached: return reject_reason::no_answer;
  case actors::failure::unknown_ad: return reject_reason::unknown_ad;
  case actors::failure::not_durable:
  case actors::failure::clock_jumped:
  case actors::failure::not_found:
  case actors::failure::precondition_failed:
  case actors::failure::no_such_shard: break;
  }
  return reject_reason::not_durable;
}

} // namespace

bool media_type_is(std::string_view content_type, std::string_view wanted) noexcept {
  return equals_lower(trim(content_type.substr(0, content_type.find(';'))), wanted);
}

api::api(const http_options& options, doorway& doors, actors::gateway& gateway, config::metrics& metrics)
    : options_(options), doors_(doors), gateway_(gateway), metrics_(metrics), rings_(doors.keys.rings()), rejected_(metrics) {}

void api::next_turn() {
  metrics_page_.clear();
  auto version = doors_.keys.version();
  if (version == keys_version_) return;
  rings_ = doors_.keys.rings();
  keys_version_ = version;
}

// The key of the door's ring that the request carries, counted; null when it carries none.
const key* api::key_of(door which, const request& r) const {
  const key* found = rings_[static_cast<size_t>(which)]->find(bearer_token(r.value(header::authorization)));
  if (found != nullptr) found->requests->Increment();
  return found;
}

bool api::ingest(const request& r, submission& out, awaited& later, reply& refused) {
  auto refuse = [&](reject_reason why, problem_kind kind, std::string_view detail) {
    rejected_.count(why);
    refused = make_problem(kind, detail, r.request_id, errors_);
    return false;
  };
  errors_.clear();
  const key* sender = nullptr;
  if (rings_[static_cast<size_t>(door::ingest)] != nullptr && (sender = key_of(door::ingest, r)) == nullptr)
    return refuse(reject_reason::unauthorized, problem_kind::unauthorized, {});
  auto from = doors_.proxies.client(r.peer, r.bytes, r.head);
  if (doors_.rates.active() && !within_rate(r, sender, from, 1, refused)) return false;
  auto type = r.value(header::content_type);
  if (!media_type_is(type, json_type) && !media_type_is(type, "text/plain"))
    return refuse(reject_reason::content_type, problem_kind::unsupported_media_type,
                  "Send application/json, or text/plain as sendBeacon does.");
  if (r.has(header::content_encoding) && !equals_lower(r.value(header::content_encoding), "identity"))
    return refuse(reject_reason::content_encoding, problem_kind::unsupported_media_type, "No content encoding is accepted here.");

  event_context context;
  context.peer = from;
  context.user_agent = r.value(header::user_agent);
  context.prefetch = r.head.prefetch;
  context.now_s = r.now_ms / 1000;
  context.max_future_skew_secs = options_.max_future_skew_secs;
  auto kind = r.target.where == route::click ? event_type::click : event_type::impression;
  if (!events_.parse(kind, r.body, context, out, syntax_, errors_)) {
    if (!syntax_.empty()) return refuse(reject_reason::syntax, problem_kind::malformed, syntax_);
    return refuse(reject_reason::validation, problem_kind::validation, {});
  }
  later.what = awaited::kind::ingest;
  later.text = out.event_id;
  return true;
}

// Takes a token an event. False: `refused` is the answer.
bool api::within_rate(const request& r, const key* sender, const ip_address& from, uint32_t events, reply& refused) {
  int64_t wait_ns = doors_.rates.take(sender != nullptr ? sender->bucket.get() : nullptr, from, events, r.steady_us * 1'000);
  if (wait_ns == 0) return true;
  rejected_.count(reject_reason::rate);
  refused = make_problem(problem_kind::rate_limited, {}, r.request_id);
  refused.headers.emplace_back("Retry-After", std::to_string((wait_ns + second_ns - 1) / second_ns));
  return false;
}

void api::add_options(const request& r, reply& now) const {
  auto methods = allowed_methods(r.target.where, r.admin_calls);
  now.status = 204;
  bool preflight = false;
  for_each_header(r.bytes, r.head, "access-control-request-method", [&](std::string_view) { preflight = true; });
  if (preflight && doors_.cors.allows(r.value(header::origin))) doors_.cors.add_preflight(now, methods);
  now.headers.emplace_back("Allow", std::move(methods));
}

bool api::handle(const request& r, const actors::ticket& to, reply& now, awaited& later) {
  auto where = r.target.where;
  auto method = r.head.method;
  if (r.head.asterisk || (where != route::none && method == http_method::options)) {
    add_options(r, now);
    return false;
  }
  if (where == route::none) {
    now = make_problem(problem_kind::not_found, {}, r.request_id);
    return false;
  }
  if (!allows(where, method, r.admin_calls)) {
    now = make_problem(problem_kind::method_not_allowed, {}, r.request_id);
    now.headers.emplace_back("Allow", allowed_methods(where, r.admin_calls));
    return false;
  }
  switch (where) {
  case route::ads: return handle_ads(r, to, now, later);
  case route::ad: return handle_ad(r, to, now, later);
  case route::analytics: return handle_analytics(r, to, now, later);
  case route::quarantine: return handle_quarantine(r, to, now, later);
  case route::metrics:
    now.content_type = "text/plain; version=0.0.4; charset=utf-8";
    if (metrics_page_.empty()) metrics_page_ = metrics_.render();
    now.body = metrics_page_;
    return false;
  case route::healthz: now = json_reply(200, "{\"status\":\"ok\"}"); return false;
  case route::readyz: now = ready(r); return false;
  case route::click:
  case route::impression:
  case route::none: break; // ingest() and the checks above have them
  }
  now = make_problem(problem_kind::internal, {}, r.request_id);
  return false;
}

bool api::handle_analytics(const request& r, const actors::ticket& to, reply& now, awaited& later) {
  analytics_query query;
  if (!may_read(r, now) || !query_of(r, now)) return false;
  if (!read_analytics_query(parameters_, options_, query, errors_)) {
    now = make_problem(problem_kind::validation, {}, r.request_id, errors_);
    return false;
  }
  later.what = awaited::kind::analytics;
  later.explain = query.explain;
  later.has_min_position = !query.min_positions.empty();
  gateway_.query(to, std::move(query));
  return true;
}

bool api::handle_quarantine(const request& r, const actors::ticket& to, reply& now, awaited& later) {
  quarantine_query query;
  if (!may_administer(r, now) || !query_of(r, now)) return false;
  if (!read_quarantine_query(parameters_, query, errors_)) {
    now = make_problem(problem_kind::validation, {}, r.request_id, errors_);
    return false;
  }
  later.what = awaited::kind::quarantine;
  gateway_.quarantine(to, query);
  return true;
}

bool api::handle_ads(const request& r, const actors::ticket& to, reply& now, awaited& later) {
  if (r.head.method == http_method::post) return write_ad(r, to, now, later);
  page_request page;
  if (!may_read(r, now) || !query_of(r, now)) return false;
  if (!read_ads_page(parameters_, page, errors_)) {
    now = make_problem(problem_kind::validation, {}, r.request_id, errors_);
    return false;
  }
  later.what = awaited::kind::ads_page;
  later.page = page.page;
  later.limit = page.limit;
  gateway_.list_ads(to, page.page, page.limit);
  return true;
}

bool api::handle_ad(const request& r, const actors::ticket& to, reply& now, awaited& later) {
  if (r.head.method == http_method::put) return write_ad(r, to, now, later);
  if (r.head.method == http_method::delete_) {
    std::string tag;
    if (!may_administer(r, now) || !read_precondition(r, tag, now)) return false;
    later.what = awaited::kind::ad_deleted;
    gateway_.delete_ad(to, r.target.ad_id, std::move(tag));
    return true;
  }
  if (!may_read(r, now)) return false;
  later.what = awaited::kind::ad;
  later.text = r.value(header::if_none_match);
  gateway_.get_ad(to, r.target.ad_id);
  return true;
}

// POST creates, PUT replaces.
bool api::write_ad(const request& r, const actors::ticket& to, reply& now, awaited& later) {
  if (!may_administer(r, now)) return false;
  if (!media_type_is(r.value(header::content_type), json_type)) {
    now = make_problem(problem_kind::unsupported_media_type, {}, r.request_id);
    return false;
  }
  if (r.has(header::content_encoding) && !equals_lower(r.value(header::content_encoding), "identity")) {
    now = make_problem(problem_kind::unsupported_media_type, "No content encoding is accepted here.", r.request_id);
    return false;
  }
  ad_fields fields;
  if (!ads_.read(r.body, fields, syntax_, errors_)) {
    now = make_problem(syntax_.empty() ? problem_kind::validation : problem_kind::malformed, syntax_, r.request_id, errors_);
    return false;
  }
  if (r.head.method == http_method::post) {
    later.what = awaited::kind::ad_created;
    gateway_.create_ad(to, std::move(fields));
    return true;
  }
  std::string tag;
  if (!read_precondition(r, tag, now)) return false;
  later.what = awaited::kind::ad_updated;
  gateway_.update_ad(to, r.target.ad_id, std::move(fields), std::move(tag));
  return true;
}

bool api::query_of(const request& r, reply& now) {
  if (parse_query_string(r.head.query.of(r.bytes), parameters_, syntax_)) return true;
  now = make_problem(problem_kind::malformed, syntax_, r.request_id);
  return false;
}

bool api::may_read(const request& r, reply& now) {
  if (rings_[static_cast<size_t>(door::read)] == nullptr || key_of(door::read, r) != nullptr) return true;
  now = make_problem(problem_kind::unauthorized, {}, r.request_id);
  return false;
}

bool api::may_administer(const request& r, reply& now) {
  if (rings_[static_cast<size_t>(door::admin)] == nullptr) {
    now = make_problem(problem_kind::forbidden, {}, r.request_id);
    return false;
  }
  if (key_of(door::admin, r) != nullptr) return true;
  now = make_problem(problem_kind::unauthorized, {}, r.request_id);
  return false;
}

bool api::read_precondition(const request& r, std::string& tag, reply& now) {
  if (!r.has(header::if_match)) return true;
  tag = r.value(header::if_match);
  if (valid_if_match(tag)) return true;
  now = make_problem(problem_kind::malformed, "If-Match must be entity tags such as \"17\", or *.", r.request_id);
  return false;
}

reply api::ready(const request& r) {
  auto state = gateway_.ready();
  if (!state.ready) return make_problem(problem_kind::not_ready, state.reason, r.request_id);
  for (auto& trouble : doors_.troubles()) state.degraded.push_back(std::move(trouble));
  std::string body = "{\"status\":\"ready\",\"degraded\":[";
  for (size_t i = 0; i < state.degraded.size(); ++i) {
    if (i > 0) body.push_back(',');
    append_json_string(body, state.degraded[i]);
  }
  return json_reply(200, body + "]}");
}

reply api::render_ad_reply(const ad& value, const awaited& waited) {
  reply r;
  auto tag = entity_tag(value);
  if (waited.what == awaited::kind::ad_deleted) {
    r.status = 204;
    return r;
  }
  if (waited.what == awaited::kind::ad && !waited.text.empty() && matches_any(waited.text, tag)) {
    r.status = 304;
  } else {
    r = json_reply(waited.what == awaited::kind::ad_created ? 201 : 200, {});
    render_ad(r.body, value);
  }
  r.headers.emplace_back("ETag", std::move(tag));
  if (waited.what == awaited::kind::ad_created) r.headers.emplace_back("Location", "/api/v1/ads/" + std::to_string(value.id));
  return r;
}

reply api::render(const actors::outcome& what, const awaited& waited, std::string_view request_id) {
  using kind = awaited::kind;
  if (auto* f = std::get_if<actors::failed>(&what)) {
    if (waited.what == kind::ingest) rejected_.count(reason_of(f->why));
    auto kind_of_problem = kind_of(f->why, waited.has_min_position);
    if (f->why == actors::failure::no_such_shard)
      return make_problem(kind_of_problem, {}, request_id, {{"min_position", f->detail}});
    return make_problem(kind_of_problem, f->detail, request_id);
  }
  if (auto* done = std::get_if<actors::ingested>(&what); done && waited.what == kind::ingest) {
    reply r = json_reply(202, {});
    render_ingested(r.body, waited.text, *done);
    return r;
  }
  if (auto* answer = std::get_if<actors::analytics_result>(&what); answer && *answer && waited.what == kind::analytics) {
    reply r = json_reply(200, {});
    render_analytics(r.body, **answer, waited.explain);
    r.headers.emplace_back("Cache-Control", "no-cache");
    return r;
  }
  if (auto* page = std::get_if<actors::ads_page>(&what); page && waited.what == kind::ads_page) {
    reply r = json_reply(200, {});
    render_ads_page(r.body, *page, waited.page, waited.limit);
    return r;
  }
  if (auto* entries = std::get_if<quarantine_page>(&what); entries && waited.what == kind::quarantine) {
    reply r = json_reply(200, {});
    render_quarantine(r.body, *entries);
    r.headers.emplace_back("Cache-Control", "no-cache");
    return r;
  }
  if (auto* value = std::get_if<ad>(&what); value && waited.what == kind::ad) return render_ad_reply(*value, waited);
  bool write = waited.what == kind::ad_created || waited.what == kind::ad_updated || waited.what == kind::ad_deleted;
  if (auto* written = std::get_if<actors::ad_written>(&what); written && write) return render_ad_reply(written->value, waited);
  config::log(config::log_level::error, "http", "outcome_mismatch", "an outcome of another kind than its request arrived",
              {{"request_id", request_id}, {"waited_for", static_cast<int>(waited.what)}, {"outcome", what.index()}});
  return make_problem(problem_kind::internal, {}, request_id);
}

} // namespace adtrack::http
