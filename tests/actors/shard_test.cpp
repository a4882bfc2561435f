#include "actors/shard.hpp"

#include <boost/test/unit_test.hpp>

#include <optional>

#include <prometheus/counter.h>
#include <prometheus/gauge.h>

#include "actors/eraser.hpp"
#include "actors/log_reader.hpp"
#include "actors/log_writer.hpp"
#include "actors/query_worker.hpp"
#include "storage/quarantine.hpp"
#include "storage/record_codec.hpp"
#include "tests/support/actor_fixture.hpp"

using namespace adtrack;
using namespace adtrack::actors;
using adtrack::testing::actor_fixture;
using adtrack::testing::scripted_log;
using std::chrono::milliseconds;

namespace {

// One shard with the real reader and writer over a scripted log and a scripted engine.
struct fixture : actor_fixture {
  explicit fixture(const std::function<void(node_options&)>& change = {}) : actor_fixture(1, change) {
    writer = keep(system->spawn(log_writer, context));
    reader = keep(system->spawn(log_reader, context, wake));
    wake->attach(reader);
    log->on_appended([w = wake] { w->ring(); });
    worker = keep(system->spawn(query_worker, context));
    target = keep(system->spawn(shard, context, uint32_t{0},
                                shard_peers{reader, writer, keep(system->spawn(eraser, context, writer)), {worker}}));
  }
  ~fixture() { wake->close(); }
  void open() {
    caf::anon_send(target, open_atom_v);
    settle(); // the reader looks, and the control record is appended
    settle(); // and applied
  }
  // Long enough for reading and applying, too short for the commit tick.
  void settle() { advance(milliseconds(110)); }
  void append_event(uint64_t ad) {
    event e;
    e.ad_id = ad;
    e.event_id = "e" + std::to_string(++serial);
    e.time_s = 1'700'000'000;
    e.traffic.browser = "Firefox";
    log->append({{0, storage::encode(e)}}, [](auto) {});
  }
  void append_control(const control& c) {
    log->append({{0, storage::encode(c)}}, [](auto) {});
  }
  adtrack::testing::engine_script& script() { return *engines[0]; }

  template <class Answer>
  struct asked_for {
    std::optional<Answer> answer;
    std::optional<caf::error> error;
  };
  using asked = asked_for<shard_answer>;
  // Asks without waiting; look at the result after run().
  template <class Answer, class Atom, class Question>
  std::shared_ptr<asked_for<Answer>> ask_for(Atom what, const Question& q) {
    auto out = std::make_shared<asked_for<Answer>>();
    // With an argument: CAF 0.17.6 takes a reference to no arguments out of a null pointer.
    const auto asker = [this, out, what](caf::event_based_actor* self, const Question& question) {
      self->request(target, std::chrono::seconds(60), what, question)
          .then([out](const Answer& answer) { out->answer = answer; }, [out](const caf::error& why) { out->error = why; });
    };
    keep(system->spawn(asker, q));
    return out;
  }
  std::shared_ptr<asked> ask(const analytics_query& q) { return ask_for<shard_answer>(query_atom_v, q); }
  event_fate fate_of(const std::string& event_id, uint64_t ad) {
    const event_question q{event_type::click, ad, identity_of(event_type::click, ad, event_id)};
    const auto out = ask_for<event_fate>(get_atom_v, q);
    run();
    BOOST_REQUIRE(out->answer.has_value());
    return *out->answer;
  }
  std::shared_ptr<asked_for<shard_digest>> ask_digest(int64_t offset, uint32_t timeout_ms = 1'000) {
    auto out = ask_for<shard_digest>(get_atom_v, digest_question{0, offset, timeout_ms});
    run();
    return out;
  }
  static analytics_query about(std::vector<uint64_t> ads) {
    analytics_query q;
    q.ad_ids = std::move(ads);
    return q;
  }

  uint64_t serial = 0;
  std::shared_ptr<log_wake> wake = std::make_shared<log_wake>();
  log_writer_actor writer;
  log_reader_actor reader;
  query_worker_actor worker;
  shard_actor target;
};

} // namespace

BOOST_AUTO_TEST_SUITE(shard_behaviour)

