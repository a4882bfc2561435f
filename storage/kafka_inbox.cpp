#include "storage/kafka_inbox.hpp"

#include <algorithm>
#include <array>
#include <deque>
#include <map>
#include <utility>

#include "config/telemetry.hpp"
#include "storage/kafka_client.hpp"
#include "storage/kafka_topics.hpp"

namespace adtrack::storage {
namespace {

constexpr size_t pop_max = 512;         // messages taken from librdkafka's queue at once; as many at most wait for the next read
constexpr int64_t gap_check_ms = 1'000; // between two questions whether a gap is a loss: transactions leave gaps all the time
constexpr int64_t none = -1;

class inbox_on_kafka final : public inbox {
public:
  inbox_on_kafka(const kafka_options& options, const kafka_inbox_options& more)
      : options_(options), more_(more), topic_(inbox_topic(options)) {
    context_.home = this;
    context_.counts = &counts_;
    context_.rebalanced = [](rd_kafka_t* rk, rd_kafka_resp_err_t what, rd_kafka_topic_partition_list_t* partitions) {
      auto* context = static_cast<kafka::connection_context*>(rd_kafka_opaque(rk));
      static_cast<member_context*>(context)->home->rebalanced(what, *partitions);
    };
  }
  ~inbox_on_kafka() override;

  status open();
  result<std::vector<inbox_record>> read(size_t max_records, size_t max_bytes) override;
  void serve() override;
  status commit(std::span<const inbox_position> positions) override;
  result<inbox_lag> lag() override;

private:
  struct member_context : kafka::connection_context {
    inbox_on_kafka* home = nullptr;
  };
  // A partition that the group has given to this node. Offsets are the next of their kind; none: not known.
  struct share {
    int64_t committed = none;
    int64_t taken = none;                   // out of librdkafka's queue
    int64_t given = none;                   // by read()
    int64_t empty_to = none;                // no record stands between `taken` and this
    int64_t gap_from = none, gap_to = none; // no record came from there, which may be a loss
  };

  void rebalanced(rd_kafka_resp_err_t what, const rd_kafka_topic_partition_list_t& partitions);
  void assign(const rd_kafka_topic_partition_list_t* partitions);
  void accept(const rd_kafka_message_t& message);
  bool fill(size_t max_records);
  status learn_starts();
  status look_at_gaps();

