// Every rule of the framer, out of messages.txt, and every split of what it accepts.
#include "http/framer.hpp"

#include <boost/test/unit_test.hpp>

#include <random>
#include <string>

#include "tests/http/messages.hpp"

using namespace adtrack::http;
using namespace adtrack::tests;
using state = framer::state;

namespace {

const frame_limits limits;

// 0: complete; -1: more needed; otherwise the error's status.
int verdict(std::string_view bytes, const frame_limits& l = limits) {
  framer f;
  switch (f.advance(bytes, l)) {
  case state::complete: return 0;
  case state::bad: return f.error().status;
  case state::need_head:
  case state::need_body: break;
  }
  return -1;
}

std::string head(std::string_view lines) { return "POST /x HTTP/1.1\r\nHost: h\r\n" + std::string(lines) + "\r\n"; }
std::string chunked(std::string_view body) { return head("Transfer-Encoding: chunked\r\n") + std::string(body); }

// What the framer makes of a whole stream, in the words of messages.txt; it is given `step` bytes more each time.
std::string outcomes(std::string_view stream, size_t step) {
  std::string said;
  framer f;
  size_t used = 0;
  for (size_t n = 0; n < stream.size();) {
    n = std::min(stream.size(), n + step);
    // A copy of just these bytes, so that a sanitizer sees a look beyond them.
    std::string part(stream.substr(used, n - used));
    for (;;) {
      auto seen = f.advance(part, limits);
      if (seen == state::bad) return said + "!" + std::to_string(f.error().status);
      if (seen != state::complete) break;
      said += f.head().keep_alive ? "ok " : "ok/";
      if (!f.head().keep_alive) return said;
      used += f.size();
      part.erase(0, f.size());
      f.reset();
    }
  }
  return used == stream.size() ? said : said + "?";
}

// The same out of a message's wanted statuses: those of an answer are not the framer's business.
std::string wanted_outcomes(const message& m) {
  std::string said;
  for (const auto& w : m.want) {
    if (w == "100") continue;
    if (w[0] == '!' || w[0] == '?')
      said += w[0] == '!' ? w : "?";
    else
      said += w.back() == '/' ? "ok/" : "ok ";
  }
  if (m.goes_on()) said += "ok "; // the request behind it
  return said;
}

} // namespace

BOOST_AUTO_TEST_SUITE(http_framer)

BOOST_AUTO_TEST_CASE(each_message_becomes_what_its_rule_wants) {
  BOOST_REQUIRE(messages().size() > 300);
  for (const auto& m : messages()) {
    auto stream = m.unfinished() ? m.bytes : m.bytes + message_behind();
    BOOST_TEST_CONTEXT(m.name << ": " << m.why) BOOST_TEST(outcomes(stream, stream.size()) == wanted_outcomes(m));
  }
}

BOOST_AUTO_TEST_CASE(bytes_that_come_one_by_one_become_the_same) {
  for (const auto& m : messages()) {
    auto stream = m.unfinished() ? m.bytes : m.bytes + message_behind();
    size_t step = stream.size() < 20'000 ? 1 : 977;
    BOOST_TEST_CONTEXT(m.name << ": " << m.why) BOOST_TEST(outcomes(stream, step) == wanted_outcomes(m));
  }
}

BOOST_AUTO_TEST_CASE(every_split_finds_the_same_end_and_body) {
  const std::string first = "POST /a/b?c=d HTTP/1.1\r\nHost: h\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello";
  const std::string second = "POST /z HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
  const std::string after = "GET / HTTP/1.1\r\n";
  for (const auto& [bytes, body] : {std::pair(first, "hello"), std::pair(second, "abcde")}) {
    std::string all = bytes + after;
    for (size_t at = 0; at <= all.size(); ++at) {
      framer f;
      std::string part(all, 0, at);
      auto s = f.advance(part, limits);
      BOOST_TEST((s == state::complete) == (at >= bytes.size()));
      BOOST_REQUIRE((f.advance(all, limits) == state::complete));
      BOOST_TEST(f.size() == bytes.size());
      BOOST_TEST(f.body(all) == body);
    }
  }
}

