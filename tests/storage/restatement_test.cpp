#include "storage/restatement.hpp"

#include <boost/test/unit_test.hpp>

#include <filesystem>
#include <fstream>

#include <unistd.h>

#include <nlohmann/json.hpp>

#include "storage/record_codec.hpp"

using namespace adtrack;
using namespace adtrack::storage;

namespace {

const std::string firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";

struct fixture {
  fixture() {
    std::ofstream(list) << "198.51.100.0/24\n";
    traffic_options o;
    o.datacenters_files = {list.string()};
    files = std::make_unique<traffic_files>(o);
    BOOST_REQUIRE(files->open().ok());
    wanted.repeat_click_s = 60;
    wanted.second_days = 1;
    restate = make_restatement(files->rules(), wanted);
  }
  ~fixture() { std::filesystem::remove(list); }

  std::string again(const event& e) const {
    auto value = encode(e);
    restate(value);
    return value;
  }

  const std::filesystem::path list =
      std::filesystem::temp_directory_path() / ("adtrack-list-" + std::to_string(::getpid()) + ".txt");
  std::unique_ptr<traffic_files> files;
  control wanted;
  std::function<void(std::string&)> restate;
};

event click() {
  event e;
  e.ad_id = 7;
  e.event_id = "\xc3\xa9-1\"";
  e.time_s = 1'753'185'600;
  e.address = "203.0.113.0";
  e.agent = firefox;
  e.visitor = 0xfedc'ba98'7654'3210;
  e.fields_hash = 0xdead'beef;
  e.traffic.country = "FR";
  return e;
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(restatement, fixture)

BOOST_AUTO_TEST_CASE(an_event_is_stamped_as_these_rules_would_have) {
  auto expected = click();
  submission as_sent;
  as_sent.agent = firefox;
  as_sent.address = parse_ip_address("203.0.113.0");
  expected.traffic = files->rules()->judge(as_sent);
  expected.traffic.country = "FR"; // these rules know no countries
  BOOST_TEST((expected.traffic.invalid == invalid_reason::none));
  for (auto reason : {invalid_reason::none, invalid_reason::bot, invalid_reason::datacenter, invalid_reason::no_agent}) {
    auto e = click();
    e.traffic.invalid = reason;
    e.traffic.rules = 5;
    e.traffic.browser = "Other";
    BOOST_TEST((nlohmann::json::parse(again(e)) == nlohmann::json::parse(encode(expected))));
  }
}

BOOST_AUTO_TEST_CASE(the_first_reason_that_applies_is_stamped_and_a_prefetch_stays_one) {
  const auto reason_of = [&](const std::function<void(event&)>& change) {
    auto e = click();
    change(e);
    const auto value = again(e);
    const auto at = value.find("\"invalid\":\"");
    return at == std::string::npos ? "none" : value.substr(at + 11, value.find('"', at + 11) - at - 11);
  };
  BOOST_TEST(reason_of([](event&) {}) == "none");
  BOOST_TEST(reason_of([](event& e) { e.agent = "curl/8.0"; }) == "bot");
  BOOST_TEST(reason_of([](event& e) { e.agent.clear(); }) == "no_agent");
  BOOST_TEST(reason_of([](event& e) { e.address = "198.51.100.0"; }) == "datacenter");
  BOOST_TEST(reason_of([](event& e) { e.traffic.invalid = invalid_reason::prefetch; }) == "prefetch");
}

BOOST_AUTO_TEST_CASE(a_control_record_has_the_wanted_values_and_its_own_key) {
  control c;
  c.visitor_key_id = "0a1b2c3d";
  auto value = encode(c);
  restate(value);
  auto expected = wanted;
  expected.visitor_key_id = "0a1b2c3d";
  BOOST_TEST(value == encode(expected));
}

BOOST_AUTO_TEST_CASE(what_is_neither_stays_as_it_is) {
  for (std::string value :
       {"", "garbage", "[1]", R"({"schema":1,"kind":"other"})", R"({"schema":1,"kind":"event","type":"view"})"}) {
    auto after = value;
    restate(after);
    BOOST_TEST(after == value);
  }
}

BOOST_AUTO_TEST_SUITE_END()
