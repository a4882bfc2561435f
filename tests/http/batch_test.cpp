// Batches over a real socket: formats, codings, limits, outcomes, clients that go away, and the neighbours of all that.
#include <boost/test/unit_test.hpp>

#include <prometheus/counter.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "http/batch_pool.hpp"
#include "tests/http/gzip_text.hpp"
#include "tests/http/server_fixture.hpp"

using namespace adtrack;
using namespace adtrack::tests;

namespace {

constexpr std::string_view path = "/api/v1/ads/events";
constexpr std::string_view ndjson = "application/x-ndjson";
constexpr std::string_view gzip = "Content-Encoding: gzip\r\n";

std::string item(std::string_view id) { return R"({"type":"click","event_id":")" + std::string(id) + R"(","ad_id":1})"; }
std::string items(size_t count) {
  std::string out;
  for (size_t i = 0; i < count; ++i) out += item("e" + std::to_string(i)) + "\n";
  return out;
}
std::string in_chunks(std::string_view body, size_t each) {
  std::string out =
      "POST /api/v1/ads/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (; !body.empty(); body.remove_prefix(std::min(each, body.size()))) {
    char size[32];
    std::snprintf(size, sizeof size, "%zx\r\n", std::min(each, body.size()));
    out += size;
    out.append(body.substr(0, each)).append("\r\n");
  }
  return out + "0\r\n\r\n";
}

