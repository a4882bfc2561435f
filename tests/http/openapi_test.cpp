// The OpenAPI document against the route table and the problems: nothing is missing, nothing is invented.
#include <boost/test/unit_test.hpp>

#include <nlohmann/json.hpp>

#include <set>
#include <string>

#include "http/openapi.hpp"
#include "http/problem.hpp"
#include "http/route_table.hpp"
#include "tests/http/server_fixture.hpp"

using namespace adtrack;
using namespace adtrack::http;
using namespace adtrack::tests;
using nlohmann::json;

namespace {

void each_reference(const json& at, const std::function<void(const std::string&)>& visit) {
  if (at.is_object() && at.contains("$ref")) visit(at["$ref"].get<std::string>());
  if (at.is_structured())
    for (const auto& child : at) each_reference(child, visit);
}

std::string lower(std::string text) {
  for (auto& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(http_openapi, server_fixture)

BOOST_AUTO_TEST_CASE(it_is_served_as_it_stands) {
  raw_client c(start());
  auto r = c.ask(get("/openapi.json"));
  BOOST_TEST(r.status == 200);
  BOOST_TEST(r.header("Content-Type") == "application/json");
  BOOST_TEST((r.body == openapi_document));
  BOOST_TEST(json::parse(r.body).at("openapi") == "3.1.0");
}

BOOST_AUTO_TEST_CASE(every_route_and_method_is_described_and_no_other) {
  const auto paths = json::parse(openapi_document).at("paths");
  std::set<std::string> described, routed;
  for (const auto& [path, item] : paths.items())
    for (const auto& [method, operation] : item.items())
      if (method != "parameters") described.insert(method + " " + path);
  for (size_t i = 1; i < route_count; ++i) {
    const auto where = static_cast<route>(i);
    for (size_t m = 0; m < http_method_count; ++m) {
      const auto method = static_cast<http_method>(m);
      // Said of all in the document's first words.
      if (method == http_method::head || method == http_method::options || !allows(where, method, true)) continue;
      routed.insert(lower(std::string(to_string(method))) + " " + std::string(pattern(where)));
    }
  }
  BOOST_TEST(described == routed, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(every_operation_has_a_name_an_example_of_its_body_and_its_errors) {
  const auto document = json::parse(openapi_document);
  std::set<std::string> names;
  for (const auto& [path, item] : document.at("paths").items()) {
    for (const auto& [method, operation] : item.items()) {
      if (method == "parameters") continue;
      BOOST_TEST(names.insert(operation.at("operationId").get<std::string>()).second);
      BOOST_TEST(operation.at("responses").contains("default"));
      if (operation.contains("requestBody"))
        BOOST_TEST(operation.at("requestBody").at("content").at("application/json").contains("examples"), path);
    }
  }
}

BOOST_AUTO_TEST_CASE(every_kind_of_problem_is_named_and_no_other) {
  const auto document = json::parse(openapi_document);
  std::set<std::string> named, known;
  for (const auto& type : document.at("/components/schemas/Problem/properties/type/enum"_json_pointer)) named.insert(type);
  for (int k = 0; k <= static_cast<int>(problem_kind::version_not_supported); ++k)
    known.insert("urn:adtrack:problem:" + std::string(slug(static_cast<problem_kind>(k))));
  BOOST_TEST(named == known, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(every_reference_leads_somewhere) {
  const auto document = json::parse(openapi_document);
  each_reference(document, [&](const std::string& reference) {
    BOOST_REQUIRE(reference.substr(0, 2) == "#/");
    BOOST_TEST(document.contains(json::json_pointer(reference.substr(1))), reference);
  });
}

BOOST_AUTO_TEST_SUITE_END()
