#include "storage/agent_cache.hpp"

#include <string>
#include <thread>
#include <vector>

#include <boost/test/unit_test.hpp>

using namespace adtrack;

namespace {

std::shared_ptr<const agent_rules> rules() {
  agent_patterns p;
  p.browsers = {{"(\\w+)/", false, ""}};
  std::string error;
  return agent_rules::make(p, error);
}

std::string agent_of(size_t i) { return "A" + std::to_string(i) + "/1 (X)"; }

} // namespace

BOOST_AUTO_TEST_SUITE(cache_of_agents)

BOOST_AUTO_TEST_CASE(an_agent_is_classified_once) {
  storage::agent_cache cache(rules(), 1'000);
  const auto first = cache.find("Fancy/1 (X)");
  BOOST_TEST(first->browser == "Fancy");
  BOOST_TEST((cache.find("Fancy/1 (X)") == first)); // the same object
  BOOST_TEST(cache.find("")->browser == "");
  BOOST_TEST(cache.size() == 2u);
}

BOOST_AUTO_TEST_CASE(it_stays_bounded_and_right_however_many_agents_come) {
  constexpr size_t bound = 320;
  storage::agent_cache cache(rules(), bound);
  for (size_t i = 0; i < 10'000; ++i) {
    const size_t agent = i * i % 3'001;
    BOOST_REQUIRE(cache.find(agent_of(agent))->browser == "A" + std::to_string(agent));
    BOOST_REQUIRE(cache.size() <= bound + 3 * 16); // parts round up, and an agent may stand in both generations
  }
}

BOOST_AUTO_TEST_CASE(an_agent_that_is_asked_for_again_and_again_stays) {
  storage::agent_cache cache(rules(), 320);
  const auto wanted = cache.find("Steady/1 (X)");
  for (size_t i = 0; i < 10'000; ++i) {
    cache.find(agent_of(i));
    if (i % 5 == 0) BOOST_REQUIRE((cache.find("Steady/1 (X)") == wanted));
  }
}

BOOST_AUTO_TEST_CASE(threads_share_it) {
  storage::agent_cache cache(rules(), 200);
  std::vector<std::thread> threads;
  std::atomic<size_t> wrong{0};
  for (size_t t = 0; t < 4; ++t)
    threads.emplace_back([&cache, &wrong, t] {
      for (size_t i = 0; i < 5'000; ++i) {
        const size_t agent = (i * 7 + t) % 400;
        if (cache.find(agent_of(agent))->browser != "A" + std::to_string(agent)) ++wrong;
      }
    });
  for (auto& thread : threads) thread.join();
  BOOST_TEST(wrong == 0u);
}

BOOST_AUTO_TEST_SUITE_END()
