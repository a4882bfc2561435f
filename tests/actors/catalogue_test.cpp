#include "actors/catalogue.hpp"

#include <boost/test/unit_test.hpp>

#include "tests/support/actor_fixture.hpp"

using namespace adtrack;
using namespace adtrack::actors;
using adtrack::testing::actor_fixture;
using std::chrono::milliseconds;

namespace {

struct fixture : actor_fixture {
  explicit fixture(bool open = true) : actor_fixture(1) {
    if (open) spawn();
  }
  void spawn() {
    target = keep(system->spawn(catalogue, context));
    caf::anon_send(target, open_atom_v);
    run();
  }
  template <class... Ts>
  outcome ask(Ts&&... args) {
    const auto serial = ++last;
    caf::anon_send(target, std::forward<Ts>(args)..., reply(serial));
    run();
    return sink.only(serial);
  }
  static ad_fields fields(const std::string& title) {
    ad_fields out;
    out.title = title;
    out.url = "https://example.org/";
    return out;
  }
  static failure why(const outcome& what) { return std::get<failed>(what).why; }

  uint64_t last = 0;
  catalogue_actor target;
};

} // namespace

BOOST_AUTO_TEST_SUITE(catalogue_behaviour)

BOOST_AUTO_TEST_CASE(what_is_created_is_readable_at_once_and_gone_after_removal) {
  fixture f;
  const auto made = std::get<ad_written>(f.ask(create_atom_v, fixture::fields("one"))).value;
  BOOST_TEST(std::get<ad>(f.ask(get_atom_v, made.id)).fields.title == "one");
  BOOST_TEST(std::get<ads_page>(f.ask(list_atom_v, uint32_t{1}, uint32_t{10})).total == 1u);
  const auto changed = std::get<ad_written>(f.ask(update_atom_v, made.id, fixture::fields("two"), std::string())).value;
  BOOST_TEST(changed.fields.title == "two");
  BOOST_TEST(std::get<ad_written>(f.ask(delete_atom_v, made.id, std::string())).value.id == made.id);
  BOOST_TEST((fixture::why(f.ask(get_atom_v, made.id)) == failure::not_found));
}

BOOST_AUTO_TEST_CASE(a_log_that_is_kept_elsewhere_is_not_copied) {
  fixture f;
  const auto refused = std::get<failed>(f.ask(copy_atom_v));
  BOOST_TEST((refused.why == failure::cannot));
  BOOST_TEST(refused.detail.find("elsewhere") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(what_everyone_sees_of_an_ad_follows_each_change) {
  fixture f(false);
  const auto look = [&](uint64_t id) {
    std::string url;
    const auto state = f.context->ads->find(id, &url);
    return std::pair(state, url);
  };
  BOOST_TEST((look(1) == std::pair(ad_state::loading, std::string())));
  f.spawn();
  BOOST_TEST((look(1).first == ad_state::unknown));
  const auto id = std::get<ad_written>(f.ask(create_atom_v, fixture::fields("one"))).value.id;
  BOOST_TEST((look(id) == std::pair(ad_state::known, std::string("https://example.org/"))));
  auto other = fixture::fields("one");
  other.url = "https://example.net/";
  f.ask(update_atom_v, id, other, std::string("\"77\"")); // not its version
  BOOST_TEST(look(id).second == "https://example.org/");
  f.ask(update_atom_v, id, other, std::string());
  BOOST_TEST(look(id).second == "https://example.net/");
  f.ask(delete_atom_v, id, std::string());
  BOOST_TEST((look(id).first == ad_state::unknown));
}

BOOST_AUTO_TEST_CASE(a_missing_ad_is_not_found_and_an_old_version_fails_its_precondition) {
  fixture f;
  BOOST_TEST((fixture::why(f.ask(update_atom_v, uint64_t{9}, fixture::fields("x"), std::string())) == failure::not_found));
  BOOST_TEST((fixture::why(f.ask(delete_atom_v, uint64_t{9}, std::string())) == failure::not_found));
  const auto made = std::get<ad_written>(f.ask(create_atom_v, fixture::fields("one"))).value;
  const auto tag = '"' + std::to_string(made.version) + '"';
  BOOST_TEST(std::holds_alternative<ad_written>(f.ask(update_atom_v, made.id, fixture::fields("two"), tag)));
  BOOST_TEST((fixture::why(f.ask(update_atom_v, made.id, fixture::fields("three"), tag)) == failure::precondition_failed));
  BOOST_TEST((fixture::why(f.ask(delete_atom_v, made.id, tag)) == failure::precondition_failed));
}

BOOST_AUTO_TEST_CASE(until_it_is_loaded_questions_are_refused_and_loading_is_tried_every_second) {
  fixture f(false);
  auto parts = f.context->parts;
  auto works = std::make_shared<bool>(false);
  parts.open_catalogue = [works, open = parts.open_catalogue]() -> storage::result<std::unique_ptr<storage::ads_catalogue>> {
    if (*works) return open();
    return storage::status{storage::errc::io, "no disk"};
  };
  std::string error;
  f.context = make_context(f.context->options, std::move(parts), error);
  f.context->flights->bind(&f.sink);
  f.spawn();
  BOOST_TEST((fixture::why(f.ask(list_atom_v, uint32_t{1}, uint32_t{10})) == failure::overloaded));
  BOOST_REQUIRE(f.context->status->report().degraded.size() == 1u);
  BOOST_TEST(f.context->status->report().degraded[0] == "catalogue: no disk");
  *works = true;
  f.advance(milliseconds(1'000));
  BOOST_TEST(std::holds_alternative<ads_page>(f.ask(list_atom_v, uint32_t{1}, uint32_t{10})));
  BOOST_TEST(f.context->status->report().degraded.empty());
}

BOOST_AUTO_TEST_SUITE_END()
