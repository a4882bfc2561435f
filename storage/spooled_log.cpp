#include "storage/spooled_log.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

#include "config/telemetry.hpp"

namespace adtrack::storage {
namespace {

// An event's record is no larger, so with less room than this the spool soon refuses.
constexpr uint64_t record_bytes_max = 4'096;

bool is_durable(const append_outcome& outcome) { return outcome.fate == append_fate::durable; }

// What was handed to the log behind and has no outcome yet, and what that says of the log. Shared with the callbacks, which may
// come from any thread and after the decorator has gone. Thread-safe; calls nobody back with its lock held.
class log_watch {
public:
  explicit log_watch(int64_t outage_after_ms) : outage_after_ms_(outage_after_ms) {}

  struct verdict {
    bool proven = true;    // the log takes records, as far as is known
    bool looks_up = false; // it seems to, but has not shown it since the last outage began
    bool outage() const { return !proven && !looks_up; }
  };

  uint64_t begin(size_t records, append_done done, int64_t now) {
    std::lock_guard lock(mutex_);
    flights_.emplace(next_id_, flight{now, records, std::move(done)});
    return next_id_++;
  }

  // Gives the outcome to whom it is for; nothing when that has happened before.
  void end(uint64_t id, std::vector<append_outcome> outcomes, int64_t now) {
    flight ended;
    {
      std::lock_guard lock(mutex_);
      const auto found = flights_.find(id);
      if (found == flights_.end()) return;
      ended = std::move(found->second);
      flights_.erase(found);
      outcomes.resize(ended.records); // what the log did not speak of is unknown
      learn(ended, outcomes, now);
    }
    ended.done(std::move(outcomes));
  }

  // The log is gone: what it never answered is unknown.
  void end_all(int64_t now) {
    for (;;) {
      uint64_t id = 0;
      {
        std::lock_guard lock(mutex_);
        if (flights_.empty()) return;
        id = flights_.begin()->first;
      }
      end(id, {}, now);
    }
  }

  verdict look(bool writable, int64_t now) {
    std::lock_guard lock(mutex_);
    if (writable)
      not_writable_since_ = -1;
    else if (not_writable_since_ < 0)
      not_writable_since_ = now;
    const bool late = overdue(now);
    if (!writable || late) trouble(now);
    if (proven_ && (late || lasts(failing_since_, now) || lasts(not_writable_since_, now))) {
      proven_ = false;
      began_ms_ = now;
      trouble(now);
      config::log(config::log_level::warning, "spool", "outage", "the log takes no records",
                  {{"reason", late                         ? "an append has no outcome"
                              : lasts(failing_since_, now) ? "appends fail"
                                                           : "it is not writable"},
                   {"appends_waiting", flights_.size()}});
    }
    return {proven_, looks_up_};
  }

  verdict last() const {
    std::lock_guard lock(mutex_);
    return {proven_, looks_up_};
  }

  // The log's end was confirmed at `confirmed_ms`, and there is nothing to prove more with.
  void seems_well(int64_t confirmed_ms, int64_t now) {
    std::lock_guard lock(mutex_);
    if (proven_ || looks_up_ || confirmed_ms <= trouble_ms_ || now - confirmed_ms > outage_after_ms_ || overdue(now)) return;
    looks_up_ = true;
    config::log(config::log_level::info, "spool", "outage_seems_over", "the log confirms its end again",
                {{"outage_ms", now - began_ms_}});
  }

private:
  struct flight {
    int64_t started_ms = 0;
    size_t records = 0;
    append_done done;
  };

  bool lasts(int64_t since, int64_t now) const { return since >= 0 && now - since > outage_after_ms_; }
  // Ids grow with time, so the first one is the oldest.
  bool overdue(int64_t now) const { return !flights_.empty() && lasts(flights_.begin()->second.started_ms, now); }
  void trouble(int64_t now) {
    trouble_ms_ = now;
    looks_up_ = false;
  }

  void learn(const flight& ended, const std::vector<append_outcome>& outcomes, int64_t now) {
    if (outcomes.empty()) return;
    const auto durable = static_cast<size_t>(std::count_if(outcomes.begin(), outcomes.end(), is_durable));
    if (durable == 0) {
      if (failing_since_ < 0) failing_since_ = ended.started_ms;
      trouble(now);
      return;
    }
    failing_since_ = -1;
    if (proven_ || durable < outcomes.size() || overdue(now)) return;
    proven_ = true;
    looks_up_ = false;
    not_writable_since_ = -1;
    config::log(config::log_level::info, "spool", "outage_over", "the log takes records again", {{"outage_ms", now - began_ms_}});
  }

