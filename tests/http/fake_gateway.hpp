// A gateway without actors: remembers what it was asked and answers when the test says so, or at once with a given answer.
// Thread-safe: the loops call it, the test completes.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "actors/gateway.hpp"
#include "tests/http/patience.hpp"

namespace adtrack::tests {

class fake_gateway final : public actors::gateway {
public:
  struct asked {
    std::string call; // "query", "list_ads", ...
    actors::ticket from;
    analytics_query query;
    uint64_t id = 0;
    uint32_t page = 0, limit = 0;
    ad_fields fields;
    std::string if_match;
    quarantine_query quarantine;
    event_question event;
    digest_question digest;
    log_question log;
    visitor_question visitor;
    held_question held;
  };
  struct batch {
    actors::ticket from;
    std::vector<actors::ingest_item> items;
  };
  // Answers at once: an ingest item, a batch, or another call. Unset: the test completes.
  std::function<actors::outcome(const actors::ingest_item&)> on_item;
  std::function<actors::outcome(const std::vector<actors::ingest_item>&)> on_batch;
  std::function<actors::outcome(const asked&)> on_call;
  std::function<void()> on_state; // called by ready()
  bool accepts = true;            // what submit() and submit_batch() return
  actors::readiness state{true, {}, {}};
  std::map<uint64_t, std::string> urls; // the ads that find_ad() knows; set before the first request
  std::atomic<bool> ads_loaded{true};

  void bind(actors::completion_sink* sink) override {
    std::lock_guard lock(mutex_);
    sink_ = sink;
  }
  bool submit(std::vector<actors::ingest_item> items) override {
    std::vector<actors::completion> done;
    {
      std::lock_guard lock(mutex_);
      ++submits_;
      if (!accepts) return false;
      for (auto& item : items) {
        if (on_item) done.push_back({item.from, on_item(item)});
        items_.push_back(std::move(item));
      }
    }
    changed_.notify_all();
    if (!done.empty()) sink_->complete(std::move(done));
    return true;
  }
  bool submit_batch(actors::ticket t, std::vector<actors::ingest_item> items) override {
    {
      std::lock_guard lock(mutex_);
      ++submits_;
      if (!accepts) return false;
    }
    std::vector<actors::completion> done;
    if (on_batch) done.push_back({t, on_batch(items)});
    {
      std::lock_guard lock(mutex_);
      batches_.push_back({t, std::move(items)});
    }
    changed_.notify_all();
    if (!done.empty()) complete_all(std::move(done));
    return true;
  }
  void query(actors::ticket t, analytics_query q) override {
    auto a = call_of("query", t);
    a.query = std::move(q);
    ask(std::move(a));
  }
  void list_ads(actors::ticket t, uint32_t page, uint32_t limit) override {
    auto a = call_of("list_ads", t);
    a.page = page;
    a.limit = limit;
    ask(std::move(a));
  }
  void get_ad(actors::ticket t, uint64_t id) override { ask(call_of("get_ad", t, id)); }
  void create_ad(actors::ticket t, ad_fields f) override {
    auto a = call_of("create_ad", t);
    a.fields = std::move(f);
    ask(std::move(a));
  }
  void update_ad(actors::ticket t, uint64_t id, ad_fields f, std::string m) override {
    auto a = call_of("update_ad", t, id);
    a.fields = std::move(f);
    a.if_match = std::move(m);
    ask(std::move(a));
  }
  void delete_ad(actors::ticket t, uint64_t id, std::string m) override {
    auto a = call_of("delete_ad", t, id);
    a.if_match = std::move(m);
    ask(std::move(a));
  }
  void quarantine(actors::ticket t, quarantine_query q) override {
    auto a = call_of("quarantine", t);
    a.quarantine = q;
    ask(std::move(a));
  }
  void find_event(actors::ticket t, event_question q) override {
    auto a = call_of("find_event", t);
    a.event = q;
    ask(std::move(a));
  }
  void digest(actors::ticket t, digest_question q) override {
    auto a = call_of("digest", t);
    a.digest = q;
    ask(std::move(a));
  }
  void read_log(actors::ticket t, log_question q) override {
    auto a = call_of("read_log", t);
    a.log = q;
    ask(std::move(a));
  }
  void erase(actors::ticket t, visitor_question q) override {
    auto a = call_of("erase", t);
    a.visitor = std::move(q);
    ask(std::move(a));
  }
  void held(actors::ticket t, held_question q) override {
    auto a = call_of("held", t);
    a.held = q;
    ask(std::move(a));
  }
  void checkpoint_shard(actors::ticket t, uint32_t shard) override { ask(call_of("checkpoint_shard", t, shard)); }
  void checkpoint_log(actors::ticket t) override { ask(call_of("checkpoint_log", t)); }
  actors::ad_state find_ad(uint64_t id, std::string* url) override {
    if (!ads_loaded) return actors::ad_state::loading;
    auto found = urls.find(id);
    if (found == urls.end()) return actors::ad_state::unknown;
    if (url != nullptr) *url = found->second;
    return actors::ad_state::known;
  }
  actors::readiness ready() override {
    if (on_state) on_state();
    return state;
  }
  size_t in_flight() const noexcept override { return 0; }

  // Waits until `count` items were submitted; gives all so far.
  std::vector<actors::ingest_item> items(size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, patience, [&] { return items_.size() >= count; });
    return items_;
  }
  std::vector<batch> batches(size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, patience, [&] { return batches_.size() >= count; });
    return batches_;
  }
  std::vector<asked> calls(size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, patience, [&] { return calls_.size() >= count; });
    return calls_;
  }
  size_t submits() {
    std::lock_guard lock(mutex_);
    return submits_;
  }
  // Sets on_item while the server runs.
  void answer_items(std::function<actors::outcome(const actors::ingest_item&)> by) {
    std::lock_guard lock(mutex_);
    on_item = std::move(by);
  }
  void complete(actors::ticket to, actors::outcome what) {
    std::vector<actors::completion> done;
    done.push_back({to, std::move(what)});
    complete_all(std::move(done));
  }
  void complete_all(std::vector<actors::completion> done) { sink_->complete(std::move(done)); }

private:
  static asked call_of(const char* name, actors::ticket t, uint64_t id = 0) {
    asked a;
    a.call = name;
    a.from = t;
    a.id = id;
    return a;
  }
  void ask(asked a) {
    actors::outcome answer;
    bool now = false;
    actors::ticket from = a.from;
    {
      std::lock_guard lock(mutex_);
      if (on_call) {
        answer = on_call(a);
        now = true;
      }
      calls_.push_back(std::move(a));
    }
    changed_.notify_all();
    if (now) complete(from, std::move(answer));
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  actors::completion_sink* sink_ = nullptr;
  std::vector<actors::ingest_item> items_;
  std::vector<batch> batches_;
  std::vector<asked> calls_;
  size_t submits_ = 0;
};

} // namespace adtrack::tests
