#include "storage/kafka_fetcher.hpp"

#include <algorithm>
#include <array>
#include <atomic>

namespace adtrack::storage::kafka {
namespace {

constexpr size_t pop_max = 512; // messages taken from librdkafka's queue at once; as many at most wait for the next read

} // namespace

struct fetcher::position {
  fetcher* owner = nullptr;
  uint32_t partition = 0;
  queue messages; // null: not started
  std::atomic<bool> started{false};
  int64_t next = 0;
  std::deque<stored_record> waiting; // taken from the queue, not yet given
  stored_record last{-1, 0, {}};     // given last; offset -1: none since it was started
  int64_t empty_to = -1;
  // Where what was given last came from. Kept over stop and seek: a new connection matters whatever was read in between.
  bool known_source = false;
  int32_t broker = -1;
  uint64_t connection = 0;
};

fetcher::fetcher(kafka_options options, std::string topic, uint32_t partitions, counters& counts, arrived told)
    : options_(std::move(options)), topic_name_(std::move(topic)), counts_(counts), arrived_(std::move(told)) {
  context_.counts = &counts_;
  for (uint32_t p = 0; p < partitions; ++p) {
    positions_.push_back(std::make_unique<position>());
    positions_.back()->owner = this;
    positions_.back()->partition = p;
  }
}

fetcher::~fetcher() {
  for (uint32_t p = 0; p < positions_.size(); ++p) stop(p);
}

status fetcher::start() {
  auto made = make_handle(options_, role::consumer, context_);
  if (!made.ok()) return made.why;
  rk_ = std::move(*made);
  topic_.reset(rd_kafka_topic_new(rk_.get(), topic_name_.c_str(), nullptr));
  if (!topic_) return {errc::mismatch, "Kafka cannot have a topic named " + topic_name_};
  return {};
}

bool fetcher::follows(uint32_t partition) const { return positions_[partition]->started.load(); }
int64_t fetcher::next(uint32_t partition) const { return positions_[partition]->next; }

void fetcher::stop(uint32_t partition) {
  auto& of = *positions_[partition];
  if (!of.messages) return;
  rd_kafka_queue_cb_event_enable(of.messages.get(), nullptr, nullptr);
  // It fails only when the partition is gone, and then there is nothing to stop.
  rd_kafka_consume_stop(topic_.get(), static_cast<int32_t>(partition));
  of.messages.reset();
  of.started.store(false);
  of.waiting.clear();
  of.last = {-1, 0, {}};
  of.empty_to = -1;
}

bool fetcher::resume(uint32_t partition, int64_t offset) {
  auto& of = *positions_[partition];
  if (!follows(partition)) return false;
  if (of.next == offset) return true;
  if (of.last.offset < 0 || of.last.offset != offset) return false;
  of.next = offset;
  of.waiting.push_front(std::move(of.last));
  of.last = {-1, 0, {}};
  return true;
}

// A queue of its own each time: nothing that was fetched for an earlier position can come out of it.
void fetcher::seek(uint32_t partition, int64_t offset) {
  stop(partition);
  auto& of = *positions_[partition];
  of.messages.reset(rd_kafka_queue_new(rk_.get()));
  of.next = offset;
  rd_kafka_queue_cb_event_enable(
      of.messages.get(),
      [](rd_kafka_t*, void* opaque) {
        const auto& mine = *static_cast<position*>(opaque);
        mine.owner->arrived_(mine.partition);
      },
      &of);
  if (rd_kafka_consume_start_queue(topic_.get(), static_cast<int32_t>(partition), offset, of.messages.get()) != 0) {
    counts_.error(rd_kafka_last_error());
    of.messages.reset();
    return;
  }
  of.started.store(true);
}

status fetcher::problem_of(const position& of, const rd_kafka_message_t& message) {
  counts_.error(message.err);
  const std::string where = "partition " + std::to_string(of.partition) + " of " + topic_name_;
  switch (message.err) {
  case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
  case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
    return {errc::out_of_range, "the brokers do not have offset " + std::to_string(of.next) + " of " + where};
  case RD_KAFKA_RESP_ERR__BAD_MSG:
  case RD_KAFKA_RESP_ERR__BAD_COMPRESSION:
  case RD_KAFKA_RESP_ERR_INVALID_MSG:
    return {errc::corrupt, "what the brokers gave from offset " + std::to_string(of.next) + " of " + where +
                               " is damaged: " + rd_kafka_message_errstr(&message)};
  default: // any other code means: try again
    return {errc::io, "cannot read " + where + ": " + name_of(message.err)};
  }
}

// Moves what librdkafka has into `waiting`; false when there is nothing more to be had now.
bool fetcher::fill(position& of, size_t max_records, taken& out) {
  std::array<rd_kafka_message_t*, pop_max> messages{};
  const size_t wanted = std::clamp<size_t>(max_records, 1, pop_max);
  const auto got = rd_kafka_consume_batch_queue(of.messages.get(), 0, messages.data(), wanted);
  if (got <= 0) return false;
  for (size_t i = 0; i < static_cast<size_t>(got); ++i) {
    const owner<rd_kafka_message_t, rd_kafka_message_destroy> message(messages[i]);
    if (out.moved || !out.why.ok()) continue; // what follows is not to be used, only to be freed
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
      of.empty_to = std::max(of.empty_to, message->offset);
      continue;
    }
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
      out.why = problem_of(of, *message);
      continue;
    }
    // Invariant: a connection is counted before anything is fetched over it, and looked at here after that was taken. So a record
    // from a new one never passes for one from the old; the other way round costs the reader one comparison.
    const int32_t broker = rd_kafka_message_broker_id(message.get());
    const uint64_t connection = context_.connections_of(broker);
    if (of.known_source && (broker != of.broker || connection != of.connection)) out.moved = true;
    of.known_source = true;
    of.broker = broker;
    of.connection = connection;
    if (out.moved) continue;
    rd_kafka_timestamp_type_t type = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
    const int64_t time_ms = rd_kafka_message_timestamp(message.get(), &type);
    const int64_t last = of.waiting.empty() ? of.next - 1 : of.waiting.back().offset;
    if (message->offset <= last) continue; // a batch of the broker's begins before what was asked for
    of.waiting.push_back({message->offset, time_ms, std::string(static_cast<const char*>(message->payload), message->len)});
  }
  return !out.moved && out.why.ok();
}

