// What a request is answered once its outcome is there.
#include "config/telemetry.hpp"
#include "http/api.hpp"
#include "http/csv.hpp"
#include "http/log_lines.hpp"
#include "http/render.hpp"

namespace adtrack::http {
namespace {

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
  case actors::failure::no_such_shard:
  case actors::failure::no_series:
  case actors::failure::not_kept:
  case actors::failure::cannot: break;
  }
  return reject_reason::not_durable;
}

// What is of this moment only.
template <class Value>
reply uncached(void (*render)(std::string& out, const Value& value), const Value& value) {
  reply r = json_reply(200, {});
  render(r.body, value);
  r.headers.emplace_back("Cache-Control", "no-cache");
  return r;
}

reply render_log_reply(const log_page& page) {
  reply r;
  r.content_type = ndjson_type;
  render_log_page(r.body, page);
  r.headers.emplace_back("Cache-Control", "no-cache");
  r.headers.emplace_back("Adtrack-Log-Shards", std::to_string(page.shards));
  r.headers.emplace_back("Adtrack-Log-Begin", std::to_string(page.begin));
  r.headers.emplace_back("Adtrack-Log-End", std::to_string(page.end));
  r.headers.emplace_back("Adtrack-Log-Next", std::to_string(page.next));
  return r;
}

} // namespace

reply api::render_analytics_reply(const analytics_answer& answer, const awaited& waited) {
  reply r;
  auto tag = entity_tag(answer, waited.csv);
  if (!waited.text.empty() && matches_any(waited.text, tag)) {
    r.status = 304;
  } else if (waited.csv) {
    r.content_type = "text/csv; charset=utf-8; header=present";
    render_analytics_csv(r.body, answer);
  } else {
    r = json_reply(200, {});
    render_analytics(r.body, answer, waited.explain);
  }
  if (waited.csv) add_analytics_headers(r.headers, answer);
  // Weak: what it was made of is the same, when it was made is not.
  r.headers.emplace_back("ETag", "W/" + tag);
  r.headers.emplace_back("Cache-Control", "no-cache");
  r.headers.emplace_back("Vary", "Accept");
  return r;
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

reply api::render_batch_reply(const actors::outcome& what, const awaited& waited, std::string_view request_id) {
  auto* findings = waited.findings.get(); // null: nobody waits for the worker any more, which may still be at it
  if (findings != nullptr && findings->answer) return std::move(*findings->answer);
  if (auto* done = std::get_if<actors::batch_ingested>(&what); done && findings != nullptr) {
    reply r = json_reply(202, {});
    render_batch(r.body, *done, findings->rejected, findings->rejected_count);
    return r;
  }
  auto* f = std::get_if<actors::failed>(&what);
  if (f == nullptr) return make_problem(problem_kind::internal, {}, request_id);
  rejected_.count(reason_of(f->why), findings == nullptr ? 1 : findings->valid_count);
  return make_problem(kind_of(f->why, false), f->detail, request_id);
}

reply api::render(const actors::outcome& what, const awaited& waited, std::string_view request_id) {
  using kind = awaited::kind;
  if (waited.what == kind::batch) return render_batch_reply(what, waited, request_id);
  if (auto* f = std::get_if<actors::failed>(&what)) {
    if (waited.what == kind::visit) {
      rejected_.count(reason_of(f->why));
      return render_visit(waited, false);
    }
    if (waited.what == kind::ingest) rejected_.count(reason_of(f->why));
    auto kind_of_problem = kind_of(f->why, waited.has_min_position);
    if (f->why == actors::failure::no_such_shard)
      return make_problem(kind_of_problem, {}, request_id, {{"min_position", f->detail}});
    if (f->why == actors::failure::no_series) return make_problem(kind_of_problem, {}, request_id, {{"granularity", f->detail}});
    return make_problem(kind_of_problem, f->detail, request_id);
  }
  if (auto* done = std::get_if<actors::ingested>(&what); done && waited.what == kind::ingest) {
    reply r = json_reply(202, {});
    render_ingested(r.body, waited.text, *done);
    return r;
  }
  if (std::holds_alternative<actors::ingested>(what) && waited.what == kind::visit) return render_visit(waited, true);
  if (auto* answer = std::get_if<actors::analytics_result>(&what); answer && *answer && waited.what == kind::analytics) {
    return render_analytics_reply(**answer, waited);
  }
  if (auto* page = std::get_if<actors::ads_page>(&what); page && waited.what == kind::ads_page) {
    reply r = json_reply(200, {});
    render_ads_page(r.body, *page, waited.page, waited.limit);
    return r;
  }
  if (auto* entries = std::get_if<quarantine_page>(&what); entries && waited.what == kind::quarantine)
    return uncached(render_quarantine, *entries);
  if (auto* held = std::get_if<held_page>(&what); held && waited.what == kind::held) return uncached(render_held, *held);
  if (auto* made = std::get_if<shard_checkpoint>(&what); made && waited.what == kind::checkpoint)
    return uncached(render_shard_checkpoint, *made);
  if (auto* made = std::get_if<log_checkpoint>(&what); made && waited.what == kind::checkpoint)
    return uncached(render_log_checkpoint, *made);
  if (auto* fate = std::get_if<event_fate>(&what); fate && waited.what == kind::event) {
    reply r = json_reply(200, {});
    render_event_fate(r.body, waited.text, waited.asked, *fate);
    r.headers.emplace_back("Cache-Control", "no-cache");
    return r;
  }
  if (auto* digest = std::get_if<shard_digest>(&what); digest && waited.what == kind::digest)
    return uncached(render_digest, *digest);
  if (auto* page = std::get_if<log_page>(&what); page && waited.what == kind::log) return render_log_reply(*page);
  if (auto* done = std::get_if<visitor_erased>(&what); done && waited.what == kind::erasure) {
    reply r = json_reply(202, {});
    render_erasure(r.body, *done);
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
