#include "actors/front_door.hpp"

#include <cstdlib>
#include <utility>

namespace adtrack::actors {

namespace {

constexpr const char* jumped_text = "the wall clock of this node jumped; see the README, clock.max_jump_secs";

} // namespace

clock_guard::clock_guard(std::function<int64_t()> now_ms, std::function<int64_t()> steady_ms, int64_t max_jump_s)
    : now_ms_(std::move(now_ms)), steady_ms_(std::move(steady_ms)), max_jump_ms_(max_jump_s * 1'000),
      offset_ms_(now_ms_() - steady_ms_()) {}

bool clock_guard::jumped() const { return std::abs(now_ms_() - steady_ms_() - offset_ms_) > max_jump_ms_; }

front_door::front_door(context_ptr context, front_door_ports ports)
    : context_(std::move(context)), ports_(std::move(ports)),
      clock_(context_->parts.now_ms, context_->parts.steady_ms, context_->options.clock_max_jump_s) {}

void front_door::bind(completion_sink* sink) { context_->flights->bind(sink); }

bool front_door::take(std::vector<ingest_item> items, std::optional<ticket> together) {
  if (items.empty()) return true;
  // Room is taken before `closed_` is read: stop() sets it and then waits for the room to be free, so that no event slips
  // between.
  auto batch = context_->flights->admit(items, together);
  if (!batch) return false;
  if (closed_)
    batch->fail(failure::stopping, "the node is stopping");
  else if (clock_.jumped())
    batch->fail(failure::clock_jumped, jumped_text);
  else if (!context_->status->accepting())
    batch->fail(failure::overloaded, "the node is starting: the log does not hold its settings yet");
  else
    ports_.ingest(std::move(batch));
  return true;
}

reply_ptr front_door::admit(ticket t) {
  auto reply = context_->flights->admit(t);
  if (!reply) {
    std::vector<completion> refused;
    refused.push_back({t, failed{failure::overloaded, "too many requests are waiting"}});
    context_->flights->deliver(std::move(refused));
    return nullptr;
  }
  if (!closed_) return reply;
  reply->fail(failure::stopping, "the node is stopping");
  return nullptr;
}

void front_door::query(ticket t, analytics_query q) {
  if (auto reply = admit(t)) ports_.query(std::move(q), std::move(reply));
}

void front_door::find_event(ticket t, event_question q) {
  if (auto reply = admit(t)) ports_.find_event(q, std::move(reply));
}

void front_door::list_ads(ticket t, uint32_t page, uint32_t limit) {
  if (auto reply = admit(t)) ports_.list_ads(page, limit, std::move(reply));
}

void front_door::get_ad(ticket t, uint64_t id) {
  if (auto reply = admit(t)) ports_.get_ad(id, std::move(reply));
}

void front_door::create_ad(ticket t, ad_fields fields) {
  if (auto reply = admit(t)) ports_.create_ad(std::move(fields), std::move(reply));
}

void front_door::update_ad(ticket t, uint64_t id, ad_fields fields, std::string if_match) {
  if (auto reply = admit(t)) ports_.update_ad(id, std::move(fields), std::move(if_match), std::move(reply));
}

void front_door::delete_ad(ticket t, uint64_t id, std::string if_match) {
  if (auto reply = admit(t)) ports_.delete_ad(id, std::move(if_match), std::move(reply));
}

void front_door::quarantine(ticket t, quarantine_query q) {
  if (auto reply = admit(t)) ports_.quarantine(q, std::move(reply));
}

void front_door::digest(ticket t, digest_question q) {
  if (auto reply = admit(t)) ports_.digest(q, std::move(reply));
}

void front_door::read_log(ticket t, log_question q) {
  if (auto reply = admit(t)) ports_.read_log(q, std::move(reply));
}

void front_door::erase(ticket t, visitor_question q) {
  if (auto reply = admit(t)) ports_.erase(q, std::move(reply));
}

void front_door::held(ticket t, held_question q) {
  if (auto reply = admit(t)) ports_.held(q, std::move(reply));
}

void front_door::checkpoint_shard(ticket t, uint32_t shard) {
  if (auto reply = admit(t)) ports_.checkpoint_shard(shard, std::move(reply));
}

void front_door::checkpoint_log(ticket t) {
  if (auto reply = admit(t)) ports_.checkpoint_log(std::move(reply));
}

readiness front_door::ready() {
  auto out = context_->status->report();
  if (out.ready && clock_.jumped()) out.reason = jumped_text;
  if (out.ready && !context_->log().writable())
    out.reason = context_->log().takes_records() ? "the log refuses to be written"
                                                 : "this node answers from another one's log and takes no events";
  out.ready = out.reason.empty();
  return out;
}

size_t front_door::in_flight() const noexcept { return context_->flights->count(); }

} // namespace adtrack::actors
