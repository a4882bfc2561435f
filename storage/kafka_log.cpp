#include "storage/kafka_log.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <thread>

#include "config/telemetry.hpp"
#include "storage/kafka_bounds.hpp"
#include "storage/kafka_client.hpp"
#include "storage/kafka_fetcher.hpp"
#include "storage/kafka_producer.hpp"
#include "storage/kafka_topics.hpp"

// Threads: the producer's, which gives outcomes; the watching one, which asks for ends and looks at the topic; the waking one,
// which calls on_appended, as librdkafka tells of fetched records while it holds its locks. A reader's own thread does the
// reading.

namespace adtrack::storage {
namespace {

using kafka::monotonic_ms;

constexpr size_t readers = 2; // that follow one partition at the same time, each over a connection of its own

int64_t wall_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

class log_on_kafka final : public kafka_log {
public:
  explicit log_on_kafka(const kafka_options& options);
  ~log_on_kafka() override;
  status open();

  uint32_t partitions() const noexcept override { return options_.partitions; }
  void append(std::vector<log_record> records, append_done done) override;
  result<std::vector<stored_record>> read(uint32_t partition, int64_t from, size_t max_records, size_t max_bytes) override;
  std::optional<int64_t> appended_ms(uint32_t partition, int64_t offset) override {
    return partition < options_.partitions ? bounds_.appended_ms(partition, offset) : std::nullopt;
  }
  int64_t begin(uint32_t partition) override { return partition < options_.partitions ? bounds_.of(partition).begin : 0; }
  log_end end(uint32_t partition) override {
    return partition < options_.partitions ? bounds_.reachable_end(partition) : log_end{0, -1};
  }
  status trim(uint32_t partition, int64_t below) override;
  status reopen() override { return producer_.reopen(); }
  bool writable() const noexcept override { return producer_.writable(); }
  void on_appended(std::function<void()> callback) override;
  uint64_t generation(uint32_t partition) override {
    return partition < options_.partitions ? parts_[partition].generation.load() : 0;
  }
  status health() override;
  kafka_stats stats() const override;

private:
  struct reader_place {
    int64_t used_ms = 0;
    int64_t retry_ms = 0; // no fetch before this
    status why;           // what the last one failed with
  };
  struct part {
    std::mutex reading; // held by read(): one at a time a partition
    std::array<reader_place, readers> places;
    int64_t doubted_ms = -1; // since when an offset past the known end is asked for
    std::atomic<uint64_t> generation{0};
    std::atomic<bool> stale{false}; // what was fetched is from before the generation grew
    std::atomic<bool> arrived{false};
    std::atomic<uint32_t> followers{0};
    // Of the watching thread alone:
    int32_t leader = -1;
    bool asked_in_vain = false;
  };

  status check_range(uint32_t partition, int64_t from, part& of);
  result<size_t> place_for(uint32_t partition, int64_t from, part& of);
  void count_followers(uint32_t partition, part& of);
  void branch(uint32_t partition, const char* why);
  void acknowledged(uint32_t partition, int64_t offset, int64_t time_ms);
  void ring(uint32_t partition);
  void wake();
  void watch();
  void ask_ends();
  bool ask_ends_of(const std::vector<uint32_t>& of, uint32_t timeout_ms);
  void ask_begins();
  void look_at_topic();
  void say_unfit(status s);
  void hurry();
  std::vector<uint32_t> all() const;

  const kafka_options options_;
  const std::string topic_;
  kafka::counters counts_;
  kafka::bounds bounds_;
  std::deque<part> parts_;
  kafka::connection_context admin_context_;
  kafka::handle admin_;
  kafka::topic_handle admin_topic_;

  std::mutex callback_mutex_;
  std::function<void()> appended_;

  mutable std::mutex health_mutex_;
  status health_;
  std::string unfit_told_; // each once, not at every look

  std::mutex threads_mutex_;
  std::condition_variable to_watch_, to_wake_;
  bool stop_ = false, hurry_ = false, rung_ = false;

