// One consuming connection: reads each partition of a topic from any offset, on its own. Every partition has its own bounded
// queue and is started and stopped without touching the others (the "simple" consumer: no group, no assignment to replace,
// nothing is paused or sought, which in librdkafka 2.0.2 purges or skips). Calls for one partition must not overlap; those for
// several may. Internal to storage/kafka_*.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "storage/event_log.hpp"
#include "storage/kafka_client.hpp"

namespace adtrack::storage::kafka {

class fetcher {
public:
  // `arrived(partition)` is called when a partition's queue has something again, from librdkafka's threads under its locks: it
  // must not call back.
  using arrived = std::function<void(uint32_t)>;

  fetcher(kafka_options options, std::string topic, uint32_t partitions, counters& counts, arrived told);
  ~fetcher();
  fetcher(const fetcher&) = delete;
  fetcher& operator=(const fetcher&) = delete;

  status start(); // once, before anything else

  bool follows(uint32_t partition) const; // it is started
  int64_t next(uint32_t partition) const; // the offset that it goes on from, when it is
  // Goes on from `offset` when that is where it stands, or the record given last: who only looked at one leaves it to the next.
  bool resume(uint32_t partition, int64_t offset);
  void seek(uint32_t partition, int64_t offset);
  void stop(uint32_t partition);

  struct taken {
    std::vector<stored_record> records;
    // They come from another connection or leader than those before: what is below them may be different. None is given then.
    bool moved = false;
    int64_t empty_to = -1; // no record stands between next() and this; -1: not known
    status why;            // errc::out_of_range, errc::corrupt or errc::io; the partition is stopped then
  };
  // What is there, within the limits; does not wait.
  taken take(uint32_t partition, size_t max_records, size_t max_bytes);

  void serve(); // hands librdkafka's reports on; now and then, by one thread

  int64_t known_end(uint32_t partition) const; // as of the newest answer of the leader; -1: none yet

private:
  struct position;
  bool fill(position& of, size_t max_records, taken& out);
  status problem_of(const position& of, const rd_kafka_message_t& message);

  const kafka_options options_;
  const std::string topic_name_;
  counters& counts_;
  const arrived arrived_;
  connection_context context_;
  handle rk_;
  topic_handle topic_;
  std::vector<std::unique_ptr<position>> positions_;
};

} // namespace adtrack::storage::kafka
