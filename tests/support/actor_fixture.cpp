#include "tests/support/actor_fixture.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <utility>

#include "model/partitioner.hpp"
#include "storage/checkpoints.hpp"
#include "storage/memory_log.hpp"
#include "storage/memory_stream.hpp"

namespace adtrack::testing {

using storage::append_fate;
using storage::errc;
using storage::status;

scripted_log::scripted_log(uint32_t partitions, std::function<int64_t()> now_ms)
    : under_(storage::make_memory_log(partitions, now_ms)), now_ms_(std::move(now_ms)) {}

void scripted_log::on_appended(std::function<void()> callback) {
  appended_ = std::move(callback);
  under_->on_appended(appended_);
}

void scripted_log::fork(uint32_t partition, int64_t from, const std::vector<std::string>& values) {
  auto other = storage::make_memory_log(partitions(), now_ms_);
  const auto copy = [&other](uint32_t to, const std::string& value) { other->append({{to, value}}, [](auto) {}); };
  for (uint32_t p = 0; p < partitions(); ++p) {
    const auto begin = under_->begin(p), end = under_->end(p).offset;
    for (int64_t i = 0; i < begin; ++i) copy(p, "trimmed");
    auto all = under_->read(p, begin, static_cast<size_t>(end - begin), SIZE_MAX);
    BOOST_REQUIRE(all.ok());
    for (const auto& record : *all)
      if (p != partition || record.offset < from) copy(p, record.value);
    if (p == partition)
      for (const auto& value : values) copy(p, value);
    BOOST_REQUIRE(other->trim(p, std::min(begin, other->end(p).offset)).ok());
  }
  under_ = std::move(other);
  under_->on_appended(appended_ ? appended_ : [] {});
}

void scripted_log::append(std::vector<storage::log_record> records, storage::append_done done) {
  append_sizes.push_back(records.size());
  const auto all = [&records](append_fate fate) { return std::vector<storage::append_outcome>(records.size(), {fate, -1}); };
  if (!writable_) return done(all(append_fate::refused));
  switch (next) {
  case mood::take: return under_->append(std::move(records), std::move(done));
  case mood::hold: held_.emplace_back(std::move(records), std::move(done)); return;
  case mood::lose: return;
  case mood::spool: return done(all(append_fate::spooled));
  case mood::fail: break;
  }
  writable_ = false;
  done(all(append_fate::unknown));
}

// A record at a time, so that whoever rewrites has to go on.
storage::result<int64_t> scripted_log::rewrite(uint32_t partition, int64_t from, int64_t to,
                                               const storage::record_change& change) {
  if (!next_rewrite.ok()) return std::exchange(next_rewrite, storage::status());
  auto done = under_->rewrite(partition, from, std::min(from + 1, to), change);
  return done.ok() && *done < to ? from + 1 : done;
}

storage::status scripted_log::purge(uint32_t) {
  ++purges;
  return {};
}

void scripted_log::release() {
  for (auto& [records, done] : std::exchange(held_, {})) under_->append(std::move(records), std::move(done));
}

storage::result<std::vector<storage::stored_record>> scripted_log::read(uint32_t partition, int64_t from, size_t max_records,
                                                                        size_t max_bytes) {
  if (before_read) std::exchange(before_read, nullptr)();
  if (reads_nothing) return std::vector<storage::stored_record>{};
  if (reads_fail) return status{errc::io, "the disk does not answer"};
  auto out = under_->read(partition, from, max_records, max_bytes);
  if (out.ok() && !out->empty()) reads.emplace_back(partition, out->size());
  return out;
}

status scripted_log::reopen() {
  ++reopen_calls;
  if (!reopens) return {errc::io, "the disk is full"};
  writable_ = true;
  next = mood::take;
  return {};
}

namespace {

class scripted_view final : public storage::shard_view {
public:
  scripted_view(uint32_t shard, engine_script::content content, int64_t widen_s)
      : shard_(shard), content_(std::move(content)), widen_s_(widen_s) {}

  storage::result<shard_answer> answer(const analytics_query& query) const override {
    shard_answer out;
    out.shard = shard_;
    out.window = query.window;
    if (widen_s_ != 0 && query.window.since_s != time_window::unbounded_since) {
      const auto since = query.window.since_s;
      out.window.since_s = since % widen_s_ == 0 ? since : since - since % widen_s_;
      out.finest = resolution::minute;
    }
    for (const auto& [ad, clicks] : content_.clicks) {
      if (!query.ad_ids.empty() && std::find(query.ad_ids.begin(), query.ad_ids.end(), ad) == query.ad_ids.end()) continue;
      ++out.total;
      if (out.rows.size() >= uint64_t{query.page} * query.limit) continue;
      analytics_row row;
      row.ad_id = ad;
      row.count[metric::valid_clicks] = clicks;
      out.rows.push_back(row);
    }
    return out;
  }

private:
  uint32_t shard_;
  engine_script::content content_;
  int64_t widen_s_;
};

class scripted_engine final : public storage::shard_engine {
public:
  scripted_engine(uint32_t shard, std::shared_ptr<engine_script> script)
      : shard_(shard), script_(std::move(script)), now_(script_->committed) {
    script_->alive = true;
  }
  ~scripted_engine() override { script_->alive = false; }

