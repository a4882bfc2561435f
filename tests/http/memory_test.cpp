// Memory stays bounded whatever a client sends, and others are answered meanwhile. Smaller than the end-to-end runs, same rules.
#include <boost/test/unit_test.hpp>
#include <sys/resource.h>

#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "tests/http/server_fixture.hpp"

using namespace adtrack;
using namespace adtrack::tests;

namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool memory_is_real = false; // sanitizers keep freed memory and shadows
#else
constexpr bool memory_is_real = true;
#endif

int64_t resident_bytes() {
  std::ifstream in("/proc/self/statm");
  int64_t total = 0, resident = 0;
  in >> total >> resident;
  return resident * 4096;
}

constexpr int64_t growth_max = 64 << 20;

// Sends `part` again and again until the server takes no more or `times` is reached; gives the bytes taken.
size_t pour(raw_client& c, const std::string& first, const std::string& part, size_t times) {
  size_t taken = 0;
  if (!c.send(first)) return taken;
  for (size_t i = 0; i < times && c.send(part); ++i) taken += part.size();
  return taken;
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(http_memory, server_fixture)

BOOST_AUTO_TEST_CASE(endless_input_of_any_kind_is_refused_early) {
  uint16_t port = start();
  raw_client other(port);
  int64_t before = resident_bytes();
  const std::string chunk = "4000\r\n" + std::string(16'384, 'a') + "\r\n";
  const std::string post_head = "POST /api/v1/ads/click HTTP/1.1\r\nHost: x\r\n";
  std::string tiny_chunks, headers;
  for (int i = 0; i < 4'000; ++i) tiny_chunks += "1\r\na\r\n";
  for (int i = 0; i < 1'000; ++i) headers += "X-Y: z\r\n";
  struct kind {
    std::string first, part;
    size_t times;
    int status;
  };
  const kind kinds[] = {{post_head + "Transfer-Encoding: chunked\r\n\r\n", chunk, 32'000, 413},       // 500 MiB
                        {post_head + "Transfer-Encoding: chunked\r\n\r\n", tiny_chunks, 10'000, 413}, //
                        {post_head + "X: ", std::string(16'384, 'a'), 19'200, 431},                   // a line of 300 MiB
                        {post_head, headers, 1'000, 431},                                             // a million lines
                        {"GET /", std::string(16'384, 'a'), 19'200, 414},
                        {post_head + "Content-Length: 524288000\r\n\r\n", chunk, 32'000, 413}};
  for (const auto& k : kinds) {
    raw_client c(port);
    size_t taken = pour(c, k.first, k.part, k.times);
    BOOST_TEST_CONTEXT(k.first) {
      bool cut_off = taken < k.part.size() * k.times;
      BOOST_TEST((cut_off || c.read().status == k.status));
      BOOST_TEST(other.ask(get("/healthz")).status == 200);
    }
  }
  if (memory_is_real) BOOST_TEST(resident_bytes() - before < growth_max);
}

BOOST_AUTO_TEST_CASE(a_thousand_slow_bodies_stay_within_the_budget_and_others_are_answered) {
  accept_all();
  options.max_buffered_bytes = 16 << 20;
  uint16_t port = start();
  raw_client other(port);
  int64_t before = resident_bytes();
  std::vector<std::unique_ptr<raw_client>> slow;
  const std::string part =
      "POST /api/v1/ads/click HTTP/1.1\r\nHost: x\r\nContent-Length: 65536\r\n\r\n" + std::string(60'000, 'a');
  for (int i = 0; i < 1'000; ++i) {
    slow.push_back(std::make_unique<raw_client>(port));
    slow.back()->send(part);
    if (i % 100 == 0) BOOST_TEST(other.ask(click("e" + std::to_string(i))).status == 202);
  }
  if (memory_is_real) BOOST_TEST(resident_bytes() - before < growth_max);
  BOOST_TEST(slow.back()->read().status == 503);
  BOOST_TEST(other.ask(click("after")).status == 202);
}

BOOST_AUTO_TEST_CASE(ten_thousand_idle_connections_hold_no_buffers) {
  accept_all();
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  size_t count = std::min<size_t>(10'000, (limit.rlim_cur - 200) / 2);
  BOOST_TEST_MESSAGE(count << " connections");
  uint16_t port = start();
  std::vector<std::unique_ptr<raw_client>> clients;
  int64_t before = resident_bytes();
  for (size_t i = 0; i < count; ++i) {
    clients.push_back(std::make_unique<raw_client>(port));
    if (clients.back()->ask(click("e")).status != 202) BOOST_ERROR("connection " << i);
  }
  BOOST_TEST(server->connections() == count);
  if (memory_is_real) BOOST_TEST(resident_bytes() - before < 32 << 20);
  BOOST_TEST(clients.front()->ask(click("again")).status == 202);
  for (auto& c : clients) c->reset();
  BOOST_TEST(server->drain(patience));
}

BOOST_AUTO_TEST_SUITE_END()
