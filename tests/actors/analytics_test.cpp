#include "actors/analytics.hpp"

#include <boost/test/unit_test.hpp>

#include "actors/shard.hpp"
#include "model/partitioner.hpp"
#include "tests/support/actor_fixture.hpp"

using namespace adtrack;
using namespace adtrack::actors;
using adtrack::testing::actor_fixture;
using adtrack::testing::ad_in_shard;
using std::chrono::milliseconds;

namespace {

// How one shard of the test answers.
struct shard_script {
  enum class mood { answer, refuse, silent };
  mood how = mood::answer;
  int64_t lag_ms = 0;
  log_fault fault = log_fault::none;
  series_fault fault_of_series = series_fault::none;
  int64_t widen_s = 0; // the window's edge goes to a multiple of it; one that is there already says nothing of that
  std::vector<uint64_t> ads;
  std::vector<analytics_query> asked;
  std::vector<caf::typed_response_promise<shard_answer>> held;
  event_verdict verdict = event_verdict::unknown;
  std::vector<event_question> events;
  std::vector<caf::typed_response_promise<shard_digest>> held_digests;
};
using script_ptr = std::shared_ptr<shard_script>;

struct probe_state {
  static constexpr const char* name = "probe_shard";
};

shard_answer answer_of(const shard_script& script, uint32_t number, const analytics_query& q) {
  shard_answer out;
  out.shard = number;
  out.applied = 10 + number;
  out.lag_ms = script.lag_ms;
  out.fault = script.fault;
  out.window = q.window;
  if (script.widen_s != 0 && out.window.since_s % script.widen_s != 0) {
    out.window.since_s -= out.window.since_s % script.widen_s;
    out.finest = resolution::hour;
  }
  for (auto ad : script.ads) {
    if (!q.ad_ids.empty() && std::find(q.ad_ids.begin(), q.ad_ids.end(), ad) == q.ad_ids.end()) continue;
    ++out.total;
    analytics_row row;
    row.ad_id = ad;
    row.fault_of_series = script.fault_of_series;
    if (out.rows.size() < uint64_t{q.page} * q.limit) out.rows.push_back(row);
  }
  return out;
}

shard_actor::behavior_type probe_shard(shard_actor::stateful_pointer<probe_state> self, uint32_t number, script_ptr script) {
  return {
      [](open_atom) {},
      [](apply_atom, uint64_t, const record_batch&) {},
      [](found_atom, uint64_t, const log_finding&) {},
      [=](commit_atom) { // at last
        for (auto& promise : script->held) promise.deliver(shard_answer{});
        script->held.clear();
      },
      [](sync_atom) {},
      [](control_atom) {},
      [](expire_atom) {},
      [](copy_atom, const reply_ptr&) {},
      [](done_atom, int64_t, bool) {},
      [](query_atom, const lone_query_ptr&) {},
      [=](query_atom, const analytics_query& q) -> caf::result<shard_answer> {
        script->asked.push_back(q);
        if (script->how == shard_script::mood::refuse) return make_error(trouble::down);
        if (script->how == shard_script::mood::answer) return answer_of(*script, number, q);
        script->held.push_back(self->make_response_promise<shard_answer>());
        return script->held.back();
      },
      [=](get_atom, const event_question& q) -> caf::result<event_fate> {
        script->events.push_back(q);
        if (script->how == shard_script::mood::refuse) return make_error(trouble::down);
        event_fate out;
        out.verdict = script->verdict;
        out.lag_ms = script->lag_ms;
        return out;
      },
      [=](get_atom, const digest_question& q) -> caf::result<shard_digest> {
        if (script->how == shard_script::mood::refuse) return make_error(trouble::not_kept);
        if (script->how == shard_script::mood::answer) return shard_digest{number, q.offset, "d"};
        script->held_digests.push_back(self->make_response_promise<shard_digest>());
        return script->held_digests.back();
      },
      [](stop_atom) {},
  };
}

struct fixture : actor_fixture {
  explicit fixture(const std::function<void(node_options&)>& change = {}) : actor_fixture(default_shards, change) {
    for (uint32_t i = 0; i < default_shards; ++i) {
      scripts.push_back(std::make_shared<shard_script>());
      shards.push_back(keep(system->spawn(probe_shard, i, scripts.back())));
    }
    analyst = keep(system->spawn(analytics, context, shards));
  }
  ~fixture() {
    for (auto& script : scripts) {
      script->held.clear();
      script->held_digests.clear();
    }
  }
  uint64_t give_ad(uint32_t shard) {
    const auto ad = ad_in_shard(shard, default_shards);
    scripts[shard]->ads.push_back(ad);
    return ad;
  }
  void ask(uint64_t serial, analytics_query q) {
    caf::anon_send(analyst, query_atom_v, std::move(q), reply(serial));
    run();
  }
  const analytics_answer& answer(uint64_t serial) {
    kept_answer = std::get<analytics_result>(sink.only(serial));
    return *kept_answer;
  }
  failure why(uint64_t serial) { return std::get<failed>(sink.only(serial)).why; }
  size_t asked() const {
    size_t sum = 0;
    for (const auto& script : scripts) sum += script->asked.size();
    return sum;
  }

