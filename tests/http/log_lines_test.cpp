#include "http/log_lines.hpp"

#include <boost/test/unit_test.hpp>

using namespace adtrack;
using namespace adtrack::http;

namespace {

std::string rendered(std::string value) {
  log_page page;
  page.lines.push_back({1, 0, std::move(value)});
  std::string out;
  render_log_page(out, page);
  const std::string head = R"({"offset":1,"time":"1970-01-01T00:00:00.000Z",)";
  BOOST_REQUIRE(out.substr(0, head.size()) == head);
  BOOST_REQUIRE(out.substr(out.size() - 2) == "}\n");
  return out.substr(head.size(), out.size() - head.size() - 2);
}

} // namespace

BOOST_AUTO_TEST_SUITE(log_lines)

BOOST_AUTO_TEST_CASE(an_object_on_one_line_stands_as_it_is) {
  for (std::string value : {R"({})", R"({ "a" : [1, {"b":"}\n"}] })", R"({"a":1,"a":2})", "{\"a\":\"\xc3\xa9\"}"})
    BOOST_TEST(rendered(value) == "\"record\":" + value);
}

BOOST_AUTO_TEST_CASE(what_would_break_its_line_or_is_no_object_is_in_base64) {
  BOOST_TEST(rendered("") == R"("base64":"")");
  BOOST_TEST(rendered("{\"a\":\n1}") == R"("base64":"eyJhIjoKMX0=")");
  BOOST_TEST(rendered("{}\r") == R"("base64":"e30N")");
  BOOST_TEST(rendered(" {}") == R"("base64":"IHt9")");
  BOOST_TEST(rendered("{},{}") == R"("base64":"e30se30=")");
  BOOST_TEST(rendered("{\"a\":\"\xff\"}") == R"("base64":"eyJhIjoi/yJ9")");
  BOOST_TEST(rendered(std::string("{\"a\":\0}", 7)) == R"("base64":"eyJhIjoAfQ==")");
  BOOST_TEST(rendered("[1]") == R"("base64":"WzFd")");
}

BOOST_AUTO_TEST_SUITE_END()
