#include "actors/node_status.hpp"

#include <boost/test/unit_test.hpp>

using adtrack::log_fault;
using namespace adtrack::actors;

namespace {

void make_ready(node_status& status) {
  for (uint32_t shard = 0; shard < status.shards(); ++shard) {
    status.set_phase(shard, shard_phase::serving);
    status.control_logged(shard);
    status.caught_up(shard);
  }
  status.set_catalogue_loaded(true);
}

} // namespace

BOOST_AUTO_TEST_SUITE(node_status_rules)

BOOST_AUTO_TEST_CASE(it_is_ready_once_every_shard_serves_and_has_caught_up_and_the_catalogue_is_loaded) {
  node_status status(2);
  BOOST_TEST(!status.report().ready);
  make_ready(status);
  BOOST_TEST(status.report().ready);
  BOOST_TEST(status.report().reason == "");
  status.set_catalogue_loaded(false);
  BOOST_TEST(status.report().reason == "the catalogue of ads is not loaded");
}

BOOST_AUTO_TEST_CASE(events_are_accepted_once_every_partition_holds_a_control_record) {
  node_status status(2);
  status.control_logged(0);
  status.control_logged(0);
  BOOST_TEST(!status.accepting());
  status.control_logged(1);
  BOOST_TEST(status.accepting());
}

BOOST_AUTO_TEST_CASE(a_shard_that_stopped_for_good_makes_it_not_ready_with_the_reason) {
  node_status status(2);
  make_ready(status);
  status.set_phase(1, shard_phase::stopped, "logic 9 is not known");
  BOOST_TEST(!status.report().ready);
  BOOST_TEST(status.report().reason == "shard 1 stopped: logic 9 is not known");
}

BOOST_AUTO_TEST_CASE(a_shard_that_is_being_reopened_degrades_it_and_all_of_them_make_it_not_ready) {
  node_status status(2);
  make_ready(status);
  status.set_phase(0, shard_phase::reopening, "disk full");
  auto report = status.report();
  BOOST_TEST(report.ready);
  BOOST_REQUIRE(report.degraded.size() == 1u);
  BOOST_TEST(report.degraded[0] == "shard 0 is being reopened: disk full");
  status.set_phase(1, shard_phase::reopening, "disk full");
  BOOST_TEST(!status.report().ready);
}

BOOST_AUTO_TEST_CASE(a_shard_that_the_log_left_behind_degrades_it_and_all_of_them_make_it_not_ready) {
  node_status status(2);
  make_ready(status);
  status.set_fault(1, log_fault::fork, "the log has forked: x");
  auto report = status.report();
  BOOST_TEST(report.ready);
  BOOST_REQUIRE(report.degraded.size() == 1u);
  BOOST_TEST(report.degraded[0] == "shard 1: the log has forked: x");
  BOOST_TEST((status.fault(1) == log_fault::fork));
  status.set_fault(0, log_fault::gap, "the log has a gap: y");
  BOOST_TEST(status.report().reason == "shard 0: the log has a gap: y");
  BOOST_TEST(status.report().degraded.size() == 2u);
  status.set_fault(0, log_fault::none);
  status.set_fault(1, log_fault::none);
  BOOST_TEST(status.report().ready);
  BOOST_TEST(status.report().degraded.empty());
}

BOOST_AUTO_TEST_CASE(a_shard_that_the_log_left_behind_is_not_waited_for_at_the_start) {
  node_status starting(2);
  for (uint32_t shard : {0u, 1u}) starting.set_phase(shard, shard_phase::serving);
  starting.set_catalogue_loaded(true);
  starting.caught_up(0);
  BOOST_TEST(!starting.report().ready);
  starting.set_fault(1, log_fault::fork, "the log has forked: x");
  BOOST_TEST(starting.report().ready);
}

BOOST_AUTO_TEST_CASE(a_trouble_is_new_once_and_shown_until_it_is_cleared) {
  node_status status(1);
  make_ready(status);
  BOOST_TEST(status.set_trouble("log", "read-only"));
  BOOST_TEST(!status.set_trouble("log", "read-only"));
  BOOST_TEST(status.report().degraded.size() == 1u);
  status.set_trouble("log", "");
  BOOST_TEST(status.report().degraded.empty());
  BOOST_TEST(status.set_trouble("log", "read-only"));
}

BOOST_AUTO_TEST_CASE(a_stopping_node_is_not_ready) {
  node_status status(1);
  make_ready(status);
  status.set_stopping();
  BOOST_TEST(status.report().reason == "the node is stopping");
}

BOOST_AUTO_TEST_SUITE_END()