  std::vector<script_ptr> scripts;
  std::vector<shard_actor> shards;
  analytics_actor analyst;
  analytics_result kept_answer;
};

} // namespace

BOOST_AUTO_TEST_SUITE(analytics_behaviour)

BOOST_AUTO_TEST_CASE(a_query_over_all_ads_asks_every_shard_and_merges_the_rows_by_ad) {
  fixture f;
  std::vector<uint64_t> ads;
  for (uint32_t shard = 0; shard < 4; ++shard) ads.push_back(f.give_ad(shard));
  std::sort(ads.begin(), ads.end());
  f.ask(1, {});
  const auto& got = f.answer(1);
  BOOST_TEST(got.complete);
  BOOST_TEST(got.real_time);
  BOOST_TEST(got.shards_total == 4u);
  BOOST_TEST(got.shards_answered == 4u);
  BOOST_TEST(got.total == 4u);
  BOOST_REQUIRE(got.rows.size() == 4u);
  for (size_t i = 0; i < 4; ++i) BOOST_TEST(got.rows[i].ad_id == ads[i]);
  BOOST_REQUIRE(got.shards.size() == 4u);
  BOOST_TEST(got.shards[2].applied == 12);
  BOOST_TEST(got.shards[2].rows.empty());
}

BOOST_AUTO_TEST_CASE(pages_are_cut_from_the_merged_rows) {
  fixture f;
  std::vector<uint64_t> ads;
  for (uint32_t shard = 0; shard < 4; ++shard) ads.push_back(f.give_ad(shard));
  std::sort(ads.begin(), ads.end());
  analytics_query q;
  q.limit = 3;
  q.page = 2;
  f.ask(1, q);
  BOOST_TEST(f.answer(1).total == 4u);
  BOOST_REQUIRE(f.answer(1).rows.size() == 1u);
  BOOST_TEST(f.answer(1).rows[0].ad_id == ads[3]);
  q.page = 4'000'000'000u;
  f.ask(2, q);
  BOOST_TEST(f.answer(2).rows.empty());
  BOOST_TEST(f.answer(2).complete);
}

BOOST_AUTO_TEST_CASE(rows_of_all_shards_are_merged_in_the_order_asked_for) {
  fixture f;
  std::vector<uint64_t> ads;
  for (uint32_t shard = 0; shard < 4; ++shard) ads.push_back(f.give_ad(shard));
  std::sort(ads.rbegin(), ads.rend());
  analytics_query q;
  q.order = {sort_key::ad_id, true};
  q.limit = 3;
  f.ask(1, q);
  BOOST_REQUIRE(f.answer(1).rows.size() == 3u);
  for (size_t i = 0; i < 3; ++i) BOOST_TEST(f.answer(1).rows[i].ad_id == ads[i]);
  BOOST_TEST((f.scripts[3]->asked[0].order == q.order));
}