  const int64_t outage_after_ms_;
  mutable std::mutex mutex_;
  std::map<uint64_t, flight> flights_;
  uint64_t next_id_ = 1;
  int64_t failing_since_ = -1;      // when the first of the appends was handed over that all ended without a durable record
  int64_t not_writable_since_ = -1; // steady ms, as all of these
  int64_t trouble_ms_ = -1;         // when something was last wrong
  int64_t began_ms_ = -1;           // the outage
  bool proven_ = true, looks_up_ = false;
};

// The outcome of the drain's one append under way, on its way from whichever thread to the drain's.
struct drain_slot {
  std::mutex mutex;
  std::condition_variable changed;
  bool answered = false, wake = false, stopping = false;
  std::vector<append_outcome> outcomes;

  void ring() {
    {
      std::lock_guard lock(mutex);
      wake = true;
    }
    changed.notify_one();
  }
  void answer(std::vector<append_outcome> all) {
    {
      std::lock_guard lock(mutex);
      outcomes = std::move(all);
      answered = wake = true;
    }
    changed.notify_one();
  }
};

// When something that failed may be tried again.
class back_off {
public:
  back_off(int64_t min_ms, int64_t max_ms) : min_ms_(min_ms), max_ms_(max_ms), rest_ms_(min_ms) {}
  bool due(int64_t now) const { return now >= next_ms_; }
  void failed(int64_t now) {
    next_ms_ = now + rest_ms_;
    rest_ms_ = std::min(rest_ms_ * 2, max_ms_);
  }
  void succeeded() {
    next_ms_ = 0;
    rest_ms_ = min_ms_;
  }

private:
  const int64_t min_ms_, max_ms_;
  int64_t rest_ms_;
  int64_t next_ms_ = 0;
};

class spooled_log_impl final : public spooled_log {
public:
  spooled_log_impl(std::unique_ptr<event_log> inner, std::unique_ptr<spool> queue, spooled_log_options options)
      : options_(std::move(options)), watch_(std::make_shared<log_watch>(options_.outage_after_ms)),
        slot_(std::make_shared<drain_slot>()), queue_(std::move(queue)), inner_(std::move(inner)) {
    if (options_.thread) thread_ = std::thread([this] { run(); });
  }
  ~spooled_log_impl() override;
  spooled_log_impl(const spooled_log_impl&) = delete;
  spooled_log_impl& operator=(const spooled_log_impl&) = delete;

  uint32_t partitions() const noexcept override { return inner_->partitions(); }
  void append(std::vector<log_record> records, append_done done) override;
  result<std::vector<stored_record>> read(uint32_t partition, int64_t from, size_t max_records, size_t max_bytes) override {
    return inner_->read(partition, from, max_records, max_bytes);
  }
  std::optional<int64_t> appended_ms(uint32_t partition, int64_t offset) override {
    return inner_->appended_ms(partition, offset);
  }
  int64_t begin(uint32_t partition) override { return inner_->begin(partition); }
  log_end end(uint32_t partition) override { return inner_->end(partition); }
  status trim(uint32_t partition, int64_t below) override { return inner_->trim(partition, below); }
  bool rewrites() const noexcept override { return inner_->rewrites(); }
  result<int64_t> rewrite(uint32_t partition, int64_t from, int64_t to, const record_change& change) override {
    return inner_->rewrite(partition, from, to, change);
  }
  status purge(uint32_t partition) override { return inner_->purge(partition); }
  status reopen() override;
  bool writable() const noexcept override;
  void on_appended(std::function<void()> callback) override { inner_->on_appended(std::move(callback)); }
  uint64_t generation(uint32_t partition) override { return inner_->generation(partition); }
  status health() override { return inner_->health(); }
  uint64_t waiting() override { return state().records; }

  spool_state state() const override;
  bool step() override;
  result<std::vector<spool_entry>> read_held(int64_t from, size_t max_records, size_t max_bytes) override {
    return queue_->read_held(from, max_records, max_bytes);
  }
  result<uint64_t> remove_held_below(int64_t position) override { return queue_->remove_held_below(position); }
  result<uint64_t> release_held_below(int64_t position) override {
    auto released = queue_->release_held_below(position, options_.now_ms());
    slot_->ring();
    return released;
  }

private:
  void run();
  void hand_over(std::vector<log_record> records, append_done done);
  void bring_back(int64_t now);
  void settle(int64_t now);
  bool drain(int64_t now, bool proven);
  bool drained(const status& s, int64_t now);
  void look_for_health(int64_t now);

  const spooled_log_options options_;
  const std::shared_ptr<log_watch> watch_;
  const std::shared_ptr<drain_slot> slot_;
  std::unique_ptr<spool> queue_;
  std::unique_ptr<event_log> inner_;
  std::mutex reopen_mutex_;

