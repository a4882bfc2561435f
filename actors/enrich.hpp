// Turns what a client sent into what the log keeps: visitor and fields hashes are made, then the address is masked or dropped, so
// that no full address leaves this step. Plain functions, no actor: the caller of the gateway runs them on its own thread, before
// its one message to the log writer, while the writer waits for the disk. A microsecond an event; nothing in it blocks.
#pragma once

#include "actors/context.hpp"
#include "actors/messages.hpp"
#include "model/visitor_erased.hpp"

namespace adtrack::actors {

// The rules of one node.
struct enrich_rules {
  visitor_key key;
  address_policy addresses = address_policy::mask;
  std::function<traffic_stamp(const submission&)> judge; // empty: everything is valid, and nothing is known
};

// Consumes the submission's texts.
event enrich_event(const enrich_rules& rules, submission&& from);

// Read-only once made: any thread may call it.
class enricher {
public:
  explicit enricher(const node_context& context);
  // One record an item, in order; consumes the items' texts.
  append_ptr to_records(ingest_ptr batch) const;
  // The visitor's hash, as records have it.
  uint64_t visitor(const visitor_question& q) const;

private:
  const enrich_rules rules_;
  const uint32_t partitions_;
};

} // namespace adtrack::actors
