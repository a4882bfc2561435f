// The gateway as the node implements it: bounds, refusals and the hand-over to the actors. Any thread may call it; it never
// blocks. CAF-free: the ports send the messages. A refused call completes at once, from inside the call.
#pragma once

#include <functional>

#include "actors/context.hpp"

namespace adtrack::actors {

// How the door reaches the actors. Each sends a message and returns.
struct front_door_ports {
  std::function<void(ingest_ptr)> ingest;
  std::function<void(analytics_query, reply_ptr)> query;
  std::function<void(const event_question&, reply_ptr)> find_event;
  std::function<void(const digest_question&, reply_ptr)> digest;
  std::function<void(const quarantine_query&, reply_ptr)> quarantine;
  std::function<void(const log_question&, reply_ptr)> read_log;
  std::function<void(const visitor_question&, reply_ptr)> erase;
  std::function<void(const held_question&, reply_ptr)> held;
  std::function<void(uint32_t shard, reply_ptr)> checkpoint_shard;
  std::function<void(reply_ptr)> checkpoint_log;
  std::function<void(uint32_t page, uint32_t limit, reply_ptr)> list_ads;
  std::function<void(uint64_t id, reply_ptr)> get_ad;
  std::function<void(ad_fields, reply_ptr)> create_ad;
  std::function<void(uint64_t id, ad_fields, std::string if_match, reply_ptr)> update_ad;
  std::function<void(uint64_t id, std::string if_match, reply_ptr)> delete_ad;
};

// Compares the wall clock with the monotonic one since it was made. Source of the rule: the contract, "Operating it".
class clock_guard {
public:
  clock_guard(std::function<int64_t()> now_ms, std::function<int64_t()> steady_ms, int64_t max_jump_s);
  bool jumped() const;

private:
  const std::function<int64_t()> now_ms_;
  const std::function<int64_t()> steady_ms_;
  const int64_t max_jump_ms_;
  const int64_t offset_ms_; // wall minus monotonic at the start
};

class front_door final : public gateway {
public:
  front_door(context_ptr context, front_door_ports ports);

  // From now on everything new is refused with `stopping`.
  void close() noexcept { closed_ = true; }

  void bind(completion_sink* sink) override;
  bool submit(std::vector<ingest_item> items) override { return take(std::move(items), {}); }
  bool submit_batch(ticket t, std::vector<ingest_item> items) override { return take(std::move(items), t); }
  void query(ticket t, analytics_query q) override;
  void find_event(ticket t, event_question q) override;
  void list_ads(ticket t, uint32_t page, uint32_t limit) override;
  void get_ad(ticket t, uint64_t id) override;
  void create_ad(ticket t, ad_fields fields) override;
  void update_ad(ticket t, uint64_t id, ad_fields fields, std::string if_match) override;
  void delete_ad(ticket t, uint64_t id, std::string if_match) override;
  ad_state find_ad(uint64_t id, std::string* url) override { return context_->ads->find(id, url); }
  void quarantine(ticket t, quarantine_query q) override;
  void digest(ticket t, digest_question q) override;
  void read_log(ticket t, log_question q) override;
  void erase(ticket t, visitor_question q) override;
  void held(ticket t, held_question q) override;
  void checkpoint_shard(ticket t, uint32_t shard) override;
  void checkpoint_log(ticket t) override;
  readiness ready() override;
  size_t in_flight() const noexcept override;

private:
  bool take(std::vector<ingest_item> items, std::optional<ticket> together);
  // Null when it was refused, and completed with the reason.
  reply_ptr admit(ticket t);

  const context_ptr context_;
  const front_door_ports ports_;
  const clock_guard clock_;
  std::atomic<bool> closed_{false};
};

} // namespace adtrack::actors
