// Deterministic ground for tests of actors: CAF's test scheduler and clock, a log that can be told to fail or to keep its answers
// back, shard engines that survive being dropped as their stores would, and a sink that remembers completions.
// One thread; nothing here sleeps.
#pragma once

#include <caf/all.hpp>
#include <caf/scheduler/test_coordinator.hpp>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "actors/context.hpp"
#include "actors/interfaces.hpp"
#include "config/telemetry.hpp"
#include "storage/catalogue.hpp"
#include "storage/event_log.hpp"
#include "storage/quarantine.hpp"
#include "storage/shard_engine.hpp"
#include "tests/support/scratch_dir.hpp"

namespace adtrack::testing {

// A memory log with a script.
class scripted_log final : public storage::event_log {
public:
  // At once; keep the answer; never answer; answer `unknown` and become read-only; answer `spooled`.
  enum class mood { take, hold, lose, fail, spool };
  explicit scripted_log(uint32_t partitions, std::function<int64_t()> now_ms);

  uint32_t partitions() const noexcept override { return under_->partitions(); }
  void append(std::vector<storage::log_record> records, storage::append_done done) override;
  storage::result<std::vector<storage::stored_record>> read(uint32_t partition, int64_t from, size_t max_records,
                                                            size_t max_bytes) override;
  std::optional<int64_t> appended_ms(uint32_t partition, int64_t offset) override {
    return known_time ? known_time : storage::event_log::appended_ms(partition, offset);
  }
  int64_t begin(uint32_t partition) override { return under_->begin(partition); }
  storage::log_end end(uint32_t partition) override { return under_->end(partition); }
  storage::status trim(uint32_t partition, int64_t below) override { return under_->trim(partition, below); }
  storage::status reopen() override;
  bool writable() const noexcept override { return writable_; }
  bool takes_records() const noexcept override { return !anothers; }
  void on_appended(std::function<void()> callback) override;
  uint64_t generation(uint32_t) override { return next_generation; }
  storage::status health() override { return shape; }
  uint64_t waiting() override { return waiting_records; }
  bool rewrites() const noexcept override { return rewritable; }
  storage::result<int64_t> rewrite(uint32_t partition, int64_t from, int64_t to, const storage::record_change& change) override;
  storage::status purge(uint32_t partition) override;

  void release(); // answers what was held
  // Another history takes the place of this one: what a partition holds from `from` on is gone, and these stand there instead.
  void fork(uint32_t partition, int64_t from, const std::vector<std::string>& values);

  mood next = mood::take;
  bool reopens = true;
  bool reads_fail = false;
  bool anothers = false;      // it takes no records
  bool reads_nothing = false; // as a log that has not fetched yet
  std::function<void()> before_read;
  std::optional<int64_t> known_time; // what appended_ms() says
  uint64_t next_generation = 0;      // what generation() says
  storage::status shape;             // what health() says
  uint64_t waiting_records = 0;      // what waiting() says
  bool rewritable = true;            // what rewrites() says
  storage::status next_rewrite;      // not ok: a rewrite says so, once
  int purges = 0;
  int reopen_calls = 0;
  std::vector<size_t> append_sizes;               // records an append, in order
  std::vector<std::pair<uint32_t, size_t>> reads; // partition, records, of successful reads that found something

private:
  std::unique_ptr<storage::event_log> under_;
  const std::function<int64_t()> now_ms_;
  std::function<void()> appended_;
  std::atomic<bool> writable_{true};
  std::vector<std::pair<std::vector<storage::log_record>, storage::append_done>> held_;
};

// What the engine of one shard does and did. Outlives the engines, as a store would.
struct engine_script {
  std::deque<storage::status> open_failures; // each open takes one
  storage::status next_apply;                // not ok: apply says so, once
  storage::status next_sync;
  storage::status next_view;
  int64_t widen_s = 0; // views widen the window by as much, to a multiple of 10 s
  storage::status next_purge;
  storage::status next_copy;
  std::vector<std::pair<int64_t, std::string>> copies; // next offset, path
  int opens = 0, commits = 0, syncs = 0, views = 0, purges = 0;
  bool alive = false;
  std::vector<shard_digest> kept_digests;
  std::vector<std::pair<int64_t, size_t>> applied; // first offset, records
  std::vector<std::string> browsers;               // of events, as the batch that brought them names them

  struct content {
    int64_t next = 0;
    record_mark last;
    bool has_control = false;
    control in_force;
    std::map<uint64_t, uint64_t> clicks; // by ad
    std::map<identity, event_fate> fates;
    std::map<int64_t, erasure> erasures;
  };
  content committed; // what a new engine starts from
};

storage::result<std::unique_ptr<storage::shard_engine>> open_scripted_engine(uint32_t shard,
                                                                             std::shared_ptr<engine_script> script);

class collecting_sink final : public actors::completion_sink {
public:
  void complete(std::vector<actors::completion> completions) override;
  size_t count() const;
  size_t calls() const;
  // The only outcome of the ticket with this serial; fails the test when there is none or more than one.
  actors::outcome only(uint64_t serial) const;

private:
  mutable std::mutex mutex_;
  size_t calls_ = 0;
  std::vector<actors::completion> got_;
};

actors::ticket ticket_of(uint64_t serial);
actors::ingest_item click(uint64_t serial, uint64_t ad_id, const std::string& event_id);

// The first ad id from 1 that lives in `shard` of `shards`.
uint64_t ad_in_shard(uint32_t shard, uint32_t shards);

struct actor_fixture {
  static constexpr uint32_t default_shards = 4;
  explicit actor_fixture(uint32_t shards = default_shards, const std::function<void(actors::node_options&)>& change = {});
  ~actor_fixture();

  void run() { sched->run(); }
  void advance(std::chrono::milliseconds by); // runs before and after
  // Ends the actor with the fixture.
  template <class T>
  T keep(T handle) {
    kept.push_back(caf::actor_cast<caf::actor>(handle));
    return handle;
  }
  actors::ingest_ptr admit(std::vector<actors::ingest_item> items, std::optional<actors::ticket> together = {});
  actors::reply_ptr reply(uint64_t serial) { return context->flights->admit(ticket_of(serial)); }

  int64_t now_ms = 1'700'000'000'000;
  control wanted;
  config::metrics metrics;
  test::scratch_dir copies; // for checkpoints
  std::shared_ptr<scripted_log> log;
  bool quarantine_fails = false; // every write to it; its clock is now_ms
  std::shared_ptr<storage::quarantine> quarantine;
  std::vector<std::shared_ptr<engine_script>> engines;
  collecting_sink sink;
  actors::context_ptr context;

  struct system_settings : caf::actor_system_config {
    system_settings();
  } settings;
  std::unique_ptr<caf::actor_system> system;
  caf::scheduler::test_coordinator* sched = nullptr;
  std::vector<caf::actor> kept;
};

} // namespace adtrack::testing
