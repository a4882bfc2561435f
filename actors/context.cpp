#include "actors/context.hpp"

#include "config/telemetry.hpp"

namespace adtrack::actors {

namespace {

std::string missing_part(const node_parts& parts) {
  if (!parts.log) return "the node needs an event log";
  if (parts.log->partitions() == 0) return "the event log has no partitions";
  if (!parts.open_engine) return "the node needs a way to open its shards";
  if (!parts.open_catalogue) return "the node needs a way to open its catalogue";
  if (parts.metrics == nullptr) return "the node needs the metrics registry";
  if (parts.open_inbox && !parts.parse_event) return "the node needs a way to check the records of its inbox";
  if (!parts.now_ms) return "the node needs a wall clock";
  return {};
}

std::string bad_option(const node_options& o) {
  if (o.threads == 0 || o.query_workers == 0) return "the node needs at least one thread of each kind";
  if (o.log_batch_records == 0 || o.reader_batch_records == 0 || o.reader_credit_batches == 0)
    return "batch and credit sizes of the node start at 1";
  if (o.inbox_batch_records == 0 || o.inbox_poll_ms == 0) return "the batches and pauses of the inbox start at 1";
  if (o.commit_ms == 0 || o.sync_ms == 0 || o.retry_ms == 0 || o.reader_poll_ms == 0 || o.query_timeout_ms == 0)
    return "intervals of the node start at 1 ms";
  return {};
}

} // namespace

context_ptr make_context(const node_options& options, node_parts parts, std::string& error) {
  error = missing_part(parts);
  if (error.empty()) error = bad_option(options);
  if (!error.empty()) return nullptr;
  if (!parts.steady_ms) {
    parts.steady_ms = [] {
      return std::chrono::duration_cast<std::chrono::milliseconds>(steady_clock::now().time_since_epoch()).count();
    };
  }
  auto out = std::make_shared<node_context>();
  in_flight_limits limits;
  limits.events = options.max_in_flight_events;
  limits.bytes = options.max_in_flight_bytes;
  limits.asks = options.max_waiting_queries;
  limits.ingest_timeout = std::chrono::milliseconds(options.ingest_timeout_ms);
  out->flights = std::make_shared<in_flight>(limits, &parts.metrics->in_flight());
  out->status = std::make_shared<node_status>(parts.log->partitions());
  out->handed = std::make_shared<handed_batches>(parts.log->partitions(), options.reader_credit_batches);
  out->lone = std::make_shared<lone_queries>();
  out->ads = std::make_shared<ad_directory>();
  out->options = options;
  out->parts = std::move(parts);
  return out;
}

} // namespace adtrack::actors
