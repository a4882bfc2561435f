#include "actors/inbox.hpp"

#include <boost/test/unit_test.hpp>

#include <prometheus/counter.h>
#include <prometheus/gauge.h>

#include <charconv>
#include <future>

#include "actors/enrich.hpp"
#include "actors/log_writer.hpp"
#include "model/partitioner.hpp"
#include "storage/memory_inbox.hpp"
#include "storage/memory_log.hpp"
#include "storage/memory_stream.hpp"
#include "storage/quarantine.hpp"
#include "storage/record_codec.hpp"
#include "storage/shard_store.hpp"
#include "tests/support/actor_fixture.hpp"

using namespace adtrack;
using namespace adtrack::actors;
using adtrack::testing::actor_fixture;
using adtrack::testing::click;
using adtrack::testing::scripted_log;
using std::chrono::milliseconds;
using std::chrono::seconds;
using storage::errc;
using storage::status;

namespace {

constexpr int64_t record_ms = 1'690'000'000'500;

struct inbox_script {
  bool opens = true;
  status next_read, next_commit; // not ok: the next call says so, once
  int opened = 0, reads = 0, serves = 0;
  uint64_t lost = 0;
  std::vector<size_t> commits; // partitions each
};

class scripted_inbox final : public storage::inbox {
public:
  scripted_inbox(std::shared_ptr<storage::memory_inbox_topic> topic, inbox_script& script)
      : under_(storage::make_memory_inbox(std::move(topic))), script_(script) {}

  storage::result<std::vector<storage::inbox_record>> read(size_t max_records, size_t max_bytes) override {
    ++script_.reads;
    if (!script_.next_read.ok()) return std::exchange(script_.next_read, {});
    return under_->read(max_records, max_bytes);
  }
  void serve() override { ++script_.serves; }
  status commit(std::span<const storage::inbox_position> positions) override {
    if (!script_.next_commit.ok()) return std::exchange(script_.next_commit, {});
    script_.commits.push_back(positions.size());
    return under_->commit(positions);
  }
  storage::result<storage::inbox_lag> lag() override {
    auto out = under_->lag();
    if (out.ok()) out->lost = script_.lost;
    return out;
  }

private:
  std::unique_ptr<storage::inbox> under_;
  inbox_script& script_;
};

// "click 7 e1": a click on ad 7; "field" has a bad field, anything else is no JSON. A fourth word is the timestamp.
event_fault parse_test_event(std::string_view text, int64_t, submission& out) {
  out = {};
  if (text.starts_with("field")) return event_fault::field;
  if (!text.starts_with("click 7 ")) return event_fault::syntax;
  text.remove_prefix(8);
  const auto space = std::min(text.find(' '), text.size());
  out.ad_id = 7;
  out.event_id = text.substr(0, space);
  out.time_given = space < text.size();
  if (out.time_given) std::from_chars(text.data() + space + 1, text.data() + text.size(), out.time_s);
  return event_fault::none;
}

struct fixture : actor_fixture {
  explicit fixture(const std::function<void(node_options&)>& change = {}) : actor_fixture(1, change) {
    auto mine = std::make_shared<node_context>(*context);
    mine->parts.open_inbox = [this]() -> storage::result<std::unique_ptr<storage::inbox>> {
      ++script.opened;
      if (!script.opens) return status{errc::io, "no broker answers"};
      return std::unique_ptr<storage::inbox>(std::make_unique<scripted_inbox>(topic, script));
    };
    mine->parts.parse_event = parse_test_event;
    context = mine;
    enrich = std::make_unique<enricher>(*context);
    writer = keep(system->spawn(log_writer, context));
    context->status->control_logged(0);
  }
  ~fixture() {
    for (auto& each : kept) caf::anon_send_exit(each, caf::exit_reason::user_shutdown);
    run();
  }

  inbox_actor start() {
    taking = keep(system->spawn(actors::inbox, context, [this](ingest_ptr batch) {
      caf::anon_send(writer, append_atom_v, enrich->to_records(std::move(batch)));
    }));
    run();
    return taking;
  }
  // Ends the actor as a crash would: without a word.
  void crash() {
    caf::anon_send_exit(taking, caf::exit_reason::kill);
    run();
  }
  void add(const std::string& value, uint32_t partition = 0) { topic->add(partition, value, record_ms); }
  int64_t committed(uint32_t partition = 0) { return topic->committed[partition]; }
  void poll() { advance(milliseconds(50)); }
  void pass(milliseconds time) { // as a clock does, not in one jump
    for (milliseconds gone{0}; gone < time; gone += milliseconds(50)) poll();
  }

