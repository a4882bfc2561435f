// The files of agent rules: our own small ones, and uap-core's own with its own tests where the package is installed.
#include "storage/agents_file.hpp"

#include <filesystem>
#include <fstream>
#include <sstream>

#include <boost/test/unit_test.hpp>
#include <yaml.h>

using namespace adtrack;

namespace {

constexpr const char* uap_core = "/usr/share/uap-core/";

std::string content_of(const std::string& path) {
  std::ostringstream out;
  out << std::ifstream(path).rdbuf();
  return out.str();
}

std::unique_ptr<const agent_rules> rules_of(const std::string& name, const std::string& yaml) {
  agent_patterns patterns;
  const auto read = storage::parse_uap_core(name, yaml, patterns);
  BOOST_REQUIRE_MESSAGE(read.ok(), read.message);
  std::string error;
  auto made = agent_rules::make(patterns, error);
  BOOST_REQUIRE_MESSAGE(made != nullptr, error);
  return made;
}

// Null, said aloud, where the package is not installed.
std::unique_ptr<const agent_rules> packaged_rules() {
  const std::string path = std::string(uap_core) + "regexes.yaml";
  if (std::filesystem::exists(path)) return rules_of(path, content_of(path));
  BOOST_TEST_MESSAGE("skipped: the package uap-core is not installed");
  return nullptr;
}

struct agent_case {
  std::string agent, family;
};

// The cases of one of uap-core's own test files, without those that want JavaScript's word too.
std::vector<agent_case> cases_of(const std::string& path) {
  std::vector<agent_case> out;
  const auto text = content_of(path);
  yaml_parser_t parser;
  yaml_document_t doc;
  yaml_parser_initialize(&parser);
  yaml_parser_set_input_string(&parser, reinterpret_cast<const unsigned char*>(text.data()), text.size());
  BOOST_REQUIRE_MESSAGE(yaml_parser_load(&parser, &doc) != 0, path);
  yaml_parser_delete(&parser);
  const auto word = [&doc](int index) {
    const auto* node = yaml_document_get_node(&doc, index);
    return node->type == YAML_SCALAR_NODE ? std::string(reinterpret_cast<const char*>(node->data.scalar.value)) : std::string{};
  };
  const auto* list = yaml_document_get_node(&doc, yaml_document_get_root_node(&doc)->data.mapping.pairs.start->value);
  for (auto* item = list->data.sequence.items.start; item < list->data.sequence.items.top; ++item) {
    agent_case one;
    bool script = false;
    const auto& pairs = yaml_document_get_node(&doc, *item)->data.mapping.pairs;
    for (auto* pair = pairs.start; pair < pairs.top; ++pair) {
      const auto key = word(pair->key);
      if (key == "user_agent_string") one.agent = word(pair->value);
      if (key == "family") one.family = word(pair->value);
      script |= key == "js_ua";
    }
    if (!script) out.push_back(one);
  }
  yaml_document_delete(&doc);
  return out;
}

// Every case of the file by our reading; says the first that differ.
void agrees(const agent_rules& rules, const std::string& file, std::string agent_families::*family) {
  const std::string path = uap_core + file;
  if (!std::filesystem::exists(path)) {
    BOOST_TEST_MESSAGE("skipped: there is no " << path);
    return;
  }
  const auto cases = cases_of(path);
  size_t wrong = 0;
  for (const auto& c : cases) {
    const auto got = rules.families(c.agent).*family;
    if (got == c.family) continue;
    if (++wrong <= 5) BOOST_TEST_MESSAGE(file << ": " << c.agent << " is " << c.family << ", not " << got);
  }
  BOOST_TEST_MESSAGE(file << ": " << cases.size() << " cases");
  BOOST_TEST(cases.size() > 20u);
  BOOST_TEST(wrong == 0u);
}

constexpr const char* small_file = R"yaml(
user_agent_parsers:
  - regex: '(Fancy)/(\d+)'
    v1_replacement: '7'
  - regex: "Plain\t(x)"
    family_replacement: 'Plain $1'
os_parsers:
  - regex: 'BIG'
    regex_flag: 'i'
    os_replacement: 'Big OS'
device_parsers:
  - regex: '(Thing)'
    device_replacement: 'The $1'
    brand_replacement: 'Maker'
)yaml";

std::string reason(const std::string& yaml) {
  agent_patterns patterns;
  const auto got = storage::parse_uap_core("list.yaml", yaml, patterns);
  BOOST_TEST((got.code == storage::errc::corrupt));
  BOOST_TEST(got.message.find("list.yaml") != got.message.npos, got.message);
  return got.message;
}

} // namespace

BOOST_AUTO_TEST_SUITE(files_of_agent_rules)

BOOST_AUTO_TEST_CASE(lists_flags_and_replacements_are_read) {
  const auto rules = rules_of("small", small_file);
  const auto got = rules->families("Fancy/3 on a big Thing");
  BOOST_TEST(got.browser == "Fancy");
  BOOST_TEST(got.os == "Big OS");
  BOOST_TEST(got.device == "The Thing");
  BOOST_TEST(rules->families("Plain\tx").browser == "Plain x");
}

