#include "storage/kafka_stream.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>

#include "storage/kafka_client.hpp"
#include "storage/kafka_producer.hpp"
#include "storage/kafka_topics.hpp"

namespace adtrack::storage {
namespace {

constexpr uint32_t only_partition = 0;
constexpr int poll_ms = 100;
constexpr size_t pop_max = 512;

// The newest entry of each key, in memory: that is what the catalogue keeps of them anyway.
class newest_entries {
public:
  void add(compacted_stream::entry entry) {
    const auto known = at_.find(entry.key);
    if (known != at_.end()) entries_.erase(known->second);
    at_[entry.key] = entry.offset;
    const int64_t offset = entry.offset;
    entries_[offset] = std::move(entry);
  }
  void visit(const std::function<void(const compacted_stream::entry&)>& visitor) const {
    for (const auto& [offset, entry] : entries_) visitor(entry);
  }

private:
  std::map<int64_t, compacted_stream::entry> entries_;
  std::map<std::string, int64_t> at_;
};

class stream_on_kafka final : public compacted_stream {
public:
  explicit stream_on_kafka(const kafka_options& options)
      : options_(options), topic_(ads_topic(options)), producer_(options, topic_, counts_, [](uint32_t, int64_t, int64_t) {}) {
    context_.counts = &counts_;
  }

  status open() {
    auto made = kafka::make_handle(options_, kafka::role::consumer, context_);
    if (!made.ok()) return made.why;
    rk_ = std::move(*made);
    if (auto s = kafka::ensure_topics(rk_.get(), options_, {kafka::ads_shape(options_)}); !s.ok()) return s;
    topic_handle_.reset(rd_kafka_topic_new(rk_.get(), topic_.c_str(), nullptr));
    return producer_.start();
  }

  result<int64_t> append(std::string_view key, std::string_view value) override;
  status read_all(const std::function<void(const entry&)>& visit) override;
  status reopen() override { return producer_.reopen(); }

private:
  status read_up_to(int64_t end, newest_entries& out);

  const kafka_options options_;
  const std::string topic_;
  kafka::counters counts_;
  kafka::connection_context context_;
  kafka::handle rk_;
  kafka::topic_handle topic_handle_;
  std::mutex reading_;
  kafka::producer producer_;
};

result<int64_t> stream_on_kafka::append(std::string_view key, std::string_view value) {
  if (!producer_.writable()) return producer_.reopen();
  struct waiting {
    std::mutex mutex;
    std::condition_variable told;
    std::optional<append_outcome> outcome;
  };
  // Shared: the outcome may come after the wait was given up.
  const auto mine = std::make_shared<waiting>();
  std::vector<kafka::keyed_record> records(1);
  records[0] = {only_partition, true, value.empty(), std::string(key), std::string(value)};
  producer_.append(std::move(records), [mine](std::vector<append_outcome> outcomes) {
    {
      std::lock_guard lock(mine->mutex);
      mine->outcome = outcomes.front();
    }
    mine->told.notify_one();
  });
  std::unique_lock lock(mine->mutex);
  const auto limit = std::chrono::milliseconds(options_.message_timeout_ms + options_.drain_timeout_ms);
  mine->told.wait_for(lock, limit, [&] { return mine->outcome.has_value(); });
  if (!mine->outcome || mine->outcome->fate != append_fate::durable)
    return status{errc::io, mine->outcome && mine->outcome->fate == append_fate::refused
                                ? "Kafka did not take an entry of " + topic_
                                : "it is not known whether Kafka took an entry of " + topic_ + ": try again"};
  if (mine->outcome->offset < 0)
    return status{errc::io, "Kafka took an entry of " + topic_ + " and did not say at which offset: try again"};
  return mine->outcome->offset;
}

status stream_on_kafka::read_all(const std::function<void(const entry&)>& visit) {
  std::lock_guard one_at_a_time(reading_);
  std::vector<int64_t> ends;
  if (auto s = kafka::ask_offsets(rk_.get(), topic_, {only_partition}, RD_KAFKA_OFFSET_END, options_.admin_timeout_ms, ends);
      !s.ok())
    return s;
  newest_entries found;
  if (ends[0] > 0)
    if (auto s = read_up_to(ends[0], found); !s.ok()) return s;
  found.visit(visit);
  return {};
}

// Compaction and transactions leave gaps, also just below the end: there it is the mark of the end that says that all was seen.
status stream_on_kafka::read_up_to(int64_t end, newest_entries& out) {
  const kafka::queue messages(rd_kafka_queue_new(rk_.get()));
  if (rd_kafka_consume_start_queue(topic_handle_.get(), only_partition, RD_KAFKA_OFFSET_BEGINNING, messages.get()) != 0)
    return {errc::io, "cannot read " + topic_ + ": " + kafka::name_of(rd_kafka_last_error())};
  struct stopper {
    rd_kafka_topic_t* topic;
    ~stopper() { rd_kafka_consume_stop(topic, only_partition); }
  } const stops{topic_handle_.get()};
  int64_t moved_ms = kafka::monotonic_ms();
  std::array<rd_kafka_message_t*, pop_max> batch{};
  for (int64_t next = 0; next < end;) {
    const auto got = rd_kafka_consume_batch_queue(messages.get(), poll_ms, batch.data(), batch.size());
    rd_kafka_poll(rk_.get(), 0);
    if (got > 0) moved_ms = kafka::monotonic_ms();
    if (kafka::monotonic_ms() - moved_ms > static_cast<int64_t>(options_.connect_timeout_ms))
      return {errc::io, "reading " + topic_ + " stands still at offset " + std::to_string(next) + " of " + std::to_string(end)};
    status wrong;
    for (size_t i = 0; got > 0 && i < static_cast<size_t>(got); ++i) {
      const kafka::owner<rd_kafka_message_t, rd_kafka_message_destroy> message(batch[i]);
      if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        next = std::max(next, message->offset);
      } else if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        counts_.error(message->err);
        if (wrong.ok())
          wrong = {errc::io, "cannot read " + topic_ + " at offset " + std::to_string(next) + ": " +
                                 rd_kafka_message_errstr(message.get())};
      } else if (wrong.ok() && message->offset >= next && message->offset < end) {
        next = message->offset + 1;
        rd_kafka_timestamp_type_t type = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        out.add({message->offset, rd_kafka_message_timestamp(message.get(), &type),
                 std::string(static_cast<const char*>(message->key), message->key_len),
                 std::string(static_cast<const char*>(message->payload), message->len)});
      } else if (wrong.ok() && message->offset >= end) {
        next = end;
      }
    }
    if (!wrong.ok()) return wrong;
  }
  return {};
}

} // namespace

result<std::unique_ptr<compacted_stream>> open_kafka_stream(const kafka_options& options) {
  if (options.brokers.empty()) return status{errc::mismatch, "kafka.brokers is empty: name at least one broker as host:port"};
  auto stream = std::make_unique<stream_on_kafka>(options);
  if (auto s = stream->open(); !s.ok()) return s;
  return std::unique_ptr<compacted_stream>(std::move(stream));
}

} // namespace adtrack::storage
