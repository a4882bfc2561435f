#include "http/trace_context.hpp"

#include <string>

#include <boost/test/unit_test.hpp>

using namespace adtrack::http;

BOOST_AUTO_TEST_SUITE(http_trace_context)

constexpr std::string_view good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

BOOST_AUTO_TEST_CASE(a_valid_header_is_passed_on_as_it_is) {
  BOOST_TEST(trace_parent(good) == good);
  BOOST_TEST(trace_id(trace_parent(good)) == "4bf92f3577b34da6a3ce929d0e0e4736");
  const std::string other = "cc" + std::string(good.substr(2));
  BOOST_TEST(trace_parent(other) == other); // a later version
  BOOST_TEST(trace_parent(other + "-what-is-new") == other);
}

BOOST_AUTO_TEST_CASE(what_is_not_valid_is_no_trace) {
  const auto with = [](size_t at, char c) {
    std::string out(good);
    out[at] = c;
    return out;
  };
  for (const auto& bad : {std::string(), std::string(good.substr(0, 54)), std::string(good) + "-", std::string(good) + "0",
                          "ff" + std::string(good.substr(2)), "cc" + std::string(good.substr(2)) + ".x", with(0, 'g'),
                          with(2, '_'), with(3, 'G'), with(3, 'B'), with(35, '0'), with(36, ' '), with(52, '0'), with(53, '-'),
                          "00-" + std::string(32, '0') + std::string(good.substr(35)),
                          std::string(good.substr(0, 36)) + std::string(16, '0') + "-01"})
    BOOST_TEST(trace_parent(bad).empty(), bad);
  BOOST_TEST(trace_id({}).empty());
}

BOOST_AUTO_TEST_SUITE_END()