  status apply(const record_batch& batch) override {
    if (!script_->next_apply.ok()) return std::exchange(script_->next_apply, status::success());
    BOOST_REQUIRE_EQUAL(batch.first_offset, now_.next);
    script_->applied.emplace_back(batch.first_offset, batch.records.size());
    for (const auto& record : batch.records) {
      if (record.what == shard_record::kind::control) {
        now_.has_control = true;
        now_.in_force = batch.controls[record.index];
        const auto erased = std::exchange(now_.in_force.erased, {});
        if (erased.visitor != 0) now_.erasures[record.offset] = erased;
      }
      if (record.what != shard_record::kind::event) continue;
      ++now_.clicks[record.ad_id];
      script_->browsers.push_back(record.browser < batch.names.size() ? batch.names[record.browser] : "");
      event_fate fate;
      fate.verdict = event_verdict::counted;
      fate.at = {shard_, record.offset};
      now_.fates.try_emplace(record.id, fate);
      ++fates_[static_cast<size_t>(record.type)].counted;
    }
    now_.next = batch.next_offset;
    now_.last = batch.last;
    dirty_ = true;
    return {};
  }
  status commit() override {
    ++script_->commits;
    script_->committed = now_;
    dirty_ = false;
    return {};
  }
  status checkpoint(const std::string& path) override {
    script_->copies.emplace_back(now_.next, path);
    return script_->next_copy;
  }
  status sync() override {
    ++script_->syncs;
    if (!script_->next_sync.ok()) return std::exchange(script_->next_sync, status::success());
    script_->committed = now_;
    dirty_ = false;
    synced_ = now_.next;
    return {};
  }
  int64_t next_offset() const noexcept override { return now_.next; }
  record_mark last_record() const noexcept override { return now_.last; }
  int64_t synced_offset() const noexcept override { return synced_; }
  bool dirty() const noexcept override { return dirty_; }
  int64_t clock_ms() const noexcept override { return 0; }
  bool has_control() const noexcept override { return now_.has_control; }
  const control& current_control() const noexcept override { return now_.in_force; }
  const storage::fates_by_type& fates() const noexcept override { return fates_; }
  size_t memory_bytes() const noexcept override { return 0; }
  storage::result<std::shared_ptr<const storage::shard_view>> view(std::span<const uint64_t>, bool) override {
    ++script_->views;
    if (!script_->next_view.ok()) return std::exchange(script_->next_view, storage::status::success());
    return std::shared_ptr<const storage::shard_view>(std::make_shared<scripted_view>(shard_, now_, script_->widen_s));
  }
  storage::result<event_fate> fate_of(const identity& id) const override {
    const auto known = now_.fates.find(id);
    if (known == now_.fates.end()) return storage::status{storage::errc::not_found, {}};
    return known->second;
  }
  storage::result<shard_digest> digest() override { return shard_digest{shard_, now_.next, "at " + std::to_string(now_.next)}; }
  std::vector<shard_digest> kept_digests() const override { return script_->kept_digests; }
  std::vector<storage::pending_erasure> erasures() const override {
    std::vector<storage::pending_erasure> out;
    for (const auto& [offset, what] : now_.erasures) out.push_back({offset, what});
    return out;
  }
  storage::status log_erased(int64_t offset) override {
    now_.erasures.at(offset).visitor = 0;
    script_->committed.erasures = now_.erasures;
    return {};
  }
  storage::status purge() override {
    ++script_->purges;
    return script_->next_purge.ok() ? storage::status() : std::exchange(script_->next_purge, storage::status());
  }
  storage::status purged(int64_t offset) override {
    now_.erasures.erase(offset);
    script_->committed.erasures = now_.erasures;
    return {};
  }

private:
  uint32_t shard_;
  std::shared_ptr<engine_script> script_;
  engine_script::content now_;
  storage::fates_by_type fates_;
  int64_t synced_ = 0;
  bool dirty_ = false;
};

} // namespace

storage::result<std::unique_ptr<storage::shard_engine>> open_scripted_engine(uint32_t shard,
                                                                             std::shared_ptr<engine_script> script) {
  ++script->opens;
  if (!script->open_failures.empty()) {
    auto why = std::move(script->open_failures.front());
    script->open_failures.pop_front();
    return why;
  }
  BOOST_REQUIRE_MESSAGE(!script->alive, "the earlier engine of the shard is still there");
  std::unique_ptr<storage::shard_engine> made = std::make_unique<scripted_engine>(shard, std::move(script));
  return made;
}

void collecting_sink::complete(std::vector<actors::completion> completions) {
  std::lock_guard lock(mutex_);
  ++calls_;
  for (auto& one : completions) got_.push_back(std::move(one));
}

size_t collecting_sink::count() const {
  std::lock_guard lock(mutex_);
  return got_.size();
}

size_t collecting_sink::calls() const {
  std::lock_guard lock(mutex_);
  return calls_;
}

actors::outcome collecting_sink::only(uint64_t serial) const {
  std::lock_guard lock(mutex_);
  const actors::outcome* found = nullptr;
  for (const auto& one : got_) {
    if (one.to.serial != serial) continue;
    BOOST_REQUIRE_MESSAGE(found == nullptr, "ticket " << serial << " completed twice");
    found = &one.what;
  }
  BOOST_REQUIRE_MESSAGE(found != nullptr, "ticket " << serial << " did not complete");
  return *found;
}

actors::ticket ticket_of(uint64_t serial) { return {0, 0, serial}; }

actors::ingest_item click(uint64_t serial, uint64_t ad_id, const std::string& event_id) {
  actors::ingest_item item;
  item.from = ticket_of(serial);
  item.what.ad_id = ad_id;
  item.what.event_id = event_id;
  item.what.time_s = 1'700'000'000;
  item.what.agent = "test agent";
  item.what.address = parse_ip_address("203.0.113.77");
  return item;
}

uint64_t ad_in_shard(uint32_t shard, uint32_t shards) {
  for (uint64_t ad = 1;; ++ad)
    if (shard_of(ad, shards) == shard) return ad;
}

namespace {

// A store in memory whose writes fail while the flag is set.
class fragile_store final : public storage::shard_store {
public:
  explicit fragile_store(const bool& fails) : fails_(fails) {}
  std::unique_ptr<storage::store_batch> new_batch() override { return under_->new_batch(); }
  status write(storage::store_batch& batch) override {
    return fails_ ? status{errc::io, "the disk is full"} : under_->write(batch);
  }
  status sync() override { return under_->sync(); }
  storage::status purge(std::string_view from, std::string_view to) override { return under_->purge(from, to); }
  void set_horizons(const storage::store_horizons& h) override { under_->set_horizons(h); }
  storage::result<std::string> get(std::string_view key) const override { return under_->get(key); }
  status scan(std::string_view from, std::string_view to,
              const std::function<bool(std::string_view, std::string_view)>& visit) const override {
    return under_->scan(from, to, visit);
  }
  std::shared_ptr<const storage::store_reader> snapshot() override { return under_->snapshot(); }

private:
  const bool& fails_;
  std::unique_ptr<storage::shard_store> under_ = storage::make_memory_shard_store();
};

} // namespace

actor_fixture::system_settings::system_settings() {
  add_message_types<caf::id_block::adtrack>();
  set("scheduler.policy", caf::atom("testing"));
}

actor_fixture::actor_fixture(uint32_t shards, const std::function<void(actors::node_options&)>& change) {
  config::set_log_level(config::log_level::error);
  wanted.visitor_key_id = "00000000";
  log = std::make_shared<scripted_log>(shards, [this] { return now_ms; });
  for (uint32_t i = 0; i < shards; ++i) engines.push_back(std::make_shared<engine_script>());
  actors::node_options options;
  options.node_id = "test";
  if (change) change(options);
  actors::node_parts parts;
  parts.log = log;
  parts.open_engine = [this](uint32_t shard) { return open_scripted_engine(shard, engines[shard]); };
  parts.open_catalogue = [this]() -> storage::result<std::unique_ptr<storage::ads_catalogue>> {
    auto token = std::make_shared<int>(0);
    return std::make_unique<storage::ads_catalogue>(
        storage::make_memory_stream([this] { return now_ms; }), [token] { return std::to_string(++*token); },
        [this] { return now_ms; });
  };
  storage::quarantine_options limits;
  limits.steady_ms = [this] { return now_ms; };
  auto opened = storage::quarantine::open(
      [this]() -> storage::result<std::unique_ptr<storage::shard_store>> {
        return std::unique_ptr<storage::shard_store>(std::make_unique<fragile_store>(quarantine_fails));
      },
      limits);
  BOOST_REQUIRE_MESSAGE(opened.ok(), opened.why.message);
  quarantine = std::move(*opened);
  parts.checkpoints = std::make_shared<storage::checkpoints>(copies.path() + "/checkpoints");
  parts.quarantine = quarantine;
  parts.metrics = &metrics;
  parts.wanted = wanted;
  parts.now_ms = [this] { return now_ms; };
  std::string error;
  context = actors::make_context(options, std::move(parts), error);
  BOOST_REQUIRE_MESSAGE(context, error);
  context->flights->bind(&sink);
  system = std::make_unique<caf::actor_system>(settings);
  sched = &dynamic_cast<caf::scheduler::test_coordinator&>(system->scheduler());
}

actor_fixture::~actor_fixture() {
  for (const auto& one : kept) caf::anon_send_exit(one, caf::exit_reason::kill);
  run();
  kept.clear();
  system.reset();
}

void actor_fixture::advance(std::chrono::milliseconds by) {
  run();
  sched->advance_time(by);
  run();
}

actors::ingest_ptr actor_fixture::admit(std::vector<actors::ingest_item> items, std::optional<actors::ticket> together) {
  auto batch = context->flights->admit(items, together);
  BOOST_REQUIRE(batch);
  return batch;
}

} // namespace adtrack::testing