  // The drain's own: touched by its thread, or by who calls step().
  bool sent_ = false;              // an append of the drain is under way
  std::vector<int64_t> positions_; // of its records
  std::set<int64_t> in_log_;       // durable in the log, behind one that is not; at most a batch of them
  bool blocked_ = false;           // the spool cannot be read or changed: the drain proves nothing
  back_off drain_rest_{options_.retry_ms_min, options_.retry_ms_max};
  back_off log_rest_{options_.retry_ms_min, options_.retry_ms_max};
  back_off queue_rest_{options_.retry_ms_min, options_.retry_ms_max};
  std::thread thread_;
};

spooled_log_impl::~spooled_log_impl() {
  {
    std::lock_guard lock(slot_->mutex);
    slot_->stopping = true;
  }
  slot_->changed.notify_one();
  if (thread_.joinable()) thread_.join();
  inner_.reset(); // answers what it still can
  watch_->end_all(options_.steady_ms());
  settle(options_.steady_ms()); // so that the next start does not repeat what has reached the log
}

void spooled_log_impl::append(std::vector<log_record> records, append_done done) {
  // What the log would refuse for ever must not wait in the spool for ever.
  const bool known =
      std::all_of(records.begin(), records.end(), [&](const auto& r) { return r.partition < inner_->partitions(); });
  if (!known || records.empty()) {
    done(std::vector<append_outcome>(records.size(), {append_fate::refused, -1}));
    return;
  }
  const auto verdict = watch_->look(inner_->writable(), options_.steady_ms());
  const bool spooling = !verdict.proven && options_.policy == outage_policy::spool;
  auto fate = append_fate::refused;
  if (spooling) fate = queue_->append(records, options_.now_ms());
  if (fate == append_fate::refused && !verdict.outage()) {
    hand_over(std::move(records), std::move(done));
    return;
  }
  done(std::vector<append_outcome>(records.size(), {fate, -1}));
  if (fate == append_fate::spooled) slot_->ring();
}

void spooled_log_impl::hand_over(std::vector<log_record> records, append_done done) {
  const auto id = watch_->begin(records.size(), std::move(done), options_.steady_ms());
  inner_->append(std::move(records), [watch = watch_, id, steady_ms = options_.steady_ms](std::vector<append_outcome> outcomes) {
    watch->end(id, std::move(outcomes), steady_ms());
  });
}

status spooled_log_impl::reopen() {
  std::lock_guard lock(reopen_mutex_);
  auto log = inner_->reopen();
  auto queue = queue_->reopen();
  if (writable()) return {};
  if (!log.ok()) return log;
  if (!queue.ok()) return queue;
  return {errc::read_only, "the log takes no records, and the spool " +
                               std::string(options_.policy == outage_policy::reject ? "is switched off" : "is full")};
}

bool spooled_log_impl::writable() const noexcept {
  if (!watch_->last().outage() && inner_->writable()) return true;
  return options_.policy == outage_policy::spool && queue_->writable() && queue_->has_room(1, record_bytes_max);
}

spool_state spooled_log_impl::state() const {
  const auto depth = queue_->depth();
  spool_state out;
  out.records = depth.records;
  out.bytes = depth.bytes;
  out.held_records = depth.held_records;
  out.held_bytes = depth.held_bytes;
  if (depth.oldest_accepted_ms >= 0) out.oldest_age_ms = std::max<int64_t>(0, options_.now_ms() - depth.oldest_accepted_ms);
  out.outage = watch_->last().outage();
  out.writable = queue_->writable() && queue_->has_room(1, record_bytes_max);
  return out;
}

void spooled_log_impl::run() {
  for (;;) {
    const bool more = step();
    std::unique_lock lock(slot_->mutex);
    if (!more)
      slot_->changed.wait_for(lock, std::chrono::milliseconds(options_.tick_ms),
                              [this] { return slot_->wake || slot_->stopping; });
    if (slot_->stopping) return;
    slot_->wake = false;
  }
}

bool spooled_log_impl::step() {
  const auto now = options_.steady_ms();
  bring_back(now);
  settle(now);
  const auto verdict = watch_->look(inner_->writable(), now);
  const bool more = drain(now, verdict.proven);
  look_for_health(now);
  return more;
}

// In an outage nobody appends to the log, so nobody else notices that it wants to be reopened.
void spooled_log_impl::bring_back(int64_t now) {
  std::lock_guard lock(reopen_mutex_);
  const auto tried = [now](back_off& rest, const status& s, const char* event) {
    if (s.ok()) {
      rest.succeeded();
      return;
    }
    rest.failed(now);
    config::log(config::log_level::warning, "spool", event, s.message);
  };
  if (!inner_->writable() && log_rest_.due(now)) tried(log_rest_, inner_->reopen(), "log_reopen_failed");
  if (!queue_->writable() && queue_rest_.due(now)) tried(queue_rest_, queue_->reopen(), "spool_reopen_failed");
}

// Takes in what became of the drain's append.
void spooled_log_impl::settle(int64_t now) {
  std::vector<append_outcome> outcomes;
  {
    std::lock_guard lock(slot_->mutex);
    if (!slot_->answered) return;
    slot_->answered = false;
    outcomes = std::move(slot_->outcomes);
  }
  sent_ = false;
  for (size_t i = 0; i < positions_.size(); ++i)
    if (is_durable(outcomes[i])) in_log_.insert(positions_[i]);
  const bool all = std::all_of(outcomes.begin(), outcomes.end(), is_durable);
  if (all)
    drain_rest_.succeeded();
  else
    drain_rest_.failed(now);
  // The first that is not in the log stays, and all behind it.
  auto below = positions_.front();
  while (in_log_.contains(below)) ++below;
  if (!drained(queue_->remove_below(below), now)) return;
  in_log_.erase(in_log_.begin(), in_log_.lower_bound(below));
}

// False, and the drain rests, when the spool failed.
bool spooled_log_impl::drained(const status& s, int64_t now) {
  if (!s.ok()) {
    if (!blocked_) config::log(config::log_level::error, "spool", "drain_blocked", s.message);
    drain_rest_.failed(now);
  }
  blocked_ = !s.ok();
  return s.ok();
}

// Appends what waits at the front, one batch at a time. True when there is more to do at once.
bool spooled_log_impl::drain(int64_t now, bool proven) {
  if (sent_ || !drain_rest_.due(now)) return false;
  if (queue_->depth().records == 0 && queue_->writable()) {
    blocked_ = false;
    return false;
  }
  const auto records_max = proven ? options_.batch_records : std::min(options_.batch_records, options_.probe_records);
  auto entries = queue_->read_front(std::max<size_t>(records_max, in_log_.size() + 1), options_.batch_bytes);
  if (!drained(entries.why, now) || entries->empty()) return false;
  // Behind a removal that failed.
  if (in_log_.contains(entries->front().position)) {
    auto below = entries->front().position;
    while (in_log_.contains(below)) ++below;
    if (!drained(queue_->remove_below(below), now)) return false;
    in_log_.erase(in_log_.begin(), in_log_.lower_bound(below));
    return true;
  }
  const auto limit_ms = options_.now_ms() - options_.max_wait_ms;
  const auto expired = [&](const spool_entry& e) { return e.accepted_ms < limit_ms && !in_log_.contains(e.position); };
  const auto first_fit = std::find_if_not(entries->begin(), entries->end(), expired);
  if (first_fit != entries->begin()) {
    const auto count = first_fit - entries->begin();
    if (!drained(queue_->hold_below(entries->front().position + count), now)) return false;
    config::log(config::log_level::error, "spool", "held",
                "records waited too long to be counted once: they are held for the operator", {{"records", count}});
    return true;
  }
  // One that has waited too long comes to the front in its turn.
  const auto stop = std::find_if(entries->begin(), entries->end(), expired);
  std::vector<log_record> records;
  positions_.clear();
  for (auto each = entries->begin(); each != stop; ++each) {
    if (in_log_.contains(each->position)) continue;
    positions_.push_back(each->position);
    records.push_back({each->partition, std::move(each->value)});
  }
  sent_ = true;
  hand_over(std::move(records), [slot = slot_](std::vector<append_outcome> outcomes) { slot->answer(std::move(outcomes)); });
  std::lock_guard lock(slot_->mutex);
  return slot_->answered;
}

// The way out of an outage that needs no record: see the header.
void spooled_log_impl::look_for_health(int64_t now) {
  if (!watch_->last().outage() || sent_ || !inner_->writable()) return;
  if (queue_->depth().records != 0 && !blocked_) return;
  int64_t confirmed = -1;
  for (uint32_t p = 0; p < inner_->partitions(); ++p) {
    const auto at = inner_->end(p).confirmed_ms;
    if (at >= 0) confirmed = confirmed < 0 ? at : std::min(confirmed, at); // -1: nobody here follows that partition
  }
  if (confirmed >= 0) watch_->seems_well(confirmed, now);
}

} // namespace

std::unique_ptr<spooled_log> make_spooled_log(std::unique_ptr<event_log> inner, std::unique_ptr<spool> queue,
                                              spooled_log_options options) {
  return std::make_unique<spooled_log_impl>(std::move(inner), std::move(queue), std::move(options));
}

} // namespace adtrack::storage