  const kafka_options options_;
  const kafka_inbox_options more_;
  const std::string topic_;
  kafka::counters counts_;
  member_context context_;
  kafka::handle rk_;
  // Every partition's messages, of this assignment only: what librdkafka fetched for an earlier one cannot come out of it. They
  // do not go through the queue of the group's events, so that those are served without reading.
  kafka::queue arrivals_;
  std::map<uint32_t, share> shares_;
  bool starts_known_ = true;
  std::deque<inbox_record> waiting_; // taken, not yet given
  status trouble_;                   // for the next read
  int64_t gaps_asked_ms_ = 0;
  uint64_t lost_ = 0;
};

status inbox_on_kafka::open() {
  const std::vector<std::pair<std::string, std::string>> member = {
      {"group.id", topic_},
      {"auto.offset.reset", "earliest"},
      {"enable.auto.offset.store", "false"},
      {"isolation.level", "read_committed"},
      {"partition.assignment.strategy", "range"}, // whole assignments, which rebalanced() relies on
      {"session.timeout.ms", std::to_string(more_.session_ms)},
      {"heartbeat.interval.ms", std::to_string(std::max<uint32_t>(more_.session_ms / 5, 1))},
      {"max.poll.interval.ms", std::to_string(std::max(more_.max_unserved_ms, more_.session_ms))},
      {"topic.metadata.refresh.interval.ms", std::to_string(std::clamp<uint32_t>(options_.topics_ms, 10, 30'000))},
      {"queued.max.messages.kbytes", std::to_string(std::max<size_t>(more_.fetch_queue_bytes >> 10, 1))},
      {"fetch.message.max.bytes", std::to_string(std::clamp<size_t>(more_.fetch_queue_bytes / 4, 1u << 20, 16u << 20))},
  };
  auto made = kafka::make_handle(options_, kafka::role::consumer, context_, member);
  if (!made.ok()) return made.why;
  rk_ = std::move(*made);
  if (auto s = kafka::ensure_topics(rk_.get(), options_, {kafka::inbox_shape(options_)}); !s.ok()) return s;
  rd_kafka_poll_set_consumer(rk_.get());
  const kafka::partition_list topics(rd_kafka_topic_partition_list_new(1));
  rd_kafka_topic_partition_list_add(topics.get(), topic_.c_str(), RD_KAFKA_PARTITION_UA);
  if (const auto code = rd_kafka_subscribe(rk_.get(), topics.get()))
    return {errc::io, "cannot join the group " + topic_ + ": " + kafka::name_of(code)};
  return {};
}

inbox_on_kafka::~inbox_on_kafka() {
  if (!rk_) return;
  // Leaves the group, so that the others need not wait for the session to end.
  const kafka::queue closing(rd_kafka_queue_new(rk_.get()));
  if (auto* error = rd_kafka_consumer_close_queue(rk_.get(), closing.get())) {
    counts_.error(rd_kafka_error_code(error));
    rd_kafka_error_destroy(error);
    return;
  }
  constexpr int look_ms = 20;
  const int64_t deadline = kafka::monotonic_ms() + options_.drain_timeout_ms;
  while (rd_kafka_consumer_closed(rk_.get()) == 0 && kafka::monotonic_ms() < deadline)
    rd_kafka_queue_poll_callback(closing.get(), look_ms);
}

// Called out of serve() and the destructor. What was given and not committed belongs to whoever has the partition from now on.
void inbox_on_kafka::rebalanced(rd_kafka_resp_err_t what, const rd_kafka_topic_partition_list_t& partitions) {
  shares_.clear();
  waiting_.clear();
  arrivals_.reset();
  assign(what == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS ? &partitions : nullptr);
}

void inbox_on_kafka::assign(const rd_kafka_topic_partition_list_t* partitions) {
  if (partitions != nullptr && partitions->cnt > 0) {
    arrivals_.reset(rd_kafka_queue_new(rk_.get()));
    for (int i = 0; i < partitions->cnt; ++i) {
      const auto& each = partitions->elems[i];
      shares_[static_cast<uint32_t>(each.partition)] = {};
      // Before anything is fetched: librdkafka then leaves the queue where it leads.
      const kafka::queue own(rd_kafka_queue_get_partition(rk_.get(), each.topic, each.partition));
      if (own) rd_kafka_queue_forward(own.get(), arrivals_.get());
    }
  }
  starts_known_ = shares_.empty();
  const auto code = rd_kafka_assign(rk_.get(), partitions);
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
    counts_.error(code);
    trouble_ = {errc::io, "cannot take over partitions of " + topic_ + ": " + kafka::name_of(code)};
  }
  config::log(config::log_level::info, "kafka", "inbox_assigned", "the group has shared the inbox out",
              {{"topic", topic_}, {"partitions", shares_.size()}});
}

void inbox_on_kafka::serve() {
  // Messages come by arrivals_; this one serves the group and gives errors. A few at most, as one error may follow another.
  constexpr int events_max = 16;
  for (int i = 0; i < events_max; ++i) {
    const kafka::owner<rd_kafka_message_t, rd_kafka_message_destroy> message(rd_kafka_consumer_poll(rk_.get(), 0));
    if (!message) return;
    accept(*message);
  }
}

void inbox_on_kafka::accept(const rd_kafka_message_t& message) {
  const auto found = shares_.find(static_cast<uint32_t>(message.partition));
  if (message.err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
    if (found != shares_.end()) found->second.empty_to = message.offset;
    return;
  }
  if (message.err != RD_KAFKA_RESP_ERR_NO_ERROR) {
    counts_.error(message.err);
    // librdkafka goes on by itself after all but a fatal one.
    trouble_ = {message.err == RD_KAFKA_RESP_ERR__FATAL ? errc::read_only : errc::io,
                "cannot read " + topic_ + ": " + rd_kafka_message_errstr(&message)};
    return;
  }
  if (found == shares_.end()) return;
  auto& mine = found->second;
  if (message.offset < mine.taken) return; // committed by another member since librdkafka asked
  if (message.offset > mine.taken && mine.taken != none) {
    if (mine.gap_from == none) mine.gap_from = mine.taken;
    mine.gap_to = message.offset;
  }
  mine.taken = message.offset + 1;
  rd_kafka_timestamp_type_t type = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
  const int64_t time_ms = rd_kafka_message_timestamp(&message, &type);
  waiting_.push_back({found->first, message.offset, type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE ? none : time_ms,
                      std::string(static_cast<const char*>(message.payload), message.len)});
  ++counts_.messages_in;
  counts_.bytes_in += message.len;
}

// Moves what librdkafka has into waiting_; false when there is nothing more to be had now.
bool inbox_on_kafka::fill(size_t max_records) {
  std::array<rd_kafka_message_t*, pop_max> messages{};
  const size_t wanted = std::clamp<size_t>(max_records, 1, pop_max);
  const auto got = rd_kafka_consume_batch_queue(arrivals_.get(), 0, messages.data(), wanted);
  for (size_t i = 0; got > 0 && i < static_cast<size_t>(got); ++i) {
    const kafka::owner<rd_kafka_message_t, rd_kafka_message_destroy> message(messages[i]);
    accept(*message);
  }
  return got > 0;
}

result<std::vector<inbox_record>> inbox_on_kafka::read(size_t max_records, size_t max_bytes) {
  serve();
  if (!trouble_.ok()) return std::exchange(trouble_, {});
  std::vector<inbox_record> out;
  if (!arrivals_) return out;
  if (auto s = learn_starts(); !s.ok()) return s;
  size_t bytes = 0;
  while (out.size() < max_records) {
    if (waiting_.empty() && !fill(max_records - out.size())) break;
    if (waiting_.empty()) continue; // nothing but marks and errors came
    bytes += waiting_.front().value.size();
    if (!out.empty() && bytes > max_bytes) break;
    out.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
    shares_[out.back().partition].given = out.back().offset + 1;
  }
  // A failure to ask is no reason to keep back what was read: it is asked again.
  if (auto s = look_at_gaps(); !s.ok())
    config::log(config::log_level::warning, "kafka", "inbox_gap_unknown",
                "the inbox has a gap, and whether records were lost in it is not known yet: " + s.message);
  return out;
}

// Nothing is given before it is known where the group stands: a first record that comes later is a loss to be told.
status inbox_on_kafka::learn_starts() {
  if (starts_known_) return {};
  const kafka::partition_list list(rd_kafka_topic_partition_list_new(static_cast<int>(shares_.size())));
  for (const auto& [partition, mine] : shares_)
    rd_kafka_topic_partition_list_add(list.get(), topic_.c_str(), static_cast<int32_t>(partition));
  if (const auto code = rd_kafka_committed(rk_.get(), list.get(), static_cast<int>(options_.admin_timeout_ms)))
    return {errc::io, "cannot ask how far " + topic_ + " was taken: " + kafka::name_of(code)};
  std::vector<uint32_t> fresh;
  for (int i = 0; i < list->cnt; ++i) {
    const auto& each = list->elems[i];
    if (each.err != RD_KAFKA_RESP_ERR_NO_ERROR)
      return {errc::io, "cannot ask how far " + topic_ + " was taken: " + kafka::name_of(each.err)};
    auto& mine = shares_[static_cast<uint32_t>(each.partition)];
    mine.committed = mine.taken = each.offset >= 0 ? each.offset : none;
    if (each.offset < 0) fresh.push_back(static_cast<uint32_t>(each.partition));
  }
  std::vector<int64_t> begins;
  if (!fresh.empty())
    if (auto s = kafka::ask_offsets(rk_.get(), topic_, fresh, RD_KAFKA_OFFSET_BEGINNING, options_.admin_timeout_ms, begins);
        !s.ok())
      return s;
  for (size_t i = 0; i < fresh.size(); ++i) shares_[fresh[i]].committed = begins[i];
  starts_known_ = true;
  return {};
}

status inbox_on_kafka::look_at_gaps() {
  std::vector<uint32_t> gaps;
  for (const auto& [partition, mine] : shares_)
    if (mine.gap_from != none) gaps.push_back(partition);
  if (gaps.empty() || kafka::monotonic_ms() - gaps_asked_ms_ < gap_check_ms) return {};
  gaps_asked_ms_ = kafka::monotonic_ms();
  std::vector<int64_t> begins;
  if (auto s = kafka::ask_offsets(rk_.get(), topic_, gaps, RD_KAFKA_OFFSET_BEGINNING, options_.ends_timeout_ms, begins); !s.ok())
    return s;
  for (size_t i = 0; i < gaps.size(); ++i) {
    auto& mine = shares_[gaps[i]];
    const int64_t from = std::exchange(mine.gap_from, none);
    const int64_t gone = std::clamp(begins[i], from, mine.gap_to) - from;
    if (gone == 0) continue; // marks of transactions, or what they gave up
    lost_ += static_cast<uint64_t>(gone);
    config::log(config::log_level::error, "kafka", "inbox_records_lost",
                "records of the inbox were removed before they could be read: give the topic a longer retention",
                {{"topic", topic_}, {"partition", gaps[i]}, {"from", from}, {"records", gone}});
  }
  return {};
}

status inbox_on_kafka::commit(std::span<const inbox_position> positions) {
  const kafka::partition_list list(rd_kafka_topic_partition_list_new(static_cast<int>(positions.size())));
  for (const auto& each : positions) {
    const auto found = shares_.find(each.partition);
    // Given in an earlier assignment: another member stands elsewhere by now, or this one is given the records again. What is
    // committed is never taken back.
    if (found == shares_.end() || each.next > found->second.given || each.next <= found->second.committed) continue;
    rd_kafka_topic_partition_list_add(list.get(), topic_.c_str(), static_cast<int32_t>(each.partition))->offset = each.next;
  }
  if (list->cnt == 0) return {};
  const auto failed = [this](rd_kafka_resp_err_t code) {
    counts_.error(code);
    return status{errc::io, "cannot commit how far " + topic_ + " was taken: " + kafka::name_of(code)};
  };
  const kafka::queue answers(rd_kafka_queue_new(rk_.get()));
  if (const auto code = rd_kafka_commit_queue(rk_.get(), list.get(), answers.get(), nullptr, nullptr)) return failed(code);
  const kafka::event answer(rd_kafka_queue_poll(answers.get(), static_cast<int>(options_.admin_timeout_ms)));
  if (!answer) return failed(RD_KAFKA_RESP_ERR__TIMED_OUT);
  if (const auto code = rd_kafka_event_error(answer.get())) return failed(code);
  const auto* said = rd_kafka_event_topic_partition_list(answer.get());
  if (said == nullptr) return failed(RD_KAFKA_RESP_ERR__BAD_MSG);
  for (int i = 0; i < said->cnt; ++i) {
    if (said->elems[i].err != RD_KAFKA_RESP_ERR_NO_ERROR) return failed(said->elems[i].err);
    shares_[static_cast<uint32_t>(said->elems[i].partition)].committed = said->elems[i].offset;
  }
  return {};
}

result<inbox_lag> inbox_on_kafka::lag() {
  inbox_lag out;
  out.lost = lost_;
  if (shares_.empty()) return out;
  if (auto s = learn_starts(); !s.ok()) return s;
  std::vector<uint32_t> partitions;
  for (const auto& [partition, mine] : shares_) partitions.push_back(partition);
  std::vector<int64_t> ends;
  if (auto s = kafka::ask_offsets(rk_.get(), topic_, partitions, RD_KAFKA_OFFSET_END, options_.ends_timeout_ms, ends); !s.ok())
    return s;
  for (size_t i = 0; i < partitions.size(); ++i) {
    const auto& mine = shares_[partitions[i]];
    // Marks of transactions at the end are no records that wait.
    const bool all_taken = mine.taken == none || mine.committed == mine.taken;
    const int64_t from = all_taken ? std::max(mine.committed, mine.empty_to) : mine.committed;
    out.records += std::max<int64_t>(ends[i] - from, 0);
  }
  return out;
}

} // namespace

result<std::unique_ptr<inbox>> open_kafka_inbox(const kafka_options& options, const kafka_inbox_options& more) {
  if (options.brokers.empty()) return status{errc::mismatch, "kafka.brokers is empty: name at least one broker as host:port"};
  auto made = std::make_unique<inbox_on_kafka>(options, more);
  if (auto s = made->open(); !s.ok()) return s;
  return std::unique_ptr<inbox>(std::move(made));
}

} // namespace adtrack::storage
