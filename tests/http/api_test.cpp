// Every route over a real socket: statuses, headers and bodies as the contract has them.
#include <boost/test/unit_test.hpp>

#include <string>

#include "tests/http/server_fixture.hpp"

using namespace adtrack;
using namespace adtrack::tests;

namespace {

constexpr const char* admin = "Authorization: Bearer secret\r\n";

ad sample_ad() {
  ad a;
  a.id = 12;
  a.version = 11;
  a.fields.title = "T";
  a.fields.url = "http://x/";
  return a;
}

std::string with_method(std::string_view method, std::string_view path, std::string_view more = "") {
  return std::string(method) + " " + std::string(path) + " HTTP/1.1\r\nHost: x\r\n" + std::string(more) + "\r\n";
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(http_api, server_fixture)

BOOST_AUTO_TEST_CASE(problems_have_the_shape_of_rfc_9457_and_name_every_field) {
  raw_client c(start());
  auto r = c.ask(post("/api/v1/ads/click", R"({"ad_id":"11"})", "X-Request-Id: my-id.1\r\n"));
  BOOST_TEST(r.status == 400);
  BOOST_TEST(r.header("Content-Type") == "application/problem+json");
  BOOST_TEST(r.header("X-Request-Id") == "my-id.1");
  BOOST_TEST(
      r.body ==
      R"({"type":"urn:adtrack:problem:validation","title":"The request is not valid","status":400,)"
      R"("detail":"One or more fields are not valid; see errors.","request_id":"my-id.1","errors":[)"
      R"({"field":"ad_id","message":"must be an integer from 1 to 9007199254740991"},{"field":"event_id","message":"is required"}]})");
}

BOOST_AUTO_TEST_CASE(every_answer_is_dated) {
  accept_all();
  raw_client c(start());
  for (const auto& request : {click("e"), get("/healthz"), get("/nope"), std::string("x\n")})
    BOOST_TEST(c.ask(request).header("Date") == "Tue, 22 Jul 2025 16:16:12 GMT");
}

BOOST_AUTO_TEST_CASE(a_request_id_that_is_not_harmless_is_replaced) {
  raw_client c(start());
  for (const auto& bad :
       {std::string("a b"), std::string("a\"b"), std::string("a%0d%0aSet-Cookie"), std::string(129, 'a'), std::string()}) {
    auto id = c.ask(get("/healthz", "X-Request-Id: " + bad + "\r\n")).header("X-Request-Id");
    BOOST_TEST(id.size() == 15u);
  }
  BOOST_TEST(c.ask(get("/healthz")).header("X-Request-Id") != c.ask(get("/healthz")).header("X-Request-Id"));
}

BOOST_AUTO_TEST_CASE(content_types_and_encodings_are_checked) {
  accept_all();
  raw_client c(start());
  const std::string body = R"({"event_id":"e","ad_id":1})";
  for (auto good : {"application/json", "Application/JSON; charset=utf-8", "text/plain", "text/plain;charset=UTF-8"})
    BOOST_TEST_CONTEXT(good) BOOST_TEST(c.ask(post("/api/v1/ads/click", body, "", good)).status == 202);
  for (auto bad : {"", "application/x-www-form-urlencoded", "application/jsonp", "json", "text/html"})
    BOOST_TEST_CONTEXT(bad) BOOST_TEST(c.ask(post("/api/v1/ads/click", body, "", bad)).status == 415);
  BOOST_TEST(c.ask("POST /api/v1/ads/click HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").status == 415);
  BOOST_TEST(c.ask(post("/api/v1/ads/click", body, "Content-Encoding: gzip\r\n")).status == 415);
  BOOST_TEST(c.ask(post("/api/v1/ads/click", body, "Content-Encoding: identity\r\n")).status == 202);
}

BOOST_AUTO_TEST_CASE(unknown_paths_are_404_and_other_methods_405_with_allow) {
  raw_client c(start());
  auto none = c.ask(get("/nope"));
  BOOST_TEST(none.status == 404);
  BOOST_TEST(none.header("Content-Type") == "application/problem+json");
  auto r = c.ask(get("/api/v1/ads/click"));
  BOOST_TEST(r.status == 405);
  BOOST_TEST(r.header("Allow") == "POST, OPTIONS");
  BOOST_TEST(r.has("urn:adtrack:problem:method-not-allowed"));
  BOOST_TEST(c.ask(with_method("DELETE", "/healthz")).status == 405);
  BOOST_TEST(c.ask(with_method("TRACE", "/healthz")).status == 405);
  BOOST_TEST(c.ask(with_method("PATCH", "/api/v1/ads/1")).status == 405);
}

BOOST_AUTO_TEST_CASE(options_says_what_is_allowed) {
  raw_client c(start());
  auto r = c.ask(with_method("OPTIONS", "/api/v1/ads/7"));
  BOOST_TEST(r.status == 204);
  BOOST_TEST(r.header("Allow") == "GET, HEAD, PUT, DELETE, OPTIONS");
  BOOST_TEST(r.header("Content-Length").empty());
  BOOST_TEST(c.ask(with_method("OPTIONS", "*")).status == 204);
  BOOST_TEST(c.ask(with_method("OPTIONS", "/nope")).status == 404);
}

BOOST_AUTO_TEST_CASE(head_is_get_without_the_body) {
  gateway.on_call = [](const fake_gateway::asked&) { return actors::outcome(std::make_shared<const analytics_answer>()); };
  raw_client c(start());
  for (auto path : {"/healthz", "/readyz", "/metrics", "/api/v1/ads/analytics", "/nope"}) {
    auto r = c.ask(with_method("HEAD", path));
    BOOST_TEST_CONTEXT(path) {
      BOOST_TEST(r.status == (path == std::string("/nope") ? 404 : 200));
      BOOST_TEST(std::stoul(r.header("Content-Length")) > 0u);
    }
  }
  BOOST_TEST(c.ask(get("/healthz")).body == R"({"status":"ok"})"); // no body of a HEAD stands in the way
}

BOOST_AUTO_TEST_CASE(absolute_targets_work) {
  raw_client c(start());
  BOOST_TEST(c.ask(get("http://x/healthz")).status == 200);
  BOOST_TEST(c.ask(get("/healthz?a=b")).status == 200);
}

BOOST_AUTO_TEST_CASE(a_query_is_asked_and_rendered) {
  gateway.on_call = [](const fake_gateway::asked&) {
    auto answer = std::make_shared<analytics_answer>();
    answer->total = 3;
    return actors::outcome(actors::analytics_result(answer));
  };
  raw_client c(start());
  auto r = c.ask(get("/api/v1/ads/analytics?ad_id=32&since=2025-01-01&limit=7&min_position=1:2"));
  BOOST_TEST(r.status == 200);
  BOOST_TEST(r.has("\"total\":3"));
  BOOST_TEST(!r.has("positions"));
  auto q = gateway.calls(1)[0].query;
  BOOST_TEST(q.limit == 7u);
  BOOST_TEST(q.ad_ids.size() == 1u);
  auto bad = c.ask(get("/api/v1/ads/analytics?limit=0&foo=1"));
  BOOST_TEST(bad.status == 400);
  BOOST_TEST(bad.has("\"field\":\"limit\""));
  BOOST_TEST(bad.has("\"field\":\"foo\""));
  BOOST_TEST(c.ask(get("/api/v1/ads/analytics?a=%zz")).status == 400);
}

BOOST_AUTO_TEST_CASE(each_failure_has_its_status) {
  actors::failure why{};
  gateway.on_call = [&](const fake_gateway::asked&) { return actors::outcome(actors::failed{why, "because"}); };
  gateway.on_item = [&](const actors::ingest_item&) { return actors::outcome(actors::failed{why, "because"}); };
  raw_client c(start());
  using f = actors::failure;
  for (auto [w, status] : {std::pair(f::overloaded, 503), std::pair(f::not_durable, 503), std::pair(f::timed_out, 503),
                           std::pair(f::stopping, 503), std::pair(f::clock_jumped, 503), std::pair(f::unknown_ad, 400)}) {
    why = w;
    auto r = c.ask(click("e"));
    BOOST_TEST_CONTEXT(static_cast<int>(w)) {
      BOOST_TEST(r.status == status);
      BOOST_TEST(r.header("Retry-After") == (status == 503 ? "1" : ""));
      BOOST_TEST(r.has("because"));
    }
  }
  why = f::timed_out;
  BOOST_TEST(c.ask(get("/api/v1/ads/analytics")).status == 503);
  BOOST_TEST(c.ask(get("/api/v1/ads/analytics?min_position=1:1")).status == 504);
  why = f::position_not_reached;
  BOOST_TEST(c.ask(get("/api/v1/ads/analytics?min_position=1:1")).status == 504);
  why = f::no_such_shard;
  auto wrong = c.ask(get("/api/v1/ads/analytics?min_position=99:1"));
  BOOST_TEST(wrong.status == 400);
  BOOST_TEST(wrong.has("urn:adtrack:problem:validation"));
  BOOST_TEST(wrong.has(R"("errors":[{"field":"min_position","message":"because"}])"));
  why = f::no_series;
  wrong = c.ask(get("/api/v1/ads/analytics?granularity=second"));
  BOOST_TEST(wrong.status == 400);
  BOOST_TEST(wrong.has(R"("errors":[{"field":"granularity","message":"because"}])"));
  why = f::not_found;
  BOOST_TEST(c.ask(get("/api/v1/ads/5")).status == 404);
  why = f::precondition_failed;
  BOOST_TEST(c.ask(with_method("DELETE", "/api/v1/ads/5", admin)).status == 412);
}

BOOST_AUTO_TEST_CASE(analytics_come_as_csv_for_a_parameter_or_an_accept_header) {
  gateway.on_call = [](const fake_gateway::asked&) { return actors::outcome(std::make_shared<const analytics_answer>()); };
  raw_client c(start());
  for (const auto& r :
       {c.ask(get("/api/v1/ads/analytics?format=csv")), c.ask(get("/api/v1/ads/analytics", "Accept: text/csv\r\n"))}) {
    BOOST_TEST(r.status == 200);
    BOOST_TEST(r.header("Content-Type") == "text/csv; charset=utf-8; header=present");
    BOOST_TEST(r.header("Adtrack-Total") == "0");
    BOOST_TEST(r.header("Vary") == "Accept");
    BOOST_TEST(r.body.starts_with("ad_id,click_count,"));
  }
  auto json = c.ask(get("/api/v1/ads/analytics?format=json", "Accept: text/csv\r\n"));
  BOOST_TEST(json.header("Content-Type") == "application/json");
  BOOST_TEST(c.ask(get("/api/v1/ads/analytics?format=csv&explain=true")).has(R"("field":"explain")"));
}

BOOST_AUTO_TEST_CASE(an_answer_that_the_client_has_is_304) {
  int64_t applied = 5;
  gateway.on_call = [&](const fake_gateway::asked&) {
    auto answer = std::make_shared<analytics_answer>();
    answer->shards.resize(1);
    answer->shards[0].applied = applied;
    return actors::outcome(actors::analytics_result(answer));
  };
  raw_client c(start());
  const auto tag = c.ask(get("/api/v1/ads/analytics")).header("ETag");
  BOOST_TEST(tag.starts_with("W/\""));
  auto ask = [&](const std::string& tags) { return c.ask(get("/api/v1/ads/analytics", "If-None-Match: " + tags + "\r\n")); };
  for (const auto& same : {tag, "\"x\", " + tag, std::string("*")}) {
    auto r = ask(same);
    BOOST_TEST(r.status == 304);
    BOOST_TEST(r.body.empty());
    BOOST_TEST(r.header("ETag") == tag);
  }
  BOOST_TEST(ask("\"x\"").status == 200);
  ++applied;
  BOOST_TEST(ask(tag).status == 200);
}

BOOST_AUTO_TEST_CASE(an_outcome_of_another_kind_is_500_and_not_a_crash) {
  gateway.on_call = [](const fake_gateway::asked&) { return actors::outcome(actors::ingested{}); };
  raw_client c(start());
  BOOST_TEST(c.ask(get("/api/v1/ads/5")).status == 500);
}

BOOST_AUTO_TEST_CASE(ads_are_listed_with_and_without_a_slash) {
  gateway.on_call = [](const fake_gateway::asked&) { return actors::outcome(actors::ads_page{{sample_ad()}, 1}); };
  raw_client c(start());
  for (auto path : {"/api/v1/ads?page=1&limit=10", "/api/v1/ads/?page=1&limit=10"}) {
    auto r = c.ask(get(path));
    BOOST_TEST(r.status == 200);
    BOOST_TEST(r.has(R"("pagination":{"page":1,"limit":10,"total":1,"total_pages":1})"));
  }
  BOOST_TEST(c.ask(get("/api/v1/ads?limit=101")).status == 400);
}

BOOST_AUTO_TEST_CASE(an_ad_carries_its_etag_and_if_none_match_gives_304) {
  gateway.on_call = [](const fake_gateway::asked&) { return actors::outcome(sample_ad()); };
  raw_client c(start());
  BOOST_TEST(c.ask(get("/api/v1/ads/12")).header("ETag") == "\"11\"");
  auto r = c.ask(get("/api/v1/ads/12", "If-None-Match: \"11\"\r\n"));
  BOOST_TEST(r.status == 304);
  BOOST_TEST(r.header("ETag") == "\"11\"");
  BOOST_TEST(c.ask(get("/api/v1/ads/12", "If-None-Match: \"10\"\r\n")).status == 200);
}

BOOST_AUTO_TEST_CASE(writes_need_the_admin_key_and_answer_as_the_contract_says) {
  gateway.on_call = [](const fake_gateway::asked&) { return actors::outcome(actors::ad_written{sample_ad()}); };
  raw_client c(start());
  const std::string body = R"({"title":"T","url":"http://x/"})";
  auto refused = c.ask(post("/api/v1/ads", body));
  BOOST_TEST(refused.status == 401);
  BOOST_TEST(refused.header("WWW-Authenticate") == "Bearer realm=\"adtrack\"");
  BOOST_TEST(c.ask(post("/api/v1/ads", body, "Authorization: Bearer secre\r\n")).status == 401);
  auto made = c.ask(post("/api/v1/ads/", body, admin));
  BOOST_TEST(made.status == 201);
  BOOST_TEST(made.header("Location") == "/api/v1/ads/12");
  BOOST_TEST(made.header("ETag") == "\"11\"");
  BOOST_TEST(c.ask(post("/api/v1/ads", "{}", admin)).status == 400);
  BOOST_TEST(c.ask(post("/api/v1/ads", body, admin, "text/plain")).status == 415);
  std::string put = post("/api/v1/ads/12", body, std::string(admin) + "If-Match: \"11\"\r\n");
  BOOST_TEST(c.ask("PUT" + put.substr(4)).status == 200);
  BOOST_TEST(gateway.calls(2)[1].if_match == "\"11\"");
  put = post("/api/v1/ads/12", body, std::string(admin) + "If-Match: 11\r\n");
  BOOST_TEST(c.ask("PUT" + put.substr(4)).status == 400);
  auto gone = c.ask(with_method("DELETE", "/api/v1/ads/12", admin));
  BOOST_TEST(gone.status == 204);
  BOOST_TEST(gone.body.empty());
}

BOOST_AUTO_TEST_CASE(what_the_spool_holds_is_listed_released_and_removed_with_the_admin_key) {
  gateway.on_call = [](const fake_gateway::asked& a) {
    held_page page;
    page.what = a.held.what;
    if (page.what == held_action::list) page.records = {{5, 1'753'200'972'879, 7, R"({"v":1})"}};
    page.next = page.what == held_action::list ? 6 : -1;
    page.total = 3;
    page.done = 2;
    return actors::outcome(page);
  };
  raw_client c(start());
  for (auto call :
       {"GET /admin/v1/spool/held", "DELETE /admin/v1/spool/held?below=1", "POST /admin/v1/spool/held/release?below=1"})
    BOOST_TEST_CONTEXT(call)
  BOOST_TEST(c.ask(std::string(call) + " HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").status == 401);
  const auto ask = [&](const std::string& call) {
    return c.ask(call + " HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n" + admin + "\r\n");
  };
  auto r = ask("GET /admin/v1/spool/held?from=5&max=1");
  BOOST_TEST(r.status == 200);
  BOOST_TEST(
      r.body ==
      R"({"data":[{"position":5,"accepted":"2025-07-22T16:16:12.879Z","shard":7,"value":"{\"v\":1}"}],"total":3,"next":6})");
  BOOST_TEST(ask("DELETE /admin/v1/spool/held?below=9").body == R"({"removed":2,"total":3})");
  BOOST_TEST(ask("POST /admin/v1/spool/held/release?below=8").body == R"({"released":2,"total":3})");
  const auto asked = gateway.calls(3);
  BOOST_REQUIRE_EQUAL(asked.size(), 3u);
  BOOST_TEST(asked[0].held.from == 5);
  BOOST_TEST(asked[0].held.max == 1u);
  BOOST_TEST((asked[1].held.what == held_action::remove));
  BOOST_TEST(asked[1].held.below == 9);
  BOOST_TEST((asked[2].held.what == held_action::release));
  BOOST_TEST(asked[2].held.below == 8);
  for (auto bad :
       {"GET /admin/v1/spool/held?max=0", "GET /admin/v1/spool/held?below=1", "DELETE /admin/v1/spool/held",
        "DELETE /admin/v1/spool/held?below=-1", "POST /admin/v1/spool/held/release", "POST /admin/v1/spool/held/release?from=1"})
    BOOST_TEST_CONTEXT(bad) BOOST_TEST(ask(bad).status == 400);
}