BOOST_AUTO_TEST_CASE(the_head_says_what_the_request_line_and_the_headers_say) {
  const std::string bytes = "PUT http://h:1/a/b?c=d HTTP/1.1\r\nhOsT:  h:1 \r\nUSER-agent: first\r\nUser-Agent: second\r\n"
                            "Connection: keep-alive, Close\r\nPurpose: Prefetch\r\nX-Request-Id: r\r\n\r\n";
  framer f;
  BOOST_REQUIRE((f.advance(bytes, limits) == state::complete));
  const auto& h = f.head();
  BOOST_TEST((h.method == http_method::put));
  BOOST_TEST(h.path.of(bytes) == "/a/b");
  BOOST_TEST(h.query.of(bytes) == "c=d");
  BOOST_TEST(h.value(header::host, bytes) == "h:1");
  BOOST_TEST(h.value(header::user_agent, bytes) == "first");
  BOOST_TEST(h.value(header::request_id, bytes) == "r");
  BOOST_TEST(!h.keep_alive);
  BOOST_TEST(h.prefetch);
  BOOST_TEST(!h.has(header::content_type));
  size_t agents = 0;
  for_each_header(bytes, h, "user-agent", [&](std::string_view v) { BOOST_TEST(v == (agents++ == 0 ? "first" : "second")); });
  BOOST_TEST(agents == 2u);
}

BOOST_AUTO_TEST_CASE(heads_are_bounded_whether_or_not_their_end_comes) {
  BOOST_TEST(verdict("GET /" + std::string(7'990, 'a') + " HTTP/1.1\r\nHost: h\r\n\r\n") == 0);
  BOOST_TEST(verdict("GET /" + std::string(8'000, 'a') + " HTTP/1.1\r\nHost: h\r\n\r\n") == 414);
  BOOST_TEST(verdict("GET /" + std::string(9'000, 'a')) == 414);
  BOOST_TEST(verdict(std::string(9'000, 'a')) == 414);
  BOOST_TEST(verdict(head("X: " + std::string(7'000, 'a') + "\r\n")) == 0);
  BOOST_TEST(verdict(head("X: " + std::string(8'000, 'a') + "\r\n")) == 431);
  BOOST_TEST(verdict("GET / HTTP/1.1\r\nX: " + std::string(9'000, 'a')) == 431);
  // A line of just the limit is taken, also when all of it but the line feed has come.
  auto limit_line = head("X: " + std::string(7'997, 'a') + "\r\n");
  BOOST_TEST(verdict(limit_line) == 0);
  BOOST_TEST(verdict(limit_line.substr(0, limit_line.size() - 3)) != 431);
  std::string many;
  for (int i = 0; i < 99; ++i) many += "X: y\r\n";
  BOOST_TEST(verdict(head(many)) == 0);
  BOOST_TEST(verdict(head(many + "X: y\r\n")) == 431);
  std::string large;
  for (int i = 0; i < 3; ++i) large += "X: " + std::string(6'000, 'a') + "\r\n";
  BOOST_TEST(verdict(head(large)) == 431);
  BOOST_TEST(verdict("GET / HTTP/1.1\r\n" + large) == 431);
}

BOOST_AUTO_TEST_CASE(chunks_are_bounded_by_their_sum_and_by_their_number) {
  std::string large;
  for (int i = 0; i < 64; ++i) large += "400\r\n" + std::string(1'024, 'a') + "\r\n";
  BOOST_TEST(verdict(chunked(large + "0\r\n\r\n")) == 0);
  BOOST_TEST(verdict(chunked(large + "1\r\na\r\n")) == 413);
  std::string tiny;
  for (int i = 0; i < 30'000; ++i) tiny += "1\r\na\r\n";
  BOOST_TEST(verdict(chunked(tiny)) == 413);
}

BOOST_AUTO_TEST_CASE(random_bytes_split_at_random_never_disagree_with_the_whole) {
  const unsigned seed = std::random_device{}();
  BOOST_TEST_MESSAGE("seed " << seed);
  std::mt19937 random(seed);
  for (int i = 0; i < 3'000; ++i) {
    auto bytes = messages()[random() % messages().size()].bytes;
    if (bytes.size() > 2'000) continue;
    for (unsigned n = random() % 3; n > 0 && !bytes.empty(); --n)
      bytes[random() % bytes.size()] = "\r\n :aZ0\0\x80;"[random() % 10];
    framer f;
    int got = -1;
    for (size_t n = 0; n < bytes.size() && got == -1;) {
      n = std::min(bytes.size(), n + 1 + random() % 20);
      std::string part(bytes, 0, n);
      auto s = f.advance(part, limits);
      if (s == state::complete) got = 0;
      if (s == state::bad) got = f.error().status;
    }
    BOOST_TEST_CONTEXT("seed " << seed << " round " << i << ": " << bytes) BOOST_TEST(got == verdict(bytes));
  }
}

BOOST_AUTO_TEST_SUITE_END()
