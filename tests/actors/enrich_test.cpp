#include "actors/enrich.hpp"

#include <boost/test/unit_test.hpp>

#include "model/partitioner.hpp"
#include "storage/record_codec.hpp"
#include "tests/support/actor_fixture.hpp"

using namespace adtrack;
using namespace adtrack::actors;
using adtrack::testing::actor_fixture;
using adtrack::testing::click;

BOOST_AUTO_TEST_SUITE(enrich_rules_of_a_node)

BOOST_AUTO_TEST_CASE(the_address_is_masked_but_the_visitor_is_made_of_the_full_one) {
  enrich_rules rules;
  auto first = click(1, 5, "a").what, second = click(2, 5, "b").what;
  second.address = parse_ip_address("203.0.113.78");
  const auto expected = visitor_of(rules.key, first.address, first.agent);
  const auto one = enrich_event(rules, std::move(first)), two = enrich_event(rules, std::move(second));
  BOOST_TEST(one.address == "203.0.113.0");
  BOOST_TEST(two.address == "203.0.113.0");
  BOOST_TEST(one.visitor == expected);
  BOOST_TEST(one.visitor != two.visitor);
}

BOOST_AUTO_TEST_CASE(the_address_can_be_dropped) {
  enrich_rules rules;
  rules.addresses = address_policy::drop;
  auto from = click(1, 5, "a").what;
  const auto expected = visitor_of(rules.key, from.address, from.agent);
  const auto out = enrich_event(rules, std::move(from));
  BOOST_TEST(out.address == "");
  BOOST_TEST(out.visitor == expected);
}

BOOST_AUTO_TEST_CASE(the_fields_hash_and_the_rules_version_are_stamped) {
  enrich_rules rules;
  rules.judge = [](const submission& s) {
    traffic_stamp out;
    out.invalid = s.prefetch ? invalid_reason::prefetch : invalid_reason::none;
    out.country = to_string(s.address).empty() ? "" : "FR"; // it sees the full address
    out.rules = 3;
    return out;
  };
  auto from = click(1, 5, "a").what;
  from.prefetch = true;
  from.trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  from.play_time_secs = 12;
  const auto hash = fields_hash_of(rules.key, from);
  const auto out = enrich_event(rules, std::move(from));
  BOOST_TEST(out.fields_hash == hash);
  BOOST_TEST(out.traffic.rules == 3u);
  BOOST_TEST((out.traffic.invalid == invalid_reason::prefetch));
  BOOST_TEST(out.traffic.country == "FR");
  BOOST_TEST(out.play_time_secs == 12);
  BOOST_TEST(out.trace == "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
  BOOST_TEST(out.watched_percent == absent);
}

BOOST_AUTO_TEST_CASE(each_event_becomes_a_record_of_its_ads_partition_that_the_decoder_reads) {
  actor_fixture f;
  const enricher enrich(*f.context);
  auto batch = f.admit({click(1, 32, "first"), click(2, 33, "second")});
  const auto job = enrich.to_records(batch);
  BOOST_REQUIRE(job->records.size() == 2u);
  BOOST_TEST((job->batch == batch));
  storage::record_decoder decoder;
  for (size_t i = 0; i < 2; ++i) {
    const uint64_t ad = 32 + i;
    BOOST_TEST(job->records[i].partition == shard_of(ad, actor_fixture::default_shards));
    BOOST_TEST(job->records[i].value.find("203.0.113.77") == std::string::npos);
    const std::vector<storage::stored_record> stored{{0, f.now_ms, job->records[i].value}};
    const auto read = decoder.decode(job->records[i].partition, actor_fixture::default_shards, 0, stored);
    BOOST_TEST(read.skipped.empty());
    BOOST_REQUIRE(read.records.size() == 1u);
    BOOST_TEST(read.records[0].ad_id == ad);
    BOOST_TEST((read.records[0].id == identity_of(event_type::click, ad, i == 0 ? "first" : "second")));
  }
}

BOOST_AUTO_TEST_SUITE_END()
