#include "storage/traffic_rules.hpp"

#include <filesystem>
#include <fstream>

#include <boost/test/unit_test.hpp>

#include "storage/country_database.hpp"
#include "tests/support/mmdb.hpp"
#include "tests/support/scratch_dir.hpp"

using namespace adtrack;
using storage::traffic_files;
using storage::traffic_options;

namespace {

constexpr const char* person = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";
constexpr const char* crawler = "Mozilla/5.0 (compatible; Somebot/2.1; +http://example.com/bot.html)";
constexpr const char* small_agents = "user_agent_parsers:\n  - regex: '(Firefox)/'\nos_parsers:\n  - regex: '(Linux)'\n"
                                     "device_parsers:\n  - regex: 'Gadget'\n    device_replacement: 'Spider'\n";

submission event_of(const std::string& agent, const std::string& address = "198.51.100.7", bool prefetch = false) {
  submission s;
  s.agent = agent;
  s.address = parse_ip_address(address);
  s.prefetch = prefetch;
  return s;
}

// The files of a test, replaced as a careful operator does.
struct files {
  test::scratch_dir dir;
  std::string path(const std::string& name) const { return dir.path() + "/" + name; }
  std::string write(const std::string& name, const std::string& content) const {
    std::ofstream(path("new"), std::ios::binary) << content;
    std::filesystem::rename(path("new"), path(name));
    return path(name);
  }
};

void open(traffic_files& rules) {
  const auto opened = rules.open();
  BOOST_REQUIRE_MESSAGE(opened.ok(), opened.message);
}

std::string refusal(const traffic_options& options) {
  traffic_files rules(options);
  const auto opened = rules.open();
  BOOST_TEST(!opened.ok());
  return opened.message;
}

bool usable(const traffic_files& rules, size_t list) { return rules.states()[list].trouble.empty(); }

} // namespace

BOOST_AUTO_TEST_SUITE(rules_of_traffic)

BOOST_AUTO_TEST_CASE(the_first_reason_that_applies_is_the_one) {
  files f;
  traffic_options options;
  options.datacenters_files = {f.write("a.txt", "192.0.2.0/24\n"), f.write("b.txt", "2001:db8::/32\n")};
  traffic_files rules(options);
  open(rules);
  const auto reason = [&rules](const submission& s) { return to_string(rules.rules()->judge(s).invalid); };
  BOOST_TEST(reason(event_of(person)) == "none");
  BOOST_TEST(reason(event_of(crawler)) == "bot");
  BOOST_TEST(reason(event_of("")) == "no_agent");
  BOOST_TEST(reason(event_of(" \t")) == "no_agent");
  BOOST_TEST(reason(event_of(person, "192.0.2.9")) == "datacenter");
  BOOST_TEST(reason(event_of(person, "2001:db8::9")) == "datacenter");
  BOOST_TEST(reason(event_of(person, "198.51.100.7", true)) == "prefetch");
  BOOST_TEST(reason(event_of(crawler, "192.0.2.9", true)) == "bot");
  BOOST_TEST(reason(event_of("", "192.0.2.9", true)) == "no_agent");
  BOOST_TEST(reason(event_of(person, "192.0.2.9", true)) == "datacenter");
  submission nowhere = event_of(person);
  nowhere.address = {};
  BOOST_TEST(reason(nowhere) == "none");
}

BOOST_AUTO_TEST_CASE(a_stamp_says_device_browser_system_and_version) {
  files f;
  traffic_options options;
  options.agents_file = f.write("agents.yaml", small_agents);
  traffic_files rules(options);
  open(rules);
  const auto stamp = rules.rules()->judge(event_of(person));
  BOOST_TEST((stamp.device == device_class::desktop));
  BOOST_TEST(stamp.browser == "Firefox");
  BOOST_TEST(stamp.os == "Linux");
  BOOST_TEST(stamp.country == "");
  BOOST_TEST(stamp.rules == rules.rules()->version());
  BOOST_TEST(stamp.rules != 0u);
  BOOST_TEST((rules.rules()->judge(event_of("Gadget (Linux)")).invalid == invalid_reason::bot));
}

