#include "http/cors.hpp"

#include <boost/test/unit_test.hpp>

using namespace adtrack::http;

namespace {

std::string text(const header_lines* lines) {
  std::string out;
  if (lines == nullptr) return "none";
  for (const auto& [name, value] : *lines) out += std::string(name) + ": " + value + "\n";
  return out;
}

const std::string exposed = "Access-Control-Expose-Headers: X-Request-Id, Retry-After, ETag, Location, Adtrack-Total, "
                            "Adtrack-Complete, Adtrack-Real-Time, "
                            "Adtrack-Resolution, Adtrack-Lag-Ms, Adtrack-Since, Adtrack-Until, Adtrack-Log-Faults\n";

} // namespace

BOOST_AUTO_TEST_SUITE(http_cors)

BOOST_AUTO_TEST_CASE(without_origins_nothing_is_added) {
  cors_policy p;
  std::string error;
  BOOST_TEST(p.open({}, 600, error));
  BOOST_TEST(text(p.lines("https://a.example")) == "none");
  BOOST_TEST(!p.allows("https://a.example"));
}

BOOST_AUTO_TEST_CASE(a_listed_origin_gets_its_own_name_and_another_only_vary) {
  cors_policy p;
  std::string error;
  BOOST_TEST(p.open({"https://a.example", "http://b.example:8080"}, 600, error));
  BOOST_TEST(text(p.lines("https://a.example")) ==
             "Access-Control-Allow-Origin: https://a.example\n" + exposed + "Vary: Origin\n");
  BOOST_TEST(p.allows("http://b.example:8080"));
  for (auto stranger : {"", "null", "https://a.example/", "https://A.example", "http://a.example", "https://a.example:443",
                        "https://a.example.evil.example", "https://evil.example", "http://b.example", "*"})
    BOOST_TEST_CONTEXT(stranger) {
      BOOST_TEST(!p.allows(stranger));
      BOOST_TEST(text(p.lines(stranger)) == "Vary: Origin\n");
    }
}

BOOST_AUTO_TEST_CASE(a_star_is_for_all_and_does_not_vary) {
  cors_policy p;
  std::string error;
  BOOST_TEST(p.open({"*"}, 600, error));
  BOOST_TEST(text(p.lines("https://any.example")) == "Access-Control-Allow-Origin: *\n" + exposed);
  BOOST_TEST(p.allows("https://any.example"));
}

BOOST_AUTO_TEST_CASE(what_no_browser_would_send_is_refused_by_name) {
  for (auto bad : {"a.example", "https://", "https://a.example/", "https://a.example/path", "HTTPS://a.example",
                   "https://A.example", "https://a b", "://a", "null", "https://*.example", "https://user@a.example"}) {
    cors_policy p;
    std::string error;
    BOOST_TEST_CONTEXT(bad) {
      BOOST_TEST(!p.open({bad}, 600, error));
      BOOST_TEST(error.find('"' + std::string(bad) + '"') != std::string::npos);
    }
  }
  cors_policy p;
  std::string error;
  BOOST_TEST(!p.open({"*", "https://a.example"}, 600, error));
  BOOST_TEST(p.open({"https://[2001:db8::1]:8443", "capacitor://localhost"}, 600, error));
}

BOOST_AUTO_TEST_SUITE_END()
