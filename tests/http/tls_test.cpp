// TLS over real sockets: what plain connections do, and what only TLS can do wrong.
#include <boost/test/unit_test.hpp>
#include <prometheus/counter.h>
#include <prometheus/gauge.h>

#include <csignal>
#include <ctime>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/http/certificates.hpp"
#include "tests/http/server_fixture.hpp"

using namespace adtrack;
using namespace adtrack::tests;

namespace {

std::string event_of(const raw_reply& r) {
  auto at = r.body.find("\"event_id\":\"");
  if (at == std::string::npos) return {};
  at += 12;
  return r.body.substr(at, r.body.find('"', at) - at);
}

struct with_tls : server_fixture {
  tls_identity first{"first"};
  temporary_file certificate{first.certificate_pem()};
  temporary_file key{first.key_pem()};
  with_tls() {
    std::signal(SIGPIPE, SIG_IGN); // the client's own: OpenSSL's socket BIO raises it
    options.tls_certificate_file = certificate.path();
    options.tls_key_file = key.path();
    accept_all();
  }
  void replace(const tls_identity& by) {
    certificate.write(by.certificate_pem());
    key.write(by.key_pem());
  }
  double handshakes(std::string_view result) { return metrics.tls_handshakes(result).Value(); }
  // Waits until the server has counted it: a client may know of the end first.
  bool counted(std::string_view result, double times) {
    auto until = std::chrono::steady_clock::now() + patience;
    while (handshakes(result) < times && std::chrono::steady_clock::now() < until) std::this_thread::yield();
    return handshakes(result) == times;
  }
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(http_tls, with_tls)

BOOST_AUTO_TEST_CASE(requests_are_answered_over_both_versions) {
  uint16_t port = start();
  for (auto [version, name] : {std::pair(TLS1_2_VERSION, "TLSv1.2"), {TLS1_3_VERSION, "TLSv1.3"}}) {
    tls_client c(port, {version, nullptr, {}, 0});
    BOOST_REQUIRE(c.connected());
    BOOST_TEST(c.protocol() == name);
    BOOST_TEST(c.peer() == "first");
    BOOST_TEST(event_of(c.ask(click("a"))) == "a");
    BOOST_TEST(event_of(c.ask(click("b"))) == "b");
    BOOST_TEST(c.ask(get("/healthz")).body == R"({"status":"ok"})");
    BOOST_TEST(to_string(gateway.items(1)[0].what.address) == "192.168.1.7");
  }
  BOOST_TEST(counted("ok", 2));
}

BOOST_AUTO_TEST_CASE(older_versions_are_refused) {
  uint16_t port = start();
  for (int version : {TLS1_VERSION, TLS1_1_VERSION}) BOOST_TEST(!tls_client(port, {version, nullptr, {}, 0}).connected());
  BOOST_TEST(counted("failed", 2));
}

BOOST_AUTO_TEST_CASE(http_1_1_is_chosen_and_nothing_else) {
  uint16_t port = start();
  BOOST_TEST(tls_client(port, {0, nullptr, "\x02h2\x08http/1.1", 0}).alpn() == "http/1.1");
  BOOST_TEST(tls_client(port).connected());
  BOOST_TEST(!tls_client(port, {0, nullptr, "\x02h2", 0}).connected());
}

BOOST_AUTO_TEST_CASE(pipelined_requests_in_one_record_and_in_many_keep_their_order) {
  options.loops = 1;
  options.max_pipelined = 4;
  tls_client c(start());
  std::string all;
  for (int i = 0; i < 500; ++i) all += click("e" + std::to_string(i)); // records of 16 KiB end anywhere in a request
  std::thread writer([&] { c.send(all); });
  writer.join();
  for (int i = 0; i < 500; ++i) {
    auto r = c.read();
    if (event_of(r) != "e" + std::to_string(i)) BOOST_ERROR("answer " << i << " is " << r.head << r.body);
  }
  for (char byte : click("bytes")) c.send(std::string_view(&byte, 1)); // a record a byte
  BOOST_TEST(event_of(c.read()) == "bytes");
}

BOOST_AUTO_TEST_CASE(what_openssl_holds_is_served_without_another_event) {
  gateway.on_item = nullptr;
  options.max_pipelined = 1;
  tls_client c(start());
  c.send(click("a") + get("/healthz") + click("b")); // one record: the rest is in memory while the first waits
  gateway.complete(gateway.items(1)[0].from, actors::ingested{false, 1, 1});
  BOOST_TEST(event_of(c.read()) == "a");
  BOOST_TEST(c.read().status == 200);
  gateway.complete(gateway.items(2)[1].from, actors::ingested{false, 1, 2});
  BOOST_TEST(event_of(c.read()) == "b");
}

BOOST_AUTO_TEST_CASE(a_large_answer_reaches_a_slow_reader) {
  gateway.on_call = [](const fake_gateway::asked&) {
    actors::ads_page page;
    page.ads.resize(20);
    for (auto& a : page.ads) a.fields.description = std::string(60'000, 'd');
    return actors::outcome(std::move(page));
  };
  tls_client c(start(), {0, nullptr, {}, 4'096});
  for (int i = 0; i < 3; ++i) BOOST_TEST(c.ask(get("/api/v1/ads")).body.size() > 1'200'000u);
  c.change_keys();
  BOOST_TEST(c.ask(get("/api/v1/ads")).body.size() > 1'200'000u);
}

BOOST_AUTO_TEST_CASE(a_body_of_many_records_is_read) {
  tls_client c(start());
  std::string body = R"({"event_id":"e","ad_id":1,"x":")";
  body += std::string((size_t{64} << 10) - body.size() - 2, 'x') + "\"}";
  BOOST_TEST(c.ask(post("/api/v1/ads/click", body)).status == 202);
  BOOST_TEST(c.ask(post("/api/v1/ads/click", body + " ")).status == 413);
  BOOST_TEST(c.at_end());
}

BOOST_AUTO_TEST_CASE(the_end_is_told) {
  uint16_t port = start();
  tls_client c(port);
  BOOST_TEST(c.ask(get("/healthz", "Connection: close\r\n")).status == 200);
  BOOST_TEST(c.at_end());
  BOOST_TEST(c.told_goodbye());
  tls_client bad(port);
  BOOST_TEST(bad.ask("GET /healthz HTTP/1.1\nHost: x\n\n").status == 400);
  BOOST_TEST(bad.at_end());
  BOOST_TEST(bad.told_goodbye());
}

BOOST_AUTO_TEST_CASE(a_client_that_sends_no_more_still_gets_its_answer) {
  gateway.on_item = nullptr;
  uint16_t port = start();
  tls_client half(port), told(port);
  half.send(click("half"));
  half.half_close(); // TCP's end without TLS's
  gateway.complete(gateway.items(1)[0].from, actors::ingested{false, 1, 1});
  BOOST_TEST(event_of(half.read()) == "half");
  BOOST_TEST(half.at_end());
  told.send(click("told"));
  told.say_goodbye();
  gateway.complete(gateway.items(2)[1].from, actors::ingested{false, 1, 2});
  BOOST_TEST(event_of(told.read()) == "told");
  BOOST_TEST(told.at_end());
}

BOOST_AUTO_TEST_CASE(plain_http_and_garbage_are_closed_and_counted) {
  uint16_t port = start();
  for (int i = 0; i < 3; ++i) {
    raw_client plain(port);
    plain.send(get("/healthz"));
    BOOST_TEST(plain.at_end());
  }
  BOOST_TEST(counted("plain_http", 3));
  raw_client noise(port);
  noise.send(std::string(100'000, '\xfe'));
  while (noise.read().status != 0) {
  }
  const std::string hello = "\x16\x03\x01\x02";
  raw_client cut(port);
  cut.send(hello);
  cut.half_close();
  cut.at_end();
  raw_client reset(port);
  reset.send(hello);
  BOOST_TEST(counted("failed", 1));
  reset.reset();
  BOOST_TEST(tls_client(port).ask(get("/healthz")).status == 200);
  BOOST_TEST(server->drain(patience));
  BOOST_TEST(handshakes("closed") == 2);
}

BOOST_AUTO_TEST_CASE(a_handshake_has_its_deadline_whatever_drips) {
  options.tls_handshake_timeout_ms = 100;
  uint16_t port = start();
  raw_client silent(port), drip(port);
  std::thread dripping([&] {
    // A handshake record that claims 16 KiB and comes byte by byte.
    for (std::string bytes("\x16\x03\x01\x40\x00\x01\x00\x3f\xfc\x03\x03", 11); drip.send(bytes); bytes = std::string(1, 'x'))
      std::this_thread::yield();
  });
  BOOST_TEST(silent.at_end());
  dripping.join();
  auto until = std::chrono::steady_clock::now() + patience;
  while (server->connections() > 0 && std::chrono::steady_clock::now() < until) std::this_thread::yield();
  BOOST_TEST(server->connections() == 0u);
  BOOST_TEST(handshakes("timed_out") >= 1);
  // And an established connection has it no more.
  auto c = std::make_unique<tls_client>(port);
  for (; !c->connected() && std::chrono::steady_clock::now() < until; c = std::make_unique<tls_client>(port)) {
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  BOOST_TEST(c->ask(get("/healthz")).status == 200);
}

BOOST_AUTO_TEST_CASE(unfinished_handshakes_are_bounded_and_the_oldest_makes_way) {
  options.loops = 1;
  options.tls_max_handshakes = 10;
  uint16_t port = start();
  std::vector<std::unique_ptr<raw_client>> silent;
  for (int i = 0; i < 30; ++i) {
    silent.push_back(std::make_unique<raw_client>(port));
    silent.back()->send("\x16\x03\x01");
  }
  BOOST_TEST(counted("crowded_out", 20));
  BOOST_TEST(silent.front()->at_end());
  BOOST_TEST(tls_client(port).ask(get("/healthz")).status == 200);
}

BOOST_AUTO_TEST_CASE(renegotiation_is_refused) {
  tls_client c(start(), {TLS1_2_VERSION, nullptr, {}, 0});
  BOOST_TEST(c.ask(get("/healthz")).status == 200);
  BOOST_TEST(!c.renegotiate());
}

BOOST_AUTO_TEST_CASE(a_new_certificate_is_for_new_connections_and_a_broken_one_for_none) {
  uint16_t port = start();
  tls_client old(port);
  BOOST_TEST(metrics.tls_certificate_expires().Value() > static_cast<double>(std::time(nullptr)));
  tls_identity second("second", nullptr, 7'200), third("third");
  replace(second);
  server->look_at_files();
  tls_client now(port);
  BOOST_TEST(now.peer() == "second");
  BOOST_TEST(old.ask(get("/healthz")).status == 200);

  auto still_second = [&](std::string_view why) {
    server->look_at_files();
    tls_client c(port);
    BOOST_TEST_CONTEXT(why) {
      BOOST_TEST(c.peer() == "second");
      auto ready = c.ask(get("/readyz"));
      BOOST_TEST(ready.status == 200);
      BOOST_TEST(ready.has(why));
      BOOST_TEST(ready.has("the certificate before it stays in force"));
      BOOST_TEST(!ready.has("BEGIN"));
    }
  };
  certificate.write(third.certificate_pem()); // its key comes later
  still_second("does not belong to the certificate");
  certificate.write("nonsense");
  still_second("cannot be used");
  certificate.write(third.certificate_pem().substr(0, 300));
  still_second("cannot be used");
  certificate.write(third.certificate_pem() + "-----BEGIN CERTIFICATE-----\nxxxx\n-----END CERTIFICATE-----\n");
  still_second("cannot be used");
  certificate.write(third.certificate_pem());
  key.write(third.key_pem("password"));
  still_second("without a password");
  unlink(key.path().c_str());
  still_second("No such file or directory");
  key.write(third.key_pem());
  server->look_at_files();
  tls_client last(port);
  BOOST_TEST(last.peer() == "third");
  BOOST_TEST(last.ask(get("/readyz")).body == R"({"status":"ready","degraded":[]})");
  BOOST_TEST(old.ask(get("/healthz")).status == 200);
  BOOST_TEST(now.ask(get("/healthz")).status == 200);
}

BOOST_AUTO_TEST_CASE(bad_files_refuse_the_start) {
  key.write(tls_identity("other").key_pem());
  BOOST_TEST(http::check(options).find("does not belong to the certificate " + certificate.path()) != std::string::npos);
  options.tls_key_file = "/nowhere/key.pem";
  BOOST_TEST(http::check(options) == "cannot read the private key /nowhere/key.pem: No such file or directory");
}

BOOST_AUTO_TEST_CASE(the_admin_listener_can_ask_for_a_certificate) {
  tls_identity authority("authority"), stranger_authority("authority");
  tls_identity known("friend", &authority), stranger("stranger", &stranger_authority);
  temporary_file ca(authority.certificate_pem());
  options.tls_client_ca_file = ca.path();
  options.admin_host = "127.0.0.1";
  options.admin_port = 0;
  uint16_t port = start();
  for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    tls_client good(server->admin_port(), {version, &known, {}, 0});
    BOOST_TEST(good.ask(get("/healthz")).status == 200);
    tls_client none(server->admin_port(), {version, nullptr, {}, 0}), bad(server->admin_port(), {version, &stranger, {}, 0});
    BOOST_TEST(none.ask(get("/healthz")).status == 0);
    BOOST_TEST(bad.ask(get("/healthz")).status == 0);
  }
  BOOST_TEST(tls_client(port).ask(get("/healthz")).status == 200); // the main one asks nobody
  ca.write(stranger_authority.certificate_pem());
  server->look_at_files();
  tls_client now(server->admin_port(), {0, &stranger, {}, 0}), before(server->admin_port(), {0, &known, {}, 0});
  BOOST_TEST(now.ask(get("/healthz")).status == 200);
  BOOST_TEST(before.ask(get("/healthz")).status == 0);
}

BOOST_AUTO_TEST_CASE(connections_come_and_go_while_certificates_change) {
  uint16_t port = start();
  std::atomic<bool> stop{false};
  std::atomic<int> failed{0}, answered{0};
  std::vector<std::thread> clients;
  for (int t = 0; t < 3; ++t)
    clients.emplace_back([&] {
      tls_client kept(port);
      while (!stop) {
        tls_client fresh(port);
        for (auto* c : {&fresh, &kept}) (c->ask(click("e")).status == 202 ? answered : failed)++;
      }
    });
  for (int i = 0; i < 20; ++i) {
    replace(tls_identity("n" + std::to_string(i)));
    server->look_at_files();
    int before = answered;
    auto until = std::chrono::steady_clock::now() + patience;
    while (answered < before + 3 && std::chrono::steady_clock::now() < until) std::this_thread::yield();
  }
  stop = true;
  for (auto& t : clients) t.join();
  BOOST_TEST(failed == 0);
  BOOST_TEST(answered > 60);
}

BOOST_AUTO_TEST_CASE(draining_answers_what_is_in_flight) {
  gateway.on_item = nullptr;
  uint16_t port = start();
  tls_client busy(port), idle(port);
  raw_client unfinished(port);
  unfinished.send("\x16\x03");
  BOOST_TEST(idle.ask(get("/healthz")).status == 200);
  busy.send(click("e"));
  auto from = gateway.items(1)[0].from;
  auto drained = std::async(std::launch::async, [&] { return server->drain(patience); });
  BOOST_TEST(idle.at_end());
  gateway.complete(from, actors::ingested{false, 1, 1});
  auto r = busy.read();
  BOOST_TEST(event_of(r) == "e");
  BOOST_TEST(r.header("Connection") == "close");
  BOOST_TEST(drained.get());
}

BOOST_AUTO_TEST_SUITE_END()
