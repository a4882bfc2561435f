#include "http/ads_request.hpp"

#include <boost/test/unit_test.hpp>

#include <string>

using namespace adtrack;
using namespace adtrack::http;

namespace {

struct read_ad {
  bool ok = false;
  ad_fields fields;
  std::string syntax;
  std::vector<field_error> errors;
};

read_ad read(std::string_view body) {
  static ads_reader reader;
  read_ad r;
  r.ok = reader.read(body, r.fields, r.syntax, r.errors);
  return r;
}
read_ad with(std::string_view field) { return read(R"({"title":"T","url":"https://x.example/",)" + std::string(field) + "}"); }
std::string letters(size_t n) { return "\"" + std::string(n, 'a') + "\""; }
bool refused(const read_ad& r, std::string_view field) { return !r.ok && r.errors.size() == 1 && r.errors[0].field == field; }

} // namespace

BOOST_AUTO_TEST_SUITE(http_ads_request)

BOOST_AUTO_TEST_CASE(all_fields_are_taken_and_unknown_ones_ignored) {
  auto r = read(
      R"({"id":9,"title":"T","description":"D","url":"http://x.example:8080/a?b#c","advertiser":"A","campaign":"C","metadata":{ "k" : [1, 2] }})");
  BOOST_REQUIRE(r.ok);
  BOOST_TEST((r.fields == ad_fields{"T", "D", "http://x.example:8080/a?b#c", "A", "C", R"({"k":[1,2]})"}));
}

BOOST_AUTO_TEST_CASE(title_and_url_are_required) {
  auto r = read("{}");
  BOOST_TEST(r.errors.size() == 2u);
  BOOST_TEST(!read("[]").syntax.empty());
}

BOOST_AUTO_TEST_CASE(lengths_are_counted_in_characters) {
  auto title = [](std::string text) { return read(R"({"url":"http://x/","title":)" + text + "}"); };
  std::string wide = "\"";
  for (int i = 0; i < 200; ++i) wide += "é";
  BOOST_TEST(title(wide + "\"").ok);
  BOOST_TEST(refused(title(wide + "é\""), "title"));
  BOOST_TEST(refused(title("\"\""), "title"));
  BOOST_TEST(refused(title("1"), "title"));
  BOOST_TEST(refused(title("null"), "title"));
  BOOST_TEST(with("\"description\":" + letters(2'000)).ok);
  BOOST_TEST(refused(with("\"description\":" + letters(2'001)), "description"));
  BOOST_TEST(refused(with("\"advertiser\":" + letters(201)), "advertiser"));
  BOOST_TEST(refused(with("\"campaign\":" + letters(201)), "campaign"));
}

BOOST_AUTO_TEST_CASE(metadata_is_an_object_of_at_most_4_KiB) {
  BOOST_TEST(with("\"metadata\":{\"k\":" + letters(4'096 - 8) + "}").ok);
  BOOST_TEST(refused(with("\"metadata\":{\"k\":" + letters(4'096 - 7) + "}"), "metadata"));
  for (auto bad : {"[]", "1", "null", "\"{}\""})
    BOOST_TEST_CONTEXT(bad) BOOST_TEST(refused(with("\"metadata\":" + std::string(bad)), "metadata"));
  BOOST_TEST(with("\"metadata\":{}").fields.metadata.empty());
}

BOOST_AUTO_TEST_CASE(a_url_is_absolute_http_or_https_with_a_host) {
  for (auto good : {"http://x", "HTTPS://x.example/", "http://x:80/a?b=c#d", "http://[::1]:8080/", "https://1.2.3.4/%20"})
    BOOST_TEST_CONTEXT(good) BOOST_TEST(valid_ad_url(good));
  for (auto bad : {"",
                   "x",
                   "/a",
                   "//x/",
                   "http:/x",
                   "http://",
                   "http:///a",
                   "http://?a",
                   "http://:80/",
                   "ftp://x/",
                   "javascript:alert(1)",
                   "http://u@x/",
                   "http://x:99999/",
                   "http://x:8a/",
                   "http://x:/",
                   "http://x y/",
                   "http://x/a b",
                   "http://x/\r\nA: b",
                   "http://x/é",
                   "http://x\\y/",
                   "http://[::1/",
                   "http://[]/",
                   "http://x/<a>"})
    BOOST_TEST_CONTEXT(bad) BOOST_TEST(!valid_ad_url(bad));
  BOOST_TEST(valid_ad_url("http://x/" + std::string(2'039, 'a')));
  BOOST_TEST(!valid_ad_url("http://x/" + std::string(2'040, 'a')));
}

BOOST_AUTO_TEST_CASE(preconditions_are_entity_tags) {
  for (auto good : {"*", " * ", "\"17\"", "\"17\", \"18\"", "W/\"17\"", "\"\""})
    BOOST_TEST_CONTEXT(good) BOOST_TEST(valid_if_match(good));
  for (auto bad : {"", "17", "\"17", "17\"", "\"17\" \"18\"", "\"17\",", "*, \"17\""})
    BOOST_TEST_CONTEXT(bad) BOOST_TEST(!valid_if_match(bad));
  BOOST_TEST(matches_any("W/\"17\"", "\"17\""));
  BOOST_TEST(matches_any("\"1\", \"17\"", "\"17\""));
  BOOST_TEST(matches_any("*", "\"17\""));
  BOOST_TEST(!matches_any("\"1\"", "\"17\""));
  BOOST_TEST(!matches_any("", "\"17\""));
}

BOOST_AUTO_TEST_SUITE_END()
