// Appends to one topic with an idempotent producer, each record to the partition that it names, and gives every record exactly
// one outcome, whatever happens: what is outstanding when the producer is replaced or closed gets its own. Replaces the producer
// by itself after a fatal error. Thread-safe; outcomes are given by its own thread, or by the caller when nothing could be handed
// over. Internal to storage/kafka_*.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <thread>
#include <vector>

#include "storage/event_log.hpp"
#include "storage/kafka_client.hpp"

namespace adtrack::storage::kafka {

struct keyed_record {
  uint32_t partition = 0;
  bool has_key = false;
  bool tombstone = false; // no value at all, which Kafka tells from an empty one
  std::string key;
  std::string value;
};

class producer {
public:
  // `acknowledged(partition, offset, time_ms)` is told of each durable record before its append's outcome is; offset or log time
  // -1: not known.
  using acknowledged = std::function<void(uint32_t partition, int64_t offset, int64_t time_ms)>;

  producer(kafka_options options, std::string topic, counters& counts, acknowledged told);
  ~producer(); // every append has its outcome when it returns
  producer(const producer&) = delete;
  producer& operator=(const producer&) = delete;

  status start(); // once, before anything else

  void append(std::vector<keyed_record> records, append_done done);

  bool writable() const;
  status reopen(); // has a failed producer replaced without further waiting; errc::read_only until it is

  void fill(kafka_stats& out) const; // what is outstanding

private:
  struct generation; // one librdkafka producer
  struct call;       // one append
  struct slot;       // one record of it
  using call_list = std::list<std::unique_ptr<call>>;

  static void delivered(const rd_kafka_message_t* message);
  void settle(slot& record, append_outcome outcome);
  void finish_one(call& of);
  void poll();
  void close(std::unique_ptr<generation> old);
  status make();
  void replace_failed();

  const kafka_options options_;
  const std::string topic_;
  counters& counts_;
  const acknowledged acknowledged_;

  // Appends share the mutex; its owner alone changes current_. Only the polling thread does, so it needs no lock to use it.
  mutable std::shared_mutex current_mutex_;
  std::unique_ptr<generation> current_; // null: none that is sound
  std::atomic<int64_t> replace_at_ms_{0};
  uint32_t failures_ = 0; // in a row

  mutable std::mutex calls_mutex_;
  call_list calls_; // without their outcomes, oldest first
  uint64_t outstanding_ = 0;

  std::mutex stop_mutex_;
  std::condition_variable stopped_;
  bool stop_ = false;
  std::thread thread_;
};

} // namespace adtrack::storage::kafka