struct batch_fixture : server_fixture {
  batch_fixture() {
    gateway.on_batch = [](const std::vector<actors::ingest_item>& taken) {
      return actors::outcome(actors::batch_ingested{taken.size(), false, {{3, 17}, {7, 5}}});
    };
  }
  double rejected(std::string_view reason) { return metrics.events_rejected(reason).Value(); }
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(http_batch, batch_fixture)

BOOST_AUTO_TEST_CASE(what_is_valid_is_accepted_and_the_rest_is_listed) {
  raw_client c(start());
  const auto expected = R"({"accepted":2,"rejected":[{"index":1,"errors":[{"field":"ad_id","message":)"
                        R"("must be an integer from 1 to 9007199254740991"}]}],"positions":{"3":17,"7":5},"durability":"log",)"
                        R"("rejected_count":1})";
  const std::string bad = R"({"type":"click","event_id":"b","ad_id":0})";
  for (std::string_view type : {"application/json", "text/plain;charset=UTF-8"}) {
    auto r = c.ask(post(path, "[" + item("a") + "," + bad + "," + item("c") + "]", "", type));
    BOOST_TEST(r.status == 202);
    BOOST_TEST(r.body == expected);
    BOOST_TEST(r.header("Content-Type") == "application/json");
  }
  BOOST_TEST(c.ask(post(path, item("a") + "\n" + bad + "\r\n\n" + item("c"), "", ndjson)).body == expected);
  auto got = gateway.batches(3);
  BOOST_TEST(got.size() == 3u);
  for (const auto& one : got) BOOST_TEST((one.items.size() == 2u && one.items[1].what.event_id == "c"));
  BOOST_TEST(gateway.submits() == 3u);
  BOOST_TEST(rejected("validation") == 3.0);
}

BOOST_AUTO_TEST_CASE(the_request_speaks_for_the_items_that_say_nothing) {
  raw_client c(start());
  const std::string trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  BOOST_TEST(
      c.ask(post(path, "[" + item("a") + "]", "User-Agent: Moz\xff\r\nPurpose: prefetch\r\ntraceparent: " + trace + "\r\n"))
          .status == 202);
  const auto what = gateway.batches(1)[0].items[0].what;
  BOOST_TEST(what.agent == "Moz?");
  BOOST_TEST(to_string(what.address) == "127.0.0.1");
  BOOST_TEST(what.prefetch);
  BOOST_TEST(what.trace == trace);
  BOOST_TEST(what.time_s == fixture_now_ms / 1000);
}

BOOST_AUTO_TEST_CASE(spooled_events_say_so_and_unknown_positions_are_left_out) {
  gateway.on_batch = [](const auto&) { return actors::outcome(actors::batch_ingested{1, true, {}}); };
  raw_client c(start());
  BOOST_TEST(c.ask(post(path, "[" + item("a") + "]")).body ==
             R"({"accepted":1,"rejected":[],"positions":{},"durability":"spool","rejected_count":0})");
}

BOOST_AUTO_TEST_CASE(a_batch_of_nothing_is_accepted_without_asking_anyone) {
  raw_client c(start());
  const auto expected = R"({"accepted":0,"rejected":[],"positions":{},"durability":"log","rejected_count":0})";
  BOOST_TEST(c.ask(post(path, "[]")).body == expected);
  BOOST_TEST(c.ask(post(path, "", "", ndjson)).body == expected);
  BOOST_TEST(c.ask(post(path, "\n\r\n", "", ndjson)).status == 202);
  BOOST_TEST(c.ask(in_chunks("", 1)).body == expected);
  BOOST_TEST(c.ask(post(path, "")).status == 400);
  BOOST_TEST(gateway.submits() == 0u);
}

BOOST_AUTO_TEST_CASE(when_none_is_valid_it_is_400_with_the_errors_of_each) {
  raw_client c(start());
  auto r = c.ask(post(path, R"([{"type":"click","event_id":"e"},5])"));
  BOOST_TEST(r.status == 400);
  BOOST_TEST(r.has("urn:adtrack:problem:validation"));
  BOOST_TEST(r.has(R"("errors":[{"field":"[0].ad_id","message":"is required"},)"
                   R"({"field":"[1]","message":"the item is not a JSON object"}])"));
  BOOST_TEST(c.ask(post(path, "x\ny", "", ndjson)).status == 400);
  BOOST_TEST(gateway.submits() == 0u);
  BOOST_TEST(rejected("validation") == 2.0);
  BOOST_TEST(rejected("syntax") == 2.0);
}

BOOST_AUTO_TEST_CASE(an_array_that_is_broken_is_400_and_appends_nothing) {
  raw_client c(start());
  for (const auto& body : {"[" + item("a") + "," + item("b"), "[" + item("a") + ",]", "[" + item("a") + "] x", item("a")}) {
    auto r = c.ask(post(path, body));
    BOOST_TEST(r.status == 400);
    BOOST_TEST(r.has("urn:adtrack:problem:malformed"));
  }
  BOOST_TEST(gateway.submits() == 0u);
  BOOST_TEST(rejected("syntax") == 4.0);
}

BOOST_AUTO_TEST_CASE(types_and_codings_are_checked) {
  raw_client c(start());
  for (auto bad : {"", "application/x-www-form-urlencoded", "application/ndjson", "multipart/form-data"})
    BOOST_TEST_CONTEXT(bad) BOOST_TEST(c.ask(post(path, "[]", "", bad)).status == 415);
  for (auto bad : {"deflate", "br", "gzip, gzip", "gzip,identity", "zstd", ""}) BOOST_TEST_CONTEXT(bad)
  BOOST_TEST(c.ask(post(path, "[]", "Content-Encoding: " + std::string(bad) + "\r\n")).status == 415);
  BOOST_TEST(c.ask(post(path, "[]", "Content-Encoding: identity\r\n")).status == 202);
  BOOST_TEST(c.ask(post("/api/v1/ads/click", gzipped(item("a")), gzip)).status == 415);
  auto wrong = c.ask(get(path));
  BOOST_TEST(wrong.status == 405);
  BOOST_TEST(wrong.header("Allow") == "POST, OPTIONS");
}

BOOST_AUTO_TEST_CASE(a_gzip_body_is_inflated_within_the_limit) {
  options.max_batch_bytes = 10'000;
  raw_client c(start());
  for (auto name : {"gzip", "GZIP", "x-gzip"})
    BOOST_TEST(c.ask(post(path, gzipped("[" + item("a") + "]"), "Content-Encoding: " + std::string(name) + "\r\n")).status ==
               202);
  BOOST_TEST(c.ask(post(path, gzipped(items(2)) + gzipped(items(1)), gzip, ndjson)).has("\"accepted\":3"));
  const std::string fits = "[" + std::string(9'998, ' ') + "]";
  BOOST_TEST(c.ask(post(path, gzipped(fits), gzip)).status == 202);
  BOOST_TEST(c.ask(post(path, gzipped(fits + " "), gzip)).status == 413);
  BOOST_TEST(c.ask(post(path, gzipped(std::string(5'000'000, ' ')), gzip)).status == 413);
  for (const auto& bad : {gzipped("[]") + "x", gzipped("[]").substr(0, 15), std::string(), std::string("[]")})
    BOOST_TEST(c.ask(post(path, bad, gzip)).status == 400);
}

BOOST_AUTO_TEST_CASE(the_limit_is_the_batchs_own_and_is_told_before_the_body_is_read) {
  options.max_body_bytes = 1'024;
  options.max_batch_bytes = 300'000;
  options.max_batch_events = 1'000;
  accept_all();
  uint16_t port = start();
  raw_client c(port);
  const std::string space(300'000 - 2, ' ');
  BOOST_TEST(c.ask(post(path, "[" + space + "]")).status == 202);
  BOOST_TEST(c.ask(in_chunks("\n" + space + "\n", 70'000)).status == 202);
  auto many = c.ask(post(path, items(1'001), "", ndjson));
  BOOST_TEST(many.status == 413);
  BOOST_TEST(many.has("at most 1000 events"));
  BOOST_TEST(c.ask(post(path, items(1'000), "", ndjson)).has("\"accepted\":1000"));
  BOOST_TEST(gateway.submits() == 1u);
  raw_client early(port);
  BOOST_TEST(early.ask("POST /api/v1/ads/events HTTP/1.1\r\nHost: x\r\nContent-Length: 300001\r\n\r\n").status == 413);
  raw_client chunks(port);
  chunks.send(in_chunks(space + "\n\n\n", 70'000));
  BOOST_TEST(chunks.read().status == 413);
  // The others keep theirs, and so do other methods.
  for (std::string line : {"POST /api/v1/ads/click", "POST /api/v1/ads", "GET /api/v1/ads/events", "POST /api/v1/ads/events/x"}) {
    raw_client other(port);
    BOOST_TEST(other.ask(line + " HTTP/1.1\r\nHost: x\r\nContent-Length: 1025\r\n\r\n").status == 413);
  }
  raw_client encoded(port);
  encoded.send("POST /api/v1/ads/%65vents/ HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 2000\r\n\r\n");
  BOOST_TEST(encoded.ask("[" + std::string(1'998, ' ') + "]").status == 202);
}

BOOST_AUTO_TEST_CASE(a_large_event_of_a_batch_is_refused_as_it_is_alone) {
  options.max_body_bytes = 1'024;
  raw_client c(start());
  auto r = c.ask(post(path, item("a") + "\n" + item(std::string(1'024, 'x')), "", ndjson));
  BOOST_TEST(r.has(R"("rejected":[{"index":1,"errors":[{"field":"","message":"the item is larger than 1024 bytes"}]}])"));
}

BOOST_AUTO_TEST_CASE(the_answer_lists_a_bounded_number_of_rejections) {
  options.max_batch_rejections = 3;
  raw_client c(start());
  std::string body = item("a") + "\n";
  for (int i = 0; i < 100; ++i) body += "{}\n";
  auto r = c.ask(post(path, body, "", ndjson));
  BOOST_TEST(r.has("\"index\":3,"));
  BOOST_TEST(!r.has("\"index\":4,"));
  BOOST_TEST(r.has("\"rejected_count\":100"));
  BOOST_TEST(c.ask(post(path, body.substr(body.find('\n') + 1), "", ndjson)).body.size() < 2'000u);
}

BOOST_AUTO_TEST_CASE(a_failure_of_one_event_is_503_for_all_of_them) {
  gateway.on_batch = [](const auto&) { return actors::outcome(actors::failed{actors::failure::not_durable, "why"}); };
  raw_client c(start());
  auto r = c.ask(post(path, items(10) + "{}", "", ndjson));
  BOOST_TEST(r.status == 503);
  BOOST_TEST(r.header("Retry-After") == "1");
  BOOST_TEST(!r.has("accepted"));
  BOOST_TEST(rejected("not_durable") == 10.0);
  gateway.accepts = false;
  BOOST_TEST(c.ask(post(path, items(10), "", ndjson)).status == 503);
  BOOST_TEST(rejected("overloaded") == 10.0);
}

BOOST_AUTO_TEST_CASE(keys_are_asked_for) {
  temporary_file keys(key_line("sender", "k"));
  options.ingest_key_file = keys.path();
  raw_client c(start());
  BOOST_TEST(c.ask(post(path, "[]")).status == 401);
  BOOST_TEST(c.ask(post(path, "[]", "Authorization: Bearer k\r\n")).status == 202);
}

BOOST_AUTO_TEST_CASE(a_batch_takes_a_token_an_event) {
  gateway.on_batch = [](const std::vector<actors::ingest_item>& all) {
    return actors::outcome(actors::batch_ingested{all.size(), false, {}});
  };
  options.rates.address = {1, 100}; // a second gives one, too few to matter here
  raw_client c(start());
  BOOST_TEST(c.ask(post(path, items(60), "", ndjson)).status == 202);
  auto r = c.ask(post(path, items(60), "", ndjson));
  BOOST_TEST(r.status == 429);
  BOOST_TEST(std::stoi(r.header("Retry-After")) >= 1);
  BOOST_TEST(rejected("rate") == 60.0);
  BOOST_TEST(c.ask(post(path, items(30), "", ndjson)).status == 202);
}

BOOST_AUTO_TEST_CASE(bodies_of_every_size_and_split_come_whole) {
  options.loops = 1;
  uint16_t port = start();
  for (size_t count : {1u, 100u, 1'100u, 2'000u, 9'999u}) { // from one segment to many reads
    const auto body = items(count);
    for (const auto& request :
         {post(path, body, "", ndjson), in_chunks(body, 7), in_chunks(body, 65'536), in_chunks(body, body.size())}) {
      raw_client c(port);
      c.send(request + get("/healthz"));
      BOOST_TEST(c.read().has("\"accepted\":" + std::to_string(count) + ","));
      BOOST_TEST(c.read().status == 200);
    }
    const auto got = gateway.batches(1).back();
    BOOST_REQUIRE(got.items.size() == count);
    for (size_t i = 0; i < count; ++i)
      if (got.items[i].what.event_id != "e" + std::to_string(i)) BOOST_ERROR("item " << i);
  }
}

BOOST_AUTO_TEST_CASE(answers_keep_the_order_of_pipelined_requests) {
  accept_all();
  gateway.on_batch = nullptr;
  raw_client c(start());
  c.send(click("a") + post(path, items(2), "", ndjson) + click("b") + post(path, "[" + item("x") + "]") + get("/healthz") +
         click("c"));
  BOOST_TEST(c.read().has("\"a\""));
  auto first = gateway.batches(1);
  BOOST_REQUIRE(first.size() == 1u);
  gateway.complete(first[0].from, actors::batch_ingested{2, false, {}});
  BOOST_TEST(c.read().has("\"accepted\":2"));
  BOOST_TEST(c.read().has("\"b\""));
  auto second = gateway.batches(2);
  BOOST_REQUIRE(second.size() == 2u);
  gateway.complete(second[1].from, actors::batch_ingested{1, false, {}});
  BOOST_TEST(c.read().has("\"accepted\":1"));
  BOOST_TEST(c.read().has("\"ok\""));
  BOOST_TEST(c.read().has("\"c\""));
}

BOOST_AUTO_TEST_CASE(behind_a_batch_in_work_little_is_read_until_it_is_answered) {
  gateway.on_batch = nullptr;
  options.loops = 1;
  raw_client c(start());
  c.send(post(path, items(1), "", ndjson));
  const auto first = gateway.batches(1);
  // More than the sockets' buffers hold: it cannot all be sent as long as the server does not read.
  std::atomic<bool> sent{false};
  const auto large = post(path, items(1) + std::string(8'000'000, '\n'), "", ndjson);
  std::thread sender([&] {
    for (int i = 0; i < 3; ++i) c.send(large);
    sent = true;
  });
  raw_client other(server->port());
  for (int i = 0; i < 200; ++i) BOOST_TEST(other.ask(get("/healthz")).status == 200);
  BOOST_TEST(!sent);
  gateway.complete(first[0].from, actors::batch_ingested{1, false, {}});
  BOOST_TEST(c.read().status == 202);
  for (size_t i = 1; i <= 3; ++i) {
    gateway.complete(gateway.batches(i + 1)[i].from, actors::batch_ingested{1, false, {}});
    BOOST_TEST(c.read().status == 202);
  }
  sender.join();
}

BOOST_AUTO_TEST_CASE(a_batch_that_has_no_room_is_refused_before_it_is_sent_and_those_that_have_it_are_served) {
  options.max_buffered_bytes = 20 << 20;
  uint16_t port = start();
  const std::string head =
      "POST /api/v1/ads/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\nContent-Length: ";
  std::vector<std::unique_ptr<raw_client>> in;
  for (int i = 0; i < 2; ++i) {
    in.push_back(std::make_unique<raw_client>(port));
    in.back()->send(head + "8000000\r\nExpect: 100-continue\r\n\r\n");
    BOOST_TEST(in.back()->read().status == 100);
  }
  std::vector<std::unique_ptr<raw_client>> out;
  for (int i = 0; i < 50; ++i) {
    out.push_back(std::make_unique<raw_client>(port));
    out.back()->send(head + "8000000\r\n\r\n\n");
    for (auto& c : in) c->send("\n"); // whoever was let in is looked at meanwhile
  }
  for (auto& c : out) BOOST_TEST(c->read().status == 503);
  BOOST_TEST(raw_client(port).ask(post(path, items(1'000), "", ndjson)).status == 202);
  in[0]->close();
  raw_client chunks(port);
  const auto body = std::string(8'000'000, '\n');
  BOOST_TEST(in[1]->ask(body.substr(50)).status == 202);
  BOOST_TEST(chunks.ask(in_chunks(body, 100'000)).status == 202);
}

BOOST_AUTO_TEST_CASE(expectations_are_met_or_refused_before_the_body) {
  uint16_t port = start();
  raw_client c(port);
  const auto body = items(2'000);
  c.send("POST /api/v1/ads/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\nExpect: "
         "100-continue\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n\r\n");
  BOOST_TEST(c.read().status == 100);
  BOOST_TEST(c.ask(body).status == 202);
  raw_client large(port);
  BOOST_TEST(large.ask("POST /api/v1/ads/events HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9000000\r\n\r\n")
                 .status == 413);
}

BOOST_AUTO_TEST_CASE(a_connection_that_asks_to_be_closed_gets_its_answer_first) {
  raw_client c(start());
  auto r = c.ask(post(path, items(3'000), "Connection: close\r\n", ndjson));
  BOOST_TEST(r.status == 202);
  BOOST_TEST(r.header("Connection") == "close");
  BOOST_TEST(c.at_end());
}

BOOST_AUTO_TEST_CASE(a_client_that_went_away_while_its_batch_was_in_work_harms_nobody) {
  gateway.on_batch = nullptr;
  options.loops = 1;
  uint16_t port = start();
  auto gone = std::make_unique<raw_client>(port);
  gone->send(post(path, items(5'000), "", ndjson));
  const auto old = gateway.batches(1)[0].from;
  gone->reset();
  while (server->connections() != 0) std::this_thread::yield();
  raw_client next(port);
  next.send(post(path, items(1), "", ndjson));
  const auto got = gateway.batches(2);
  BOOST_REQUIRE(got.size() == 2u);
  gateway.complete(old, actors::batch_ingested{5'000, false, {}});
  gateway.complete(got[1].from, actors::batch_ingested{1, false, {}});
  BOOST_TEST(next.read().has("\"accepted\":1,"));
}

BOOST_AUTO_TEST_CASE(an_outcome_that_does_not_come_is_503_and_one_that_comes_too_late_is_dropped) {
  gateway.on_batch = nullptr;
  options.reply_timeout_ms = 30;
  raw_client c(start());
  auto r = c.ask(post(path, items(3), "", ndjson));
  BOOST_TEST(r.status == 503);
  BOOST_TEST(r.has("urn:adtrack:problem:no-answer"));
  gateway.complete(gateway.batches(1)[0].from, actors::batch_ingested{3, false, {}});
  BOOST_TEST(c.ask(get("/healthz")).has("\"ok\""));
}

BOOST_AUTO_TEST_CASE(a_body_that_drips_is_timed_out) {
  options.body_timeout_ms = 50;
  raw_client c(start());
  c.send("POST /api/v1/ads/events HTTP/1.1\r\nHost: x\r\nContent-Length: 8000000\r\n\r\n[");
  BOOST_TEST(c.read().status == 408);
}

BOOST_AUTO_TEST_CASE(stopping_with_batches_everywhere_answers_or_closes_and_ends) {
  gateway.on_batch = nullptr; // no outcome ever comes
  options.batch_workers = 1;
  uint16_t port = start();
  std::vector<std::unique_ptr<raw_client>> clients;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(std::make_unique<raw_client>(port));
    clients.back()->send(post(path, items(2'000), "", ndjson));
  }
  gateway.batches(1);
  server->stop();
  gateway.bind(nullptr);
  for (auto& c : clients) {
    const auto status = c->read().status;
    BOOST_TEST((status == 0 || status == 503), status); // 503: it came when the pool was full
  }
}

BOOST_AUTO_TEST_CASE(draining_waits_for_a_batch_in_work) {
  gateway.on_batch = nullptr;
  raw_client c(start());
  c.send(post(path, items(100), "", ndjson));
  const auto from = gateway.batches(1)[0].from;
  std::thread draining([&] { BOOST_TEST(server->drain(patience)); });
  gateway.complete(from, actors::batch_ingested{100, false, {}});
  BOOST_TEST(c.read().has("\"accepted\":100,"));
  draining.join();
}

BOOST_AUTO_TEST_CASE(a_full_queue_is_503_and_the_rest_is_answered) {
  // The one worker is held up inside the gateway until the test lets it go.
  std::mutex mutex;
  std::condition_variable changed;
  bool go = false;
  gateway.on_batch = [&](const std::vector<actors::ingest_item>& taken) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return go; });
    return actors::outcome(actors::batch_ingested{taken.size(), false, {}});
  };
  options.batch_workers = 1;
  options.batch_queue = 2;
  uint16_t port = start();
  accept_all();
  std::vector<std::unique_ptr<raw_client>> clients;
  for (int i = 0; i < 8; ++i) {
    clients.push_back(std::make_unique<raw_client>(port));
    clients.back()->send(post(path, items(10), "", ndjson));
  }
  raw_client other(port); // no loop is held up
  BOOST_TEST(other.ask(get("/healthz")).status == 200);
  {
    std::lock_guard lock(mutex);
    go = true;
  }
  changed.notify_all();
  size_t taken = 0, refused = 0;
  for (auto& c : clients) {
    auto r = c->read();
    taken += r.status == 202;
    refused += r.status == 503;
  }
  BOOST_TEST(taken + refused == 8u);
  BOOST_TEST(taken >= 2u);
  BOOST_TEST(refused >= 1u);
  BOOST_TEST(clients[0]->ask(post(path, items(10), "", ndjson)).status == 202);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(http_batch_pool)

BOOST_AUTO_TEST_CASE(what_nobody_waits_for_is_not_worked_on_and_all_bytes_are_given_back) {
  fake_gateway gateway;
  config::metrics metrics;
  http::http_options options;
  options.batch_workers = 1;
  std::atomic<size_t> counted{0};
  struct sink final : actors::completion_sink {
    void complete(std::vector<actors::completion>) override {}
  } nowhere;
  gateway.bind(&nowhere);
  http::rate_limiter rates(options.rates);
  http::batch_pool pool(options, rates, gateway, metrics);
  const auto job = [&](bool waited_for, std::shared_ptr<http::batch_findings>& waiting) {
    auto out = std::make_unique<http::batch_job>();
    out->format = http::batch_format::ndjson;
    out->bytes = items(waited_for ? 1 : 2);
    out->size = out->bytes.size();
    out->counted = {counted, 100};
    out->findings = std::make_shared<http::batch_findings>();
    if (waited_for) waiting = out->findings;
    return out;
  };
  std::shared_ptr<http::batch_findings> waiting;
  auto stopped = job(true, waiting);
  BOOST_TEST(!pool.offer(stopped));
  BOOST_TEST(static_cast<bool>(stopped));
  BOOST_TEST(counted == 100u);
  pool.start(nowhere);
  auto abandoned = job(false, waiting);
  BOOST_TEST(pool.offer(abandoned));
  BOOST_TEST(pool.offer(stopped));
  const auto got = gateway.batches(1);
  pool.stop();
  BOOST_REQUIRE(got.size() == 1u);
  BOOST_TEST(got[0].items.size() == 1u);
  BOOST_TEST(counted == 0u);
}

BOOST_AUTO_TEST_SUITE_END()
