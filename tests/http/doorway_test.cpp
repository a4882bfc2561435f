// The admin listener, rates and CORS over real sockets.
#include <boost/test/unit_test.hpp>
#include <prometheus/counter.h>

#include <string>
#include <vector>

#include "tests/http/server_fixture.hpp"

using namespace adtrack;
using namespace adtrack::tests;

namespace {

constexpr const char* admin = "Authorization: Bearer secret\r\n";

std::string with_method(std::string_view method, std::string_view path, std::string_view more = "") {
  return std::string(method) + " " + std::string(path) + " HTTP/1.1\r\nHost: x\r\n" + std::string(more) + "\r\n";
}

struct with_admin_listener : server_fixture {
  with_admin_listener() {
    accept_all();
    gateway.on_call = [](const fake_gateway::asked& a) {
      return a.call == "quarantine" ? actors::outcome(quarantine_page{}) : actors::outcome(actors::ads_page{});
    };
    options.admin_host = "127.0.0.1";
    options.admin_port = 0;
  }
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(http_admin_listener, with_admin_listener)

BOOST_AUTO_TEST_CASE(admin_calls_are_there_and_not_on_the_main_one) {
  raw_client outside(start());
  raw_client inside(server->admin_port());
  BOOST_TEST(server->admin_port() != server->port());
  // With the right key: what is not there is not there.
  BOOST_TEST(outside.ask(get("/admin/v1/quarantine", admin)).status == 404);
  BOOST_TEST(outside.ask(with_method("OPTIONS", "/admin/v1/quarantine", admin)).status == 404);
  BOOST_TEST(outside.ask(get("/admin/v1/quarantine/", admin)).status == 404);
  BOOST_TEST(outside.ask(get("/%61dmin/v1/quarantine", admin)).status == 404);
  BOOST_TEST(outside.ask(get("/admin/v1/quarantine", std::string(admin) + "X-Forwarded-For: 127.0.0.1\r\n")).status == 404);
  BOOST_TEST(inside.ask(get("/admin/v1/quarantine", admin)).status == 200);
  BOOST_TEST(inside.ask(get("/admin/v1/quarantine")).status == 401); // a listener of its own is no key
  for (auto [method, path] : {std::pair("POST", "/api/v1/ads"), {"PUT", "/api/v1/ads/1"}, {"DELETE", "/api/v1/ads/1"}}) {
    auto refused = outside.ask(with_method(method, path, std::string(admin) + "Content-Length: 0\r\n"));
    BOOST_TEST(refused.status == 405);
    BOOST_TEST(refused.header("Allow") == "GET, HEAD, OPTIONS");
    BOOST_TEST(inside.ask(with_method(method, path, "Content-Length: 0\r\n")).status == 401);
  }
  BOOST_TEST(gateway.calls(1).size() == 1u);
  BOOST_TEST(outside.ask(with_method("OPTIONS", "/api/v1/ads")).header("Allow") == "GET, HEAD, OPTIONS");
  BOOST_TEST(inside.ask(with_method("OPTIONS", "/api/v1/ads")).header("Allow") == "GET, HEAD, POST, OPTIONS");
}

BOOST_AUTO_TEST_CASE(everything_else_is_on_both) {
  raw_client outside(start());
  raw_client inside(server->admin_port());
  for (auto* c : {&outside, &inside}) {
    for (auto path : {"/metrics", "/healthz", "/readyz", "/api/v1/ads"}) BOOST_TEST(c->ask(get(path)).status == 200);
    BOOST_TEST(c->ask(click("e")).status == 202);
  }
}

BOOST_AUTO_TEST_CASE(a_full_main_listener_does_not_keep_an_operator_out) {
  options.max_connections = 2;
  options.admin_max_connections = 1;
  uint16_t port = start();
  raw_client a(port), b(port);
  BOOST_TEST(a.ask(get("/healthz")).status == 200);
  BOOST_TEST(b.ask(get("/healthz")).status == 200);
  raw_client c(port);
  BOOST_TEST(c.read().status == 503);
  raw_client caller(server->admin_port());
  BOOST_TEST(caller.ask(get("/readyz")).status == 200);
  raw_client second(server->admin_port());
  BOOST_TEST(second.read().status == 503);
  caller.reset();
  a.reset();
  b.reset();
  BOOST_TEST(server->drain(patience));
  BOOST_TEST(server->connections() == 0u);
}

BOOST_AUTO_TEST_CASE(a_taken_admin_port_refuses_the_start) {
  uint16_t port = start();
  auto again = options;
  again.admin_port = port;
  http::server second(again, gateway, metrics, [] { return fixture_now_ms; });
  std::string error;
  BOOST_TEST(!second.start(error));
  BOOST_TEST(error.find("127.0.0.1:" + std::to_string(port)) != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(http_rates, server_fixture)

BOOST_AUTO_TEST_CASE(a_key_s_rate_is_429_with_retry_after_and_does_not_touch_another_key) {
  temporary_file keys(key_line("acme", "one") + key_line("acme", "new") + key_line("shop", "two"));
  options.ingest_key_file = keys.path();
  options.rates.key = {1, 3};
  accept_all();
  raw_client c(start());
  auto send = [&](std::string_view token) {
    return c.ask(
        post("/api/v1/ads/click", R"({"event_id":"e","ad_id":1})", "Authorization: Bearer " + std::string(token) + "\r\n"));
  };
  for (int i = 0; i < 3; ++i) BOOST_TEST(send("one").status == 202);
  auto r = send("new"); // the same client, changing its token
  BOOST_TEST(r.status == 429);
  BOOST_TEST(r.header("Retry-After") == "1");
  BOOST_TEST(r.header("Content-Type") == "application/problem+json");
  BOOST_TEST(r.has("urn:adtrack:problem:rate-limited"));
  BOOST_TEST(send("two").status == 202);
  BOOST_TEST(send("wrong").status == 401);
  BOOST_TEST(metrics.events_rejected("rate").Value() == 1);
  BOOST_TEST(gateway.items(4).size() == 4u);
  // A new file with the same name does not fill its bucket.
  keys.write(key_line("acme", "third"));
  server->look_at_files();
  BOOST_TEST(send("third").status == 429);
}

BOOST_AUTO_TEST_CASE(an_address_has_its_rate_behind_a_trusted_proxy_too) {
  options.rates.address = {1, 2};
  options.trusted_proxies = {"127.0.0.1"};
  accept_all();
  raw_client c(start());
  auto send = [&](std::string_view forwarded) {
    return c
        .ask(post("/api/v1/ads/click", R"({"event_id":"e","ad_id":1})", "X-Forwarded-For: " + std::string(forwarded) + "\r\n"))
        .status;
  };
  BOOST_TEST(send("9.9.9.9") == 202);
  BOOST_TEST(send("8.8.8.8, 9.9.9.9") == 202);
  BOOST_TEST(send("7.7.7.7, 9.9.9.9") == 429); // the client's own entries do not make it another one
  BOOST_TEST(send("9.9.9.8") == 202);
  BOOST_TEST(c.ask(get("/healthz", "X-Forwarded-For: 9.9.9.9\r\n")).status == 200); // events only
}

BOOST_AUTO_TEST_CASE(all_loops_share_a_bucket) {
  options.loops = 4;
  options.rates.address = {1, 20};
  accept_all();
  uint16_t port = start();
  std::vector<std::unique_ptr<raw_client>> clients;
  for (int i = 0; i < 8; ++i) clients.push_back(std::make_unique<raw_client>(port));
  int accepted = 0;
  for (int i = 0; i < 80; ++i) accepted += clients[static_cast<size_t>(i % 8)]->ask(click("e")).status == 202 ? 1 : 0;
  BOOST_TEST(accepted >= 20);
  BOOST_TEST(accepted <= 30); // a second or more may have passed on a busy machine
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(http_cors_answers, server_fixture)

BOOST_AUTO_TEST_CASE(a_preflight_is_answered_for_a_listed_origin) {
  options.cors_origins = {"https://shop.example", "http://localhost:3000"};
  options.cors_max_age_secs = 77;
  raw_client c(start());
  const std::string asks =
      "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: content-type, authorization\r\n";
  auto r = c.ask(with_method("OPTIONS", "/api/v1/ads/click", "Origin: https://shop.example\r\n" + asks));
  BOOST_TEST(r.status == 204);
  BOOST_TEST(r.header("Access-Control-Allow-Origin") == "https://shop.example");
  BOOST_TEST(r.header("Access-Control-Allow-Methods") == "POST, OPTIONS");
  BOOST_TEST(r.header("Access-Control-Allow-Headers") ==
             "Authorization, Content-Type, Content-Encoding, If-Match, If-None-Match, X-Request-Id");
  BOOST_TEST(r.header("Access-Control-Max-Age") == "77");
  BOOST_TEST(r.header("Vary") == "Origin");
  BOOST_TEST(r.header("Access-Control-Allow-Credentials").empty());
  r = c.ask(with_method("OPTIONS", "/api/v1/ads/click", "Origin: https://evil.example\r\n" + asks));
  BOOST_TEST(r.status == 204);
  BOOST_TEST(r.head.find("Access-Control-") == std::string::npos);
  BOOST_TEST(r.header("Vary") == "Origin");
  r = c.ask(with_method("OPTIONS", "/api/v1/ads/click", "Origin: https://shop.example\r\n")); // no preflight
  BOOST_TEST(r.header("Access-Control-Allow-Methods").empty());
}

BOOST_AUTO_TEST_CASE(every_kind_of_answer_carries_the_headers) {
  options.cors_origins = {"https://shop.example"};
  options.rates.address = {1, 1};
  accept_all();
  gateway.on_call = [](const fake_gateway::asked&) { return actors::outcome(actors::ads_page{}); };
  uint16_t port = start();
  const std::string origin = "Origin: https://shop.example\r\n";
  const std::string event = R"({"event_id":"e","ad_id":1})";
  struct wanted {
    std::string request;
    int status;
  };
  for (const auto& [request, status] : {wanted{post("/api/v1/ads/click", event, origin, "text/plain"), 202},
                                        {post("/api/v1/ads/click", event, origin), 429},
                                        {get("/api/v1/ads", origin), 200},
                                        {get("/api/v1/ads?page=0", origin), 400},
                                        {get("/nope", origin), 404},
                                        {get("/admin/v1/quarantine", origin), 401},
                                        {with_method("PATCH", "/healthz", origin), 405},
                                        {post("/api/v1/ads/click", std::string(70'000, 'a'), origin), 413}}) {
    raw_client c(port);
    auto r = c.ask(request);
    BOOST_TEST_CONTEXT(status) {
      BOOST_TEST(r.status == status);
      BOOST_TEST(r.header("Access-Control-Allow-Origin") == "https://shop.example");
      BOOST_TEST(
          r.header("Access-Control-Expose-Headers").starts_with("X-Request-Id, Retry-After, ETag, Location, Adtrack-Total"));
      BOOST_TEST(r.header("Vary") == "Origin");
    }
  }
}

BOOST_AUTO_TEST_CASE(without_origins_nothing_changes) {
  accept_all();
  raw_client c(start());
  for (const auto& request :
       {post("/api/v1/ads/click", R"({"event_id":"e","ad_id":1})", "Origin: https://shop.example\r\n"),
        with_method("OPTIONS", "/api/v1/ads/click", "Origin: https://a\r\nAccess-Control-Request-Method: POST\r\n")}) {
    auto r = c.ask(request);
    BOOST_TEST(r.head.find("Access-Control-") == std::string::npos);
    BOOST_TEST(r.head.find("Vary") == std::string::npos);
  }
}

BOOST_AUTO_TEST_CASE(a_bad_origin_refuses_the_start) {
  options.cors_origins = {"shop.example"};
  BOOST_TEST(http::check(options).find("cors.origins: \"shop.example\"") == 0u);
}

BOOST_AUTO_TEST_SUITE_END()