BOOST_AUTO_TEST_CASE(the_version_is_that_of_the_content_and_of_nothing_else) {
  files f;
  const auto version = [](const traffic_options& options) {
    traffic_files rules(options);
    open(rules);
    return rules.rules()->version();
  };
  traffic_options one, other;
  const auto nothing = version(one);
  BOOST_TEST(version(other) == nothing);
  one.datacenters_files = {f.write("one.txt", "192.0.2.0/24\n")};
  other.datacenters_files = {f.write("other.txt", "192.0.2.0/24\n")}; // another name, a later time
  BOOST_TEST(version(one) == version(other));
  BOOST_TEST(version(one) != nothing);
  other.datacenters_files = {f.write("other.txt", "192.0.2.0/25\n")};
  BOOST_TEST(version(one) != version(other));
  other = one;
  other.bots_file = f.write("bots.txt", "acme\n");
  BOOST_TEST(version(one) != version(other));
  traffic_options agents;
  agents.agents_file = f.write("agents.yaml", small_agents);
  BOOST_TEST(version(agents) != nothing);
}

BOOST_AUTO_TEST_CASE(a_file_that_is_missing_or_broken_at_the_start_is_refused_by_name) {
  files f;
  traffic_options o;
  o.agents_file = f.path("none.yaml");
  BOOST_TEST(refusal(o).find("none.yaml") != std::string::npos);
  o.agents_file = f.write("broken.yaml", "user_agent_parsers: 5\n");
  BOOST_TEST(refusal(o).find("broken.yaml") != std::string::npos);
  o = {};
  o.bots_file = f.write("bots.txt", "good\n(bad\n");
  BOOST_TEST(refusal(o).find("(bad") != std::string::npos);
  BOOST_TEST(refusal(o).find("bots.txt") != std::string::npos);
  o = {};
  o.datacenters_files = {f.write("good.txt", "192.0.2.0/24\n"), f.write("lists.txt", "192.0.2.0/240\n")};
  BOOST_TEST(refusal(o).find("lists.txt, line 1") != std::string::npos);
  o = {};
  o.country_file = f.write("country.mmdb", "not a database");
  BOOST_TEST(refusal(o).find("country.mmdb") != std::string::npos);
  o.country_file = f.dir.path(); // a folder
  BOOST_TEST(refusal(o).find("cannot read") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_replaced_list_is_in_force_as_another_version) {
  files f;
  traffic_options options;
  options.bots_file = f.write("bots.txt", "acme\n");
  options.datacenters_files = {f.write("list.txt", "192.0.2.0/24\n")};
  traffic_files rules(options);
  open(rules);
  const auto before = rules.rules();
  const std::string acme = "acme (X11; Linux)", other = "other (X11; Linux)";
  BOOST_TEST((before->judge(event_of(acme)).invalid == invalid_reason::bot));
  rules.look();
  BOOST_TEST((rules.rules() == before)); // nothing changed

  f.write("bots.txt", "other\n");
  rules.look();
  const auto after = rules.rules();
  BOOST_TEST(after->version() != before->version());
  BOOST_TEST((after->judge(event_of(acme)).invalid == invalid_reason::none));
  BOOST_TEST((after->judge(event_of(other)).invalid == invalid_reason::bot));
  BOOST_TEST((before->judge(event_of(acme)).invalid == invalid_reason::bot)); // whoever holds it is not disturbed

  f.write("list.txt", "203.0.113.0/24\n");
  rules.look();
  BOOST_TEST((rules.rules()->judge(event_of(person, "192.0.2.1")).invalid == invalid_reason::none));
  BOOST_TEST((rules.rules()->judge(event_of(person, "203.0.113.1")).invalid == invalid_reason::datacenter));
  f.write("list.txt", "192.0.2.0/24\n");
  f.write("bots.txt", "acme\n");
  rules.look();
  BOOST_TEST(rules.rules()->version() == before->version());
}

BOOST_AUTO_TEST_CASE(a_broken_new_file_leaves_the_list_before_it_in_force) {
  files f;
  traffic_options options;
  options.bots_file = f.write("bots.txt", "acme\n");
  options.datacenters_files = {f.write("list.txt", "192.0.2.0/24\n")};
  traffic_files rules(options);
  open(rules);
  const auto before = rules.rules();
  f.write("list.txt", "192.0.2.0/24\nbroken\n");
  rules.look();
  BOOST_TEST((rules.rules() == before));
  BOOST_TEST(!usable(rules, 1));
  BOOST_TEST(rules.states()[1].trouble.find("list.txt, line 2") != std::string::npos, rules.states()[1].trouble);
  BOOST_TEST(usable(rules, 0));
  f.write("bots.txt", "(");
  std::filesystem::remove(f.path("list.txt"));
  rules.look();
  BOOST_TEST((rules.rules() == before));
  BOOST_TEST(!usable(rules, 0));
  BOOST_TEST(!usable(rules, 1));
  f.write("list.txt", "192.0.2.0/24\n");
  f.write("bots.txt", "acme\n#\n");
  rules.look();
  BOOST_TEST(usable(rules, 0));
  BOOST_TEST(usable(rules, 1));
  BOOST_TEST(rules.rules()->version() != before->version()); // the comment is content too
}

BOOST_AUTO_TEST_CASE(a_file_rewritten_in_place_again_and_again_is_seen_each_time) {
  files f;
  traffic_options options;
  options.datacenters_files = {f.write("list.txt", "192.0.2.0/24\n")};
  traffic_files rules(options);
  open(rules);
  const auto in_force = [&rules](const char* address) {
    return rules.rules()->judge(event_of(person, address)).invalid == invalid_reason::datacenter;
  };
  // The same size, and on some kernels the same time: the file system's clock moves in steps.
  for (int i = 0; i < 50; ++i) {
    std::ofstream(f.path("list.txt")) << (i % 2 == 0 ? "192.0.3.0/24\n" : "192.0.2.0/24\n");
    rules.look();
    BOOST_REQUIRE(in_force("192.0.3.1") == (i % 2 == 0));
    BOOST_REQUIRE(in_force("192.0.2.1") == (i % 2 != 0));
  }
}

BOOST_AUTO_TEST_CASE(a_country_is_stamped_from_the_full_address) {
  files f;
  test::mmdb_writer db;
  db.add("198.51.100.0", 25, "FR");
  db.add("198.51.100.128", 25, "DE");
  db.add("2001:db8:1::", 48, "JP");
  db.add("203.0.113.0", 24, "xx"); // no code
  traffic_options options;
  options.country_file = f.write("country.mmdb", db.bytes());
  traffic_files rules(options);
  open(rules);
  const auto country = [&rules](const char* address) { return rules.rules()->judge(event_of(person, address)).country; };
  BOOST_TEST(country("198.51.100.7") == "FR");
  BOOST_TEST(country("198.51.100.200") == "DE"); // its /24 alone would not tell
  BOOST_TEST(country("2001:db8:1::9") == "JP");
  BOOST_TEST(country("2001:db8:2::9") == "");
  BOOST_TEST(country("203.0.113.9") == "");
  BOOST_TEST(country("10.0.0.1") == "");
  submission nowhere = event_of(person);
  nowhere.address = {};
  BOOST_TEST(rules.rules()->judge(nowhere).country == "");

  // The file may be overwritten, or emptied, under the lookups.
  std::ofstream(f.path("country.mmdb"), std::ios::trunc) << "gone";
  BOOST_TEST(country("198.51.100.7") == "FR");
  rules.look();
  BOOST_TEST(!usable(rules, 2));
  BOOST_TEST(country("198.51.100.7") == "FR");
}

BOOST_AUTO_TEST_CASE(a_damaged_country_database_gives_no_country_and_no_crash) {
  test::mmdb_writer db;
  db.add("198.51.100.0", 24, "FR");
  const auto good = db.bytes();
  for (size_t i = 0; i < good.size(); ++i) {
    auto damaged = good;
    damaged[i] = static_cast<char>(damaged[i] ^ 0xff);
    auto opened = storage::country_database::open("damaged", damaged);
    if (opened.ok()) BOOST_TEST((*opened)->code_of(parse_ip_address("198.51.100.7")).size() <= 2u);
    if (auto cut = storage::country_database::open("cut", std::string_view(good).substr(0, i)); cut.ok())
      BOOST_TEST((*cut)->code_of(parse_ip_address("198.51.100.7")).size() <= 2u);
  }
}

BOOST_AUTO_TEST_SUITE_END()