BOOST_AUTO_TEST_CASE(on_a_fresh_log_the_first_record_of_the_partition_is_the_wanted_control) {
  fixture f;
  BOOST_TEST(!f.context->status->accepting());
  f.open();
  BOOST_TEST(f.context->status->accepting());
  auto first = f.log->read(0, 0, 10, 10'000);
  BOOST_REQUIRE(first.ok() && first->size() == 1u);
  BOOST_TEST(first->front().value == storage::encode(f.wanted));
  f.context->status->set_catalogue_loaded(true);
  BOOST_TEST(f.context->status->report().ready); // applied too
}

BOOST_AUTO_TEST_CASE(a_control_record_that_is_in_force_is_not_logged_again) {
  fixture f;
  f.append_control(f.wanted);
  f.append_event(1);
  f.open();
  BOOST_TEST(f.log->end(0).offset == 2);
  f.context->status->set_catalogue_loaded(true);
  BOOST_TEST(f.context->status->report().ready);
}

BOOST_AUTO_TEST_CASE(nothing_is_logged_where_the_log_is_another_nodes) {
  fixture f;
  f.log->anothers = true;
  control other = f.wanted;
  other.repeat_click_s += 1;
  f.append_control(other);
  f.append_event(1);
  f.open();
  BOOST_TEST(f.log->end(0).offset == 2);
  f.context->status->set_catalogue_loaded(true);
  BOOST_TEST(f.context->status->report().ready);
}

BOOST_AUTO_TEST_CASE(changed_settings_are_logged_once_the_shard_stands_where_the_log_ended) {
  fixture f;
  auto earlier = f.wanted;
  earlier.dedupe_window_s = 1;
  f.append_control(earlier);
  for (int i = 0; i < 5'000; ++i) f.append_event(1); // several batches to catch up with
  BOOST_TEST(f.context->status->accepting() == false);
  f.open();
  f.settle();
  BOOST_TEST(f.context->status->accepting());
  auto last = f.log->read(0, 5'001, 10, 10'000);
  BOOST_REQUIRE(last.ok() && last->size() == 1u);
  BOOST_TEST(last->front().value == storage::encode(f.wanted));
  f.settle();
  BOOST_TEST(f.log->end(0).offset == 5'002);
}

BOOST_AUTO_TEST_CASE(a_control_record_that_the_log_refuses_is_tried_again) {
  fixture f;
  f.log->next = scripted_log::mood::fail;
  f.open();
  BOOST_TEST(!f.context->status->accepting());
  f.advance(milliseconds(1'000)); // the writer reopens the log
  f.advance(milliseconds(1'000));
  f.settle();
  BOOST_TEST(f.context->status->accepting());
  BOOST_TEST(f.log->end(0).offset == 1);
}

BOOST_AUTO_TEST_CASE(it_commits_a_second_after_it_became_dirty_and_not_when_it_is_clean) {
  fixture f;
  f.open();
  BOOST_TEST(f.script().commits == 0);
  f.advance(milliseconds(1'000));
  BOOST_TEST(f.script().commits == 1);
  f.advance(milliseconds(5'000));
  BOOST_TEST(f.script().commits == 1);
  f.append_event(1);
  f.settle();
  f.advance(milliseconds(1'000));
  BOOST_TEST(f.script().commits == 2);
}

BOOST_AUTO_TEST_CASE(it_syncs_ten_seconds_after_something_was_applied) {
  fixture f;
  f.open();
  f.advance(milliseconds(5'000));
  BOOST_TEST(f.script().syncs == 0);
  f.advance(milliseconds(5'000));
  BOOST_TEST(f.script().syncs == 1);
  f.advance(milliseconds(30'000));
  BOOST_TEST(f.script().syncs == 1);
}

BOOST_AUTO_TEST_CASE(an_engine_that_fails_is_dropped_opened_again_and_reads_on_from_its_own_offset) {
  fixture f;
  f.append_control(f.wanted);
  f.append_event(7);
  f.open();
  f.advance(milliseconds(1'000)); // committed at 2
  f.script().next_apply = {storage::errc::io, "disk full"};
  f.append_event(7);
  f.settle();
  BOOST_TEST((f.context->status->phase(0) == shard_phase::reopening));
  const auto down = f.ask(fixture::about({7}));
  f.run();
  BOOST_REQUIRE(down->error.has_value());
  BOOST_TEST((*down->error == make_error(trouble::down)));
  f.script().open_failures.push_back({storage::errc::io, "disk full"});
  f.advance(milliseconds(1'000)); // fails to open
  f.append_event(7);
  f.advance(milliseconds(1'000)); // opens
  f.settle();
  BOOST_TEST((f.context->status->phase(0) == shard_phase::serving));
  BOOST_TEST(f.script().opens == 3);
  const auto asked = f.ask(fixture::about({7}));
  f.run();
  BOOST_REQUIRE(asked->answer.has_value());
  BOOST_TEST(asked->answer->applied == 4);
  BOOST_REQUIRE(asked->answer->rows.size() == 1u);
  BOOST_TEST(asked->answer->rows[0].count[metric::valid_clicks] == 3u);
}

BOOST_AUTO_TEST_CASE(a_sync_that_fails_reopens_the_engine_too_and_nothing_is_lost) {
  fixture f;
  f.open();
  f.append_event(7);
  f.settle();
  f.script().next_sync = {storage::errc::io, "fsync failed"};
  f.advance(milliseconds(10'000));
  f.advance(milliseconds(1'000));
  f.settle();
  BOOST_TEST(f.script().opens == 2);
  const auto asked = f.ask(fixture::about({7}));
  f.run();
  BOOST_REQUIRE(asked->answer.has_value());
  BOOST_TEST(asked->answer->rows.at(0).count[metric::valid_clicks] == 1u);
}

BOOST_AUTO_TEST_CASE(a_look_that_fails_answers_with_the_trouble_and_reopens_the_engine_also_under_those_who_wait) {
  fixture f;
  f.open();
  auto later = fixture::about({7});
  later.min_positions.push_back({0, 1});
  later.timeout_ms = 5'000;
  const auto first = f.ask(later), second = f.ask(later);
  f.run();
  f.script().next_view = {storage::errc::corrupt, "a row does not decode"};
  f.append_event(7);
  f.append_event(7);
  f.settle();
  BOOST_REQUIRE(first->error.has_value());
  BOOST_TEST((*first->error == make_error(trouble::storage, "a row does not decode")));
  BOOST_TEST(!second->answer.has_value());
  f.advance(milliseconds(1'000)); // opens
  f.settle();
  BOOST_TEST(f.script().opens == 2);
  BOOST_REQUIRE(second->answer.has_value());
  BOOST_TEST(second->answer->rows.at(0).count[metric::valid_clicks] == 2u);
}

BOOST_AUTO_TEST_CASE(an_unknown_logic_version_stops_it_for_good_and_it_goes_on_answering) {
  fixture f;
  f.open();
  f.script().next_apply = {storage::errc::mismatch, "logic 9 is not known"};
  f.append_event(7);
  f.settle();
  BOOST_TEST(!f.context->status->report().ready);
  BOOST_TEST(f.context->status->report().reason == "shard 0 stopped: logic 9 is not known");
  f.append_event(7);
  f.advance(milliseconds(5'000));
  BOOST_TEST(f.script().opens == 1);
  const auto asked = f.ask(fixture::about({7}));
  f.run();
  BOOST_REQUIRE(asked->answer.has_value());
  BOOST_TEST(asked->answer->applied == 1);
  BOOST_TEST(asked->answer->lag_ms > 0);
}

BOOST_AUTO_TEST_CASE(a_question_for_it_alone_it_completes_itself) {
  fixture f;
  const auto ask = [&](uint64_t serial) {
    auto q = fixture::about({7});
    q.timeout_ms = 5'000;
    caf::anon_send(f.target, query_atom_v, lone_query_ptr(std::make_shared<lone_query>(f.context, 0, q, f.reply(serial))));
    f.run();
    return std::get<analytics_result>(f.sink.only(serial));
  };
  BOOST_TEST(!ask(1)->complete); // it is not open yet
  f.open();
  f.append_event(7);
  f.settle();
  const auto got = ask(2);
  BOOST_TEST(got->complete);
  BOOST_TEST(got->lag_ms == 0);
  BOOST_TEST(got->rows.at(0).count[metric::valid_clicks] == 1u);
  f.script().next_view = {storage::errc::corrupt, "a row does not decode"};
  BOOST_TEST(!ask(3)->complete);
  f.advance(milliseconds(1'000)); // opens
  f.settle();
  BOOST_TEST(f.script().opens == 2);
  BOOST_TEST(ask(4)->complete);
}

BOOST_AUTO_TEST_CASE(a_query_waits_until_its_position_is_applied) {
  fixture f;
  f.open();
  auto q = fixture::about({7});
  q.min_positions = {{0, 1}, {3, 99}}; // the other shard's is not its business
  const auto asked = f.ask(q);
  f.run();
  BOOST_TEST(!asked->answer.has_value());
  f.append_event(7);
  f.settle();
  BOOST_REQUIRE(asked->answer.has_value());
  BOOST_TEST(asked->answer->applied == 2);
  BOOST_TEST(asked->answer->lag_ms == 0);
  BOOST_TEST(asked->answer->node == "test");
}

BOOST_AUTO_TEST_CASE(a_position_that_does_not_come_ends_the_wait_at_the_time_out) {
  fixture f;
  f.open();
  auto q = fixture::about({7});
  q.min_positions = {{0, 50}};
  q.timeout_ms = 300;
  auto longer = q;
  longer.timeout_ms = 600;
  const auto first = f.ask(q), second = f.ask(longer);
  f.advance(milliseconds(299));
  BOOST_TEST(!first->error.has_value());
  f.advance(milliseconds(1));
  BOOST_REQUIRE(first->error.has_value());
  BOOST_TEST((*first->error == caf::sec::request_timeout));
  BOOST_TEST(!second->error.has_value());
  f.advance(milliseconds(300));
  BOOST_TEST(second->error.has_value());
}

BOOST_AUTO_TEST_CASE(an_event_that_is_not_seen_is_pending_while_the_shard_lags_and_unknown_after_that) {
  fixture f;
  f.open();
  BOOST_TEST((f.fate_of("e1", 7).verdict == event_verdict::unknown));
  f.append_event(7);
  BOOST_TEST(f.fate_of("e1", 7).lag_ms > 0);
  BOOST_TEST((f.fate_of("e1", 7).verdict == event_verdict::pending));
  f.settle();
  const auto fate = f.fate_of("e1", 7);
  BOOST_TEST((fate.verdict == event_verdict::counted));
  BOOST_TEST(to_string(fate.at) == "0:1");
  BOOST_TEST(fate.lag_ms == 0);
  BOOST_TEST((f.fate_of("e1", 8).verdict == event_verdict::unknown));
}

BOOST_AUTO_TEST_CASE(a_digest_is_that_of_where_it_stands_of_a_kept_offset_or_of_one_that_it_waits_for) {
  fixture f;
  f.script().kept_digests = {{0, 65'536, "kept"}};
  f.open();
  for (int i = 0; i < 3; ++i) f.append_event(7);
  f.settle();
  BOOST_TEST(f.ask_digest(-1)->answer->value == "at 4");
  BOOST_TEST(f.ask_digest(4)->answer->offset == 4);
  const auto past = f.ask_digest(3);
  BOOST_REQUIRE(past->error.has_value());
  BOOST_TEST((*past->error == make_error(trouble::not_kept)));
  const auto next = f.ask_digest(5);
  BOOST_TEST(!next->answer.has_value());
  f.append_event(7);
  f.settle();
  BOOST_REQUIRE(next->answer.has_value());
  BOOST_TEST(next->answer->value == "at 5");
  const auto within = f.ask_digest(7), later = f.ask_digest(9); // of a batch that comes as one
  for (int i = 0; i < 10; ++i) f.append_event(7);
  f.settle();
  BOOST_REQUIRE(within->answer.has_value() && later->answer.has_value());
  BOOST_TEST(within->answer->value == "at 7");
  BOOST_TEST(later->answer->value == "at 9");
  BOOST_TEST(f.ask_digest(-1)->answer->value == "at 15");
  const auto& browsers = f.script().browsers; // a part of a batch has its names
  BOOST_TEST(std::count(browsers.begin(), browsers.end(), "Firefox") == static_cast<std::ptrdiff_t>(browsers.size()));
  f.advance(milliseconds(1'000)); // committed, and nothing applied twice
  BOOST_TEST(f.script().committed.clicks.at(7) == 14u);
  const auto never = f.ask_digest(16);
  f.advance(milliseconds(1'000));
  BOOST_REQUIRE(never->error.has_value());
  BOOST_TEST((*never->error == caf::sec::request_timeout));
  for (int i = 0; i < 65'536; ++i) f.append_event(7);
  for (int i = 0; i < 20; ++i) f.settle();
  BOOST_TEST(f.ask_digest(65'536)->answer->value == "kept");
}

BOOST_AUTO_TEST_CASE(the_number_of_waiting_queries_is_bounded) {
  fixture f([](node_options& o) { o.max_position_waiters = 1; });
  f.open();
  auto q = fixture::about({7});
  q.min_positions = {{0, 50}};
  const auto first = f.ask(q), second = f.ask(q);
  f.run();
  BOOST_TEST(!first->error.has_value());
  BOOST_REQUIRE(second->error.has_value());
  BOOST_TEST((*second->error == make_error(trouble::busy)));
  const auto digest = f.ask_digest(50);
  BOOST_REQUIRE(digest->error.has_value());
  BOOST_TEST((*digest->error == make_error(trouble::busy)));
}

BOOST_AUTO_TEST_CASE(a_wide_query_is_answered_by_a_worker_from_the_state_at_the_time_it_was_asked) {
  fixture f;
  f.open();
  f.append_event(7);
  f.append_event(8);
  f.settle();
  f.ask(fixture::about({7}));
  f.run();
  BOOST_TEST(f.script().views == 1);
  const auto asked = f.ask({});
  // One step each: the asker, then the shard, which hands over to the worker.
  f.sched->run_once();
  f.sched->run_once();
  BOOST_TEST(!asked->answer.has_value());
  BOOST_TEST(f.script().views == 2);
  f.append_event(9);
  f.settle();
  BOOST_REQUIRE(asked->answer.has_value());
  BOOST_TEST(asked->answer->total == 2u);
  BOOST_TEST(asked->answer->applied == 3);
}

BOOST_AUTO_TEST_CASE(wide_queries_in_flight_are_bounded) {
  fixture f([](node_options& o) { o.max_wide_queries = 1; });
  f.open();
  const auto first = f.ask({}), second = f.ask({});
  f.run();
  BOOST_TEST(first->answer.has_value());
  BOOST_REQUIRE(second->error.has_value());
  BOOST_TEST((*second->error == make_error(trouble::busy)));
  const auto third = f.ask({});
  f.run();
  BOOST_TEST(third->answer.has_value());
}

BOOST_AUTO_TEST_CASE(a_record_that_cannot_be_read_is_counted_and_passed_over) {
  fixture f;
  f.open();
  f.log->append({{0, "not json"}}, [](auto) {});
  f.append_event(7);
  f.settle();
  BOOST_TEST(f.metrics.quarantined("syntax").Value() == 1.0);
  BOOST_TEST(f.metrics.events("click", "counted").Value() == 1.0);
  BOOST_TEST(f.context->status->applied(0) == 3);
}

BOOST_AUTO_TEST_CASE(a_copy_is_of_where_the_shard_stands_and_none_is_made_over_a_fork) {
  fixture f;
  const auto copy = [&f](uint64_t serial) {
    caf::anon_send(f.target, copy_atom_v, f.reply(serial));
    f.run();
    return f.sink.only(serial);
  };
  BOOST_TEST((std::get<failed>(copy(1)).why == failure::overloaded)); // it is not open yet
  f.append_control(f.wanted);
  f.append_event(7);
  f.open();
  const auto made = std::get<shard_checkpoint>(copy(2));
  BOOST_TEST(made.shard == 0u);
  BOOST_TEST(made.offset == 2);
  BOOST_TEST(made.digest == f.ask_digest(2)->answer->value);
  BOOST_TEST(made.path == f.copies.path() + "/checkpoints/shard-0/2");
  BOOST_REQUIRE_EQUAL(f.script().copies.size(), 1u);
  BOOST_TEST(f.script().copies[0].first == 2);
  f.append_event(7);
  f.settle();
  f.script().next_copy = {storage::errc::io, "the disk is full"};
  const auto failure_of = std::get<failed>(copy(3));
  BOOST_TEST((failure_of.why == failure::overloaded));
  BOOST_TEST(failure_of.detail == "the disk is full");
  f.script().next_copy = {storage::errc::cannot, "in memory"};
  BOOST_TEST((std::get<failed>(copy(4)).why == failure::cannot));
  f.script().next_copy = {};
  f.log->fork(0, 2, {"another"});
  ++f.log->next_generation;
  f.append_event(7);
  f.settle();
  BOOST_TEST((std::get<failed>(copy(5)).why == failure::overloaded));
}

BOOST_AUTO_TEST_CASE(a_fork_is_shown_and_what_was_applied_since_the_last_commit_is_not_committed) {
  fixture f;
  f.append_control(f.wanted);
  f.append_event(7);
  f.open();
  f.advance(milliseconds(1'000)); // committed at 2
  f.append_event(7);
  f.settle();
  BOOST_TEST(f.script().committed.next == 2);
  f.log->fork(0, 2, {"another"});
  ++f.log->next_generation;
  f.append_event(7);
  f.settle();
  f.advance(milliseconds(20'000));
  BOOST_TEST(f.script().committed.next == 2);
  BOOST_TEST(f.script().applied.back().first == 2); // and nothing new is applied
  BOOST_TEST((f.context->status->fault(0) == log_fault::fork));
  f.context->status->set_catalogue_loaded(true);
  BOOST_TEST(f.context->status->report().reason ==
             "shard 0: the log has forked: the record at offset 2 is not the one that was applied");
  BOOST_TEST(f.metrics.log_faults(0, "fork").Value() == 1.0);
  BOOST_TEST(f.metrics.log_faults(0, "gap").Value() == 0.0);
  const auto asked = f.ask(fixture::about({7}));
  f.run();
  BOOST_REQUIRE(asked->answer.has_value());
  BOOST_TEST((asked->answer->fault == log_fault::fork));
  BOOST_TEST(asked->answer->lag_ms == -1);
  BOOST_TEST(asked->answer->rows.at(0).count[metric::valid_clicks] == 2u);
  const auto wide = f.ask({});
  f.run();
  BOOST_REQUIRE(wide->answer.has_value());
  BOOST_TEST((wide->answer->fault == log_fault::fork));
  caf::anon_send(f.target, stop_atom_v);
  f.run();
  BOOST_TEST(f.script().committed.next == 2);
}

BOOST_AUTO_TEST_CASE(after_a_fork_a_start_goes_on_from_the_last_commit_when_the_log_still_holds_that) {
  fixture f;
  f.append_control(f.wanted);
  f.append_event(7);
  f.open();
  f.advance(milliseconds(1'000)); // committed at 2
  f.append_event(7);
  f.settle();
  f.log->fork(0, 2, {});
  ++f.log->next_generation;
  f.settle();
  BOOST_TEST((f.context->status->fault(0) == log_fault::fork));
  f.append_event(8);
  f.script().next_view = {storage::errc::io, "as a restart would"};
  f.ask(fixture::about({7}));
  f.advance(milliseconds(1'000));
  f.settle();
  BOOST_TEST(f.script().opens == 2);
  BOOST_TEST((f.context->status->fault(0) == log_fault::none));
  BOOST_TEST(f.metrics.log_faults(0, "fork").Value() == 0.0);
  const auto asked = f.ask(fixture::about({7, 8}));
  f.run();
  BOOST_REQUIRE(asked->answer.has_value());
  BOOST_REQUIRE(asked->answer->rows.size() == 2u);
  BOOST_TEST(asked->answer->rows[0].count[metric::valid_clicks] == 1u);
  BOOST_TEST((asked->answer->fault == log_fault::none));
  BOOST_TEST(asked->answer->lag_ms == 0);
}

BOOST_AUTO_TEST_CASE(a_fault_that_heals_lets_it_commit_again) {
  fixture f;
  f.append_control(f.wanted);
  f.append_event(7);
  f.open();
  auto kept = f.log->read(0, 1, 1, 1'000);
  BOOST_REQUIRE(kept.ok() && kept->size() == 1u);
  f.log->fork(0, 1, {});
  ++f.log->next_generation;
  f.settle();
  f.advance(milliseconds(2'000));
  BOOST_TEST(f.script().commits == 0);
  f.log->fork(0, 1, {kept->front().value});
  f.advance(milliseconds(10'000));
  f.settle();
  f.advance(milliseconds(1'000));
  BOOST_TEST((f.context->status->fault(0) == log_fault::none));
  BOOST_TEST(f.script().committed.next == 2);
}

BOOST_AUTO_TEST_CASE(a_gap_is_shown_and_what_was_applied_before_it_is_kept) {
  fixture f;
  f.append_control(f.wanted);
  f.append_event(7);
  f.open();
  f.script().committed.next = 0;
  f.script().committed.last = {};
  BOOST_REQUIRE(f.log->trim(0, 2).ok());
  f.append_event(7);
  f.settle();
  f.advance(milliseconds(1'000)); // what it had read by then is committed
  BOOST_TEST(f.script().committed.next == 3);
  f.append_event(7);
  BOOST_REQUIRE(f.log->trim(0, 4).ok());
  f.append_event(7);
  f.settle();
  BOOST_TEST((f.context->status->fault(0) == log_fault::gap));
  BOOST_TEST(f.metrics.log_faults(0, "gap").Value() == 1.0);
  BOOST_TEST(f.script().committed.next == 3);
  BOOST_TEST(f.context->status->applied(0) == 3);
}

BOOST_AUTO_TEST_CASE(no_control_record_goes_into_a_log_that_was_made_anew_under_the_shard) {
  fixture f;
  f.script().committed.next = 50;
  f.script().committed.last = {49, 12345};
  f.script().committed.has_control = true;
  f.open();
  f.settle();
  BOOST_TEST((f.context->status->fault(0) == log_fault::fork));
  BOOST_TEST(f.log->end(0).offset == 0);
  BOOST_TEST(!f.context->status->accepting()); // its first record would be judged by no settings
}

BOOST_AUTO_TEST_CASE(what_could_not_be_read_is_kept_with_its_position_before_the_shard_syncs) {
  fixture f;
  f.open();
  f.log->append({{0, "not json"}}, [](auto) {});
  f.append_event(7);
  f.log->append({{0, R"({"schema":1,"kind":"event","type":"click","ad_id":7,"event_id":"x","timestamp":1700000000})"}},
                [](auto) {});
  f.settle();
  BOOST_TEST(f.context->status->applied(0) == 4);
  auto page = f.quarantine->list({});
  BOOST_REQUIRE(page.ok());
  BOOST_REQUIRE(page->entries.size() == 2u);
  BOOST_TEST(page->entries[0].offset == 1);
  BOOST_TEST(page->entries[0].reason == "syntax");
  BOOST_TEST(page->entries[0].value == "not json");
  BOOST_TEST(page->entries[0].time_ms == f.now_ms);
  BOOST_TEST(page->entries[1].reason == "stamps");
  BOOST_TEST(f.metrics.quarantined("stamps").Value() == 1.0);
}

BOOST_AUTO_TEST_CASE(a_quarantine_that_cannot_be_written_is_shown_and_counting_goes_on) {
  fixture f;
  f.open();
  f.quarantine_fails = true;
  f.log->append({{0, "not json"}}, [](auto) {});
  f.append_event(7);
  f.settle();
  BOOST_TEST(f.context->status->applied(0) == 3);
  BOOST_REQUIRE(f.context->status->report().degraded.size() == 1u);
  BOOST_TEST(f.context->status->report().degraded[0] ==
             "quarantine: records that could not be read are not kept: the disk is full");
  f.quarantine_fails = false;
  f.now_ms += 1'000;
  f.log->append({{0, "not json"}}, [](auto) {});
  f.settle();
  BOOST_TEST(f.context->status->report().degraded.empty());
  BOOST_TEST(f.quarantine->list({})->entries.size() == 1u);
}

BOOST_AUTO_TEST_CASE(stopping_syncs_what_is_applied) {
  fixture f;
  f.open();
  f.append_event(7);
  f.settle();
  caf::anon_send(f.target, stop_atom_v);
  f.run();
  BOOST_TEST(f.script().syncs == 1);
  BOOST_TEST(f.script().committed.next == 2);
  BOOST_TEST(!f.script().alive);
}

BOOST_AUTO_TEST_SUITE_END()
