#include "http/query_string.hpp"

#include <boost/test/unit_test.hpp>

using namespace adtrack::http;

namespace {

std::string show(std::string_view text) {
  std::vector<query_parameter> parameters;
  std::string error;
  if (!parse_query_string(text, parameters, error)) return "error";
  std::string out;
  for (const auto& p : parameters) out += "[" + p.name + "=" + p.value + "]";
  return out;
}

} // namespace

BOOST_AUTO_TEST_SUITE(http_query_string)

BOOST_AUTO_TEST_CASE(names_and_values_are_decoded) {
  BOOST_TEST(show("a=1&b=x%20y+z&a=%C3%A9") == "[a=1][b=x y z][a=é]");
  BOOST_TEST(show("a&b=&c==d&%61=1") == "[a=][b=][c==d][a=1]");
  BOOST_TEST(show("") == "");
  BOOST_TEST(show("&&a=1&") == "[a=1]");
}

BOOST_AUTO_TEST_CASE(broken_escapes_are_errors) {
  for (auto bad : {"a=%", "a=%4", "a=%zz", "%g1=1", "a=%%41", "a=1%"}) BOOST_TEST_CONTEXT(bad) BOOST_TEST(show(bad) == "error");
}

BOOST_AUTO_TEST_CASE(what_is_not_text_is_an_error) {
  for (auto bad : {"a=%00", "a=%ff", "a=%c3", "%ed%a0%80=1", "=1"}) BOOST_TEST_CONTEXT(bad) BOOST_TEST(show(bad) == "error");
}

BOOST_AUTO_TEST_CASE(the_number_of_parameters_is_bounded) {
  std::string many;
  for (size_t i = 0; i < query_parameters_max; ++i) many += "a&";
  BOOST_TEST(show(many) != "error");
  BOOST_TEST(show(many + "a") == "error");
}

BOOST_AUTO_TEST_SUITE_END()
