#include "actors/inbox.hpp"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <string_view>
#include <utility>

#include "config/telemetry.hpp"
#include "storage/quarantine.hpp"

namespace adtrack::actors {

namespace {

constexpr const char* trouble_name = "inbox";
constexpr uint32_t backoff_doublings_max = 4;
constexpr size_t quarantined_bytes_max = 4'096; // the quarantine cuts further
constexpr std::chrono::milliseconds measure_interval{1'000};
constexpr std::chrono::milliseconds at_once{0};

bool in_address(char c) { return std::string_view("0123456789abcdefABCDEF.:").find(c) != std::string_view::npos; }

// The beginning of a text in which nothing that may be an address can be read: a record that is refused was not masked, and no
// full address reaches a disk.
std::string without_addresses(std::string_view text) {
  std::string out(text.substr(0, quarantined_bytes_max));
  for (size_t at = 0; at < out.size();) {
    size_t end = at;
    while (end < out.size() && in_address(out[end])) ++end;
    const auto begin = out.begin() + static_cast<std::ptrdiff_t>(at), stop = out.begin() + static_cast<std::ptrdiff_t>(end);
    if (std::count(begin, stop, '.') > 1 || std::count(begin, stop, ':') > 1)
      std::replace_if(
          begin, stop, [](char c) { return c != '.' && c != ':'; }, 'x');
    at = end + 1;
  }
  return out;
}

} // namespace

void inbox_answers::expect(uint32_t attempt, size_t events) {
  const std::lock_guard lock(mutex_);
  attempt_ = attempt;
  left_ = events;
  failed_.clear();
  why_.clear();
}

void inbox_answers::complete(std::vector<completion> completions) {
  uint32_t done = 0;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [to, what] : completions) {
      if (to.slot != attempt_ || left_ == 0) continue;
      if (--left_ == 0) done = attempt_;
      const auto* no = std::get_if<actors::failed>(&what);
      if (no == nullptr) continue;
      failed_.push_back(to.serial);
      why_ = no->detail;
    }
  }
  if (done == 0) return;
  if (const auto strong = told_.lock()) caf::anon_send(caf::actor_cast<inbox_actor>(strong), done_atom_v, done);
}

std::vector<size_t> inbox_answers::not_durable(std::string& why) {
  const std::lock_guard lock(mutex_);
  why = why_;
  std::sort(failed_.begin(), failed_.end()); // in the order of the records
  return std::exchange(failed_, {});
}

inbox_state::~inbox_state() {
  if (context_) context_->flights->bind_inner(nullptr);
}

void inbox_state::init(pointer self, context_ptr context, ingest_port port) {
  self_ = self;
  context_ = std::move(context);
  port_ = std::move(port);
  auto& metrics = context_->metrics();
  accepted_ = &metrics.inbox_records("accepted");
  quarantined_ = &metrics.inbox_records("quarantined");
  lost_count_ = &metrics.inbox_records("lost");
  lag_ = &metrics.inbox_lag();
  answers_ = std::make_unique<inbox_answers>(caf::weak_actor_ptr(self_->ctrl()));
  context_->flights->bind_inner(answers_.get());
  next_step(at_once);
}

void inbox_state::next_step(milliseconds after) {
  ++turn_;
  if (after == at_once)
    self_->send(self_, tick_atom_v, turn_);
  else
    self_->delayed_send(self_, after, tick_atom_v, turn_);
}

void inbox_state::tick(uint64_t turn) {
  if (turn == turn_ && !stopping_) next_step(step());
}

inbox_state::milliseconds inbox_state::step() {
  const bool waits = appending_ || self_->clock().now() < retry_at_;
  if (source_ && waits) source_->serve();
  if (source_) measure();
  if (waits) return milliseconds(context_->options.inbox_poll_ms);
  if (!source_) return open();
  return records_.empty() ? read() : settle();
}

inbox_state::milliseconds inbox_state::failed(const char* event, const std::string& why) {
  const milliseconds retry(context_->options.retry_ms);
  retry_at_ = self_->clock().now() + retry * (1 << std::min(failures_++, backoff_doublings_max));
  troubled_ = true;
  if (context_->status->set_trouble(trouble_name, why)) config::log(config::log_level::error, "inbox", event, why);
  return milliseconds(context_->options.inbox_poll_ms);
}

void inbox_state::well() {
  failures_ = 0;
  if (std::exchange(troubled_, false)) context_->status->set_trouble(trouble_name, "");
}

inbox_state::milliseconds inbox_state::open() {
  auto made = context_->parts.open_inbox();
  if (!made.ok()) return failed("open_failed", made.why.message);
  source_ = std::move(*made);
  lost_ = 0;
  well();
  return at_once;
}

inbox_state::milliseconds inbox_state::read() {
  const auto& options = context_->options;
  const milliseconds pause(options.inbox_poll_ms);
  const bool ads_wanted = context_->options.require_known_ads && context_->ads->find(0, nullptr) == ad_state::loading;
  if (!context_->status->accepting() || ads_wanted) {
    source_->serve();
    return pause;
  }
  auto records = source_->read(options.inbox_batch_records, options.inbox_batch_bytes);
  if (!records.ok()) {
    if (records.why.code == storage::errc::read_only) source_.reset();
    return failed("read_failed", records.why.message);
  }
  well();
  if (records->empty()) return pause;
  records_ = std::move(*records);
  unsettled_.resize(records_.size());
  std::iota(unsettled_.begin(), unsettled_.end(), size_t{0});
  return settle();
}

