// The one reader of the event log for all shards of this node: reads what has credit, decodes it, hands it to the shard. Fair
// between partitions: one batch each in turn. Detached: a read may block. Never skips a record: a partition that cannot be read
// waits, and says so. Before it reads behind a record after a seek, and whenever the log's generation has grown, it reads that
// record again: a log that forked or lost records is told to the shard, and read no further before it is found the same.
#pragma once

#include <mutex>
#include <vector>

#include "actors/context.hpp"
#include "actors/interfaces.hpp"
#include "storage/record_codec.hpp"

namespace prometheus {
class Gauge;
}

namespace adtrack::actors {

// Carries "there is something new" from any thread to the reader, at most one message at a time. Outlives the actor system: after
// close() it does nothing.
class log_wake {
public:
  void attach(log_reader_actor reader);
  void close();
  void ring();                                  // any thread
  void clear() noexcept { rung_.store(false); } // by the reader, before it looks

private:
  std::atomic<bool> rung_{false};
  std::mutex mutex_;
  log_reader_actor reader_;
};

class log_reader_state {
public:
  static constexpr const char* name = "log_reader";
  using pointer = log_reader_actor::stateful_pointer<log_reader_state>;

  void init(pointer self, context_ptr context, std::shared_ptr<log_wake> wake);
  void seek(shard_actor shard, uint32_t partition, uint64_t epoch, int64_t offset, const record_mark& last);
  void credit(uint32_t partition, uint64_t epoch);
  void woken(); // looks now, or when the next part's time has come
  void look();  // at the next part of the partitions; at all of them after a rest and when it fell behind
  void tick();

private:
  struct partition_state {
    shard_actor shard;
    uint64_t epoch = 0; // 0: no shard has asked yet
    int64_t next = 0;
    uint32_t credit = 0;
    prometheus::Gauge* waiting = nullptr; // batches that took of it
    bool starved = false;                 // there was more to read than credit
    bool troubled = false;                // the last read failed
    record_mark last;                     // below `next`; none: nothing was taken yet
    // What is below `next` was found the same as it was taken, in this generation of the log.
    bool verified = false;
    uint64_t generation = 0;
    bool checking = false; // since the two below
    int64_t checking_since_ms = 0;
    caf::actor_clock::time_point overdue_at{};
    bool told = false; // the shard knows `fault`
    log_fault fault = log_fault::none;
    caf::actor_clock::time_point retry_at{};
  };
  void set_credit(partition_state& p, uint32_t credit) const;
  // True when there is probably more to read and credit to read it with.
  bool read_one(uint32_t partition);
  // True when reading may go on behind the last record.
  bool verify(uint32_t partition);
  void tell(uint32_t partition, log_fault fault, std::string detail);
  bool reading_failed(uint32_t partition, const storage::status& why);
  void arm(std::chrono::microseconds after);
  std::chrono::microseconds step() const; // between two parts of a sweep
  caf::actor_clock::time_point now() const;

  pointer self_ = nullptr;
  context_ptr context_;
  std::shared_ptr<log_wake> wake_;
  std::vector<partition_state> partitions_;
  storage::record_decoder decoder_;
  uint32_t first_ = 0; // whose turn it is to be first
  uint32_t left_ = 0;  // partitions to look at in this sweep
  bool more_ = false;  // one of this sweep had more to read
  bool rung_ = false;  // since this sweep began
  bool armed_ = false;
  caf::actor_clock::time_point looked_at_{};
};

log_reader_actor::behavior_type log_reader(log_reader_state::pointer self, context_ptr context, std::shared_ptr<log_wake> wake);

} // namespace adtrack::actors
