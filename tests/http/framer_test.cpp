// Every rule of the framer, as a table, and every split of what it accepts.
#include "http/framer.hpp"

#include <boost/test/unit_test.hpp>

#include <random>
#include <string>

using namespace adtrack::http;
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

struct rule {
  const char* name;
  std::string bytes;
  int status;
};

const std::vector<rule>& rules() {
  using namespace std::string_literals;
  static const std::vector<rule> all = {
      {"a plain GET", "GET / HTTP/1.1\r\nHost: h\r\n\r\n", 0},
      {"one empty line before it", "\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", 0},
      {"two empty lines before it", "\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"a request line with a bare LF", "GET / HTTP/1.1\nHost: h\r\n\r\n", 400},
      {"a header with a bare LF", "GET / HTTP/1.1\r\nHost: h\n\r\n", 400},
      {"a blank line with a bare LF", "GET / HTTP/1.1\r\nHost: h\r\n\n", 400},
      {"a bare LF first", "\nGET / HTTP/1.1\r\n", 400},
      {"a bare CR in a value", head("X: a\rb\r\n"), 400},
      {"a bare CR in the request line", "GET /\r HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"a CR before CR LF", head("X: a\r\r\n"), 400},
      {"a folded line", head("X: a\r\n b\r\n"), 400},
      {"a folded line with a tab", head("X: a\r\n\tb\r\n"), 400},
      {"a space before the colon", head("X : a\r\n"), 400},
      {"a tab before the colon", head("X\t: a\r\n"), 400},
      {"no colon", head("nonsense\r\n"), 400},
      {"an empty name", head(": a\r\n"), 400},
      {"a name that is not a token", head("X(y): a\r\n"), 400},
      {"a name beyond ASCII", head("X\xc3\xa9: a\r\n"), 400},
      {"a NUL in a value", head("X: a\0b\r\n"s), 400},
      {"a NUL in a name", head("X\0Y: a\r\n"s), 400},
      {"a NUL in the target", "GET /\0 HTTP/1.1\r\nHost: h\r\n\r\n"s, 400},
      {"a control byte in a value", head("X: a\x01\r\n"), 400},
      {"DEL in a value", head("X: a\x7f\r\n"), 400},
      {"a tab in a value", head("X: a\tb\r\n"), 0},
      {"obs-text in a value", head("X: \xe9\r\n"), 0},
      {"an empty value", head("X:\r\n"), 0},
      {"no Host in HTTP/1.1", "GET / HTTP/1.1\r\n\r\n", 400},
      {"no Host in HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", 0},
      {"two Hosts", head("Host: h\r\n"), 400},
      {"a Host with a space", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400},
      {"a Host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
      {"a Host with user information", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400},
      {"an empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 0},
      {"a Host with a port", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", 0},
      {"HTTP/2.0", "GET / HTTP/2.0\r\nHost: h\r\n\r\n", 505},
      {"HTTP/0.9 with a version", "GET / HTTP/0.9\r\n\r\n", 505},
      {"HTTP/1.2", "GET / HTTP/1.2\r\nHost: h\r\n\r\n", 505},
      {"HTTP/0.9 without a version", "GET /\r\n", 400},
      {"a version in lower case", "GET / http/1.1\r\nHost: h\r\n\r\n", 400},
      {"a version with two digits", "GET / HTTP/1.10\r\nHost: h\r\n\r\n", 400},
      {"an unknown method", "BREW / HTTP/1.1\r\nHost: h\r\n\r\n", 501},
      {"CONNECT", "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", 501},
      {"a method in lower case", "get / HTTP/1.1\r\nHost: h\r\n\r\n", 501},
      {"a method that is not a token", "GE(T / HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"a TLS hello", "\x16\x03\x01"s, 400},
      {"two spaces in the request line", "GET  / HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"a space in the target", "GET /a b HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"a space after the version", "GET / HTTP/1.1 \r\nHost: h\r\n\r\n", 400},
      {"a fragment in the target", "GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"a target beyond ASCII", "GET /\xc3\xa9 HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"a target without a slash", "GET x HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"an absolute target", "GET http://h/a?b HTTP/1.1\r\nHost: h\r\n\r\n", 0},
      {"an absolute target without a host", "GET http:///a HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"an absolute target with user information", "GET http://u@h/ HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"an ftp target", "GET ftp://h/ HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", 0},
      {"GET *", "GET * HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"a body", head("Content-Length: 3\r\n") + "abc", 0},
      {"a body that is not all there", head("Content-Length: 3\r\n") + "ab", -1},
      {"a length of nothing", head("Content-Length:\r\n"), 400},
      {"a negative length", head("Content-Length: -1\r\n"), 400},
      {"a length with a plus", head("Content-Length: +3\r\n"), 400},
      {"a length with a space in it", head("Content-Length: 3 3\r\n"), 400},
      {"a hexadecimal length", head("Content-Length: 0x3\r\n"), 400},
      {"a list of lengths", head("Content-Length: 3, 3\r\n"), 400},
      {"two equal lengths", head("Content-Length: 3\r\nContent-Length: 3\r\n"), 400},
      {"two different lengths", head("Content-Length: 3\r\nContent-Length: 4\r\n"), 400},
      {"a length with leading zeros", head("Content-Length: 0000000000000000000003\r\n") + "abc", 0},
      {"the largest body", head("Content-Length: 65536\r\n"), -1},
      {"a body one byte larger", head("Content-Length: 65537\r\n"), 413},
      {"a length that overflows 64 bits", head("Content-Length: 18446744073709551619\r\n"), 413},
      {"a length and chunks", head("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"), 400},
      {"chunks and a length", head("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n"), 400},
      {"another coding", head("Transfer-Encoding: gzip\r\n"), 501},
      {"two codings", head("Transfer-Encoding: gzip, chunked\r\n"), 501},
      {"chunked twice", head("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), 400},
      {"chunks in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {"an expectation", head("Expect: 100-Continue\r\n"), 0},
      {"another expectation", head("Expect: 200-ok\r\n"), 417},
      {"two content types", head("Content-Type: a/b\r\nContent-Type: a/b\r\n"), 400},
      {"two authorizations", head("Authorization: a\r\nAuthorization: b\r\n"), 400},
      {"no chunks", chunked("0\r\n\r\n"), 0},
      {"a chunk", chunked("3\r\nabc\r\n0\r\n\r\n"), 0},
      {"a chunk size in capitals", chunked("A\r\n0123456789\r\n0\r\n\r\n"), 0},
      {"a chunk extension", chunked("3;x=y\r\nabc\r\n0\r\n\r\n"), 400},
      {"a trailer", chunked("0\r\nX: y\r\n\r\n"), 400},
      {"a chunk size with a bare LF", chunked("3\nabc\r\n0\r\n\r\n"), 400},
      {"a chunk that ends with a bare LF", chunked("3\r\nabc\n0\r\n\r\n"), 400},
      {"a chunk longer than its size", chunked("3\r\nabcd\r\n0\r\n\r\n"), 400},
      {"an empty chunk size", chunked("\r\nabc\r\n"), 400},
      {"a chunk size with a sign", chunked("+3\r\nabc\r\n0\r\n\r\n"), 400},
      {"a chunk size with 0x", chunked("0x3\r\nabc\r\n0\r\n\r\n"), 400},
      {"a chunk size with a space", chunked("3 \r\nabc\r\n0\r\n\r\n"), 400},
      {"a chunk larger than the largest body", chunked("10001\r\n"), 413},
      {"a chunk size that overflows", chunked("FFFFFFFFFFFFFFFFF\r\n"), 413},
      {"chunks that are not all there", chunked("3\r\nabc\r\n"), -1},
  };
  return all;
}

} // namespace

BOOST_AUTO_TEST_SUITE(http_framer)

BOOST_AUTO_TEST_CASE(each_rule_gives_its_status) {
  for (const auto& r : rules()) {
    BOOST_TEST_CONTEXT(r.name) BOOST_TEST(verdict(r.bytes) == r.status);
  }
}

BOOST_AUTO_TEST_CASE(bytes_that_come_one_by_one_give_the_same_status) {
  for (const auto& r : rules()) {
    framer f;
    int got = -1;
    for (size_t n = 1; n <= r.bytes.size() && got == -1; ++n) {
      // A copy of exactly n bytes, so that a sanitizer sees a look beyond them.
      std::string part(r.bytes, 0, n);
      auto s = f.advance(part, limits);
      if (s == state::complete) got = 0;
      if (s == state::bad) got = f.error().status;
    }
    BOOST_TEST_CONTEXT(r.name) BOOST_TEST(got == r.status);
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
    auto bytes = rules()[random() % rules().size()].bytes;
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
