#include "actors/query_worker.hpp"

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "config/telemetry.hpp"
#include "storage/quarantine.hpp"
#include "storage/spooled_log.hpp"

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

void answer_held(const node_context& context, const held_question& q, const reply_ptr& reply) {
  auto* spool = context.parts.spool;
  if (spool == nullptr) return reply->fail(failure::cannot, "this node has no spool: it is for logs in Kafka");
  held_page page;
  page.what = q.what;
  storage::status why;
  if (q.what == held_action::list) {
    auto records = spool->read_held(q.from, size_t{q.max} + 1, context.options.log_page_bytes);
    why = records.why;
    if (records.ok() && records->size() > q.max) {
      page.next = records->back().position;
      records->pop_back();
    }
    if (records.ok())
      for (auto& one : *records) page.records.push_back({one.position, one.accepted_ms, one.partition, std::move(one.value)});
  } else {
    auto done = q.what == held_action::release ? spool->release_held_below(q.below) : spool->remove_held_below(q.below);
    why = done.why;
    page.done = done.ok() ? *done : 0;
    if (page.done > 0)
      config::log(config::log_level::warning, "spool", q.what == held_action::release ? "held_released" : "held_removed",
                  q.what == held_action::release ? "records that were held go into the log after all"
                                                 : "records that were held are removed: they are not counted",
                  {{"records", page.done}, {"below", q.below}});
  }
  if (!why.ok()) {
    config::log(config::log_level::error, "query_worker", "held_failed", why.message);
    return reply->fail(failure::overloaded, "the spool cannot do that now: " + why.message);
  }
  page.total = spool->state().held_records;
  // A page may end early, where its bytes were enough.
  if (q.what == held_action::list && page.next < 0 && !page.records.empty() && page.records.size() < q.max) {
    const auto next = page.records.back().position + 1;
    auto more = spool->read_held(next, 1, 1);
    if (more.ok() && !more->empty()) page.next = next;
  }
  reply->complete(std::move(page));
}

// Between two looks at a log that has records but does not give them yet, as one that fetches over the network does.
constexpr uint32_t look_again_ms = 20;

void refuse_range(storage::event_log& log, const log_question& q, int64_t end, const reply_ptr& reply) {
  reply->fail(failure::not_kept, "the log of shard " + std::to_string(q.shard) + " holds offsets from " +
                                     std::to_string(log.begin(q.shard)) + " to below " + std::to_string(end));
}

// False when it is not answered yet.
bool read_log(const node_context& context, const log_question& q, const reply_ptr& reply) {
  auto& log = context.log();
  if (q.shard >= log.partitions()) {
    reply->fail(failure::not_found, "the log has shards 0 to " + std::to_string(log.partitions() - 1));
    return true;
  }
  log_page page;
  page.shards = log.partitions();
  page.begin = log.begin(q.shard);
  page.end = log.end(q.shard).offset;
  page.next = q.from < 0 ? page.begin : q.from;
  if (page.next < page.begin || page.next > page.end) {
    refuse_range(log, q, page.end, reply);
    return true;
  }
  if (q.max == 0) { // who only asks for the bounds must not be in a reader's way
    reply->complete(std::move(page));
    return true;
  }
  auto records = log.read(q.shard, page.next, q.max, context.options.log_page_bytes);
  if (!records.ok() && records.why.code == storage::errc::out_of_range) {
    refuse_range(log, q, page.end, reply);
    return true;
  }
  if (!records.ok()) {
    config::log(config::log_level::error, "query_worker", "log_not_read", records.why.message);
    reply->fail(failure::overloaded, "the log cannot be read now");
    return true;
  }
  if (records->empty() && page.next < page.end && q.timeout_ms > look_again_ms) return false;
  for (auto& record : *records) page.lines.push_back({record.offset, record.time_ms, std::move(record.value)});
  if (!page.lines.empty()) page.next = page.lines.back().offset + 1;
  page.end = std::max(page.end, page.next);
  reply->complete(std::move(page));
  return true;
}

} // namespace

query_worker_actor::behavior_type query_worker(query_worker_actor::stateful_pointer<query_worker_state> self,
                                               const context_ptr& context) {
  return {
      [](query_atom, const view_ptr& view, const analytics_query& q) { return answer(view, q); },
      [context](list_atom, const quarantine_query& q, const reply_ptr& reply) { list_quarantine(*context, q, reply); },
      [context](list_atom, const held_question& q, const reply_ptr& reply) { answer_held(*context, q, reply); },
      [self, context](list_atom, log_question q, const reply_ptr& reply) {
        if (read_log(*context, q, reply)) return;
        q.timeout_ms -= look_again_ms;
        self->delayed_send(self, std::chrono::milliseconds(look_again_ms), list_atom_v, q, reply);
      },
  };
}

} // namespace adtrack::actors