  kafka::producer producer_;
  std::array<std::unique_ptr<kafka::fetcher>, readers> fetchers_;
  std::thread watcher_, waker_;
};

log_on_kafka::log_on_kafka(const kafka_options& options)
    : options_(options), topic_(events_topic(options)), bounds_(options.partitions), parts_(options.partitions),
      producer_(options, topic_, counts_,
                [this](uint32_t partition, int64_t offset, int64_t time_ms) { acknowledged(partition, offset, time_ms); }) {
  admin_context_.counts = &counts_;
}

log_on_kafka::~log_on_kafka() {
  {
    std::lock_guard lock(threads_mutex_);
    stop_ = true;
  }
  to_watch_.notify_all();
  to_wake_.notify_all();
  if (watcher_.joinable()) watcher_.join();
  if (waker_.joinable()) waker_.join();
  for (auto& each : fetchers_) each.reset();
}

std::vector<uint32_t> log_on_kafka::all() const {
  std::vector<uint32_t> out;
  for (uint32_t p = 0; p < options_.partitions; ++p) out.push_back(p);
  return out;
}

status log_on_kafka::open() {
  auto admin = kafka::make_handle(options_, kafka::role::admin, admin_context_);
  if (!admin.ok()) return admin.why;
  admin_ = std::move(*admin);
  const auto shapes = {kafka::events_shape(options_), kafka::inbox_shape(options_), kafka::ads_shape(options_)};
  if (auto s = kafka::ensure_topics(admin_.get(), options_, shapes); !s.ok()) return s;
  admin_topic_.reset(rd_kafka_topic_new(admin_.get(), topic_.c_str(), nullptr));
  for (auto& each : fetchers_) {
    each = std::make_unique<kafka::fetcher>(options_, topic_, options_.partitions, counts_, [this](uint32_t p) { ring(p); });
    if (auto s = each->start(); !s.ok()) return s;
  }
  const int64_t asked = monotonic_ms(), asked_wall = wall_ms();
  std::vector<int64_t> begins, ends;
  for (auto [which, out] : {std::pair{RD_KAFKA_OFFSET_BEGINNING, &begins}, std::pair{RD_KAFKA_OFFSET_END, &ends}})
    if (auto s = kafka::ask_offsets(admin_.get(), topic_, all(), which, options_.admin_timeout_ms, *out); !s.ok()) return s;
  for (uint32_t p = 0; p < options_.partitions; ++p) {
    bounds_.begins_at(p, begins[p]);
    bounds_.confirm(p, ends[p], 0, asked, asked_wall);
  }
  look_at_topic();
  if (auto s = producer_.start(); !s.ok()) return s;
  watcher_ = std::thread([this] { watch(); });
  waker_ = std::thread([this] { wake(); });
  return {};
}

void log_on_kafka::append(std::vector<log_record> records, append_done done) {
  const bool known =
      std::all_of(records.begin(), records.end(), [&](const auto& r) { return r.partition < options_.partitions; });
  if (!known || records.empty()) {
    done(std::vector<append_outcome>(records.size(), {append_fate::refused, -1}));
    return;
  }
  std::vector<kafka::keyed_record> out;
  out.reserve(records.size());
  for (auto& record : records) {
    out.emplace_back();
    out.back().partition = record.partition;
    out.back().value = std::move(record.value);
  }
  producer_.append(std::move(out), std::move(done));
}

void log_on_kafka::acknowledged(uint32_t partition, int64_t offset, int64_t time_ms) {
  if (offset >= 0) bounds_.acknowledged(partition, offset, time_ms);
  // A reader that follows hears of it when it was fetched; one that does not yet has to begin to.
  if (parts_[partition].followers == 0) ring(partition);
}

// An end grown by other writers counts as soon as a fetch has told it: a reader compares it with where it stands before it reads.
void log_on_kafka::wake() {
  std::unique_lock lock(threads_mutex_);
  while (!stop_) {
    to_wake_.wait(lock, [&] { return stop_ || rung_; });
    if (stop_) return;
    rung_ = false;
    lock.unlock();
    for (uint32_t p = 0; p < options_.partitions; ++p) {
      if (!parts_[p].arrived.exchange(false) || parts_[p].stale) continue;
      for (const auto& each : fetchers_)
        if (each->follows(p)) bounds_.at_least(p, std::max<int64_t>(each->known_end(p), 0));
    }
    std::function<void()> appended;
    {
      std::lock_guard using_callback(callback_mutex_);
      appended = appended_;
    }
    if (appended) appended();
    lock.lock();
  }
}

void log_on_kafka::ring(uint32_t partition) {
  if (parts_[partition].arrived.exchange(true)) return;
  {
    std::lock_guard lock(threads_mutex_);
    rung_ = true;
  }
  to_wake_.notify_one();
}

void log_on_kafka::on_appended(std::function<void()> callback) {
  std::lock_guard lock(callback_mutex_);
  appended_ = std::move(callback);
}

void log_on_kafka::hurry() {
  {
    std::lock_guard lock(threads_mutex_);
    hurry_ = true;
  }
  to_watch_.notify_one();
}

// Below the end something else may stand from now on.
void log_on_kafka::branch(uint32_t partition, const char* why) {
  auto& of = parts_[partition];
  of.stale = true;
  ++of.generation;
  config::log(config::log_level::info, "kafka", "generation", why, {{"shard", partition}, {"generation", of.generation.load()}});
  ring(partition);
}

status log_on_kafka::check_range(uint32_t partition, int64_t from, part& of) {
  const auto known = bounds_.of(partition);
  const auto outside = [&] {
    return status{errc::out_of_range, "offset " + std::to_string(from) + " of partition " + std::to_string(partition) + " of " +
                                          topic_ + " is outside " + std::to_string(known.begin) + "-" +
                                          std::to_string(known.end)};
  };
  if (from < known.begin) return outside();
  if (from <= known.end) {
    of.doubted_ms = -1;
    return {};
  }
  // It may have been read elsewhere, before it was known here: the leader has to say, asked after this.
  if (of.doubted_ms < 0) {
    of.doubted_ms = monotonic_ms();
    hurry();
  }
  if (known.confirmed_ms > of.doubted_ms) return outside();
  return {errc::ok, ""};
}

void log_on_kafka::count_followers(uint32_t partition, part& of) {
  uint32_t count = 0;
  for (const auto& each : fetchers_) count += each->follows(partition) ? 1 : 0;
  of.followers = count;
}

// The fetcher that stands at `from`, or one that can be sent there; `readers` when all are in use.
result<size_t> log_on_kafka::place_for(uint32_t partition, int64_t from, part& of) {
  if (of.stale.exchange(false))
    for (const auto& each : fetchers_) each->stop(partition);
  const int64_t now = monotonic_ms();
  for (size_t i = 0; i < readers; ++i)
    if (fetchers_[i]->resume(partition, from)) return i;
  size_t best = readers;
  for (size_t i = 0; i < readers; ++i) {
    const bool is_free = !fetchers_[i]->follows(partition);
    if (is_free && now < of.places[i].retry_ms) return of.places[i].why;
    if (!is_free && now - of.places[i].used_ms < static_cast<int64_t>(options_.reader_lease_ms)) continue;
    if (best == readers || is_free) best = i;
    if (is_free) break;
  }
  if (best == readers) return best;
  fetchers_[best]->seek(partition, from);
  return best;
}

result<std::vector<stored_record>> log_on_kafka::read(uint32_t partition, int64_t from, size_t max_records, size_t max_bytes) {
  if (partition >= options_.partitions)
    return status{errc::out_of_range, "the log has no partition " + std::to_string(partition)};
  auto& of = parts_[partition];
  std::lock_guard reading(of.reading);
  if (auto s = check_range(partition, from, of); !s.ok()) return s;
  std::vector<stored_record> none;
  if (max_records == 0 || of.doubted_ms >= 0) return none;
  auto found = place_for(partition, from, of);
  if (!found.ok()) return found.why;
  if (*found == readers) return none;
  auto& place = of.places[*found];
  auto& from_there = *fetchers_[*found];
  place.used_ms = monotonic_ms();
  auto got = from_there.take(partition, max_records, max_bytes);
  count_followers(partition, of);
  if (!got.records.empty()) bounds_.at_least(partition, got.records.back().offset + 1);
  if (got.empty_to > from_there.next(partition)) bounds_.empty_between(partition, from_there.next(partition), got.empty_to);
  if (got.moved) branch(partition, "records come over a new connection or from another leader");
  // Grown meanwhile: the caller sees that it has, after this; what it got belongs to what it knew.
  if (got.why.ok() || !got.records.empty()) return std::move(got.records);
  if (got.why.code == errc::out_of_range) {
    branch(partition, "the brokers do not have the offset that was asked for");
    hurry();
  }
  place.retry_ms = monotonic_ms() + options_.fetch_retry_ms;
  place.why = got.why;
  return got.why;
}

status log_on_kafka::trim(uint32_t partition, int64_t below) {
  if (partition >= options_.partitions || below > bounds_.of(partition).end)
    return {errc::out_of_range, "cannot trim partition " + std::to_string(partition) + " of " + topic_ + " below " +
                                    std::to_string(below) + ": that is past its end"};
  if (below <= bounds_.of(partition).begin) return {};
  auto begin = kafka::delete_below(admin_.get(), topic_, partition, below, options_.admin_timeout_ms);
  if (!begin.ok()) return begin.why;
  bounds_.begins_at(partition, *begin);
  return {};
}

void log_on_kafka::watch() {
  int64_t looked_ms = monotonic_ms();
  for (;;) {
    {
      std::unique_lock lock(threads_mutex_);
      to_watch_.wait_for(lock, std::chrono::milliseconds(options_.ends_ms), [&] { return stop_ || hurry_; });
      if (stop_) return;
      hurry_ = false;
    }
    rd_kafka_poll(admin_.get(), 0);
    for (const auto& each : fetchers_) each->serve();
    ask_ends();
    if (monotonic_ms() - looked_ms < static_cast<int64_t>(options_.topics_ms)) continue;
    looked_ms = monotonic_ms();
    look_at_topic();
    ask_begins();
  }
}

// One question a leader, so that one that is away does not keep the others' answers; those that did not answer last time are
// asked last and not waited for as long.
void log_on_kafka::ask_ends() {
  std::map<std::pair<bool, int32_t>, std::vector<uint32_t>> by_leader;
  for (uint32_t p = 0; p < options_.partitions; ++p) by_leader[{parts_[p].asked_in_vain, parts_[p].leader}].push_back(p);
  bool look = false;
  for (const auto& [key, of] : by_leader) {
    {
      std::lock_guard lock(threads_mutex_);
      if (stop_) return;
    }
    const bool again = key.first;
    const bool answered =
        ask_ends_of(of, again ? std::min(options_.ends_timeout_ms, 2 * options_.ends_ms) : options_.ends_timeout_ms);
    look = look || (!answered && !again);
  }
  if (look) look_at_topic(); // the leader may be another one by now
}

bool log_on_kafka::ask_ends_of(const std::vector<uint32_t>& of, uint32_t timeout_ms) {
  std::vector<int64_t> before, ends;
  for (const auto p : of) before.push_back(bounds_.of(p).end);
  const int64_t asked = monotonic_ms(), asked_wall = wall_ms();
  const auto s = kafka::ask_offsets(admin_.get(), topic_, of, RD_KAFKA_OFFSET_END, timeout_ms, ends);
  for (size_t i = 0; i < of.size(); ++i) {
    auto& each = parts_[of[i]];
    if (!s.ok()) {
      each.asked_in_vain = true;
      continue;
    }
    if (std::exchange(each.asked_in_vain, false)) branch(of[i], "the leader answers again");
    if (bounds_.confirm(of[i], ends[i], before[i], asked, asked_wall)) {
      if (ends[i] > before[i] && each.followers == 0) ring(of[i]);
      continue;
    }
    say_unfit({errc::corrupt, "partition " + std::to_string(of[i]) + " of " + topic_ + " ended at " + std::to_string(before[i]) +
                                  " and now ends at " + std::to_string(ends[i]) +
                                  ": records are gone, or the topic was made anew"});
    branch(of[i], "the end went backwards");
  }
  if (!s.ok()) config::log(config::log_level::debug, "kafka", "ends_not_known", s.message, {{"partitions", of.size()}});
  return s.ok();
}

void log_on_kafka::ask_begins() {
  std::vector<int64_t> begins;
  const auto s = kafka::ask_offsets(admin_.get(), topic_, all(), RD_KAFKA_OFFSET_BEGINNING, options_.ends_timeout_ms, begins);
  if (!s.ok()) return; // an old begin is a true lower bound; reading below the new one is refused by the brokers
  for (uint32_t p = 0; p < options_.partitions; ++p) bounds_.begins_at(p, begins[p]);
}

void log_on_kafka::look_at_topic() {
  auto seen = kafka::look_at(admin_.get(), admin_topic_.get(), options_.ends_timeout_ms);
  if (!seen.ok()) return; // an outage, which the ends that are not confirmed tell of
  if (!seen->exists) return say_unfit({errc::not_found, "the topic " + topic_ + " is gone: it was deleted while it was in use"});
  if (seen->leaders.size() != options_.partitions)
    return say_unfit({errc::mismatch, "the topic " + topic_ + " has " + std::to_string(seen->leaders.size()) +
                                          " partitions now, not " + std::to_string(options_.partitions) +
                                          ": events are no longer where they are looked for; make it anew with that many"});
  for (uint32_t p = 0; p < options_.partitions; ++p) {
    const int32_t leader = seen->leaders[p];
    if (leader < 0) continue;
    const int32_t before = std::exchange(parts_[p].leader, leader);
    if (before >= 0 && before != leader) branch(p, "another broker leads the partition");
  }
}

// For good: what was counted from a log that changed under it stays in doubt until an operator has looked.
void log_on_kafka::say_unfit(status s) {
  std::lock_guard lock(health_mutex_);
  if (std::exchange(unfit_told_, s.message) != s.message)
    config::log(config::log_level::error, "kafka", "topic_unfit", s.message);
  if (health_.ok()) health_ = std::move(s);
}

status log_on_kafka::health() {
  std::lock_guard lock(health_mutex_);
  return health_;
}

kafka_stats log_on_kafka::stats() const {
  kafka_stats out;
  counts_.fill(out);
  producer_.fill(out);
  return out;
}

} // namespace

result<std::unique_ptr<kafka_log>> open_kafka_log(const kafka_options& options) {
  if (options.partitions == 0) return status{errc::mismatch, "a log needs at least one shard"};
  if (options.brokers.empty()) return status{errc::mismatch, "kafka.brokers is empty: name at least one broker as host:port"};
  auto log = std::make_unique<log_on_kafka>(options);
  if (auto s = log->open(); !s.ok()) return s;
  return std::unique_ptr<kafka_log>(std::move(log));
}

} // namespace adtrack::storage
