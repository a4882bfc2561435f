#include "config/toml.hpp"

#include <boost/test/unit_test.hpp>

#include <utility>

using namespace adtrack::config;

BOOST_AUTO_TEST_SUITE(toml_test)

BOOST_AUTO_TEST_CASE(sections_and_dotted_keys_become_flat_names) {
  const auto f = parse_toml("a.b = 1\r\n[ http ]\n port=8080# a comment\n\n[x.y]\nz . w = true\n");
  BOOST_TEST(f.error == "");
  BOOST_REQUIRE_EQUAL(f.items.size(), 3u);
  BOOST_TEST(f.items[0].name == "a.b");
  BOOST_TEST(f.items[1].name == "http.port");
  BOOST_TEST(f.items[1].value == "8080");
  BOOST_TEST((f.items[1].kind == toml_kind::integer));
  BOOST_TEST(f.items[1].line == 3);
  BOOST_TEST(f.items[2].name == "x.y.z.w");
  BOOST_TEST((f.items[2].kind == toml_kind::boolean));
}

BOOST_AUTO_TEST_CASE(a_string_may_hold_what_means_something_elsewhere) {
  const std::pair<const char*, const char*> cases[] = {{R"(a = "x # y, [z] = w")", "x # y, [z] = w"},
                                                       {R"(a = "tab\there \"q\" \\")", "tab\there \"q\" \\"},
                                                       {R"(a = 'c:\dir "q"' # end)", R"(c:\dir "q")"},
                                                       {R"(a = "")", ""},
                                                       {R"(a = "a  b")", "a  b"}};
  for (const auto& [text, value] : cases) {
    const auto f = parse_toml(text);
    BOOST_TEST(f.error == "");
    BOOST_REQUIRE_EQUAL(f.items.size(), 1u);
    BOOST_TEST(f.items[0].value == value);
    BOOST_TEST((f.items[0].kind == toml_kind::text));
  }
}

BOOST_AUTO_TEST_CASE(an_integer_may_hold_underscores_between_digits) {
  BOOST_TEST(parse_toml("a = 67_108_864").items.at(0).value == "67108864");
  BOOST_TEST(parse_toml("a = -5").items.at(0).value == "-5");
  BOOST_TEST(parse_toml("a = +5").items.at(0).value == "5");
}

BOOST_AUTO_TEST_CASE(what_is_not_understood_is_an_error_with_its_line) {
  const std::pair<const char*, const char*> cases[] = {
      {"[http]\nport", "line 2: expected [section] or name = value"},
      {"[http", "line 1: expected [section]"},
      {"[[http]]", "line 1: expected [section]"},
      {"[http] port = 1", "line 1: expected [section]"},
      {"[a]\n[b]\n[a]", "line 3: [a] stands in the file twice"},
      {"a.b = 1\n[a]\nb = 2", "line 3: a.b was set in line 1 already"},
      {"a =", "line 1: a has no value"},
      {"= 1", "line 1: expected [section] or name = value"},
      {"a b = 1", "line 1: expected [section] or name = value"},
      {"a. = 1", "line 1: expected [section] or name = value"},
      {"a = \"x", "line 1: a: the string has no closing quote"},
      {"a = \"x\" y", "line 1: a: nothing but a comment may follow the value"},
      {"a = 1 2", "line 1: a: nothing but a comment may follow the value"},
      {"a = \"\\u0041\"", R"(line 1: a: only \" \\ \t \n \r may follow a backslash; '...' takes it as it is)"},
      {"a = \"x\\", R"(line 1: a: only \" \\ \t \n \r may follow a backslash; '...' takes it as it is)"},
      {"a = \"\"\"x\"\"\"", "line 1: a: a string of more than one line is not supported here"},
      {"a = 0.0.0.0", "line 1: a: the value must be a \"text\" in quotes, an integer, true or false"},
      {"a = 1_", "line 1: a: the value must be a \"text\" in quotes, an integer, true or false"},
      {"a = _1", "line 1: a: the value must be a \"text\" in quotes, an integer, true or false"},
      {"a = -", "line 1: a: the value must be a \"text\" in quotes, an integer, true or false"},
      {"a = [1, 2]", "line 1: a: the value must be a \"text\" in quotes, an integer, true or false"},
  };
  for (const auto& [text, error] : cases) BOOST_TEST(parse_toml(text).error == error);
}

BOOST_AUTO_TEST_CASE(blank_and_commented_files_are_empty) {
  for (const char* text : {"", "\n\n", "# x", "  # x\n\t\n"}) {
    const auto f = parse_toml(text);
    BOOST_TEST(f.error == "");
    BOOST_TEST(f.items.empty());
  }
}

BOOST_AUTO_TEST_SUITE_END()
