#include "actors/query_worker.hpp"

#include <utility>

#include "config/telemetry.hpp"
#include "storage/quarantine.hpp"

namespace adtrack::actors {

namespace {

caf::result<shard_answer> answer(const view_ptr& view, const analytics_query& q) {
  auto rows = view->answer(q);
  if (rows.ok()) return std::move(*rows);
  config::log(config::log_level::error, "query_worker", "query_failed", rows.why.message);
  return make_error(trouble::storage, rows.why.message);
}

void list_quarantine(const node_context& context, const quarantine_query& q, const reply_ptr& reply) {
  if (!context.parts.quarantine) return reply->fail(failure::not_found, "this node keeps no quarantine");
  auto page = context.parts.quarantine->list(q);
  if (page.ok()) return reply->complete(std::move(*page));
  config::log(config::log_level::error, "query_worker", "quarantine_failed", page.why.message);
  reply->fail(failure::overloaded, "the quarantine cannot be read now");
}

} // namespace

query_worker_actor::behavior_type query_worker(query_worker_actor::stateful_pointer<query_worker_state>,
                                               const context_ptr& context) {
  return {
      [](query_atom, const view_ptr& view, const analytics_query& q) { return answer(view, q); },
      [context](list_atom, const quarantine_query& q, const reply_ptr& reply) { list_quarantine(*context, q, reply); },
  };
}

} // namespace adtrack::actors
