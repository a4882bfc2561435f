// Takes what other producers wrote to the inbox into the log: reads a batch, checks every record, hands the good ones the way
// that events of http go, keeps the bad ones in the quarantine, and commits how far it came once each record is durable in one or
// the other. Whatever fails is tried again with the same records; nothing is committed before. One batch is in flight, and it
// shares the node's bound on events with http. Detached: reading, committing and fsyncs block.
#pragma once

#include <functional>
#include <mutex>
#include <vector>

#include "actors/context.hpp"
#include "actors/interfaces.hpp"
#include "storage/inbox.hpp"

namespace prometheus {
class Counter;
class Gauge;
} // namespace prometheus

namespace adtrack::actors {

// What became of the events of one attempt; told by whoever completes them, from any thread.
class inbox_answers final : public completion_sink {
public:
  explicit inbox_answers(caf::weak_actor_ptr told) : told_(std::move(told)) {}
  void expect(uint32_t attempt, size_t events); // of those before, nothing counts any more
  void complete(std::vector<completion> completions) override;
  std::vector<size_t> not_durable(std::string& why); // indices of records, once all is told

private:
  const caf::weak_actor_ptr told_;
  std::mutex mutex_;
  uint32_t attempt_ = 0;
  size_t left_ = 0;
  std::vector<size_t> failed_;
  std::string why_;
};

class inbox_state {
public:
  static constexpr const char* name = "inbox";
  using pointer = inbox_actor::stateful_pointer<inbox_state>;
  using ingest_port = std::function<void(ingest_ptr)>;

  ~inbox_state();
  void init(pointer self, context_ptr context, ingest_port port);
  void tick(uint64_t turn);
  void answered(uint32_t attempt);
  void stop();

private:
  using milliseconds = std::chrono::milliseconds;

  // Each does what is to be done now and says how long to wait for the next step.
  milliseconds step();
  milliseconds open();
  milliseconds read();
  milliseconds settle();
  milliseconds commit();
  milliseconds failed(const char* event, const std::string& why);

  const char* reason_against(const storage::inbox_record& record, submission& out) const; // null: it is valid
  void parse();
  storage::status keep_bad();
  bool submit();
  void measure();
  void next_step(milliseconds after);
  void well();

  pointer self_ = nullptr;
  context_ptr context_;
  ingest_port port_;
  std::unique_ptr<inbox_answers> answers_;
  std::unique_ptr<storage::inbox> source_; // null until it is open

  // The batch. Its records stay until they are committed: what is tried again is parsed from them anew, to the same result.
  std::vector<storage::inbox_record> records_;
  std::vector<size_t> unsettled_;  // records that are neither durable nor known to be bad
  std::vector<ingest_item> items_; // the events of these; empty: not parsed yet, or on their way
  std::vector<quarantined> bad_;   // not in the quarantine yet
  bool appending_ = false;
  uint32_t attempt_ = 0;

  uint64_t turn_ = 0;     // only the tick that was asked for last counts
  uint32_t failures_ = 0; // in a row
  caf::actor_clock::time_point retry_at_{}, measured_at_{};
  bool troubled_ = false;
  bool stopping_ = false;
  uint64_t lost_ = 0; // as the source told
  prometheus::Counter* accepted_ = nullptr;
  prometheus::Counter* quarantined_ = nullptr;
  prometheus::Counter* lost_count_ = nullptr;
  prometheus::Gauge* lag_ = nullptr;
};

// `port` hands a batch to enrichment and the log writer. Starts by itself.
inbox_actor::behavior_type inbox(inbox_state::pointer self, context_ptr context, inbox_state::ingest_port port);

} // namespace adtrack::actors
