// The door that http knocks on: plain C++, no CAF. Every call returns at once; the answer comes later as an outcome for its
// ticket through the completion sink. Every ticket that was accepted completes exactly once.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "model/ad.hpp"
#include "model/analytics.hpp"
#include "model/checkpoint.hpp"
#include "model/event.hpp"
#include "model/event_fate.hpp"
#include "model/held_records.hpp"
#include "model/log_page.hpp"
#include "model/quarantined.hpp"
#include "model/shard_digest.hpp"
#include "model/visitor_erased.hpp"

namespace adtrack::actors {

// Names one deferred request. Opaque to everyone but http.
struct ticket {
  uint32_t loop = 0;
  uint32_t slot = 0;
  uint64_t serial = 0;
};

enum class failure : uint8_t {
  overloaded,           // too much in flight: 503, retry
  not_durable,          // the log refused or cannot say: 503, retry is safe
  timed_out,            // no answer in time: 503 for ingest, 504 for a query with min_position
  stopping,             // 503
  clock_jumped,         // the node's wall clock left its monotonic clock: 503 until explained
  unknown_ad,           // ads.require_known
  not_found,            // 404
  precondition_failed,  // 412
  position_not_reached, // 504
  no_such_shard,        // 400: a min_position names it; `detail` says which there are
  no_series,            // 400: the granularity does not fit; `detail` says why
  not_kept,             // 409: the shard is past that offset
  cannot                // 409: this node has nothing of the kind; `detail` says why
};

struct failed {
  failure why = failure::not_durable;
  std::string detail; // for people; may be empty
};

struct ingested {
  bool spooled = false;
  uint32_t shard = 0;
  int64_t offset = -1; // -1: not known
};

// Of a batch, once all of it is durable.
struct batch_ingested {
  uint64_t events = 0;
  bool spooled = false;            // at least one is in this node's spool
  std::vector<position> positions; // the highest a shard, by shard; none of a shard where one of the offsets is not known
};

using analytics_result = std::shared_ptr<const analytics_answer>;

struct ads_page {
  std::vector<ad> ads;
  uint64_t total = 0;
};

struct ad_written { // created, updated or deleted
  ad value;
};

using outcome = std::variant<failed, ingested, batch_ingested, analytics_result, ads_page, ad, ad_written, quarantine_page,
                             event_fate, shard_digest, log_page, visitor_erased, shard_checkpoint, log_checkpoint, held_page>;

struct completion {
  ticket to;
  outcome what;
};

// Implemented by http; called from any thread.
class completion_sink {
public:
  virtual ~completion_sink() = default;
  virtual void complete(std::vector<completion> completions) = 0;
};

struct ingest_item {
  ticket from;
  submission what;
};

// What /readyz says. `reason` when not ready; `degraded` may be non-empty while ready.
struct readiness {
  bool ready = false;
  std::string reason;
  std::vector<std::string> degraded;
};

enum class ad_state : uint8_t { loading, unknown, known }; // `loading`: the catalogue is not read yet

class gateway {
public:
  virtual ~gateway() = default;
  virtual void bind(completion_sink* sink) = 0; // before the first call; nullptr detaches

  // Takes all or none of the items: false when events or bytes in flight are at their bound (answer 503 overloaded, no completion
  // will come). One outcome an item.
  virtual bool submit(std::vector<ingest_item> items) = 0;

  // The same under one ticket with one outcome: batch_ingested once every item is durable, failed if any of them is not. What the
  // items say of tickets is not looked at.
  virtual bool submit_batch(ticket t, std::vector<ingest_item> items) = 0;

  virtual void query(ticket t, analytics_query q) = 0; // -> analytics_result or failed

  virtual void find_event(ticket t, event_question q) = 0; // -> event_fate or failed

  virtual void list_ads(ticket t, uint32_t page, uint32_t limit) = 0;                        // -> ads_page
  virtual void get_ad(ticket t, uint64_t id) = 0;                                            // -> ad or failed{not_found}
  virtual void create_ad(ticket t, ad_fields fields) = 0;                                    // -> ad_written or failed
  virtual void update_ad(ticket t, uint64_t id, ad_fields fields, std::string if_match) = 0; // "" = unconditional
  virtual void delete_ad(ticket t, uint64_t id, std::string if_match) = 0;

  // What the catalogue says of an ad right now, and its url when `url` is not null. Never blocks.
  virtual ad_state find_ad(uint64_t id, std::string* url) = 0;

  virtual void quarantine(ticket t, quarantine_query q) = 0;   // -> quarantine_page or failed
  virtual void digest(ticket t, digest_question q) = 0;        // -> shard_digest or failed
  virtual void read_log(ticket t, log_question q) = 0;         // -> log_page or failed
  virtual void erase(ticket t, visitor_question q) = 0;        // -> visitor_erased or failed
  virtual void held(ticket t, held_question q) = 0;            // -> held_page or failed
  virtual void checkpoint_shard(ticket t, uint32_t shard) = 0; // -> shard_checkpoint or failed
  virtual void checkpoint_log(ticket t) = 0;                   // -> log_checkpoint or failed

  virtual readiness ready() = 0; // never blocks
  virtual size_t in_flight() const noexcept = 0;
};

} // namespace adtrack::actors
