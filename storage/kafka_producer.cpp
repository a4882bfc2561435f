#include "storage/kafka_producer.hpp"

#include <algorithm>
#include <chrono>

#include "config/telemetry.hpp"

namespace adtrack::storage::kafka {
namespace {

constexpr int poll_ms = 100; // how soon the thread sees that it is to end
constexpr uint32_t backoff_doublings_max = 4;

// What librdkafka's report says of a record. Only a clean one is durable; anything but "certainly not" is doubt.
append_outcome outcome_of(const rd_kafka_message_t& message) {
  if (message.err == RD_KAFKA_RESP_ERR_NO_ERROR) return {append_fate::durable, message.offset >= 0 ? message.offset : -1};
  const bool never = rd_kafka_message_status(&message) == RD_KAFKA_MSG_STATUS_NOT_PERSISTED;
  return {never ? append_fate::refused : append_fate::unknown, -1};
}

} // namespace

struct producer::generation {
  connection_context context;
  handle rk;
  topic_handle topic; // before rk in destruction
};

struct producer::slot {
  call* of = nullptr;
  append_outcome outcome;
  bool handed = false; // librdkafka has it, or had it
  bool settled = false;
};

struct producer::call {
  producer* owner = nullptr;
  std::vector<keyed_record> records; // librdkafka reads them where they are
  std::vector<slot> slots;
  std::atomic<size_t> left{0};
  append_done done;
  int64_t began_ms = 0;
  call_list::iterator self;
};

producer::producer(kafka_options options, std::string topic, counters& counts, acknowledged told)
    : options_(std::move(options)), topic_(std::move(topic)), counts_(counts), acknowledged_(std::move(told)) {}

producer::~producer() {
  {
    std::lock_guard lock(stop_mutex_);
    stop_ = true;
  }
  stopped_.notify_all();
  if (thread_.joinable()) thread_.join();
  std::unique_ptr<generation> last;
  {
    std::unique_lock lock(current_mutex_);
    last = std::move(current_);
  }
  if (!last) return;
  // What is on its way gets a moment to be acknowledged.
  const int64_t deadline = monotonic_ms() + options_.drain_timeout_ms;
  while (rd_kafka_outq_len(last->rk.get()) > 0 && !last->context.failed_for_good && monotonic_ms() < deadline)
    rd_kafka_poll(last->rk.get(), 10);
  close(std::move(last));
}

status producer::start() {
  if (auto s = make(); !s.ok()) return s;
  thread_ = std::thread([this] { poll(); });
  return {};
}

status producer::make() {
  auto next = std::make_unique<generation>();
  next->context.counts = &counts_;
  next->context.delivered = &producer::delivered;
  auto made = make_handle(options_, role::producer, next->context);
  if (!made.ok()) return made.why;
  next->rk = std::move(*made);
  next->topic.reset(rd_kafka_topic_new(next->rk.get(), topic_.c_str(), nullptr));
  if (!next->topic) return {errc::mismatch, "Kafka cannot have a topic named " + topic_};
  std::unique_lock lock(current_mutex_);
  current_ = std::move(next);
  return {};
}

// On the polling thread. One that fails again at once has a cause that lasts, as missing rights: not tried more often than that.
void producer::replace_failed() {
  std::unique_ptr<generation> old;
  {
    std::unique_lock lock(current_mutex_);
    old = std::move(current_);
  }
  if (old) {
    ++counts_.rebuilds;
    close(std::move(old));
    const uint32_t doublings = std::min(failures_, backoff_doublings_max);
    replace_at_ms_ = failures_ == 0 ? 0 : monotonic_ms() + (static_cast<int64_t>(options_.rebuild_backoff_ms) << doublings);
    ++failures_;
  }
  if (monotonic_ms() < replace_at_ms_) return;
  if (const auto s = make(); !s.ok()) {
    config::log(config::log_level::error, "kafka", "producer_not_replaced", s.message);
    replace_at_ms_ = monotonic_ms() + (static_cast<int64_t>(options_.rebuild_backoff_ms) << backoff_doublings_max);
  }
}

status producer::reopen() {
  if (writable()) return {};
  replace_at_ms_ = 0;
  return {errc::read_only, "the Kafka producer failed for good and is being replaced"};
}

// Settles everything that the old producer still owes, and ends it. No append uses it any more.
void producer::close(std::unique_ptr<generation> old) {
  rd_kafka_t* rk = old->rk.get();
  rd_kafka_purge(rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
  const int64_t deadline = monotonic_ms() + options_.drain_timeout_ms;
  while (rd_kafka_outq_len(rk) > 0 && monotonic_ms() < deadline) rd_kafka_poll(rk, 10);
  old->topic.reset();
  old->rk.reset(); // from here on nobody refers to its records
  std::vector<slot*> owed;
  {
    std::lock_guard lock(calls_mutex_);
    for (const auto& each : calls_)
      for (auto& record : each->slots)
        if (record.handed && !record.settled) owed.push_back(&record);
  }
  for (auto* record : owed) settle(*record, {append_fate::unknown, -1});
}

bool producer::writable() const {
  std::shared_lock lock(current_mutex_);
  return current_ && !current_->context.failed_for_good;
}

void producer::append(std::vector<keyed_record> records, append_done done) {
  const size_t count = records.size();
  auto made = std::make_unique<call>();
  made->owner = this;
  made->records = std::move(records);
  made->slots.resize(count);
  made->left = count + 1; // one for this function, so that it is not finished under its hands
  made->done = std::move(done);
  made->began_ms = monotonic_ms();
  for (auto& each : made->slots) each.of = made.get();
  call& mine = *made;
  // librdkafka looks a partition up once for a run of its records.
  std::vector<size_t> order(count);
  for (size_t i = 0; i < count; ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return mine.records[a].partition < mine.records[b].partition; });
  std::vector<rd_kafka_message_t> messages(count);
  for (size_t i = 0; i < count; ++i) {
    auto& record = mine.records[order[i]];
    auto& message = messages[i];
    message = {};
    message.payload = record.tombstone ? nullptr : record.value.data();
    message.len = record.tombstone ? 0 : record.value.size();
    message.key = record.has_key ? record.key.data() : nullptr;
    message.key_len = record.has_key ? record.key.size() : 0;
    message._private = &mine.slots[order[i]];
  }
  std::shared_lock using_current(current_mutex_);
  const bool sound = current_ && !current_->context.failed_for_good;
  {
    std::lock_guard lock(calls_mutex_);
    calls_.push_back(std::move(made));
    mine.self = std::prev(calls_.end());
    outstanding_ += count;
  }
  std::vector<size_t> handed_back;
  for (size_t i = 0; i < count;) {
    const uint32_t partition = mine.records[order[i]].partition;
    size_t end = i;
    for (; end < count && mine.records[order[end]].partition == partition; ++end) mine.slots[order[end]].handed = sound;
    if (sound)
      rd_kafka_produce_batch(current_->topic.get(), static_cast<int32_t>(partition), 0, &messages[i], static_cast<int>(end - i));
    for (; i < end; ++i) {
      if (sound && messages[i].err == RD_KAFKA_RESP_ERR_NO_ERROR) continue;
      if (sound) counts_.error(messages[i].err);
      mine.slots[order[i]].handed = false;
      handed_back.push_back(order[i]);
    }
  }
  using_current.unlock();
  // Never in librdkafka's hands, so certainly not in the log.
  for (const size_t at : handed_back) settle(mine.slots[at], {append_fate::refused, -1});
  finish_one(mine);
}

void producer::delivered(const rd_kafka_message_t* message) {
  auto& record = *static_cast<slot*>(message->_private);
  producer& self = *record.of->owner;
  const auto outcome = outcome_of(*message);
  if (outcome.fate == append_fate::durable) {
    ++self.counts_.messages_out;
    self.counts_.bytes_out += message->len;
    rd_kafka_timestamp_type_t type = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
    const int64_t time_ms = rd_kafka_message_timestamp(message, &type);
    self.acknowledged_(static_cast<uint32_t>(message->partition), outcome.offset,
                       type == RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME ? time_ms : -1);
  } else {
    self.counts_.error(message->err);
  }
  self.settle(record, outcome);
}

void producer::settle(slot& record, append_outcome outcome) {
  record.outcome = outcome;
  record.settled = true;
  finish_one(*record.of);
}

void producer::finish_one(call& of) {
  if (of.left.fetch_sub(1) != 1) return;
  std::unique_ptr<call> finished;
  {
    std::lock_guard lock(calls_mutex_);
    finished = std::move(*of.self);
    calls_.erase(of.self);
    outstanding_ -= finished->slots.size();
  }
  std::vector<append_outcome> outcomes;
  outcomes.reserve(finished->slots.size());
  for (const auto& each : finished->slots) outcomes.push_back(each.outcome);
  finished->done(std::move(outcomes));
}

void producer::poll() {
  int64_t failed_ms = monotonic_ms();
  for (;;) {
    if (current_ && !current_->context.failed_for_good) {
      rd_kafka_poll(current_->rk.get(), poll_ms);
      // One that has held for a while is not the same failure going on.
      if (monotonic_ms() - failed_ms > static_cast<int64_t>(options_.rebuild_backoff_ms) * 4) failures_ = 0;
    } else {
      failed_ms = monotonic_ms();
      replace_failed();
    }
    std::unique_lock lock(stop_mutex_);
    if (!current_) stopped_.wait_for(lock, std::chrono::milliseconds(poll_ms), [&] { return stop_; });
    if (stop_) return;
  }
}

void producer::fill(kafka_stats& out) const {
  std::lock_guard lock(calls_mutex_);
  out.outstanding_records = outstanding_;
  out.oldest_append_ms = calls_.empty() ? 0 : std::max<int64_t>(monotonic_ms() - calls_.front()->began_ms, 0);
}

} // namespace adtrack::storage::kafka
