#include "actors/lone_query.hpp"

#include <boost/test/unit_test.hpp>
#include <prometheus/histogram.h>

#include "model/partitioner.hpp"
#include "tests/support/actor_fixture.hpp"

using namespace adtrack;
using namespace adtrack::actors;
using std::chrono::milliseconds;

namespace {

struct fixture : adtrack::testing::actor_fixture {
  static constexpr uint64_t ad = 7;
  const uint32_t shard = shard_of(ad, default_shards);

  lone_query_ptr make(uint64_t serial, uint32_t timeout_ms = 2'000) {
    analytics_query q;
    q.ad_ids = {ad};
    q.timeout_ms = timeout_ms;
    return std::make_shared<lone_query>(context, shard, q, reply(serial));
  }
  shard_answer one_row() const {
    shard_answer out;
    out.shard = shard;
    out.applied = 12;
    out.lag_ms = 0;
    out.total = 1;
    out.rows.emplace_back();
    out.rows.back().ad_id = ad;
    return out;
  }
  analytics_result answer(uint64_t serial) { return std::get<analytics_result>(sink.only(serial)); }
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(lone_queries_behaviour, fixture)

BOOST_AUTO_TEST_CASE(ads_of_one_shard_without_a_position_suit) {
  analytics_query q;
  q.timeout_ms = 5'000;
  BOOST_TEST(!lone_query::suits(q, 4)); // all ads
  q.ad_ids = {ad};
  BOOST_TEST(lone_query::suits(q, 4));
  uint64_t neighbour = ad + 1, stranger = ad + 1;
  while (shard_of(neighbour, 4) != shard) ++neighbour;
  while (shard_of(stranger, 4) == shard) ++stranger;
  q.ad_ids = {ad, neighbour};
  BOOST_TEST(lone_query::suits(q, 4));
  q.ad_ids = {ad, stranger};
  BOOST_TEST(!lone_query::suits(q, 4));
  BOOST_TEST(lone_query::suits(q, 1));
  q.ad_ids = {ad};
  q.min_positions = {{shard, 5}};
  BOOST_TEST(!lone_query::suits(q, 4));
  q.min_positions.clear();
  q.timeout_ms = 50; // shorter than the sweep keeps
  BOOST_TEST(!lone_query::suits(q, 4));
  q.timeout_ms = 5'000;
  q.by = group_dimension::device;
  BOOST_TEST(!lone_query::suits(q, 4)); // a worker's
}

BOOST_AUTO_TEST_CASE(its_shard_s_answer_is_the_whole_answer) {
  make(1)->answered(one_row());
  const auto got = answer(1);
  BOOST_TEST(got->complete);
  BOOST_TEST(got->real_time);
  BOOST_TEST(got->shards_total == 1u);
  BOOST_TEST(got->shards_answered == 1u);
  BOOST_REQUIRE(got->rows.size() == 1u);
  BOOST_TEST(got->rows[0].ad_id == ad);
  BOOST_TEST(got->shards[0].applied == 12);
  BOOST_TEST(metrics.query().Collect().histogram.sample_count == 1u);
}

BOOST_AUTO_TEST_CASE(without_its_shard_it_says_that_it_lacks_it) {
  context->status->set_fault(shard, log_fault::gap);
  make(1)->missed();
  const auto got = answer(1);
  BOOST_TEST(!got->complete);
  BOOST_TEST(!got->real_time);
  BOOST_TEST(got->shards_answered == 0u);
  BOOST_TEST(got->lag_ms == -1);
  BOOST_REQUIRE(got->log_faults.size() == 1u);
  BOOST_TEST(got->log_faults[0].shard == shard);
}

BOOST_AUTO_TEST_CASE(records_in_the_spool_are_not_counted_yet) {
  log->waiting_records = 3;
  make(1)->answered(one_row());
  BOOST_TEST(answer(1)->complete);
  BOOST_TEST(!answer(1)->real_time);
}

BOOST_AUTO_TEST_CASE(what_is_late_is_completed_without_its_shard_and_once) {
  auto soon = make(1, 1'000), later = make(2, 2'000), done = make(3, 1'000);
  for (const auto& each : {soon, later, done}) context->lone->add(each);
  done->answered(one_row());
  context->lone->sweep(soon->deadline() - milliseconds(1));
  BOOST_TEST(sink.count() == 1u); // the one that is done
  context->lone->sweep(soon->deadline() + milliseconds(1));
  BOOST_TEST(!answer(1)->complete);
  BOOST_TEST(sink.count() == 2u);
  soon->answered(one_row()); // too late
  BOOST_TEST(!answer(1)->complete);
  BOOST_TEST(answer(3)->complete);
  later.reset(); // its shard ended
  BOOST_TEST((std::get<failed>(sink.only(2)).why == failure::stopping));
  context->lone->sweep(soon->deadline() + milliseconds(5'000));
}

BOOST_AUTO_TEST_CASE(no_question_waits_longer_than_the_node_lets_it) {
  const auto query = make(1, 1'000'000);
  BOOST_TEST((query->deadline() <= steady_clock::now() + milliseconds(context->options.query_timeout_ms)));
  query->missed();
}

BOOST_AUTO_TEST_SUITE_END()