BOOST_AUTO_TEST_CASE(a_file_that_is_none_is_refused_by_name) {
  const std::string small = small_file;
  reason("");
  reason("just text");
  reason("- a\n- list\n");
  BOOST_TEST(reason(small.substr(0, small.find("device_parsers"))).find("device_parsers is not a list") != std::string::npos);
  BOOST_TEST(reason(small.substr(0, small.size() - 1) + "\n   - 'unfinished").find("line") != std::string::npos);
  BOOST_TEST(reason(small + "  - device_replacement: 'no regex'\n").find("device_parsers, entry 2") != std::string::npos);
  BOOST_TEST(reason(small + "  - regex: ['a']\n").find("entry 2") != std::string::npos);
  BOOST_TEST(reason(small + "  - word\n").find("entry 2") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_list_of_bots_has_comments_and_empty_lines) {
  std::vector<std::string> bots{"before"};
  storage::parse_bot_list("# ours\n\n  acme-\\d+ #7\t\r\n#x\n\t# y\nlast", bots);
  BOOST_TEST(bots == (std::vector<std::string>{"before", "acme-\\d+ #7", "last"}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(uap_cores_own_tests_agree) {
  const auto rules = packaged_rules();
  if (!rules) return;
  agrees(*rules, "tests/test_device.yaml", &agent_families::device);
  agrees(*rules, "tests/test_os.yaml", &agent_families::os);
  agrees(*rules, "tests/test_ua.yaml", &agent_families::browser);
  agrees(*rules, "test_resources/additional_os_tests.yaml", &agent_families::os);
  agrees(*rules, "test_resources/firefox_user_agent_strings.yaml", &agent_families::browser);
  agrees(*rules, "test_resources/opera_mini_user_agent_strings.yaml", &agent_families::browser);
  agrees(*rules, "test_resources/podcasting_user_agent_strings.yaml", &agent_families::browser);
  agrees(*rules, "test_resources/pgts_browser_list.yaml", &agent_families::browser);
}

BOOST_AUTO_TEST_CASE(agents_of_crawlers_are_bots) {
  const auto rules = packaged_rules();
  if (!rules) return;
  for (const char* agent :
       {"Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/99.0.4844.84 "
        "Mobile "
        "Safari/537.36 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)", "facebookexternalhit/1.1",
        "Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots)", "Twitterbot/1.0",
        "AdsBot-Google (+http://www.google.com/adsbot.html)",
        "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
        "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
        "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)",
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_5) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/13.1.1 Safari/605.1.15 "
        "(Applebot/0.1; +http://www.apple.com/go/applebot)"}) {
    const auto got = rules->classify(agent);
    BOOST_TEST(got.bot, agent);
    BOOST_TEST((got.device == device_class::bot), agent);
  }
}

BOOST_AUTO_TEST_CASE(agents_of_people_say_device_browser_and_system) {
  struct person {
    const char* agent;
    device_class device;
    const char *browser, *os;
  };
  const auto rules = packaged_rules();
  if (!rules) return;
  for (
      const auto& p : {
          person{"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", device_class::desktop, "Firefox",
                 "Linux"},
          person{
              "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
              device_class::desktop, "Chrome", "Windows"},
          person{"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 "
                 "Safari/605.1.15",
                 device_class::desktop, "Safari", "Mac OS X"},
          person{"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
                 device_class::desktop, "Chrome", "Chrome OS"},
          person{"Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 "
                 "Mobile/15E148 Safari/604.1",
                 device_class::phone, "Mobile Safari", "iOS"},
          person{
              "Mozilla/5.0 (iPad; CPU OS 12_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/12.1 Mobile/15E148 "
              "Safari/604.1",
              device_class::tablet, "Mobile Safari", "iOS"},
          person{
              "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36",
              device_class::phone, "Chrome Mobile", "Android"},
          person{
              "Mozilla/5.0 (Linux; Android 13; SM-X906C) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
              device_class::tablet, "Chrome", "Android"},
          person{"Mozilla/5.0 (Linux; Android 9; AFTMM) AppleWebKit/537.36 (KHTML, like Gecko) Silk/108.4 like Chrome/108.0 "
                 "Safari/537.36",
                 device_class::tv, "Amazon Silk", "Android"},
          person{
              "Mozilla/5.0 (SMART-TV; Linux; Tizen 6.0) AppleWebKit/537.36 (KHTML, like Gecko) 85.0.4183.93/6.0 TV Safari/537.36",
              device_class::tv, "Safari", "Tizen"},
          person{"Roku/DVP-12.0 (12.0.0.4182-55)", device_class::tv, "Roku", "Roku"},
          person{"Mozilla/5.0 (PlayStation 4 3.11) AppleWebKit/537.73 (KHTML, like Gecko)", device_class::other, "", ""},
          person{"Mozilla/5.0", device_class::unknown, "", ""},
      }) {
    const auto got = rules->classify(p.agent);
    BOOST_TEST(!got.bot, p.agent);
    BOOST_TEST(to_string(got.device) == to_string(p.device), p.agent << ": device " << to_string(got.device));
    BOOST_TEST(got.browser == p.browser, p.agent << ": browser " << got.browser);
    BOOST_TEST(got.os == p.os, p.agent << ": system " << got.os);
  }
}

BOOST_AUTO_TEST_SUITE_END()
