// Click links that are followed and impression images that are shown, over real sockets.
#include "http/visit.hpp"

#include <boost/test/unit_test.hpp>

#include <set>
#include <string>

#include "http/signed_link.hpp"
#include "tests/http/server_fixture.hpp"

using namespace adtrack;
using namespace adtrack::tests;

namespace {

constexpr const char* target = "https://example.com/landing?a=1&b=%20";
constexpr const char* secret_hex = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

struct visit_fixture : server_fixture {
  visit_fixture() {
    gateway.urls[32] = target;
    options.visit_max_wait_ms = 60'000;
  }
};

std::string signed_path(uint64_t ad, const std::string& event_id, int64_t expires_s) {
  http::link_secrets secrets;
  std::string error;
  BOOST_REQUIRE(http::parse_link_secrets("F", std::string("k1 ") + secret_hex, secrets, error));
  return "/api/v1/ads/" + std::to_string(ad) + "/click?event_id=" + event_id + "&exp=" + std::to_string(expires_s) +
         "&kid=k1&sig=" + http::sign({ad, event_id, expires_s, "k1"}, secrets.at("k1"));
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(http_visit, visit_fixture)

BOOST_AUTO_TEST_CASE(a_click_link_leads_to_the_ad_once_the_click_is_durable) {
  raw_client c(start());
  c.send(get("/api/v1/ads/32/click?event_id=e1&utm_source=x&cb=1&cb=2", "User-Agent: Moz\r\nPurpose: prefetch\r\n"));
  auto item = gateway.items(1)[0];
  BOOST_TEST((item.what.type == event_type::click));
  BOOST_TEST(item.what.ad_id == 32u);
  BOOST_TEST(item.what.event_id == "e1");
  BOOST_TEST(item.what.agent == "Moz");
  BOOST_TEST(item.what.prefetch);
  BOOST_TEST(to_string(item.what.address) == "127.0.0.1");
  BOOST_TEST(item.what.time_s == fixture_now_ms / 1000);
  BOOST_TEST((!item.what.agent_given && !item.what.address_given && !item.what.time_given));
  BOOST_TEST(c.silent()); // until the log has it
  gateway.complete(item.from, actors::ingested{false, 7, 5});
  auto r = c.read();
  BOOST_TEST(r.status == 302);
  BOOST_TEST(r.header("Location") == target);
  BOOST_TEST(r.header("Cache-Control") == "no-store");
  BOOST_TEST(r.header("X-Event-Id") == "e1");
  BOOST_TEST(r.header("Adtrack-Recorded").empty());
  BOOST_TEST(r.header("Content-Length") == "0");
}

BOOST_AUTO_TEST_CASE(an_impression_image_is_one_transparent_pixel) {
  accept_all();
  raw_client c(start());
  auto r = c.ask(get("/api/v1/ads/77/impression.gif?event_id=i1")); // no ad of the catalogue, and counted all the same
  BOOST_TEST(r.status == 200);
  BOOST_TEST(r.header("Content-Type") == "image/gif");
  BOOST_TEST(r.header("Cache-Control") == "no-store");
  BOOST_TEST(r.header("X-Event-Id") == "i1");
  BOOST_TEST(r.body.size() == 43u);
  BOOST_TEST(r.body.substr(0, 6) == "GIF89a");
  BOOST_TEST(r.body.back() == ';');
  auto item = gateway.items(1)[0].what;
  BOOST_TEST((item.type == event_type::impression));
  BOOST_TEST(item.ad_id == 77u);
}

BOOST_AUTO_TEST_CASE(a_visit_without_an_id_gets_one_of_its_own_and_is_told) {
  accept_all();
  raw_client c(start());
  std::set<std::string> seen;
  for (int i = 0; i < 600; ++i) { // more than one read of the system's generator gives
    auto r = c.ask(get(i % 2 ? "/api/v1/ads/32/click" : "/api/v1/ads/32/impression.gif"));
    seen.insert(r.header("X-Event-Id"));
  }
  BOOST_TEST(seen.size() == 600u);
  for (const auto& id : seen)
    BOOST_REQUIRE_MESSAGE(id.size() == 36 && id[14] == '4' && std::string("89ab").find(id[19]) != std::string::npos, id);
  for (const auto& item : gateway.items(600)) BOOST_TEST(seen.count(item.what.event_id) == 1u);
}

BOOST_AUTO_TEST_CASE(whoever_cannot_be_recorded_is_sent_on_and_told) {
  gateway.on_item = [](const actors::ingest_item&) { return actors::outcome(actors::failed{actors::failure::not_durable, {}}); };
  raw_client c(start());
  auto r = c.ask(get("/api/v1/ads/32/click?event_id=e"));
  BOOST_TEST(r.status == 302);
  BOOST_TEST(r.header("Location") == target);
  BOOST_TEST(r.header("Adtrack-Recorded") == "no");
  r = c.ask(get("/api/v1/ads/32/impression.gif"));
  BOOST_TEST(r.status == 200);
  BOOST_TEST(r.header("Adtrack-Recorded") == "no");
  gateway.accepts = false; // nothing more may be in flight
  BOOST_TEST(c.ask(get("/api/v1/ads/32/click")).header("Adtrack-Recorded") == "no");
  auto page = c.ask(get("/metrics")).body;
  BOOST_TEST(page.find("adtrack_visits_total{recorded=\"no\",type=\"click\"} 2\n") != std::string::npos);
  BOOST_TEST(page.find("adtrack_visits_total{recorded=\"no\",type=\"impression\"} 1\n") != std::string::npos);
  BOOST_TEST(page.find("adtrack_events_rejected_total{reason=\"not_durable\"} 2\n") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(nobody_waits_longer_for_the_log_than_the_limit) {
  options.visit_max_wait_ms = 50;
  raw_client c(start());
  c.send(get("/api/v1/ads/32/click?event_id=e1"));
  auto item = gateway.items(1)[0];
  auto r = c.read();
  BOOST_TEST(r.status == 302);
  BOOST_TEST(r.header("Adtrack-Recorded") == "no");
  gateway.answer_items([&](const actors::ingest_item&) {
    gateway.complete(item.from, actors::ingested{false, 7, 5}); // too late for that one, and never given to this one
    return actors::outcome(actors::ingested{false, 7, 6});
  });
  r = c.ask(get("/api/v1/ads/32/impression.gif?event_id=e2"));
  BOOST_TEST(r.header("X-Event-Id") == "e2");
  BOOST_TEST(r.header("Adtrack-Recorded").empty());
}

BOOST_AUTO_TEST_CASE(a_click_of_no_ad_leads_nowhere) {
  gateway.urls[33] = "javascript:alert(1)"; // as another writer of the catalogue's stream might have left it
  raw_client c(start());
  for (const auto* path : {"/api/v1/ads/31/click", "/api/v1/ads/33/click"}) {
    auto r = c.ask(get(path));
    BOOST_TEST(r.status == 404);
    BOOST_TEST(r.header("Location").empty());
    BOOST_TEST(r.header("Cache-Control") == "no-store");
  }
  // Never to an address out of the request.
  auto r = c.ask(get("/api/v1/ads/31/click?url=https://evil.example/&event_id=e"));
  BOOST_TEST(r.status == 404);
  gateway.ads_loaded = false;
  BOOST_TEST(c.ask(get("/api/v1/ads/32/click")).status == 503);
  BOOST_TEST(gateway.submits() == 0u);
}

BOOST_AUTO_TEST_CASE(head_records_nothing) {
  raw_client c(start());
  auto r = c.ask("HEAD /api/v1/ads/32/click?event_id=e HTTP/1.1\r\nHost: x\r\n\r\n");
  BOOST_TEST(r.status == 302);
  BOOST_TEST(r.header("Location") == target);
  BOOST_TEST(r.header("X-Event-Id").empty());
  r = c.ask("HEAD /api/v1/ads/32/impression.gif HTTP/1.1\r\nHost: x\r\n\r\n");
  BOOST_TEST(r.status == 200);
  BOOST_TEST(r.header("Content-Length") == "43");
  BOOST_TEST(c.ask(get("/healthz")).status == 200);
  BOOST_TEST(gateway.submits() == 0u);
}

BOOST_AUTO_TEST_CASE(parameters_that_cannot_be_meant_are_named) {
  raw_client c(start());
  auto field = [&](const std::string& query) {
    auto r = c.ask(get("/api/v1/ads/32/click?" + query));
    BOOST_TEST(r.status == 400, query);
    auto at = r.body.find("\"field\":\"");
    return at == std::string::npos ? std::string() : r.body.substr(at + 9, r.body.find('"', at + 9) - at - 9);
  };
  BOOST_TEST(field("event_id=") == "event_id");
  BOOST_TEST(field("event_id=a%20b") == "event_id");
  BOOST_TEST(field("event_id=" + std::string(129, 'a')) == "event_id");
  BOOST_TEST(field("event_id=a&event_id=a") == "event_id");
  BOOST_TEST(field("event_id=a&exp=0") == "exp");
  BOOST_TEST(field("event_id=a&exp=1e3") == "exp");
  BOOST_TEST(field("event_id=a&exp=") == "exp");
  BOOST_TEST(field("event_id=a&exp=1&exp=1") == "exp");
  BOOST_TEST(field("exp=1&kid=k1&sig=x") == "event_id");
  BOOST_TEST(field("event_id=%zz") == "");
  BOOST_TEST(gateway.submits() == 0u);
}

BOOST_AUTO_TEST_CASE(a_visit_is_a_get) {
  raw_client c(start());
  for (const auto* path : {"/api/v1/ads/32/click", "/api/v1/ads/32/impression.gif"}) {
    auto r = c.ask(post(path, "{}"));
    BOOST_TEST(r.status == 405);
    BOOST_TEST(r.header("Allow") == "GET, HEAD, OPTIONS");
  }
  for (const auto* path : {"/api/v1/ads/0/click", "/api/v1/ads/x/click", "/api/v1/ads/32/clicks", "/api/v1/ads//click",
                           "/api/v1/ads/32/impression", "/api/v1/ads/032/click", "/api/v1/ads/{id}/click"})
    BOOST_TEST(c.ask(get(path)).status == 404, path);
}

BOOST_AUTO_TEST_CASE(a_signed_link_counts_and_a_forged_one_does_not) {
  temporary_file file(std::string("k1 ") + secret_hex);
  options.link_key_file = file.path();
  accept_all();
  raw_client c(start());
  const int64_t now_s = fixture_now_ms / 1000;
  BOOST_TEST(c.ask(get(signed_path(32, "e1", now_s + 1))).status == 302);
  BOOST_TEST(c.ask(get("/api/v1/ads/32/click?event_id=e2")).status == 302); // not required here
  auto expired = c.ask(get(signed_path(32, "e3", now_s)));
  BOOST_TEST(expired.status == 403);
  BOOST_TEST(expired.has("has expired"));
  BOOST_TEST(c.ask(get(signed_path(32, "e4", now_s + 1) + "0")).status == 403);
  BOOST_TEST(c.ask(get("/api/v1/ads/32/click?event_id=e5&sig=")).status == 403); // half a signature is a wrong one
  BOOST_TEST(gateway.items(2).size() == 2u);
  BOOST_TEST(c.ask(get("/metrics")).body.find("adtrack_events_rejected_total{reason=\"signature\"} 3\n") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(where_signatures_are_required_nothing_else_counts) {
  temporary_file file(std::string("k1 ") + secret_hex);
  options.link_key_file = file.path();
  options.require_signed_clicks = true;
  accept_all();
  raw_client c(start());
  BOOST_TEST(c.ask(get("/api/v1/ads/32/click?event_id=e")).status == 403);
  BOOST_TEST(c.ask(get(signed_path(32, "e", fixture_now_ms))).status == 302);
  BOOST_TEST(c.ask(get("/api/v1/ads/32/impression.gif?event_id=e")).status == 200); // images are not signed
  options.link_key_file.clear();
  BOOST_TEST(http::check(options) == "redirect.require_signature needs redirect.key_file");
}

BOOST_AUTO_TEST_CASE(events_of_unknown_ads_are_refused_where_that_is_wanted) {
  options.require_known_ads = true;
  accept_all();
  gateway.on_batch = [](const std::vector<actors::ingest_item>& items) {
    return actors::outcome(actors::batch_ingested{items.size(), false, {{7, 5}}});
  };
  raw_client c(start());
  BOOST_TEST(c.ask(click("e1")).status == 202); // of ad 32
  auto r = c.ask(post("/api/v1/ads/click", R"({"event_id":"e2","ad_id":31})"));
  BOOST_TEST(r.status == 400);
  BOOST_TEST(r.has("urn:adtrack:problem:unknown-ad"));
  BOOST_TEST(c.ask(get("/api/v1/ads/31/impression.gif")).status == 400);
  BOOST_TEST(c.ask(get("/api/v1/ads/32/impression.gif")).status == 200);
  const auto batch =
      post("/api/v1/ads/events", R"([{"type":"click","event_id":"b1","ad_id":31},{"type":"click","event_id":"b2","ad_id":32}])");
  r = c.ask(batch);
  BOOST_TEST(r.status == 202);
  BOOST_TEST(
      r.has(R"("accepted":1,"rejected":[{"index":0,"errors":[{"field":"ad_id","message":"names no ad of the catalogue"}]}])"));
  BOOST_TEST(c.ask(get("/metrics")).has("adtrack_events_rejected_total{reason=\"unknown_ad\"} 3\n"));
  gateway.ads_loaded = false;
  BOOST_TEST(c.ask(click("e3")).status == 503);
  BOOST_TEST(c.ask(batch).status == 503);
}

BOOST_AUTO_TEST_CASE(visits_are_pipelined_with_events) {
  raw_client c(start());
  c.send(click("a") + get("/api/v1/ads/32/click?event_id=b") + click("c"));
  auto items = gateway.items(3);
  for (size_t i : {2u, 1u, 0u}) gateway.complete(items[i].from, actors::ingested{false, 1, static_cast<int64_t>(i)});
  BOOST_TEST(c.read().status == 202);
  BOOST_TEST(c.read().header("X-Event-Id") == "b");
  BOOST_TEST(c.read().status == 202);
}

BOOST_AUTO_TEST_SUITE_END()
