// A running node: the actors of one process, started and stopped in order. CAF-free: the composition root fills the options
// and the parts, hands door() to http, and calls stop() once before it lets go. Not thread-safe but for door().
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "actors/gateway.hpp"
#include "model/control.hpp"
#include "model/visitor_key.hpp"
#include "storage/event_log.hpp"
#include "storage/shard_engine.hpp"

namespace adtrack::config {
class metrics;
}
namespace adtrack::storage {
class ads_catalogue;
class inbox;
class checkpoints;
class quarantine;
class spooled_log;
} // namespace adtrack::storage

namespace adtrack::actors {

enum class address_policy : uint8_t {
  mask, // IPv4 to its /24, IPv6 to its /48
  drop, // no address in the log
};

struct node_options {
  std::string node_id;
  size_t threads = 2; // of the scheduler that runs what does not block
  address_policy addresses = address_policy::mask;
  uint64_t max_in_flight_events = 100'000;
  uint64_t max_in_flight_bytes = 64u << 20;
  uint64_t max_waiting_queries = 10'000; // catalogue requests included
  uint32_t ingest_timeout_ms = 5'000;
  size_t log_batch_records = 10'000; // records an append, about
  size_t reader_batch_records = 2'000;
  size_t reader_batch_bytes = 4u << 20;
  size_t log_page_bytes = 1u << 20;   // of records that are asked for over the gateway
  uint32_t reader_credit_batches = 4; // batches on their way to one shard
  uint32_t reader_sweep_ms = 10;      // under load the reader looks at each of four or more partitions once in this time
  uint32_t reader_poll_ms = 100;      // looks this often even if nobody woke it
  uint32_t commit_ms = 1'000;
  uint32_t sync_ms = 10'000;
  uint32_t query_timeout_ms = 5'000; // upper bound of a query's own
  int64_t real_time_lag_ms = 1'000;
  size_t query_workers = 1;            // threads that answer queries over many ads
  size_t max_wide_queries = 16;        // queries over many ads in flight, the rest is refused
  size_t max_position_waiters = 1'000; // queries a shard that wait for min_position
  size_t inbox_batch_records = 2'000;  // in flight at once
  size_t inbox_batch_bytes = 8u << 20;
  size_t inbox_value_bytes = 64u << 10; // of one event
  bool require_known_ads = false;       // events of other ads are refused
  uint32_t inbox_poll_ms = 50;          // between two looks when nothing came
  uint32_t retry_ms = 1'000;            // between two tries to reopen what failed
  int64_t clock_max_jump_s = 300;
};

// What is wrong with a text that should be an event.
enum class event_fault : uint8_t {
  none,
  syntax, // it is no JSON object
  field,  // a field of it
};

struct node_parts {
  std::shared_ptr<storage::event_log> log;
  // Opens the engine of a shard; called on the shard's own thread, again after a failure (the earlier engine is gone by then).
  std::function<storage::result<std::unique_ptr<storage::shard_engine>>(uint32_t shard)> open_engine;
  // Makes the catalogue, not loaded yet; called on the catalogue's own thread.
  std::function<storage::result<std::unique_ptr<storage::ads_catalogue>>()> open_catalogue;
  // Opens the inbox of other producers' events; called on its own thread, again after a failure. Empty: there is none.
  std::function<storage::result<std::unique_ptr<storage::inbox>>()> open_inbox;
  // Checks a record of the inbox as http checks an event whose `type` is a field, taking `time_ms`, the record's time, for the
  // server's: the same record gives the same event whenever it is read. Needed with open_inbox; one thread calls it.
  std::function<event_fault(std::string_view json, int64_t time_ms, submission& out)> parse_event;
  std::shared_ptr<storage::quarantine> quarantine;   // of records that could not be read; null: none is kept
  std::shared_ptr<storage::checkpoints> checkpoints; // null: none are made
  storage::spooled_log* spool = nullptr;             // the log, if it has a spool; null: it has none
  config::metrics* metrics = nullptr;                // outlives the node
  visitor_key key;
  control wanted;
  std::function<int64_t()> now_ms;    // wall clock, unix ms; thread-safe
  std::function<int64_t()> steady_ms; // monotonic; empty: the system's
  // Whether a submission is valid traffic and what is known of its visitor, with the version of the rules that say so. Empty:
  // everything is valid. Thread-safe; called for each event by the caller of the gateway.
  std::function<traffic_stamp(const submission&)> judge;
  // Called every second on a thread of the node's own, for what only the caller can publish. May be empty; must not block.
  std::function<void()> every_second;
  // Likewise: what the caller knows to be degraded, by name; an empty text says that it is not.
  std::function<std::vector<std::pair<std::string, std::string>>()> troubles;
  // Called once, from any thread, when an actor died: the process must exit rather than limp.
  std::function<void(const std::string& why)> fatal;
};

class node {
public:
  // Null, with `error` set, when the parts cannot work together. Otherwise opening goes on in the background: see door().ready().
  static std::unique_ptr<node> start(const node_options& options, node_parts parts, std::string& error);
  ~node(); // stops with a short deadline when stop was not called

  gateway& door();

  // Refuses what is new, waits for what is in flight, commits and syncs the shards, ends the actors. False when something did not
  // end by the deadline: the caller must then leave the process without destroying what it gave to the node.
  bool stop(std::chrono::steady_clock::time_point deadline);

private:
  struct impl;
  explicit node(std::unique_ptr<impl> i);
  std::unique_ptr<impl> impl_;
};

} // namespace adtrack::actors
