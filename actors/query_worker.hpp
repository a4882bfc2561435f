// Answers questions over many ads from a frozen state of a shard, and those for the quarantine and the log's records, on a thread
// of its own. Holds no state.
#pragma once

#include "actors/context.hpp"
#include "actors/interfaces.hpp"

namespace adtrack::actors {

struct query_worker_state {
  static constexpr const char* name = "query_worker";
};

query_worker_actor::behavior_type query_worker(query_worker_actor::stateful_pointer<query_worker_state> self,
                                               const context_ptr& context);

} // namespace adtrack::actors
