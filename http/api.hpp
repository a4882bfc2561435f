// What each route does: checks a request, asks the gateway, and renders what comes back. One api a loop, used on its thread only.
// Knows nothing of sockets, connections or time-outs.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "actors/gateway.hpp"
#include "http/ads_request.hpp"
#include "http/analytics_request.hpp"
#include "http/batch_pool.hpp"
#include "http/doorway.hpp"
#include "http/event_parser.hpp"
#include "http/event_stream.hpp"
#include "http/options.hpp"
#include "http/query_string.hpp"
#include "http/reject_counters.hpp"
#include "http/reply.hpp"
#include "http/request.hpp"
#include "http/visit.hpp"
#include "http/visitor_request.hpp"

namespace adtrack::config {
class metrics;
}

namespace adtrack::http {

// What a deferred request waits for, and what rendering its outcome needs.
struct awaited {
  enum class kind : uint8_t {
    ingest,
    batch,
    visit,
    analytics,
    ads_page,
    ad,
    ad_created,
    ad_updated,
    ad_deleted,
    quarantine,
    event,
    digest,
    log,
    erasure,
    held,
    checkpoint,
    stream
  };
  kind what = kind::ingest;
  bool explain = false;
  bool csv = false; // analytics
  bool has_min_position = false;
  uint32_t page = 1;
  uint32_t limit = 10;
  route where = route::none; // visit
  std::string text;          // ingest, visit and event: the event_id; ad and analytics: If-None-Match
  std::string url;           // visit: where a click leads
  event_lookup asked;        // event
  std::shared_ptr<batch_findings> findings;
  std::shared_ptr<event_stream> stream;
};

class api {
public:
  api(const http_options& options, doorway& doors, actors::gateway& gateway, config::metrics& metrics);

  // True: `out` is to be submitted and `later` says how its outcome is rendered. False: `refused` is the answer.
  bool ingest(const request& r, submission& out, awaited& later, reply& refused);

  // Likewise of a link that is followed or an image that is shown. Whatever becomes of the event, render() sends the visitor on.
  bool visit(const request& r, submission& out, awaited& later, reply& refused);

  // A batch. True: `out` lacks but its bytes and its ticket to be handed to the pool.
  bool batch(const request& r, batch_job& out, awaited& later, reply& refused);

  // Everything else. True: deferred, the gateway was asked in the name of `to`. False: `now` is the answer.
  bool handle(const request& r, const actors::ticket& to, reply& now, awaited& later);

  // Asks a stream's question again, as of now.
  void ask_again(const event_stream& stream, const actors::ticket& to, int64_t now_ms);

  // The loop's next turn begins: keys that changed are in force from here on. Rendering /metrics costs milliseconds, so all who
  // ask for it in one turn share one page.
  void next_turn();

  // The answer to a deferred request.
  reply render(const actors::outcome& what, const awaited& waited, std::string_view request_id);

private:
  event_context context_of(const request& r) const;
  bool refuse(const request& r, reject_reason why, problem_kind kind, std::string_view detail, reply& refused);
  bool known(uint64_t ad_id, const request& r, reply& refused);
  bool take_visit(const request& r, submission& out, awaited& later, reply& refused);
  bool signed_well(const request& r, const visit_query& query, reply& refused);
  reply render_visit(const awaited& waited, bool recorded);
  bool may_send(const request& r, std::string_view also_type, const key*& sender, reply& refused);
  reply render_batch_reply(const actors::outcome& what, const awaited& waited, std::string_view request_id);
  bool handle_ad(const request& r, const actors::ticket& to, reply& now, awaited& later);
  bool handle_ads(const request& r, const actors::ticket& to, reply& now, awaited& later);
  bool handle_analytics(const request& r, const actors::ticket& to, reply& now, awaited& later);
  bool handle_quarantine(const request& r, const actors::ticket& to, reply& now, awaited& later);
  bool handle_stream(const request& r, const actors::ticket& to, reply& now, awaited& later);
  bool handle_event(const request& r, const actors::ticket& to, reply& now, awaited& later);
  bool handle_held(const request& r, const actors::ticket& to, reply& now, awaited& later);
  bool handle_checkpoint(const request& r, const actors::ticket& to, reply& now, awaited& later);
  bool handle_digest(const request& r, const actors::ticket& to, reply& now, awaited& later);
  bool handle_log(const request& r, const actors::ticket& to, reply& now, awaited& later);
  bool handle_setting(const request& r, reply& now);
  bool handle_erasure(const request& r, const actors::ticket& to, reply& now, awaited& later);
  bool plain_json(const request& r, reply& now) const;
  bool write_ad(const request& r, const actors::ticket& to, reply& now, awaited& later);
  bool query_of(const request& r, reply& now);
  bool within_rate(const request& r, const key* sender, const ip_address& from, uint32_t events, reply& refused);
  void add_options(const request& r, reply& now) const;
  const key* key_of(door which, const request& r) const;
  bool may_read(const request& r, reply& now);
  bool may_administer(const request& r, reply& now);
  bool read_precondition(const request& r, std::string& tag, reply& now);
  actors::readiness readiness() const;
  reply ready(const request& r);
  reply render_analytics_reply(const analytics_answer& answer, const awaited& waited);
  reply render_ad_reply(const ad& value, const awaited& waited);

  const http_options& options_;
  doorway& doors_;
  actors::gateway& gateway_;
  config::metrics& metrics_;
  key_rings rings_; // of the doorway's keys, as of keys_version_
  uint64_t keys_version_ = 0;
  reject_counters rejected_;
  event_parser events_;
  ads_reader ads_;
  visitor_reader visitors_;
  visit_query visit_;
  std::vector<query_parameter> parameters_; // of the request in work
  std::vector<field_error> errors_;
  std::string syntax_;
  std::string metrics_page_; // of this turn; empty: not rendered yet
};

// "application/json; charset=utf-8" -> does its media type equal `wanted` (lower case)?
bool media_type_is(std::string_view content_type, std::string_view wanted) noexcept;

} // namespace adtrack::http