const char* inbox_state::reason_against(const storage::inbox_record& record, submission& out) const {
  if (record.value.size() > context_->options.inbox_value_bytes) return "inbox_size";
  switch (context_->parts.parse_event(record.value, record.time_ms, out)) {
  case event_fault::syntax: return "inbox_syntax";
  case event_fault::field: return "inbox_field";
  case event_fault::none: break;
  }
  if (context_->options.require_known_ads && context_->ads->find(out.ad_id, nullptr) == ad_state::unknown)
    return "inbox_unknown_ad";
  if (out.time_given) return nullptr;
  // Never the time of this moment: the same record gives the same event whenever it is read.
  out.time_s = record.time_ms / 1'000;
  return out.time_s > 0 ? nullptr : "inbox_field";
}

void inbox_state::parse() {
  std::vector<size_t> valid;
  items_.reserve(unsettled_.size());
  for (const auto index : unsettled_) {
    const auto& record = records_[index];
    ingest_item item;
    item.from = {inner_loop, 0, index};
    if (const char* reason = reason_against(record, item.what)) {
      bad_.push_back({quarantine_source::inbox, record.partition, record.offset, record.time_ms, reason,
                      without_addresses(record.value), record.value.size()});
      continue;
    }
    valid.push_back(index);
    items_.push_back(std::move(item));
  }
  unsettled_ = std::move(valid);
}

inbox_state::milliseconds inbox_state::settle() {
  if (items_.empty()) parse();
  if (auto s = keep_bad(); !s.ok()) return failed("quarantine_failed", "records of the inbox wait: " + s.message);
  if (unsettled_.empty()) return commit();
  // When too much is in flight, or the log does not take events yet, the batch waits.
  if (!context_->status->accepting() || !submit()) source_->serve();
  return milliseconds(context_->options.inbox_poll_ms);
}

storage::status inbox_state::keep_bad() {
  if (bad_.empty()) return {};
  if (const auto& kept = context_->parts.quarantine) {
    if (auto s = kept->add(bad_); !s.ok()) return s;
    if (auto s = kept->sync(); !s.ok()) return s;
  }
  config::log(config::log_level::warning, "inbox", "quarantined", "records of the inbox are no events and are passed over",
              {{"records", bad_.size()},
               {"partition", bad_.front().partition},
               {"offset", bad_.front().offset},
               {"reason", bad_.front().reason}});
  for (const auto& entry : bad_) context_->metrics().quarantined(entry.reason).Increment();
  quarantined_->Increment(static_cast<double>(bad_.size()));
  bad_.clear();
  return {};
}

bool inbox_state::submit() {
  for (auto& item : items_) item.from.slot = attempt_ + 1;
  auto batch = context_->flights->admit(items_);
  if (!batch) return false;
  items_.clear();
  appending_ = true;
  answers_->expect(++attempt_, batch->items.size());
  port_(std::move(batch));
  return true;
}

void inbox_state::answered(uint32_t attempt) {
  if (!appending_ || attempt != attempt_) return;
  appending_ = false;
  std::string why;
  auto left = answers_->not_durable(why);
  accepted_->Increment(static_cast<double>(unsettled_.size() - left.size()));
  unsettled_ = std::move(left);
  const auto after = unsettled_.empty() ? commit() : failed("not_durable", "events of the inbox are not in the log yet: " + why);
  if (stopping_) return self_->quit();
  next_step(after);
}

inbox_state::milliseconds inbox_state::commit() {
  std::map<uint32_t, int64_t> next;
  for (const auto& record : records_) {
    auto& mine = next[record.partition];
    mine = std::max(mine, record.offset + 1);
  }
  std::vector<storage::inbox_position> positions;
  positions.reserve(next.size());
  for (const auto& [partition, offset] : next) positions.push_back({partition, offset});
  if (auto s = source_->commit(positions); !s.ok()) return failed("commit_failed", s.message);
  records_.clear();
  well();
  return at_once;
}

void inbox_state::measure() {
  const auto now = self_->clock().now();
  if (now - measured_at_ < measure_interval) return;
  measured_at_ = now;
  const auto lag = source_->lag();
  lag_->Set(lag.ok() ? static_cast<double>(lag.value->records) : -1.0); // not known
  if (!lag.ok()) return;
  lost_count_->Increment(static_cast<double>(lag.value->lost - std::exchange(lost_, lag.value->lost)));
}

// What is on its way to the log is waited for, so that it need not be appended again after the next start.
void inbox_state::stop() {
  stopping_ = true;
  if (!appending_) self_->quit();
}

inbox_actor::behavior_type inbox(inbox_state::pointer self, context_ptr context, inbox_state::ingest_port port) {
  self->state.init(self, std::move(context), std::move(port));
  return {
      [self](tick_atom, uint64_t turn) { self->state.tick(turn); },
      [self](done_atom, uint32_t attempt) { self->state.answered(attempt); },
      [self](stop_atom) { self->state.stop(); },
  };
}

} // namespace adtrack::actors