BOOST_AUTO_TEST_CASE(checkpoints_are_made_with_the_admin_key) {
  gateway.on_call = [](const fake_gateway::asked& a) -> actors::outcome {
    if (a.call == "checkpoint_shard") return shard_checkpoint{7, 12, "0f", "/data/checkpoints/shard-7/12"};
    if (a.call == "checkpoint_log") return log_checkpoint{"/data/checkpoints/log/3", {4, 0}};
    return actors::failed{};
  };
  raw_client c(start());
  const auto ask = [&](const std::string& path, const std::string& key) {
    return c.ask("POST " + path + " HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n" + key + "\r\n");
  };
  BOOST_TEST(ask("/admin/v1/shards/7/checkpoint", "").status == 401);
  BOOST_TEST(ask("/admin/v1/log/checkpoint", "").status == 401);
  auto r = ask("/admin/v1/shards/7/checkpoint", admin);
  BOOST_TEST(r.status == 200);
  BOOST_TEST(r.body == R"({"shard":7,"offset":12,"digest":"0f","path":"/data/checkpoints/shard-7/12"})");
  BOOST_TEST(ask("/admin/v1/log/checkpoint", admin).body == R"({"path":"/data/checkpoints/log/3","ends":{"0":4,"1":0}})");
  BOOST_TEST(gateway.calls(1)[0].id == 7u);
  BOOST_TEST(c.ask(get("/admin/v1/log/checkpoint", admin)).status == 405);
  gateway.on_call = [](const fake_gateway::asked&) {
    return actors::outcome(actors::failed{actors::failure::cannot, "in Kafka"});
  };
  r = ask("/admin/v1/log/checkpoint", admin);
  BOOST_TEST(r.status == 409);
  BOOST_TEST(r.body.find("in Kafka") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(the_quarantine_is_asked_for_with_the_admin_key) {
  gateway.on_call = [](const fake_gateway::asked&) { return actors::outcome(quarantine_page{{}, 3, true, {7, 130}}); };
  raw_client c(start());
  BOOST_TEST(c.ask(get("/admin/v1/quarantine")).status == 401);
  auto r = c.ask(get("/admin/v1/quarantine?from=7:123&source=inbox&max=1000", admin));
  BOOST_TEST(r.status == 200);
  BOOST_TEST(r.body == R"({"data":[],"total":3,"next":"7:130"})");
  BOOST_TEST(c.ask(get("/admin/v1/quarantine", admin)).status == 200);
  const auto asked = gateway.calls(2);
  BOOST_REQUIRE(asked.size() == 2u);
  BOOST_TEST((asked[0].quarantine.source == quarantine_source::inbox));
  BOOST_TEST(to_string(asked[0].quarantine.from) == "7:123");
  BOOST_TEST(asked[0].quarantine.max == 1'000u);
  BOOST_TEST((asked[1].quarantine.source == quarantine_source::events));
  BOOST_TEST(to_string(asked[1].quarantine.from) == "0:0");
  BOOST_TEST(asked[1].quarantine.max == 100u);
  for (auto bad : {"max=0", "max=1001", "max=1&max=2", "from=7", "from=7:x", "source=log", "page=1"})
    BOOST_TEST_CONTEXT(bad) BOOST_TEST(c.ask(get("/admin/v1/quarantine?" + std::string(bad), admin)).status == 400);
  gateway.on_call = [](const fake_gateway::asked&) {
    return actors::outcome(actors::failed{actors::failure::not_found, "this node keeps no quarantine"});
  };
  BOOST_TEST(c.ask(get("/admin/v1/quarantine", admin)).status == 404);
}

BOOST_AUTO_TEST_CASE(what_became_of_an_event_is_told_by_its_identity) {
  event_fate fate;
  fate.verdict = event_verdict::invalid;
  fate.reason = invalid_reason::repeat;
  fate.at = {7, 12'345};
  fate.time_s = 1'753'185'600;
  fate.duplicates = 3;
  fate.conflicts = 1;
  fate.lag_ms = 0;
  gateway.on_call = [&](const fake_gateway::asked&) { return actors::outcome(fate); };
  raw_client c(start());
  const auto r = c.ask(get("/api/v1/events/a%2Fb%25?type=click&ad_id=32"));
  BOOST_TEST(r.status == 200);
  BOOST_TEST(r.header("Cache-Control") == "no-cache");
  BOOST_TEST(r.body == R"({"event_id":"a/b%","type":"click","ad_id":32,"fate":"invalid","invalid_reason":"repeat",)"
                       R"("position":"7:12345","timestamp":1753185600,"duplicates":3,"conflicts":1,"lag_ms":0,"complete":true})");
  const auto asked = gateway.calls(1)[0];
  BOOST_TEST(asked.call == "find_event");
  BOOST_TEST((asked.event.id == identity_of(event_type::click, 32, "a/b%")));
  BOOST_TEST(asked.event.ad_id == 32u);
  for (auto bad : {"", "type=click", "ad_id=32", "ad_id=0&type=click", "ad_id=32&type=view", "ad_id=32&ad_id=32&type=click",
                   "ad_id=32&type=click&page=1"})
    BOOST_TEST_CONTEXT(bad) BOOST_TEST(c.ask(get("/api/v1/events/e?" + std::string(bad))).status == 400);
  BOOST_TEST(c.ask(get("/api/v1/events/a%20b?type=click&ad_id=32")).has("event_id"));
  BOOST_TEST(c.ask(get("/api/v1/events/" + std::string(129, 'e') + "?type=click&ad_id=32")).status == 400);
  BOOST_TEST(c.ask(get("/api/v1/events/a/b?type=click&ad_id=32")).status == 404);
  BOOST_TEST(c.ask(get("/api/v1/events/?type=click&ad_id=32")).status == 404);
}

BOOST_AUTO_TEST_CASE(an_event_that_nobody_saw_has_no_position) {
  event_fate fate;
  fate.verdict = event_verdict::pending;
  fate.fault = log_fault::gap;
  gateway.on_call = [&](const fake_gateway::asked&) { return actors::outcome(fate); };
  raw_client c(start());
  BOOST_TEST(c.ask(get("/api/v1/events/e?type=playback&ad_id=1")).body ==
             R"({"event_id":"e","type":"playback","ad_id":1,"fate":"pending","lag_ms":null,"complete":false})");
}

BOOST_AUTO_TEST_CASE(settings_that_change_while_the_server_runs_are_shown_and_changed) {
  raw_client c(start());
  const auto put = [&](std::string_view name, std::string_view body, std::string_view more = admin) {
    auto text = post("/admin/v1/settings/" + std::string(name), body, more);
    return c.ask(text.replace(0, 4, "PUT"));
  };
  BOOST_TEST(c.ask(get("/admin/v1/settings")).status == 401);
  BOOST_TEST(put("rate.key_burst", R"({"value":7})", "").status == 401);
  const auto level = config::current_log_level();
  BOOST_TEST(put("log.level", R"({"value":"error"})").body == R"({"name":"log.level","value":"error"})");
  BOOST_TEST((config::current_log_level() == config::log_level::error));
  BOOST_TEST(put("rate.key_burst", R"({"value":7})").body == R"({"name":"rate.key_burst","value":7})");
  BOOST_TEST(c.ask(get("/admin/v1/settings", admin)).body ==
             R"({"settings":[{"name":"log.level","value":"error"},{"name":"rate.key_per_second","value":0},)"
             R"({"name":"rate.key_burst","value":7},{"name":"rate.address_per_second","value":0},)"
             R"({"name":"rate.address_burst","value":0}]})");
  for (auto bad : {R"({})", R"({"value":null})", R"({"value":-1})", R"({"value":1.5})", R"({"value":1000000001})",
                   R"({"value":"7"})", R"([7])", R"({"value":1,"value":2})", ""})
    BOOST_TEST_CONTEXT(bad) BOOST_TEST(put("rate.key_burst", bad).status == 400);
  for (auto bad : {R"({"value":"loud"})", R"({"value":1})"})
    BOOST_TEST_CONTEXT(bad) BOOST_TEST(put("log.level", bad).status == 400);
  BOOST_TEST(c.ask(get("/admin/v1/settings/rate.key_burst", admin)).body == R"({"name":"rate.key_burst","value":7})");
  BOOST_TEST(put("http.port", R"({"value":1})").status == 404);
  config::set_log_level(level);
}

BOOST_AUTO_TEST_CASE(a_visitor_is_erased_by_hash_or_by_address_and_agent) {
  gateway.on_call = [](const fake_gateway::asked&) { return actors::outcome(visitor_erased{{{0, 12}, {3, 7}}, false}); };
  raw_client c(start());
  const auto ask = [&](std::string_view body, std::string_view more = admin) {
    auto text = post("/admin/v1/visitors", body, more);
    return c.ask(text.replace(0, 4, "DELETE"));
  };
  constexpr std::string_view known = R"({"user_ip":"203.0.113.7","agent":"Firefox"})";
  BOOST_TEST(ask(known, "").status == 401);
  const auto r = ask(known);
  BOOST_TEST(r.status == 202);
  BOOST_TEST(r.body == R"({"status":"accepted","positions":{"0":12,"3":7},"log":"rewritten"})");
  BOOST_TEST(ask(R"({"visitor":"00000000FeedBeef"})").status == 202);
  const auto asked = gateway.calls(2);
  BOOST_TEST(asked[0].call == "erase");
  BOOST_TEST(asked[0].visitor.visitor == 0u);
  BOOST_TEST((asked[0].visitor.address == parse_ip_address("203.0.113.7")));
  BOOST_TEST(asked[0].visitor.agent == "Firefox");
  BOOST_TEST(asked[1].visitor.visitor == 0xfeedbeefu);
  for (auto bad : {R"({})", R"({"user_ip":"203.0.113.7"})", R"({"agent":""})", R"({"user_ip":"1.2.3","agent":""})",
                   R"({"user_ip":7,"agent":""})", R"({"user_ip":"1.2.3.4","agent":7})",
                   R"({"user_ip":"1.2.3.4","agent":"a\u0000"})", R"({"visitor":""})", R"({"visitor":"0000000000000000"})",
                   R"({"visitor":"00000000feedbeeg"})", R"({"visitor":"feedbeef"})", R"({"visitor":"+0000000feedbeef"})",
                   R"({"visitor":"00000000feedbeef","agent":"a"})", R"([])", R"(x)"})
    BOOST_TEST_CONTEXT(bad) BOOST_TEST(ask(bad).status == 400);
  BOOST_TEST(c.ask(get("/admin/v1/visitors", admin)).status == 405);
  gateway.on_call = [](const fake_gateway::asked&) { return actors::outcome(visitor_erased{{}, true}); };
  BOOST_TEST(ask(known).body == R"({"status":"accepted","positions":{},"log":"kept"})");
  gateway.on_call = [](const fake_gateway::asked&) {
    return actors::outcome(actors::failed{actors::failure::overloaded, "spool"});
  };
  BOOST_TEST(ask(known).status == 503);
}

BOOST_AUTO_TEST_CASE(a_digest_is_told_with_the_admin_key) {
  gateway.on_call = [](const fake_gateway::asked&) { return actors::outcome(shard_digest{3, 65'536, "00ff"}); };
  raw_client c(start());
  BOOST_TEST(c.ask(get("/admin/v1/shards/3/digest")).status == 401);
  const auto r = c.ask(get("/admin/v1/shards/3/digest?offset=65536&timeout_ms=100", admin));
  BOOST_TEST(r.status == 200);
  BOOST_TEST(r.body == R"({"shard":3,"offset":65536,"digest":"00ff"})");
  BOOST_TEST(c.ask(get("/admin/v1/shards/0/digest/", admin)).status == 200);
  const auto asked = gateway.calls(2);
  BOOST_REQUIRE(asked.size() == 2u);
  BOOST_TEST(asked[0].digest.shard == 3u);
  BOOST_TEST(asked[0].digest.offset == 65'536);
  BOOST_TEST(asked[0].digest.timeout_ms == 100u);
  BOOST_TEST(asked[1].digest.offset == -1);
  for (auto bad : {"offset=-1", "offset=x", "offset=1&offset=2", "timeout_ms=0", "timeout_ms=9999999", "from=1"})
    BOOST_TEST_CONTEXT(bad) BOOST_TEST(c.ask(get("/admin/v1/shards/3/digest?" + std::string(bad), admin)).status == 400);
  for (auto bad : {"/admin/v1/shards/x/digest", "/admin/v1/shards/03/digest", "/admin/v1/shards/-1/digest",
                   "/admin/v1/shards/99999999999/digest", "/admin/v1/shards/3", "/admin/v1/shards//digest"})
    BOOST_TEST_CONTEXT(bad) BOOST_TEST(c.ask(get(bad, admin)).status == 404);
  gateway.on_call = [](const fake_gateway::asked&) { return actors::outcome(actors::failed{actors::failure::not_kept, "past"}); };
  const auto past = c.ask(get("/admin/v1/shards/3/digest?offset=1", admin));
  BOOST_TEST(past.status == 409);
  BOOST_TEST(past.head.substr(0, 21) == "HTTP/1.1 409 Conflict");
  BOOST_TEST(past.has("urn:adtrack:problem:not-kept"));
}

BOOST_AUTO_TEST_CASE(records_of_the_log_are_told_with_the_admin_key) {
  log_page page{16, 5, 12, 8, {{5, 1'754'898'558'342, R"({"schema":1,"kind":"x"})"}, {7, 0, "garbage"}}};
  gateway.on_call = [&](const fake_gateway::asked&) { return actors::outcome(page); };
  raw_client c(start());
  BOOST_TEST(c.ask(get("/admin/v1/log/3")).status == 401);
  const auto r = c.ask(get("/admin/v1/log/3?from=5&max=2&timeout_ms=100", admin));
  BOOST_TEST(r.status == 200);
  BOOST_TEST(r.body == R"({"offset":5,"time":"2025-08-11T07:49:18.342Z","record":{"schema":1,"kind":"x"}})"
                       "\n"
                       R"({"offset":7,"time":"1970-01-01T00:00:00.000Z","base64":"Z2FyYmFnZQ=="})"
                       "\n");
  for (auto line : {"Content-Type: application/x-ndjson\r\n", "Adtrack-Log-Shards: 16\r\n", "Adtrack-Log-Begin: 5\r\n",
                    "Adtrack-Log-End: 12\r\n", "Adtrack-Log-Next: 8\r\n"})
    BOOST_TEST_CONTEXT(line) BOOST_TEST(r.head.find(line) != std::string::npos);
  page.lines.clear();
  BOOST_TEST(c.ask(get("/admin/v1/log/0/", admin)).body.empty());
  const auto asked = gateway.calls(2);
  BOOST_REQUIRE(asked.size() == 2u);
  BOOST_TEST(asked[0].log.shard == 3u);
  BOOST_TEST(asked[0].log.from == 5);
  BOOST_TEST(asked[0].log.max == 2u);
  BOOST_TEST(asked[0].log.timeout_ms == 100u);
  BOOST_TEST(asked[1].log.from == -1);
  for (auto bad : {"from=-1", "from=x", "from=1&from=2", "max=-1", "max=100001", "timeout_ms=0", "offset=1"})
    BOOST_TEST_CONTEXT(bad) BOOST_TEST(c.ask(get("/admin/v1/log/3?" + std::string(bad), admin)).status == 400);
  for (auto bad : {"/admin/v1/log", "/admin/v1/log/", "/admin/v1/log/x", "/admin/v1/log/03", "/admin/v1/log/3/4"})
    BOOST_TEST_CONTEXT(bad) BOOST_TEST(c.ask(get(bad, admin)).status == 404);
}

BOOST_AUTO_TEST_CASE(without_admin_keys_writes_are_403) {
  options.admin_key_file.clear();
  raw_client c(start());
  BOOST_TEST(c.ask(with_method("DELETE", "/api/v1/ads/12", admin)).status == 403);
  BOOST_TEST(c.ask(get("/admin/v1/quarantine", admin)).status == 403);
}

BOOST_AUTO_TEST_CASE(ingest_and_read_keys_close_their_routes_only) {
  accept_all();
  gateway.on_call = [](const fake_gateway::asked&) { return actors::outcome(actors::ads_page{}); };
  temporary_file in(key_line("in", "in")), out(key_line("out", "out"));
  options.ingest_key_file = in.path();
  options.read_key_file = out.path();
  raw_client c(start());
  BOOST_TEST(c.ask(click("e")).status == 401);
  const std::string event = R"({"event_id":"e","ad_id":1})";
  BOOST_TEST(c.ask(post("/api/v1/ads/click", event, "Authorization: Bearer in\r\n")).status == 202);
  BOOST_TEST(c.ask(post("/api/v1/ads/click", event, "Authorization: Bearer out\r\n")).status == 401);
  BOOST_TEST(c.ask(get("/api/v1/ads")).status == 401);
  BOOST_TEST(c.ask(get("/api/v1/ads/analytics")).status == 401);
  BOOST_TEST(c.ask(get("/api/v1/ads", "Authorization: Bearer out\r\n")).status == 200);
  BOOST_TEST(c.ask(get("/healthz")).status == 200);
  BOOST_TEST(c.ask(get("/metrics")).status == 200);
}

BOOST_AUTO_TEST_CASE(readiness_and_metrics_are_served) {
  gateway.state = {true, {}, {"spool holds 3 records"}};
  raw_client c(start());
  BOOST_TEST(c.ask(get("/readyz")).body == R"({"status":"ready","degraded":["spool holds 3 records"]})");
  gateway.state = {false, "the log is read-only", {}};
  auto r = c.ask(get("/readyz"));
  BOOST_TEST(r.status == 503);
  BOOST_TEST(r.has("the log is read-only"));
  auto m = c.ask(get("/metrics"));
  BOOST_TEST(m.header("Content-Type") == "text/plain; version=0.0.4; charset=utf-8");
  BOOST_TEST(m.has("http_requests_total"));
  BOOST_TEST(m.has("/readyz"));
}

BOOST_AUTO_TEST_CASE(refused_events_are_counted_by_reason) {
  raw_client c(start());
  c.ask(post("/api/v1/ads/click", "{"));
  c.ask(post("/api/v1/ads/click", "{}"));
  auto text = metrics.render();
  BOOST_TEST(text.find("adtrack_events_rejected_total{reason=\"syntax\"} 1") != std::string::npos);
  BOOST_TEST(text.find("adtrack_events_rejected_total{reason=\"validation\"} 1") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()
