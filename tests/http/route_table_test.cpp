#include "http/route_table.hpp"

#include <boost/test/unit_test.hpp>

#include "http/dashboard_files.hpp"

using namespace adtrack::http;

BOOST_AUTO_TEST_SUITE(http_route_table)

BOOST_AUTO_TEST_CASE(each_path_finds_its_route_with_and_without_a_slash_at_the_end) {
  for (auto where : {route::click, route::impression, route::playback, route::events, route::ads, route::analytics,
                     route::metrics, route::healthz, route::readyz, route::quarantine}) {
    std::string path(pattern(where));
    BOOST_TEST_CONTEXT(path) {
      BOOST_TEST((match_route(path).where == where));
      BOOST_TEST((match_route(path + "/").where == where));
      BOOST_TEST((match_route(path + "//").where == route::none));
      BOOST_TEST((match_route(path + "x").where == route::none));
    }
  }
  BOOST_TEST((match_route("/api/v1/ads/%63lick").where == route::click));
}

BOOST_AUTO_TEST_CASE(an_ad_is_named_by_a_number_in_range) {
  BOOST_TEST(match_route("/api/v1/ads/32").ad_id == 32u);
  BOOST_TEST(match_route("/api/v1/ads/32/").ad_id == 32u);
  BOOST_TEST(match_route("/api/v1/ads/%33%32").ad_id == 32u);
  BOOST_TEST((match_route("/api/v1/ads/9007199254740991").where == route::ad));
  for (auto bad : {"/api/v1/ads/0", "/api/v1/ads/01", "/api/v1/ads/-1", "/api/v1/ads/x", "/api/v1/ads/1x",
                   "/api/v1/ads/9007199254740992", "/api/v1/ads/%zz", "/api/v1/ads/99999999999999999999", "/api/v1/ads/1/2",
                   "/api/v1/ads//", "/api/v1/ads/{id}", "//", "", "*", "/api%2Fv1/ads", "/API/v1/ads", "/api/v1/ads/32%00"})
    BOOST_TEST_CONTEXT(bad) BOOST_TEST((match_route(bad).where == route::none));
}

BOOST_AUTO_TEST_CASE(an_event_is_named_by_its_id_whatever_characters_it_holds) {
  BOOST_TEST((match_route("/api/v1/events/e").where == route::event));
  BOOST_TEST(match_route("/api/v1/events/e/").event_id == "e");
  BOOST_TEST(match_route("/api/v1/events/%2F%3F%25").event_id == "/?%");
  for (auto bad :
       {"/api/v1/events/", "/api/v1/events", "/api/v1/events/a/b", "/api/v1/events//", "/api/v1/events/%2", "/api/v1/events/%zz"})
    BOOST_TEST_CONTEXT(bad) BOOST_TEST((match_route(bad).where == route::none));
}

BOOST_AUTO_TEST_CASE(a_digest_is_of_a_shard_by_number) {
  BOOST_TEST((match_route("/admin/v1/shards/0/digest").where == route::digest));
  BOOST_TEST(match_route("/admin/v1/shards/15/digest/").shard == 15u);
  BOOST_TEST(!visible(route::digest, false));
}

BOOST_AUTO_TEST_CASE(a_shard_has_a_digest_and_checkpoints_and_the_log_has_checkpoints) {
  BOOST_TEST((match_route("/admin/v1/shards/7/checkpoint").where == route::shard_checkpoint));
  BOOST_TEST(match_route("/admin/v1/shards/7/checkpoint/").shard == 7u);
  BOOST_TEST((match_route("/admin/v1/shards/7/other").where == route::none));
  BOOST_TEST((match_route("/admin/v1/shards/x/checkpoint").where == route::none));
  BOOST_TEST((match_route("/admin/v1/log/checkpoint").where == route::log_checkpoint));
  BOOST_TEST((match_route("/admin/v1/spool/held/").where == route::held));
  BOOST_TEST((match_route("/admin/v1/spool/held/release").where == route::held_release));
  for (auto where : {route::shard_checkpoint, route::log_checkpoint, route::held, route::held_release})
    BOOST_TEST(!visible(where, false));
}

BOOST_AUTO_TEST_CASE(the_log_is_read_by_shard) {
  BOOST_TEST((match_route("/admin/v1/log/0").where == route::log));
  BOOST_TEST(match_route("/admin/v1/log/15/").shard == 15u);
  BOOST_TEST(!visible(route::log, false));
}

BOOST_AUTO_TEST_CASE(a_setting_is_named_by_its_name) {
  BOOST_TEST((match_route("/admin/v1/settings/").where == route::settings));
  BOOST_TEST((match_route("/admin/v1/settings/log.level").where == route::setting));
  BOOST_TEST(match_route("/admin/v1/settings/log.level/").setting == "log.level");
  BOOST_TEST((match_route("/admin/v1/settings/a/b").where == route::none));
  BOOST_TEST(allowed_methods(route::setting, true) == "GET, HEAD, PUT, OPTIONS");
  BOOST_TEST(!visible(route::settings, false));
  BOOST_TEST(!visible(route::setting, false));
}

BOOST_AUTO_TEST_CASE(the_dashboard_is_the_root_and_its_files_are_those_that_there_are) {
  BOOST_TEST((match_route("/").where == route::dashboard));
  BOOST_TEST(match_route("/").file == 0u);
  auto script = match_route("/dashboard/dashboard.js");
  BOOST_TEST((script.where == route::dashboard_file));
  BOOST_TEST(dashboard_files[script.file].name == "dashboard.js");
  for (auto none :
       {"/dashboard", "/dashboard/", "/dashboard/index.html", "/dashboard/x.js", "/dashboard/../api.cpp", "/index.html"})
    BOOST_TEST_CONTEXT(none) BOOST_TEST((match_route(none).where == route::none));
  BOOST_TEST(visible(route::dashboard, false));
  BOOST_TEST(allowed_methods(route::dashboard, false) == "GET, HEAD, OPTIONS");
}

BOOST_AUTO_TEST_CASE(methods_are_those_of_the_contract) {
  BOOST_TEST(allowed_methods(route::click, true) == "POST, OPTIONS");
  BOOST_TEST(allowed_methods(route::ads, true) == "GET, HEAD, POST, OPTIONS");
  BOOST_TEST(allowed_methods(route::ad, true) == "GET, HEAD, PUT, DELETE, OPTIONS");
  BOOST_TEST(allowed_methods(route::analytics, true) == "GET, HEAD, OPTIONS");
  BOOST_TEST(allowed_methods(route::quarantine, true) == "GET, HEAD, OPTIONS");
}

BOOST_AUTO_TEST_CASE(admin_calls_are_not_on_a_listener_for_others) {
  BOOST_TEST(!visible(route::quarantine, false));
  BOOST_TEST(visible(route::quarantine, true));
  for (auto r : {route::none, route::click, route::ads, route::ad, route::metrics, route::readyz}) BOOST_TEST(visible(r, false));
  BOOST_TEST(allowed_methods(route::ads, false) == "GET, HEAD, OPTIONS");
  BOOST_TEST(allowed_methods(route::ad, false) == "GET, HEAD, OPTIONS");
  BOOST_TEST(allowed_methods(route::click, false) == "POST, OPTIONS");
  BOOST_TEST(!allows(route::ad, http_method::del, false));
  BOOST_TEST(allows(route::ad, http_method::del, true));
}

BOOST_AUTO_TEST_SUITE_END()