BOOST_AUTO_TEST_CASE(groups_of_all_shards_are_merged_by_ad_and_group_and_asked_of_a_worker) {
  analytics_query q;
  q.ad_ids = {7};
  BOOST_TEST(!is_wide(q));
  q.by = group_dimension::device;
  BOOST_TEST(is_wide(q));
  q.limit = 3;
  const auto row = [](uint64_t ad, std::string group) {
    analytics_row out;
    out.ad_id = ad;
    out.group = std::move(group);
    return out;
  };
  std::vector<shard_part> parts(2);
  parts[1].shard = 1;
  for (auto& part : parts) part.answer = shard_answer{};
  parts[0].answer->rows = {row(7, "phone"), row(7, "tablet"), row(9, "phone")};
  parts[1].answer->rows = {row(8, "tv")};
  parts[0].answer->total = 3;
  parts[1].answer->total = 1;
  const auto all = merge(std::move(parts), q, 1, 1'000);
  BOOST_TEST((all.by == group_dimension::device));
  BOOST_TEST(all.total == 4u);
  BOOST_REQUIRE_EQUAL(all.rows.size(), 3u);
  BOOST_TEST(all.rows[0].group == "phone");
  BOOST_TEST(all.rows[1].group == "tablet");
  BOOST_TEST(all.rows[2].group == "tv");
}

BOOST_AUTO_TEST_CASE(series_have_all_points_of_the_window_or_are_refused) {
  fixture f;
  f.give_ad(0);
  f.give_ad(1);
  analytics_query q;
  q.window = {0, 7'200};
  q.step = granularity::hour;
  q.max_points = 4;
  f.ask(1, q);
  BOOST_REQUIRE(f.answer(1).rows.size() == 2u);
  BOOST_TEST((f.answer(1).step == granularity::hour));
  for (const auto& row : f.answer(1).rows) {
    BOOST_REQUIRE(row.series.size() == 2u);
    BOOST_TEST(row.series[1].start_s == 3'600);
  }
  q.max_points = 3;
  f.ask(2, q);
  BOOST_TEST((f.why(2) == failure::no_series));
  q.max_points = 4;
  f.scripts[1]->fault_of_series = series_fault::not_kept;
  f.ask(3, q);
  BOOST_TEST((f.why(3) == failure::no_series));
}

BOOST_AUTO_TEST_CASE(a_query_for_one_ad_asks_its_shard_only_and_counts_that_one) {
  fixture f;
  const auto ad = f.give_ad(2);
  analytics_query q;
  q.ad_ids = {ad};
  f.ask(1, q);
  BOOST_TEST(f.asked() == 1u);
  BOOST_TEST(f.scripts[2]->asked.size() == 1u);
  BOOST_TEST(f.answer(1).shards_total == 1u);
  BOOST_TEST(f.answer(1).complete);
  BOOST_TEST(f.answer(1).rows.size() == 1u);
}

BOOST_AUTO_TEST_CASE(a_shard_that_refuses_makes_the_answer_incomplete_and_its_lag_unknown) {
  fixture f;
  f.give_ad(0);
  f.scripts[3]->how = shard_script::mood::refuse;
  f.ask(1, {});
  const auto& got = f.answer(1);
  BOOST_TEST(!got.complete);
  BOOST_TEST(!got.real_time);
  BOOST_TEST(got.lag_ms == -1);
  BOOST_TEST(got.shards_answered == 3u);
  BOOST_TEST(got.rows.size() == 1u);
}

BOOST_AUTO_TEST_CASE(a_fault_of_the_log_is_in_every_answer_that_its_shard_touches_and_in_no_other) {
  fixture f;
  const auto here = f.give_ad(1), there = f.give_ad(2);
  f.scripts[1]->fault = log_fault::fork;
  f.ask(1, {});
  BOOST_TEST(!f.answer(1).complete);
  BOOST_TEST(!f.answer(1).real_time);
  BOOST_TEST(f.answer(1).shards_answered == 4u);
  BOOST_REQUIRE(f.answer(1).log_faults.size() == 1u);
  BOOST_TEST((f.answer(1).log_faults[0] == shard_fault{1, log_fault::fork}));
  BOOST_TEST(f.answer(1).rows.size() == 2u); // what was counted before is still told
  analytics_query q;
  q.ad_ids = {here};
  f.ask(2, q);
  BOOST_TEST(f.answer(2).log_faults.size() == 1u);
  q.ad_ids = {there};
  f.ask(3, q);
  BOOST_TEST(f.answer(3).complete);
  BOOST_TEST(f.answer(3).real_time);
  BOOST_TEST(f.answer(3).log_faults.empty());
  f.scripts[1]->how = shard_script::mood::refuse; // its engine is being opened again
  f.context->status->set_fault(1, log_fault::fork, "the log has forked: x");
  f.ask(4, {});
  BOOST_TEST(f.answer(4).log_faults.size() == 1u);
}

BOOST_AUTO_TEST_CASE(a_log_that_changed_its_shape_makes_every_answer_incomplete) {
  fixture f;
  f.give_ad(0);
  f.log->shape = {storage::errc::mismatch, "the topic has 5 partitions now, not 4"};
  f.ask(1, {});
  BOOST_TEST(f.answer(1).log_changed);
  BOOST_TEST(!f.answer(1).complete);
  BOOST_TEST(!f.answer(1).real_time);
}

BOOST_AUTO_TEST_CASE(a_shard_that_is_silent_is_waited_for_until_the_time_out_only) {
  fixture f;
  f.give_ad(0);
  f.scripts[1]->how = shard_script::mood::silent;
  analytics_query q;
  q.timeout_ms = 400;
  f.ask(1, q);
  f.advance(milliseconds(399));
  BOOST_TEST(f.sink.count() == 0u);
  f.advance(milliseconds(1));
  BOOST_TEST(!f.answer(1).complete);
  BOOST_TEST(f.answer(1).shards_answered == 3u);
  // Its late answer changes nothing.
  caf::anon_send(f.shards[1], commit_atom_v);
  f.run();
  BOOST_TEST(f.sink.count() == 1u);
}

BOOST_AUTO_TEST_CASE(a_querys_own_time_out_cannot_pass_the_nodes) {
  fixture f([](node_options& o) { o.query_timeout_ms = 100; });
  f.scripts[1]->how = shard_script::mood::silent;
  analytics_query q;
  q.timeout_ms = 4'000'000;
  f.ask(1, q);
  f.advance(milliseconds(100));
  BOOST_TEST(!f.answer(1).complete);
}

BOOST_AUTO_TEST_CASE(lag_is_the_largest_and_only_a_small_one_is_real_time) {
  fixture f;
  f.scripts[1]->lag_ms = 999;
  f.scripts[2]->lag_ms = 20;
  f.ask(1, {});
  BOOST_TEST(f.answer(1).lag_ms == 999);
  BOOST_TEST(f.answer(1).real_time);
  f.scripts[1]->lag_ms = 1'000;
  f.ask(2, {});
  BOOST_TEST(!f.answer(2).real_time);
  f.scripts[3]->lag_ms = -1;
  f.ask(3, {});
  BOOST_TEST(f.answer(3).lag_ms == -1);
  BOOST_TEST(!f.answer(3).real_time);
  BOOST_TEST(f.answer(3).complete);
}

BOOST_AUTO_TEST_CASE(while_the_spool_holds_records_no_answer_is_real_time) {
  fixture f;
  f.log->waiting_records = 1;
  f.ask(1, {});
  BOOST_TEST(!f.answer(1).real_time);
  BOOST_TEST(f.answer(1).complete);
  f.log->waiting_records = 0;
  f.ask(2, {});
  BOOST_TEST(f.answer(2).real_time);
}

BOOST_AUTO_TEST_CASE(shards_that_widen_the_window_differently_are_asked_again_for_the_union) {
  fixture f;
  f.scripts[1]->widen_s = 60;
  f.scripts[2]->widen_s = 3'600;
  analytics_query q;
  q.window = {7'300, 10'000};
  f.ask(1, q);
  const auto& got = f.answer(1);
  BOOST_TEST(got.complete);
  BOOST_TEST(got.window.since_s == 7'200);
  BOOST_TEST(got.window.until_s == 10'000);
  BOOST_TEST((got.finest == resolution::hour));
  BOOST_REQUIRE(f.scripts[0]->asked.size() == 2u);
  BOOST_TEST(f.scripts[0]->asked[1].window.since_s == 7'200);
}

BOOST_AUTO_TEST_CASE(windows_that_never_agree_end_after_three_rounds_as_incomplete) {
  fixture f;
  f.scripts[1]->widen_s = 7;
  f.scripts[2]->widen_s = 11;
  f.scripts[3]->widen_s = 13;
  analytics_query q;
  q.window = {7'300, 10'000};
  f.ask(1, q);
  BOOST_TEST(f.asked() == 12u);
  BOOST_TEST(!f.answer(1).complete);
}

BOOST_AUTO_TEST_CASE(a_min_position_of_a_shard_without_the_ads_is_waited_for_too) {
  fixture f;
  const auto ad = f.give_ad(2);
  analytics_query q;
  q.ad_ids = {ad};
  q.min_positions = {{1, 5}};
  f.ask(1, q);
  BOOST_TEST(f.asked() == 2u);
  BOOST_REQUIRE(f.scripts[1]->asked.size() == 1u);
  BOOST_TEST(f.scripts[1]->asked[0].min_positions.size() == 1u);
  BOOST_TEST(f.answer(1).shards_total == 2u);
  BOOST_TEST(f.answer(1).rows.size() == 1u);
}

BOOST_AUTO_TEST_CASE(a_position_that_is_not_reached_in_time_fails_the_query) {
  fixture f;
  f.scripts[1]->how = shard_script::mood::silent;
  f.context->status->set_applied(1, 5);
  analytics_query q;
  q.min_positions = {{1, 5}};
  q.timeout_ms = 100;
  f.ask(1, q);
  f.advance(milliseconds(100));
  BOOST_TEST((f.why(1) == failure::position_not_reached));
}

BOOST_AUTO_TEST_CASE(a_position_of_a_shard_that_is_not_there_fails_at_once) {
  fixture f;
  analytics_query q;
  q.min_positions = {{99, 5}};
  f.ask(1, q);
  BOOST_TEST((f.why(1) == failure::no_such_shard));
  BOOST_TEST(f.asked() == 0u);
}

BOOST_AUTO_TEST_CASE(wide_queries_in_flight_are_bounded_and_narrow_ones_go_on) {
  fixture f([](node_options& o) { o.max_wide_queries = 1; });
  f.scripts[1]->how = shard_script::mood::silent;
  f.ask(1, {});
  f.ask(2, {});
  BOOST_TEST((f.why(2) == failure::overloaded));
  analytics_query narrow;
  narrow.ad_ids = {f.give_ad(2)};
  f.ask(3, narrow);
  BOOST_TEST(f.answer(3).complete);
  f.advance(milliseconds(5'000));
  f.scripts[1]->how = shard_script::mood::answer;
  f.ask(4, {});
  BOOST_TEST(f.answer(4).complete);
}

BOOST_AUTO_TEST_CASE(what_became_of_an_event_is_asked_of_its_ads_shard) {
  fixture f;
  const auto ad = f.give_ad(2);
  f.scripts[2]->verdict = event_verdict::counted;
  const event_question q{event_type::playback, ad, {5, 6}};
  const auto ask = [&](uint64_t serial) {
    caf::anon_send(f.analyst, get_atom_v, q, f.reply(serial));
    f.run();
  };
  const auto verdict = [&](uint64_t serial) { return std::get<event_fate>(f.sink.only(serial)).verdict; };
  ask(1);
  BOOST_TEST((verdict(1) == event_verdict::counted));
  BOOST_REQUIRE(f.scripts[2]->events.size() == 1u);
  BOOST_TEST((f.scripts[2]->events[0].id == identity{5, 6}));
  f.scripts[2]->verdict = event_verdict::unknown;
  ask(2);
  BOOST_TEST((verdict(2) == event_verdict::unknown));
  f.log->waiting_records = 1; // the spool may hold it
  ask(3);
  BOOST_TEST((verdict(3) == event_verdict::pending));
  f.scripts[2]->verdict = event_verdict::counted;
  ask(4);
  BOOST_TEST((verdict(4) == event_verdict::counted));
  f.scripts[2]->how = shard_script::mood::refuse;
  ask(5);
  BOOST_TEST((f.why(5) == failure::timed_out));
}

BOOST_AUTO_TEST_CASE(a_digest_is_asked_of_its_shard_and_every_refusal_has_its_reason) {
  fixture f;
  const auto ask = [&](uint64_t serial, digest_question q) {
    caf::anon_send(f.analyst, get_atom_v, q, f.reply(serial));
    f.run();
  };
  ask(1, {3, 77, 100});
  BOOST_TEST(std::get<shard_digest>(f.sink.only(1)).shard == 3u);
  BOOST_TEST(std::get<shard_digest>(f.sink.only(1)).offset == 77);
  ask(2, {99, 77, 100});
  BOOST_TEST((f.why(2) == failure::not_found));
  f.scripts[3]->how = shard_script::mood::refuse;
  ask(3, {3, 77, 100});
  BOOST_TEST((f.why(3) == failure::not_kept));
  f.scripts[3]->how = shard_script::mood::silent;
  f.context->status->set_applied(3, 76);
  ask(4, {3, 77, 100});
  f.advance(milliseconds(100));
  BOOST_TEST((f.why(4) == failure::position_not_reached));
  f.context->status->set_applied(3, 77);
  ask(5, {3, 77, 100});
  f.advance(milliseconds(100));
  BOOST_TEST((f.why(5) == failure::timed_out));
}

BOOST_AUTO_TEST_CASE(a_query_whose_actor_ends_completes_as_stopping) {
  fixture f;
  f.scripts[1]->how = shard_script::mood::silent;
  f.ask(1, {});
  caf::anon_send_exit(f.analyst, caf::exit_reason::user_shutdown);
  f.run();
  f.scripts[1]->held.clear();
  f.advance(milliseconds(5'000));
  BOOST_TEST((f.why(1) == failure::stopping));
}

BOOST_AUTO_TEST_SUITE_END()
