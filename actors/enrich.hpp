// Turns what a client sent into what the log keeps: visitor and fields hashes are made, then the address is masked or dropped, so
// that no full address leaves this step. The log writer is the only one it talks to.
#pragma once

#include "actors/context.hpp"
#include "actors/interfaces.hpp"

namespace adtrack::actors {

// The rules of one node, as plain functions for tests: no actor needed.
struct enrich_rules {
  visitor_key key;
  uint32_t rules_version = 0;
  address_policy addresses = address_policy::mask;
  std::function<invalid_reason(const submission&)> invalid_of; // empty: nothing is invalid
};

// Consumes the submission's texts.
event enrich_event(const enrich_rules& rules, submission&& from);

struct enrich_state {
  static constexpr const char* name = "enrich";
  enrich_rules rules;
  uint32_t partitions = 1;
  log_writer_actor writer;

  append_ptr to_records(const ingest_ptr& batch) const;
};

enrich_actor::behavior_type enrich(enrich_actor::stateful_pointer<enrich_state> self, context_ptr context,
                                   log_writer_actor writer);

} // namespace adtrack::actors
