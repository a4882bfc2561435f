// The dashboard's page and files as they are served: whole, with their headers, open to all, and 304 while they are the same.
#include <boost/test/unit_test.hpp>

#include <fstream>
#include <iterator>
#include <string>

#include "http/dashboard_files.hpp"
#include "tests/http/server_fixture.hpp"

using namespace adtrack;
using namespace adtrack::http;
using namespace adtrack::tests;

namespace {

std::string path_of(size_t file) { return file == 0 ? "/" : "/dashboard/" + std::string(dashboard_files[file].name); }

} // namespace

BOOST_FIXTURE_TEST_SUITE(http_dashboard, server_fixture)

BOOST_AUTO_TEST_CASE(every_file_is_served_as_it_stands_with_a_policy_that_lets_in_nothing_else) {
  raw_client c(start());
  BOOST_REQUIRE(dashboard_file_count > 2u);
  for (size_t i = 0; i < dashboard_file_count; ++i) {
    BOOST_TEST_CONTEXT(dashboard_files[i].name) {
      auto r = c.ask(get(path_of(i)));
      BOOST_TEST(r.status == 200);
      BOOST_TEST((r.body == dashboard_files[i].text));
      BOOST_TEST(!r.body.empty());
      BOOST_TEST(r.header("Content-Security-Policy") ==
                 "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
                 "base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
      BOOST_TEST(r.header("X-Content-Type-Options") == "nosniff");
      BOOST_TEST(r.header("Referrer-Policy") == "no-referrer");
      BOOST_TEST(r.header("Cache-Control") == "no-cache");
    }
  }
  BOOST_TEST(c.ask(get("/")).header("Content-Type") == "text/html; charset=utf-8");
  BOOST_TEST(c.ask(get("/?ad=32&last=1h")).status == 200);
  BOOST_TEST(c.ask(get("/dashboard/dashboard.css")).header("Content-Type") == "text/css; charset=utf-8");
  BOOST_TEST(c.ask(get("/dashboard/dashboard.js")).header("Content-Type") == "text/javascript; charset=utf-8");
  BOOST_TEST(c.ask(get("/dashboard/none.js")).status == 404);
  BOOST_TEST(c.ask("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").status == 405);
}

BOOST_AUTO_TEST_CASE(the_program_holds_the_files_as_they_are_in_the_source) {
  for (size_t i = 0; i < dashboard_file_count; ++i) {
    std::ifstream file(std::string(ADTRACK_SOURCE_DIR "/http/dashboard/").append(dashboard_files[i].name));
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    BOOST_TEST_CONTEXT(dashboard_files[i].name) BOOST_TEST((dashboard_files[i].text == text));
  }
}

BOOST_AUTO_TEST_CASE(a_file_that_is_still_the_same_is_304_and_head_is_get_without_the_body) {
  raw_client c(start());
  auto page = c.ask(get("/"));
  const auto tag = page.header("ETag");
  BOOST_REQUIRE(tag.size() > 2u);
  BOOST_TEST(tag.front() == '"'); // strong
  BOOST_TEST(c.ask(get("/dashboard/dashboard.js")).header("ETag") != tag);
  auto same = c.ask(get("/", "If-None-Match: " + tag + "\r\n"));
  BOOST_TEST(same.status == 304);
  BOOST_TEST(same.body.empty());
  BOOST_TEST(same.header("ETag") == tag);
  BOOST_TEST(c.ask(get("/", "If-None-Match: \"other\"\r\n")).status == 200);
  auto head = c.ask("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
  BOOST_TEST(head.status == 200);
  BOOST_TEST(head.header("Content-Length") == std::to_string(page.body.size()));
  BOOST_TEST(head.header("ETag") == tag);
}

BOOST_AUTO_TEST_CASE(with_read_keys_the_page_is_open_and_the_numbers_are_not) {
  temporary_file keys(key_line("reader", "token"));
  options.read_key_file = keys.path();
  raw_client c(start());
  BOOST_TEST(c.ask(get("/")).status == 200);
  BOOST_TEST(c.ask(get("/dashboard/dashboard.js")).status == 200);
  BOOST_TEST(c.ask(get("/api/v1/ads/analytics")).status == 401);
}

BOOST_AUTO_TEST_SUITE_END()
