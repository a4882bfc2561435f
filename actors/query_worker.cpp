#include "actors/query_worker.hpp"

#include "config/telemetry.hpp"

namespace adtrack::actors {

query_worker_actor::behavior_type query_worker(query_worker_actor::stateful_pointer<query_worker_state>) {
  return {[](query_atom, const view_ptr& view, const analytics_query& q) -> caf::result<shard_answer> {
    auto rows = view->answer(q);
    if (rows.ok()) return std::move(*rows);
    config::log(config::log_level::error, "query_worker", "query_failed", rows.why.message);
    return make_error(trouble::storage, rows.why.message);
  }};
}

} // namespace adtrack::actors
