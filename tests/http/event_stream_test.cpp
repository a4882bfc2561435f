#include <boost/test/unit_test.hpp>

#include "tests/http/server_fixture.hpp"

using namespace adtrack;
using namespace adtrack::tests;

namespace {

// A client that reads what a stream sends, event by event.
class stream_client : public raw_client {
public:
  using raw_client::raw_client;
  // The head of the answer to the request.
  std::string open(const std::string& request) {
    send(request);
    return until("\r\n\r\n");
  }
  std::string event() { return until("\n\n"); } // or a comment; empty when the server closed

private:
  std::string until(std::string_view end) {
    char buffer[4096];
    size_t at = 0;
    while ((at = got_.find(end)) == std::string::npos) {
      const auto n = receive(buffer, sizeof buffer);
      if (n <= 0) return {};
      got_.append(buffer, static_cast<size_t>(n));
    }
    auto out = got_.substr(0, at);
    got_.erase(0, at + end.size());
    return out;
  }
  std::string got_;
};

std::string line_of(const std::string& event, const std::string& name) {
  const auto at = ("\n" + event).find("\n" + name + ": ");
  if (at == std::string::npos) return {};
  const auto from = at + name.size() + 2;
  return event.substr(from, event.find('\n', from) - from);
}

struct streaming : server_fixture {
  std::mutex mutex;
  uint64_t clicks = 1;
  bool refuses = false;
  std::atomic<int> asked{0};

  streaming() {
    options.stream_interval_ms = 10;
    gateway.on_call = [this](const fake_gateway::asked&) {
      std::lock_guard lock(mutex);
      ++asked;
      if (refuses) return actors::outcome(actors::failed{actors::failure::overloaded, "busy"});
      auto answer = std::make_shared<analytics_answer>();
      answer->rows.resize(1);
      answer->rows[0].ad_id = 32;
      answer->rows[0].count[metric::valid_clicks] = clicks;
      answer->generated_at_ms = asked; // differs in each answer, and is no change
      return actors::outcome(actors::analytics_result(answer));
    };
  }
  void set(uint64_t to, bool refuse = false) {
    std::lock_guard lock(mutex);
    clicks = to;
    refuses = refuse;
  }
  void wait_asked(int times) {
    const int before = asked;
    const auto until = std::chrono::steady_clock::now() + patience;
    while (asked < before + times && std::chrono::steady_clock::now() < until) std::this_thread::yield();
  }
};

constexpr const char* path = "/api/v1/ads/analytics/stream?ad_id=32";

} // namespace

BOOST_FIXTURE_TEST_SUITE(http_event_stream, streaming)

BOOST_AUTO_TEST_CASE(a_stream_begins_with_the_rows_and_tells_each_change_and_nothing_else) {
  stream_client c(start());
  const auto head = c.open(get(path));
  BOOST_TEST(head.substr(0, 15) == "HTTP/1.1 200 OK");
  for (auto line :
       {"\r\nContent-Type: text/event-stream", "\r\nCache-Control: no-store", "\r\nConnection: close", "\r\nX-Request-Id: "})
    BOOST_TEST_CONTEXT(line) BOOST_TEST(head.find(line) != std::string::npos);
  BOOST_TEST(head.find("Content-Length") == std::string::npos);
  BOOST_TEST(c.event() == "retry: 2000");
  const auto first = c.event();
  BOOST_TEST(line_of(first, "event") == "analytics");
  BOOST_TEST(!line_of(first, "id").empty());
  BOOST_TEST(line_of(first, "data").substr(0, 39) == R"({"data":[{"ad_id":32,"click_count":1,"u)");
  wait_asked(5); // the same rows again and again
  set(2);
  const auto second = c.event();
  BOOST_TEST(line_of(second, "data").find(R"("click_count":2)") != std::string::npos);
  BOOST_TEST(line_of(second, "id") != line_of(first, "id"));
}

BOOST_AUTO_TEST_CASE(who_has_seen_the_last_event_gets_the_next_one) {
  stream_client c(start());
  c.open(get(path));
  c.event();
  const auto seen = line_of(c.event(), "id");
  c.close();
  stream_client again(server->port());
  again.open(get(path, "Last-Event-ID: " + seen + "\r\n"));
  BOOST_TEST(again.event() == "retry: 2000");
  wait_asked(5);
  set(7);
  BOOST_TEST(line_of(again.event(), "data").find(R"("click_count":7)") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(without_a_change_there_are_heartbeats_also_while_nobody_can_answer) {
  options.stream_heartbeat_ms = 30;
  stream_client c(start());
  c.open(get(path));
  c.event();
  c.event();
  BOOST_TEST(c.event() == ":");
  set(1, true);
  wait_asked(2);
  BOOST_TEST(c.event() == ":");
  set(3);
  auto next = c.event();
  while (next == ":") next = c.event();
  BOOST_TEST(line_of(next, "data").find(R"("click_count":3)") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_stream_that_cannot_begin_is_an_answer_with_its_reason) {
  options.max_streams = 1;
  raw_client c(start());
  set(1, true);
  BOOST_TEST(c.ask(get(path)).status == 503);
  for (auto bad : {"ad_id=x", "format=csv", "explain=true", "min_position=1:1"}) BOOST_TEST_CONTEXT(bad)
  BOOST_TEST(c.ask(get("/api/v1/ads/analytics/stream?" + std::string(bad))).status == 400);
  set(1);
  BOOST_TEST(c.ask("HEAD" + get(path).substr(3)).status == 200);
  stream_client first(server->port());
  first.open(get(path));
  first.event();
  const auto second = c.ask(get(path));
  BOOST_TEST(second.status == 503);
  BOOST_TEST(second.has("overloaded"));
  first.close();
  const auto until = std::chrono::steady_clock::now() + patience; // its place is free once the server has seen the end
  while (server->connections() > 1 && std::chrono::steady_clock::now() < until) std::this_thread::yield();
  stream_client third(server->port());
  BOOST_TEST(third.open(get(path)).substr(9, 3) == "200");
}

BOOST_AUTO_TEST_CASE(draining_ends_streams_at_once) {
  stream_client c(start());
  c.open(get(path));
  c.event();
  c.event();
  BOOST_TEST(server->drain(patience));
  BOOST_TEST(c.event().empty());
}

BOOST_AUTO_TEST_CASE(what_a_client_sends_behind_its_request_is_dropped_and_who_does_not_read_is_closed) {
  options.write_timeout_ms = 50;
  options.loops = 1;
  gateway.on_call = [](const fake_gateway::asked& a) {
    static uint64_t n = 0;
    auto answer = std::make_shared<analytics_answer>();
    if (a.query.ad_ids.empty()) answer->rows.resize(20'000);
    answer->total = ++n;
    return actors::outcome(actors::analytics_result(answer));
  };
  stream_client talks(start());
  talks.open(get(path) + get("/healthz") + std::string(100'000, 'x'));
  talks.event();
  for (int i = 0; i < 3; ++i) BOOST_TEST(line_of(talks.event(), "event") == "analytics");
  raw_client deaf(server->port(), 4096);
  deaf.send(get("/api/v1/ads/analytics/stream"));
  const auto until = std::chrono::steady_clock::now() + patience;
  while (server->connections() < 2 && std::chrono::steady_clock::now() < until) std::this_thread::yield();
  while (server->connections() > 1 && std::chrono::steady_clock::now() < until) std::this_thread::yield();
  BOOST_TEST(server->connections() == 1u);
  BOOST_TEST(line_of(talks.event(), "event") == "analytics");
}

BOOST_AUTO_TEST_SUITE_END()
