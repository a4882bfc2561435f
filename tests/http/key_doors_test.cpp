// Key files that change while the server runs.
#include <boost/test/unit_test.hpp>
#include <prometheus/counter.h>

#include <string>

#include "tests/http/server_fixture.hpp"

using namespace adtrack;
using namespace adtrack::tests;

namespace {

std::string bearer(std::string_view token) { return "Authorization: Bearer " + std::string(token) + "\r\n"; }

struct with_ingest_keys : server_fixture {
  temporary_file file{key_line("acme", "one") + key_line("shop", "two")};
  with_ingest_keys() {
    options.ingest_key_file = file.path();
    accept_all();
  }
  int send(raw_client& c, std::string_view token) {
    return c.ask(post("/api/v1/ads/click", R"({"event_id":"e","ad_id":1})", bearer(token))).status;
  }
  double counted(std::string_view door, std::string_view key) { return metrics.key_requests(door, key).Value(); }
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(http_key_doors, with_ingest_keys)

BOOST_AUTO_TEST_CASE(keys_are_rotated_on_an_open_connection) {
  raw_client c(start());
  BOOST_TEST(send(c, "one") == 202);
  file.write(key_line("acme", "three") + key_line("acme", "four") + key_line("shop", "two"));
  server->look_at_files();
  BOOST_TEST(send(c, "one") == 401);
  BOOST_TEST(send(c, "two") == 202);
  BOOST_TEST(send(c, "three") == 202);
  BOOST_TEST(send(c, "four") == 202);
}

BOOST_AUTO_TEST_CASE(a_broken_file_keeps_the_old_keys_and_is_degraded_until_it_is_right) {
  raw_client c(start());
  for (const std::string& bad : {std::string(), std::string("plain-token\n"), key_line("acme", "one") + "shop sha256:12\n"}) {
    file.write(bad);
    server->look_at_files();
    BOOST_TEST_CONTEXT(bad) {
      BOOST_TEST(send(c, "one") == 202);
      BOOST_TEST(send(c, "two") == 202);
      BOOST_TEST(send(c, "plain-token") == 401);
      auto ready = c.ask(get("/readyz"));
      BOOST_TEST(ready.status == 200);
      BOOST_TEST(ready.has("the keys before it stay in force"));
      BOOST_TEST(!ready.has("plain-token"));
    }
  }
  unlink(file.path().c_str());
  server->look_at_files();
  BOOST_TEST(send(c, "one") == 202);
  BOOST_TEST(c.ask(get("/readyz")).has("No such file or directory"));
  file.write(key_line("acme", "one") + key_line("shop", "two")); // as it was at the start
  server->look_at_files();
  BOOST_TEST(send(c, "one") == 202);
  BOOST_TEST(c.ask(get("/readyz")).body == R"({"status":"ready","degraded":[]})");
}

BOOST_AUTO_TEST_CASE(requests_are_counted_by_the_names_of_the_file_only) {
  raw_client c(start());
  send(c, "one");
  send(c, "one");
  send(c, "two");
  send(c, "neither");
  c.ask(get("/admin/v1/quarantine", bearer("one")));
  BOOST_TEST(counted("ingest", "acme") == 2);
  BOOST_TEST(counted("ingest", "shop") == 1);
  BOOST_TEST(counted("admin", "root") == 0);
  auto page = c.ask(get("/metrics")).body;
  BOOST_TEST(page.find("adtrack_key_requests_total{door=\"ingest\",key=\"acme\"} 2") != std::string::npos);
  for (auto secret : {"one\"", "two\"", "neither"}) BOOST_TEST(page.find(secret) == std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_bad_file_refuses_the_start) {
  file.write("plain-token\n");
  BOOST_TEST(http::check(options).find(file.path() + ", line 1") != std::string::npos);
  http::server refused(options, gateway, metrics, [] { return fixture_now_ms; });
  std::string error;
  BOOST_TEST(!refused.start(error));
  BOOST_TEST(error == http::check(options));
}

BOOST_AUTO_TEST_CASE(the_files_are_looked_at_without_being_asked) {
  options.reload_ms = 10;
  raw_client c(start());
  BOOST_TEST(send(c, "one") == 202);
  file.write(key_line("acme", "new"));
  auto until = std::chrono::steady_clock::now() + patience;
  while (send(c, "new") != 202 && std::chrono::steady_clock::now() < until) std::this_thread::yield();
  BOOST_TEST(send(c, "new") == 202);
  BOOST_TEST(send(c, "one") == 401);
}

BOOST_AUTO_TEST_SUITE_END()
