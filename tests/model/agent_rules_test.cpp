#include "model/agent_rules.hpp"

#include <string>

#include <boost/test/unit_test.hpp>

using namespace adtrack;

namespace {

std::unique_ptr<const agent_rules> rules_of(const agent_patterns& patterns) {
  std::string error;
  auto made = agent_rules::make(patterns, error);
  BOOST_REQUIRE_MESSAGE(made != nullptr, error);
  return made;
}

} // namespace

BOOST_AUTO_TEST_SUITE(rules_for_agents)

BOOST_AUTO_TEST_CASE(the_first_expression_that_matches_decides) {
  agent_patterns p;
  p.browsers = {{"(Fancy)/\\d", false, ""}, {"(Fa[a-z]+|Plain)/", false, ""}};
  const auto rules = rules_of(p);
  BOOST_TEST(rules->families("Plain/1 Fancy/2").browser == "Fancy"); // first in the list, not in the text
  BOOST_TEST(rules->families("Fancy/x").browser == "Fancy");
  BOOST_TEST(rules->families("Fast/1").browser == "Fast");
  BOOST_TEST(rules->families("Slow/1").browser == "Other");
}

BOOST_AUTO_TEST_CASE(a_replacement_names_the_family_with_the_groups_that_matched) {
  agent_patterns p;
  p.systems = {
      {"(Big)(?:-(\\w+)|)OS", false, "$1 $2"}, {"Small", false, "Tiny"}, {"Cost(\\d)", false, "$1$"}, {"Group", false, ""}};
  const auto rules = rules_of(p);
  BOOST_TEST(rules->families("x BigOS").os == "Big"); // the second group is not there, and blanks at the ends are cut
  BOOST_TEST(rules->families("x Big-FastOS").os == "Big Fast");
  BOOST_TEST(rules->families("Small").os == "Tiny");
  BOOST_TEST(rules->families("Cost5").os == "5$");
  BOOST_TEST(rules->families("Group").os == "Other"); // nothing to call it by
}

BOOST_AUTO_TEST_CASE(case_matters_unless_the_expression_says_otherwise) {
  agent_patterns p;
  p.devices = {{"(loud)", true, ""}, {"(quiet)", false, ""}};
  const auto rules = rules_of(p);
  BOOST_TEST(rules->families("LOUD").device == "LOUD");
  BOOST_TEST(rules->families("QUIET").device == "Other");
}

BOOST_AUTO_TEST_CASE(an_expression_that_re2_does_not_take_is_named) {
  agent_patterns p;
  p.browsers = {{"fine", false, ""}, {"a(?=b)", false, ""}};
  std::string error;
  BOOST_TEST(agent_rules::make(p, error) == nullptr);
  BOOST_TEST(error.find("a(?=b)") != error.npos, error);
  agent_patterns own;
  own.bots = {"["};
  BOOST_TEST(agent_rules::make(own, error) == nullptr);
  BOOST_TEST(error.find("[") != error.npos, error);
}

BOOST_AUTO_TEST_CASE(an_operators_expressions_make_bots_whatever_their_case) {
  agent_patterns p;
  p.bots = {"^acme-(un)?seen", "#7"};
  const auto rules = rules_of(p);
  BOOST_TEST(rules->classify("ACME-unseen (X11; Linux)").bot);
  BOOST_TEST(rules->classify("unit #7 (X11; Linux)").bot);
  BOOST_TEST(!rules->classify("my acme-seen (X11; Linux)").bot);
}

BOOST_AUTO_TEST_CASE(without_any_file_programs_that_say_so_are_bots_and_browsers_are_not) {
  const auto rules = rules_of({});
  for (const char* agent :
       {"Mozilla/5.0 (compatible; Somebot/2.1; +http://example.com/bot.html)", "curl/7.88.1", "Wget/1.21",
        "python-requests/2.31.0", "Go-http-client/1.1", "Java/17.0.1", "MyCrawler", "SiteChecker/1.0",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/120.0 Safari/537.36",
        "SomeLibrary/1.2.3", "Mozilla/5.0 (compatible; Unheard/1.0)"})
    BOOST_TEST(rules->classify(agent).bot, agent);
  for (const char* agent :
       {"Mozilla/5.0", "test", "agent-17", "A/1.0", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
        "Mozilla/5.0 (Linux; Android 11; CUBOT_X30) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/100.0 Mobile Safari/537.36",
        "Mozilla/5.0 (compatible; MSIE 9.0; Windows NT 6.1; Trident/5.0)", "Opera/9.80 (X11; Linux i686; U; en) Presto/2.2"})
    BOOST_TEST(!rules->classify(agent).bot, agent);
}

BOOST_AUTO_TEST_CASE(a_name_is_bounded_and_valid_utf_8) {
  agent_patterns p;
  p.browsers = {{"^(.{0,200})/1 \\(", false, ""}};
  const auto rules = rules_of(p);
  BOOST_TEST(rules->classify("caf\xc3\xa9/1 (X)").browser == "caf\xc3\xa9");
  BOOST_TEST(rules->classify("caf\xe9/1 (X)").browser == "caf?");
  BOOST_TEST(rules->classify("a\x01z/1 (X)").browser == "a?z");
  const auto cut = rules->classify("x" + std::string(50, 'y') + std::string(20, 'z') + "/1 (X)").browser;
  BOOST_TEST(cut.size() == family_bytes_max);
  std::string accents = "x";
  for (int i = 0; i < 40; ++i) accents += "\xc3\xa9";
  BOOST_TEST(rules->classify(accents + "/1 (X)").browser.size() == 63u); // no half character
}

BOOST_AUTO_TEST_CASE(no_agent_says_nothing) {
  const auto none = rules_of({})->classify("");
  BOOST_TEST((none == agent_class{}));
}

BOOST_AUTO_TEST_CASE(kinds_of_devices_are_read_back_by_name) {
  for (const auto device : {device_class::desktop, device_class::phone, device_class::tablet, device_class::tv, device_class::bot,
                            device_class::other}) {
    auto read = device_class::unknown;
    BOOST_TEST(parse(to_string(device), read));
    BOOST_TEST((read == device));
  }
  auto read = device_class::tv;
  BOOST_TEST(!parse("unknown", read));
  BOOST_TEST(!parse("", read));
  BOOST_TEST((read == device_class::tv));
}

BOOST_AUTO_TEST_SUITE_END()
