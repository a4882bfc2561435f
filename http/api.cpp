#include "http/api.hpp"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>

#include "config/telemetry.hpp"
#include "http/csv.hpp"
#include "http/dashboard.hpp"
#include "http/json_text.hpp"
#include "http/log_lines.hpp"
#include "http/openapi.hpp"
#include "http/render.hpp"

namespace adtrack::http {
namespace {

constexpr std::string_view catalogue_loading = "The catalogue of ads is being loaded.";

event_type type_of(route where) {
  if (where == route::playback) return event_type::playback;
  return where == route::impression ? event_type::impression : event_type::click;
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

event_context api::context_of(const request& r) const {
  event_context out;
  out.peer = doors_.proxies.client(r.peer, r.bytes, r.head);
  out.user_agent = r.value(header::user_agent);
  out.prefetch = r.head.prefetch;
  out.now_s = r.now_ms / 1000;
  out.max_future_skew_secs = options_.max_future_skew_secs;
  return out;
}

// Always false.
bool api::refuse(const request& r, reject_reason why, problem_kind kind, std::string_view detail, reply& refused) {
  rejected_.count(why);
  refused = make_problem(kind, detail, r.request_id, errors_);
  return false;
}

// False: `refused` says that there is no such ad, or that nobody can say yet.
bool api::known(uint64_t ad_id, const request& r, reply& refused) {
  switch (gateway_.find_ad(ad_id, nullptr)) {
  case actors::ad_state::known: return true;
  case actors::ad_state::unknown: return refuse(r, reject_reason::unknown_ad, problem_kind::unknown_ad, {}, refused);
  case actors::ad_state::loading: break;
  }
  return refuse(r, reject_reason::no_answer, problem_kind::not_ready, catalogue_loading, refused);
}

// What holds for events alone and in a batch; `also_type` is a media type beside those of JSON.
bool api::may_send(const request& r, std::string_view also_type, const key*& sender, reply& refused) {
  errors_.clear();
  sender = nullptr;
  if (rings_[static_cast<size_t>(door::ingest)] != nullptr && (sender = key_of(door::ingest, r)) == nullptr)
    return refuse(r, reject_reason::unauthorized, problem_kind::unauthorized, {}, refused);
  auto type = r.value(header::content_type);
  if (media_type_is(type, json_type) || media_type_is(type, "text/plain")) return true;
  if (also_type.empty())
    return refuse(r, reject_reason::content_type, problem_kind::unsupported_media_type,
                  "Send application/json, or text/plain as sendBeacon does.", refused);
  if (media_type_is(type, also_type)) return true;
  return refuse(r, reject_reason::content_type, problem_kind::unsupported_media_type,
                "Send an array as application/json or text/plain, or a line an event as " + std::string(also_type) + ".",
                refused);
}

bool api::ingest(const request& r, submission& out, awaited& later, reply& refused) {
  const key* sender = nullptr;
  if (!may_send(r, {}, sender, refused)) return false;
  const auto context = context_of(r);
  if (doors_.rates.active() && !within_rate(r, sender, context.peer, 1, refused)) return false;
  if (r.has(header::content_encoding) && !equals_lower(r.value(header::content_encoding), "identity"))
    return refuse(r, reject_reason::content_encoding, problem_kind::unsupported_media_type,
                  "No content encoding is accepted here.", refused);

  if (!events_.parse(type_of(r.target.where), r.body, context, out, syntax_, errors_)) {
    if (!syntax_.empty()) return refuse(r, reject_reason::syntax, problem_kind::malformed, syntax_, refused);
    return refuse(r, reject_reason::validation, problem_kind::validation, {}, refused);
  }
  if (options_.require_known_ads && !known(out.ad_id, r, refused)) return false;
  later.what = awaited::kind::ingest;
  later.text = out.event_id;
  return true;
}

bool api::signed_well(const request& r, const visit_query& query, reply& refused) {
  std::string_view detail;
  if (!query.is_signed) {
    if (!options_.require_signed_clicks) return true;
  } else {
    switch (
        doors_.links.verify({r.target.ad_id, query.event_id, query.expires_s, query.key_id}, query.signature, r.now_ms / 1000)) {
    case link_verdict::good: return true;
    case link_verdict::expired: detail = "The link has expired."; break;
    case link_verdict::unknown_key: detail = "kid names no key of this server."; break;
    case link_verdict::wrong: detail = "sig does not fit the ad, event_id, exp and kid."; break;
    }
  }
  return refuse(r, reject_reason::signature, problem_kind::bad_signature, detail, refused);
}

bool api::visit(const request& r, submission& out, awaited& later, reply& refused) {
  if (take_visit(r, out, later, refused)) return true;
  refused.headers.emplace_back("Cache-Control", "no-store"); // an ad may be made, or a clock set right, the next moment
  return false;
}

bool api::take_visit(const request& r, submission& out, awaited& later, reply& refused) {
  const bool click = r.target.where == route::visit_click;
  errors_.clear();
  later = {};
  if (!query_of(r, refused)) {
    rejected_.count(reject_reason::syntax);
    return false;
  }
  if (!read_visit_query(parameters_, visit_, errors_))
    return refuse(r, reject_reason::validation, problem_kind::validation, {}, refused);
  // A signature without an id of its own could be shown again and again, each time as another event.
  if (click && visit_.is_signed && visit_.event_id.empty()) {
    errors_.push_back({"event_id", "is required in a signed link"});
    return refuse(r, reject_reason::validation, problem_kind::validation, {}, refused);
  }
  if (click) {
    const auto state = gateway_.find_ad(r.target.ad_id, &later.url);
    if (state == actors::ad_state::loading)
      return refuse(r, reject_reason::no_answer, problem_kind::not_ready, catalogue_loading, refused);
    if (state == actors::ad_state::unknown || !valid_ad_url(later.url))
      return refuse(r, reject_reason::unknown_ad, problem_kind::not_found, "There is no such ad.", refused);
    if (!signed_well(r, visit_, refused)) return false;
  } else if (options_.require_known_ads && !known(r.target.ad_id, r, refused)) {
    return false;
  }
  later.what = awaited::kind::visit;
  later.where = r.target.where;
  if (r.head.method == http_method::head) return true;
  const auto context = context_of(r);
  if (doors_.rates.active() && !within_rate(r, nullptr, context.peer, 1, refused)) return false;
  later.text = visit_.event_id.empty() ? make_event_id() : visit_.event_id;
  out = {};
  out.type = click ? event_type::click : event_type::impression;
  out.ad_id = r.target.ad_id;
  out.event_id = later.text;
  take_from_request(context, out);
  return true;
}

reply api::render_visit(const awaited& waited, bool recorded) {
  const char* type = waited.where == route::visit_click ? "click" : "impression";
  metrics_.visits(type, recorded ? "yes" : "no").Increment();
  return visit_reply(waited.where, waited.url, waited.text, recorded);
}

bool api::batch(const request& r, batch_job& out, awaited& later, reply& refused) {
  const key* sender = nullptr;
  if (!may_send(r, ndjson_type, sender, refused)) return false;
  out.peer = doors_.proxies.client(r.peer, r.bytes, r.head);
  // For the first event; who has no token left need not be read. The worker takes those of the others.
  if (doors_.rates.active() && !within_rate(r, sender, out.peer, 1, refused)) return false;
  if (sender != nullptr) out.bucket = sender->bucket;
  auto coding = r.value(header::content_encoding);
  out.gzip = equals_lower(coding, "gzip") || equals_lower(coding, "x-gzip"); // the same by RFC 9110, 8.4.1.3
  if (r.has(header::content_encoding) && !out.gzip && !equals_lower(coding, "identity")) {
    return refuse(r, reject_reason::content_encoding, problem_kind::unsupported_media_type,
                  "The only content encoding accepted here is gzip.", refused);
  }
  out.format = media_type_is(r.value(header::content_type), ndjson_type) ? batch_format::ndjson : batch_format::json_array;
  out.request_id = r.request_id;
  out.agent = header_agent(r.value(header::user_agent));
  out.prefetch = r.head.prefetch;
  out.now_s = r.now_ms / 1000;
  out.findings = std::make_shared<batch_findings>();
  later.what = awaited::kind::batch;
  later.findings = out.findings;
  return true;
}

// Takes a token an event. False: `refused` is the answer.
bool api::within_rate(const request& r, const key* sender, const ip_address& from, uint32_t events, reply& refused) {
  int64_t wait_ns = doors_.rates.take(sender != nullptr ? sender->bucket.get() : nullptr, from, events, r.steady_us * 1'000);
  if (wait_ns == 0) return true;
  rejected_.count(reject_reason::rate);
  refused = make_rate_problem(wait_ns, r.request_id);
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
  case route::stream: return handle_stream(r, to, now, later);
  case route::event: return handle_event(r, to, now, later);
  case route::digest: return handle_digest(r, to, now, later);
  case route::log: return handle_log(r, to, now, later);
  case route::held:
  case route::held_release: return handle_held(r, to, now, later);
  case route::shard_checkpoint:
  case route::log_checkpoint: return handle_checkpoint(r, to, now, later);
  case route::visitors: return handle_erasure(r, to, now, later);
  case route::settings:
    if (may_administer(r, now)) now = json_reply(200, doors_.live.show_all());
    return false;
  case route::setting: return handle_setting(r, now);
  case route::metrics:
    now.content_type = "text/plain; version=0.0.4; charset=utf-8";
    if (metrics_page_.empty()) {
      metrics_.ready().Set(readiness().ready ? 1 : 0);
      metrics_page_ = metrics_.render();
    }
    now.body = metrics_page_;
    return false;
  case route::openapi: now = json_reply(200, std::string(openapi_document)); return false;
  case route::dashboard:
  case route::dashboard_file: now = dashboard_reply(r.target.file, r.value(header::if_none_match)); return false;
  case route::healthz: now = json_reply(200, "{\"status\":\"ok\"}"); return false;
  case route::readyz: now = ready(r); return false;
  case route::visit_click:
  case route::visit_impression: { // HEAD: the answer of a visit that is none
    submission unused;
    if (visit(r, unused, later, now)) now = visit_reply(where, later.url, {}, true);
    return false;
  }
  case route::click:
  case route::impression:
  case route::playback:
  case route::events:
  case route::none: break; // ingest(), batch() and the checks above have them
  }
  now = make_problem(problem_kind::internal, {}, r.request_id);
  return false;
}

bool api::handle_analytics(const request& r, const actors::ticket& to, reply& now, awaited& later) {
  analytics_query query;
  auto format = answer_format::unsaid;
  if (!may_read(r, now) || !query_of(r, now)) return false;
  const bool valid = read_analytics_query(parameters_, options_, r.now_ms, query, format, errors_);
  if (format == answer_format::unsaid) format = preferred_format(r.value(header::accept));
  if (valid && query.explain && format == answer_format::csv) errors_.push_back({"explain", "is for answers in JSON"});
  if (!errors_.empty()) {
    now = make_problem(problem_kind::validation, {}, r.request_id, errors_);
    return false;
  }
  later.csv = format == answer_format::csv;
  later.text = r.value(header::if_none_match);
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

// The first answer is that of any question; the loop asks again.
bool api::handle_stream(const request& r, const actors::ticket& to, reply& now, awaited& later) {
  analytics_query query;
  auto format = answer_format::unsaid;
  if (!may_read(r, now) || !query_of(r, now)) return false;
  read_analytics_query(parameters_, options_, r.now_ms, query, format, errors_);
  if (format == answer_format::csv) errors_.push_back({"format", "is for answers that end; a stream is in JSON"});
  if (query.explain) errors_.push_back({"explain", "is for answers that end"});
  if (!query.min_positions.empty()) errors_.push_back({"min_position", "is for answers that end"});
  if (!errors_.empty()) {
    now = make_problem(problem_kind::validation, {}, r.request_id, errors_);
    return false;
  }
  if (r.head.method == http_method::head) {
    now.content_type = event_stream_type;
    now.endless = true;
    return false;
  }
  std::string seen;
  for_each_header(r.bytes, r.head, "last-event-id", [&](std::string_view value) { seen = value.substr(0, 32); });
  later.what = awaited::kind::stream;
  later.stream = std::make_shared<event_stream>(r.head.query.of(r.bytes), seen, options_.stream_heartbeat_ms);
  gateway_.query(to, std::move(query));
  return true;
}

void api::ask_again(const event_stream& stream, const actors::ticket& to, int64_t now_ms) {
  analytics_query query;
  auto format = answer_format::unsaid;
  parse_query_string(stream.question(), parameters_, syntax_);
  read_analytics_query(parameters_, options_, now_ms, query, format, errors_);
  gateway_.query(to, std::move(query));
}

bool api::handle_event(const request& r, const actors::ticket& to, reply& now, awaited& later) {
  event_lookup asked;
  if (!may_read(r, now) || !query_of(r, now)) return false;
  read_event_lookup(parameters_, asked, errors_);
  if (!valid_event_id(r.target.event_id)) errors_.push_back({"event_id", event_id_rule});
  if (!errors_.empty()) {
    now = make_problem(problem_kind::validation, {}, r.request_id, errors_);
    return false;
  }
  later.what = awaited::kind::event;
  later.text = r.target.event_id;
  later.asked = asked;
  gateway_.find_event(to, {asked.type, asked.ad_id, identity_of(asked.type, asked.ad_id, r.target.event_id)});
  return true;
}

bool api::handle_digest(const request& r, const actors::ticket& to, reply& now, awaited& later) {
  digest_question question;
  if (!may_administer(r, now) || !query_of(r, now)) return false;
  question.shard = r.target.shard;
  if (!read_digest_question(parameters_, options_, question, errors_)) {
    now = make_problem(problem_kind::validation, {}, r.request_id, errors_);
    return false;
  }
  later.what = awaited::kind::digest;
  gateway_.digest(to, question);
  return true;
}

bool api::handle_held(const request& r, const actors::ticket& to, reply& now, awaited& later) {
  held_question question;
  if (!may_administer(r, now) || !query_of(r, now)) return false;
  if (r.target.where == route::held_release) question.what = held_action::release;
  if (r.head.method == http_method::del) question.what = held_action::remove;
  if (!read_held_question(parameters_, question, errors_)) {
    now = make_problem(problem_kind::validation, {}, r.request_id, errors_);
    return false;
  }
  later.what = awaited::kind::held;
  gateway_.held(to, question);
  return true;
}

bool api::handle_checkpoint(const request& r, const actors::ticket& to, reply& now, awaited& later) {
  if (!may_administer(r, now)) return false;
  later.what = awaited::kind::checkpoint;
  if (r.target.where == route::log_checkpoint)
    gateway_.checkpoint_log(to);
  else
    gateway_.checkpoint_shard(to, r.target.shard);
  return true;
}

bool api::handle_log(const request& r, const actors::ticket& to, reply& now, awaited& later) {
  log_question question;
  if (!may_administer(r, now) || !query_of(r, now)) return false;
  question.shard = r.target.shard;
  if (!read_log_question(parameters_, options_, question, errors_)) {
    now = make_problem(problem_kind::validation, {}, r.request_id, errors_);
    return false;
  }
  later.what = awaited::kind::log;
  gateway_.read_log(to, question);
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
  if (r.head.method == http_method::del) {
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
bool api::plain_json(const request& r, reply& now) const {
  if (!media_type_is(r.value(header::content_type), json_type))
    now = make_problem(problem_kind::unsupported_media_type, {}, r.request_id);
  else if (r.has(header::content_encoding) && !equals_lower(r.value(header::content_encoding), "identity"))
    now = make_problem(problem_kind::unsupported_media_type, "No content encoding is accepted here.", r.request_id);
  else
    return true;
  return false;
}

// Always false: answered at once.
bool api::handle_setting(const request& r, reply& now) {
  if (!may_administer(r, now)) return false;
  const auto& name = r.target.setting;
  if (!live_settings::knows(name)) {
    now = make_problem(problem_kind::not_found,
                       "The settings that change while the server runs are " + live_settings::names() + ".", r.request_id);
    return false;
  }
  if (r.head.method == http_method::put) {
    live_settings::value to;
    if (!plain_json(r, now)) return false;
    if (read_setting(r.body, to, syntax_, errors_) && !doors_.live.set(name, to))
      errors_.push_back({"value", std::string(live_settings::accepts(name))});
    if (!syntax_.empty() || !errors_.empty()) {
      now = make_problem(syntax_.empty() ? problem_kind::validation : problem_kind::malformed, syntax_, r.request_id, errors_);
      return false;
    }
  }
  now = json_reply(200, doors_.live.show(name));
  return false;
}

bool api::handle_erasure(const request& r, const actors::ticket& to, reply& now, awaited& later) {
  if (!may_administer(r, now) || !plain_json(r, now)) return false;
  visitor_question question;
  if (!visitors_.read(r.body, question, syntax_, errors_)) {
    now = make_problem(syntax_.empty() ? problem_kind::validation : problem_kind::malformed, syntax_, r.request_id, errors_);
    return false;
  }
  later.what = awaited::kind::erasure;
  gateway_.erase(to, std::move(question));
  return true;
}

bool api::write_ad(const request& r, const actors::ticket& to, reply& now, awaited& later) {
  if (!may_administer(r, now) || !plain_json(r, now)) return false;
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

actors::readiness api::readiness() const {
  auto state = gateway_.ready();
  if (state.ready && doors_.turning_away) {
    state.ready = false;
    state.reason = "the node is about to stop; what still comes is answered";
  }
  return state;
}

reply api::ready(const request& r) {
  auto state = readiness();
  if (!state.ready) return make_problem(problem_kind::not_ready, state.reason, r.request_id);
  for (auto& trouble : doors_.troubles()) state.degraded.push_back(std::move(trouble));
  std::string body = "{\"status\":\"ready\",\"degraded\":[";
  for (size_t i = 0; i < state.degraded.size(); ++i) {
    if (i > 0) body.push_back(',');
    append_json_string(body, state.degraded[i]);
  }
  return json_reply(200, body + "]}");
}

} // namespace adtrack::http