  std::vector<shard_record> logged() {
    auto all = log->read(0, 0, 10'000, SIZE_MAX);
    BOOST_REQUIRE(all.ok());
    storage::record_decoder decoder;
    return decoder.decode(0, 1, 0, *all).records;
  }
  quarantine_page in_quarantine() {
    auto page = quarantine->list({quarantine_source::inbox, {0, 0}, 1'000});
    BOOST_REQUIRE(page.ok());
    return *page;
  }
  double count(const char* result) { return metrics.inbox_records(result).Value(); }
  bool degraded() const { return !context->status->report().degraded.empty(); }

  std::shared_ptr<storage::memory_inbox_topic> topic = std::make_shared<storage::memory_inbox_topic>();
  inbox_script script;
  std::unique_ptr<enricher> enrich;
  log_writer_actor writer;
  inbox_actor taking;
};

} // namespace

BOOST_AUTO_TEST_SUITE(inbox_behaviour)

BOOST_AUTO_TEST_CASE(what_other_producers_wrote_is_in_the_log_and_committed) {
  fixture f;
  for (int i = 0; i < 5; ++i) f.add("click 7 e" + std::to_string(i), static_cast<uint32_t>(i % 2));
  f.start();
  BOOST_TEST(f.logged().size() == 5u);
  BOOST_TEST(f.committed(0) == 3);
  BOOST_TEST(f.committed(1) == 2);
  BOOST_TEST(f.count("accepted") == 5.0);
  BOOST_TEST(f.metrics.events("click", "accepted").Value() == 5.0);
  f.add("click 7 later");
  f.poll();
  BOOST_TEST(f.logged().size() == 6u);
  BOOST_TEST(f.committed(0) == 4);
  BOOST_TEST(f.context->flights->count() == 0u);
  BOOST_TEST(!f.degraded());
}

BOOST_AUTO_TEST_CASE(nothing_is_committed_before_the_log_has_it) {
  fixture f;
  f.log->next = scripted_log::mood::hold;
  f.add("click 7 e1");
  f.start();
  f.pass(seconds(2));
  BOOST_TEST(f.script.commits.empty());
  BOOST_TEST(f.script.serves > 10); // and it keeps its place among the readers
  f.log->release();
  f.run();
  BOOST_TEST(f.committed() == 1);
}

BOOST_AUTO_TEST_CASE(what_was_not_committed_before_a_crash_is_taken_again) {
  fixture f;
  f.log->next = scripted_log::mood::hold;
  f.add("click 7 e1");
  f.start();
  f.crash();
  f.log->release(); // the append succeeded, and nobody heard of it
  f.log->next = scripted_log::mood::take;
  f.start();
  BOOST_TEST(f.committed() == 1);
  const auto records = f.logged();
  BOOST_REQUIRE(records.size() == 2u);
  BOOST_TEST((records[0].id == records[1].id)); // which dedupe counts once
  BOOST_TEST(records[0].fields_hash == records[1].fields_hash);
  BOOST_TEST(records[0].time_s == records[1].time_s);
}

BOOST_AUTO_TEST_CASE(a_missing_timestamp_is_the_records_own_time) {
  fixture f;
  f.add("click 7 e1");
  f.add("click 7 e2 1600000000");
  f.topic->add(0, "click 7 e3", -1); // the inbox does not know it either
  f.start();
  const auto records = f.logged();
  BOOST_REQUIRE(records.size() == 2u);
  BOOST_TEST(records[0].time_s == record_ms / 1'000);
  BOOST_TEST(records[1].time_s == 1'600'000'000);
  BOOST_REQUIRE(f.in_quarantine().entries.size() == 1u);
  BOOST_TEST(f.in_quarantine().entries[0].reason == "inbox_field");
  BOOST_TEST(f.committed() == 3);
}

BOOST_AUTO_TEST_CASE(bad_records_are_quarantined_once_and_do_not_hold_up_the_others) {
  fixture f([](node_options& o) { o.inbox_value_bytes = 100; });
  f.add("click 7 e1");
  f.add("\x01\xff garbage");
  f.add("field");
  f.add("click 7 e2");
  f.add(std::string(101, 'a'));
  f.add("");
  f.start();
  BOOST_TEST(f.logged().size() == 2u);
  BOOST_TEST(f.committed() == 6);
  const auto page = f.in_quarantine();
  BOOST_REQUIRE(page.entries.size() == 4u);
  BOOST_TEST(page.total == 4u);
  const char* reasons[] = {"inbox_syntax", "inbox_field", "inbox_size", "inbox_syntax"};
  const int64_t offsets[] = {1, 2, 4, 5};
  for (size_t i = 0; i < page.entries.size(); ++i) {
    BOOST_TEST(page.entries[i].reason == reasons[i]);
    BOOST_TEST(page.entries[i].offset == offsets[i]);
    BOOST_TEST(page.entries[i].time_ms == record_ms);
  }
  BOOST_TEST(page.entries[0].value == "\x01\xff garbage");
  BOOST_TEST(page.entries[2].size == 101u);
  BOOST_TEST(f.count("quarantined") == 4.0);
  BOOST_TEST(f.metrics.quarantined("inbox_syntax").Value() == 2.0);
}

BOOST_AUTO_TEST_CASE(events_of_unknown_ads_are_quarantined_where_known_ones_are_wanted) {
  fixture f([](node_options& o) { o.require_known_ads = true; });
  f.add("click 7 e1");
  f.start();
  f.poll();
  BOOST_TEST(f.logged().empty()); // nobody can say yet
  BOOST_TEST(f.committed() == 0);
  f.context->ads->load({{7, "https://example.com/"}});
  f.poll();
  BOOST_TEST(f.logged().size() == 1u);
  f.context->ads->remove(7);
  f.add("click 7 e2");
  f.poll();
  BOOST_TEST(f.logged().size() == 1u);
  BOOST_TEST(f.committed() == 2);
  const auto page = f.in_quarantine();
  BOOST_REQUIRE(page.entries.size() == 1u);
  BOOST_TEST(page.entries[0].reason == "inbox_unknown_ad");
}

BOOST_AUTO_TEST_CASE(garbage_alone_is_passed_over) {
  fixture f([](node_options& o) { o.inbox_batch_records = 100; });
  for (int i = 0; i < 1'000; ++i) f.add("garbage " + std::to_string(i));
  f.start();
  BOOST_TEST(f.committed() == 1'000);
  BOOST_TEST(f.in_quarantine().total == 1'000u);
  f.pass(seconds(2));
  BOOST_TEST(f.metrics.inbox_lag().Value() == 0.0);
}

BOOST_AUTO_TEST_CASE(no_address_of_a_refused_record_reaches_the_disk) {
  fixture f;
  f.add(R"(field {"user_ip":"203.0.113.77","v6":"2001:db8::ab","agent":"Mozilla/5.0","ad_id":1.5})");
  f.start();
  const auto page = f.in_quarantine();
  BOOST_REQUIRE(page.entries.size() == 1u);
  BOOST_TEST(page.entries[0].value ==
             R"(field {"user_ip":"xxx.x.xxx.xx","v6":"xxxx:xxx::xx","agent":"Mozilla/5.0","ad_id":1.5})");
}

BOOST_AUTO_TEST_CASE(nothing_is_committed_while_the_quarantine_cannot_be_written) {
  fixture f;
  f.quarantine_fails = true;
  f.add("garbage");
  f.start();
  BOOST_TEST(f.script.commits.empty());
  BOOST_TEST(f.degraded());
  f.quarantine_fails = false;
  f.now_ms += 10'000;
  f.pass(seconds(20));
  BOOST_TEST(f.committed() == 1);
  BOOST_TEST(f.in_quarantine().total == 1u);
  BOOST_TEST(f.count("quarantined") == 1.0);
  BOOST_TEST(!f.degraded());
}

BOOST_AUTO_TEST_CASE(events_that_the_log_did_not_take_are_appended_again_and_the_others_are_not) {
  fixture f;
  f.log->next = scripted_log::mood::fail;
  f.log->reopens = false;
  f.add("click 7 e1");
  f.add("garbage");
  f.start();
  BOOST_TEST(f.script.commits.empty());
  BOOST_TEST(f.in_quarantine().total == 1u);
  f.pass(seconds(10));
  BOOST_TEST(f.log->append_sizes.size() > 1u);
  BOOST_TEST(f.log->append_sizes.size() < 8u); // it backs off
  BOOST_TEST(f.degraded());
  f.log->reopens = true;
  f.pass(seconds(40));
  BOOST_TEST(f.committed() == 2);
  BOOST_TEST(f.logged().size() == 1u);
  BOOST_TEST(f.count("accepted") == 1.0);
  BOOST_TEST(f.count("quarantined") == 1.0);
  BOOST_TEST(!f.degraded());
}

BOOST_AUTO_TEST_CASE(an_append_without_an_answer_is_tried_again_after_its_deadline) {
  fixture f;
  f.log->next = scripted_log::mood::hold;
  f.add("click 7 e1");
  f.start();
  f.context->flights->sweep(steady_clock::now() + seconds(60));
  f.run();
  f.log->release();
  f.log->next = scripted_log::mood::take;
  f.run();
  BOOST_TEST(f.script.commits.empty()); // the late answer is not counted
  f.pass(seconds(2));
  BOOST_TEST(f.committed() == 1);
  BOOST_TEST(f.logged().size() == 2u);
  BOOST_TEST(f.count("accepted") == 1.0);
}

BOOST_AUTO_TEST_CASE(a_failed_commit_is_tried_again_without_appending_again) {
  fixture f;
  f.script.next_commit = {errc::io, "the coordinator moved"};
  f.add("click 7 e1");
  f.start();
  BOOST_TEST(f.degraded());
  BOOST_TEST(f.committed() == 0);
  f.pass(seconds(2));
  BOOST_TEST(f.committed() == 1);
  BOOST_TEST(f.logged().size() == 1u);
  BOOST_TEST(!f.degraded());
}

BOOST_AUTO_TEST_CASE(http_goes_first_when_too_much_is_in_flight) {
  fixture f([](node_options& o) { o.max_in_flight_events = 2; });
  auto full = f.admit({click(1, 7, "a"), click(2, 7, "b")});
  f.add("click 7 e1");
  f.start();
  f.pass(seconds(5));
  BOOST_TEST(f.logged().empty());
  BOOST_TEST(!f.degraded());
  full->fail(failure::stopping, "");
  full.reset();
  f.poll();
  BOOST_TEST(f.committed() == 1);
  BOOST_TEST(f.sink.count() == 2u); // http hears of its own only
}

BOOST_AUTO_TEST_CASE(http_is_not_told_of_the_inbox_when_both_share_an_append) {
  fixture f;
  f.log->next = scripted_log::mood::hold;
  f.add("click 7 e1");
  f.start();
  auto job = f.enrich->to_records(f.admit({click(5, 7, "h")}));
  caf::anon_send(f.writer, append_atom_v, std::move(job));
  f.run();
  f.log->release();
  f.run();
  BOOST_TEST(f.sink.count() == 1u);
  BOOST_TEST(std::get<ingested>(f.sink.only(5)).shard == 0u);
  BOOST_TEST(f.committed() == 1);
}

BOOST_AUTO_TEST_CASE(batches_are_bounded_and_one_is_in_flight) {
  fixture f([](node_options& o) { o.inbox_batch_records = 3; });
  for (int i = 0; i < 8; ++i) f.add("click 7 e" + std::to_string(i));
  f.log->next = scripted_log::mood::hold;
  f.start();
  f.pass(seconds(1));
  BOOST_TEST(f.context->flights->count() == 3u);
  f.log->next = scripted_log::mood::take;
  f.log->release();
  f.run();
  BOOST_TEST(f.log->append_sizes == (std::vector<size_t>{3, 3, 2}), boost::test_tools::per_element());
  BOOST_TEST(f.committed() == 8);
}

BOOST_AUTO_TEST_CASE(an_inbox_that_cannot_be_opened_or_read_is_tried_again) {
  fixture f;
  f.script.opens = false;
  f.add("click 7 e1");
  f.start();
  BOOST_TEST(f.degraded());
  f.script.opens = true;
  f.script.next_read = {errc::io, "the leader moved"};
  f.pass(seconds(2));
  BOOST_TEST(f.script.opened == 2);
  f.pass(seconds(3));
  BOOST_TEST(f.committed() == 1);
  BOOST_TEST(!f.degraded());
  f.script.next_read = {errc::read_only, "the consumer is fenced"};
  f.add("click 7 e2");
  f.pass(seconds(3));
  BOOST_TEST(f.script.opened == 3);
  BOOST_TEST(f.committed() == 2);
}

BOOST_AUTO_TEST_CASE(it_waits_until_the_log_holds_the_settings) {
  fixture f;
  auto fresh = std::make_shared<node_context>(*f.context);
  fresh->status = std::make_shared<node_status>(1);
  f.context = fresh;
  f.add("click 7 e1");
  f.start();
  f.pass(seconds(1));
  BOOST_TEST(f.script.reads == 0);
  fresh->status->control_logged(0);
  f.poll();
  BOOST_TEST(f.committed() == 1);
}

BOOST_AUTO_TEST_CASE(stopping_waits_for_what_is_on_its_way_and_commits_it) {
  fixture f;
  f.log->next = scripted_log::mood::hold;
  f.add("click 7 e1");
  f.start();
  f.add("click 7 e2");
  caf::anon_send(f.taking, stop_atom_v);
  f.run();
  BOOST_TEST(f.script.commits.empty());
  f.log->next = scripted_log::mood::take;
  f.log->release();
  f.run();
  BOOST_TEST(f.committed() == 1);
  f.pass(seconds(1));
  BOOST_TEST(f.logged().size() == 1u);
}

BOOST_AUTO_TEST_CASE(lag_and_losses_are_measured) {
  fixture f;
  f.log->next = scripted_log::mood::hold;
  f.add("click 7 e1");
  f.add("click 7 e2");
  f.start();
  f.script.lost = 3;
  f.pass(seconds(2));
  BOOST_TEST(f.metrics.inbox_lag().Value() == 2.0);
  BOOST_TEST(f.count("lost") == 3.0);
  f.log->release();
  f.pass(seconds(2));
  BOOST_TEST(f.metrics.inbox_lag().Value() == 0.0);
  BOOST_TEST(f.count("lost") == 3.0);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(inbox_of_a_running_node)

BOOST_AUTO_TEST_CASE(every_event_is_counted_once_and_the_node_stops_with_all_committed) {
  struct one_answer final : completion_sink {
    void complete(std::vector<completion> completions) override { told.set_value(std::move(completions.front().what)); }
    std::promise<outcome> told;
  } sink;
  const auto topic = std::make_shared<storage::memory_inbox_topic>();
  for (uint32_t i = 0; i < 1'000; ++i) topic->add(i % 5, "click 7 e" + std::to_string(i), record_ms);
  for (uint32_t i = 0; i < 1'000; i += 10) topic->add(i % 3, "click 7 e" + std::to_string(i), record_ms);
  for (uint32_t i = 0; i < 50; ++i) topic->add(i % 5, "garbage", record_ms);

  const auto wall_ms = [] {
    return std::chrono::duration_cast<milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  };
  constexpr uint32_t shards = 2;
  config::set_log_level(config::log_level::error);
  config::metrics metrics;
  node_options options;
  options.node_id = "test";
  options.inbox_batch_records = 100;
  node_parts parts;
  parts.log = storage::make_memory_log(shards, wall_ms);
  parts.open_engine = [](uint32_t shard) {
    storage::shard_options o;
    o.shard = shard;
    return storage::shard_engine::open(storage::make_memory_shard_store(), o);
  };
  parts.open_catalogue = [&]() -> storage::result<std::unique_ptr<storage::ads_catalogue>> {
    return std::make_unique<storage::ads_catalogue>(
        storage::make_memory_stream(wall_ms), [] { return std::string("t"); }, wall_ms);
  };
  parts.open_inbox = [&]() -> storage::result<std::unique_ptr<storage::inbox>> { return storage::make_memory_inbox(topic); };
  parts.parse_event = parse_test_event;
  parts.metrics = &metrics;
  parts.wanted.visitor_key_id = "00000000";
  parts.now_ms = wall_ms;
  parts.fatal = [](const std::string& why) { BOOST_ERROR(why); };
  std::string error;
  const auto running = node::start(options, std::move(parts), error);
  BOOST_REQUIRE_MESSAGE(running, error);
  running->door().bind(&sink);

  const auto deadline = steady_clock::now() + seconds(30);
  const auto taken = [&] { return metrics.inbox_records("accepted").Value() + metrics.inbox_records("quarantined").Value(); };
  while (taken() < 1'150.0 && steady_clock::now() < deadline) std::this_thread::yield();
  BOOST_TEST(taken() == 1'150.0);
  analytics_query query;
  query.ad_ids = {7};
  // Read your own writes: all 1,100 and the control record before them.
  query.min_positions = {{shard_of(7, shards), 1'100}};
  query.timeout_ms = 30'000;
  running->door().query({}, query);
  auto answer = sink.told.get_future();
  BOOST_REQUIRE(answer.wait_for(seconds(30)) == std::future_status::ready);
  const auto result = answer.get();
  BOOST_REQUIRE(std::holds_alternative<analytics_result>(result));
  const auto& rows = std::get<analytics_result>(result)->rows;
  BOOST_REQUIRE(rows.size() == 1u);
  BOOST_TEST(rows[0].count[metric::duplicates] == 100u);
  BOOST_TEST(rows[0].count.gross(event_type::click) == 1'000u);
  BOOST_TEST(running->stop(steady_clock::now() + seconds(20)));
  int64_t committed = 0;
  for (const auto& [partition, next] : topic->committed) committed += next;
  BOOST_TEST(committed == 1'150);
}

BOOST_AUTO_TEST_SUITE_END()