fetcher::taken fetcher::take(uint32_t partition, size_t max_records, size_t max_bytes) {
  taken out;
  auto& of = *positions_[partition];
  size_t bytes = 0;
  bool full = false;
  while (of.messages && !full && out.records.size() < max_records) {
    if (of.waiting.empty() && !fill(of, max_records - out.records.size(), out)) break;
    while (!of.waiting.empty() && out.records.size() < max_records) {
      bytes += of.waiting.front().value.size();
      full = !out.records.empty() && bytes > max_bytes;
      if (full) break;
      of.next = of.waiting.front().offset + 1;
      out.records.push_back(std::move(of.waiting.front()));
      of.waiting.pop_front();
    }
    full = full || bytes >= max_bytes;
  }
  // What was taken before the trouble is given; the trouble itself is met again when the partition is started from there.
  if (out.moved || !out.why.ok()) {
    while (!of.waiting.empty() && !out.moved && out.records.size() < max_records) {
      of.next = of.waiting.front().offset + 1;
      out.records.push_back(std::move(of.waiting.front()));
      of.waiting.pop_front();
    }
    stop(partition);
  } else if (of.waiting.empty()) {
    out.empty_to = of.empty_to;
  }
  if (out.moved) out.records.clear();
  if (of.messages && !out.records.empty()) of.last = out.records.back();
  counts_.messages_in += out.records.size();
  counts_.bytes_in += bytes;
  return out;
}

void fetcher::serve() { rd_kafka_poll(rk_.get(), 0); }

int64_t fetcher::known_end(uint32_t partition) const {
  int64_t low = -1, high = -1;
  if (rd_kafka_get_watermark_offsets(rk_.get(), topic_name_.c_str(), static_cast<int32_t>(partition), &low, &high) !=
      RD_KAFKA_RESP_ERR_NO_ERROR)
    return -1;
  return std::max<int64_t>(high, -1);
}

} // namespace adtrack::storage::kafka
