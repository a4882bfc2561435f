#include <boost/test/unit_test.hpp>

#include "storage/catalogue.hpp"
#include "storage/memory_stream.hpp"

namespace adtrack::storage {
namespace {

// Passes on to a stream that outlives the catalogue, and fails when told to: before or after the entry was kept.
class test_stream final : public compacted_stream {
public:
  enum class fault : uint8_t { none, refuse, keep_and_fail };
  struct shared {
    std::unique_ptr<compacted_stream> inner;
    fault next = fault::none;
    bool broken = false, reopens = true;
    int appends = 0;
  };
  explicit test_stream(std::shared_ptr<shared> state) : state_(std::move(state)) {}
  result<int64_t> append(std::string_view key, std::string_view value) override {
    ++state_->appends;
    if (state_->broken || state_->next == fault::refuse) {
      state_->broken = true;
      return status{errc::io, "refused"};
    }
    auto offset = state_->inner->append(key, value);
    if (state_->next != fault::keep_and_fail) return offset;
    state_->broken = true;
    return status{errc::io, "kept, but who knows"};
  }
  status read_all(const std::function<void(const entry&)>& visit) override { return state_->inner->read_all(visit); }
  status reopen() override {
    if (!state_->reopens) return {errc::io, "still broken"};
    state_->broken = false;
    return {};
  }

private:
  std::shared_ptr<shared> state_;
};

struct fixture {
  fixture() {
    state->inner = make_memory_stream([] { return int64_t{5}; });
    start();
  }
  void start() {
    ads = std::make_unique<ads_catalogue>(
        std::make_unique<test_stream>(state), [this] { return "token" + std::to_string(++tokens); }, [this] { return now; });
    const auto loaded = ads->load();
    BOOST_REQUIRE_MESSAGE(loaded.ok(), loaded.message);
  }
  ad create(const std::string& title) {
    auto made = ads->create({title, "d", "https://example.com/" + title, "", "", "{\"b\":1.0,\"a\":2}"});
    BOOST_REQUIRE_MESSAGE(made.ok(), made.why.message);
    return *made;
  }
  int64_t now = 1'000;
  int tokens = 0;
  std::shared_ptr<test_stream::shared> state = std::make_shared<test_stream::shared>();
  std::unique_ptr<ads_catalogue> ads;
};

using verdict = ads_catalogue::verdict;

std::vector<uint64_t> ids(const ads_catalogue::slice& page) {
  std::vector<uint64_t> out;
  for (const auto& each : page.ads) out.push_back(each.id);
  return out;
}

using numbers = std::vector<uint64_t>;

} // namespace

BOOST_FIXTURE_TEST_SUITE(the_catalogue, fixture)

BOOST_AUTO_TEST_CASE(gives_a_new_ad_its_id_and_shows_it_at_once_and_after_a_restart) {
  const auto first = create("one");
  now = 2'000;
  const auto second = create("two");
  BOOST_TEST(first.id == 1u);
  BOOST_TEST(second.id == 2u);
  BOOST_TEST(second.created_ms == 2'000);
  BOOST_TEST(second.updated_ms == 2'000);
  BOOST_REQUIRE(ads->find(2) != nullptr);
  BOOST_TEST((*ads->find(2) == second));
  start();
  BOOST_REQUIRE(ads->find(1) != nullptr && ads->find(2) != nullptr);
  BOOST_TEST((*ads->find(1) == first));
  BOOST_TEST((*ads->find(2) == second));
  BOOST_TEST(ads->find(3) == nullptr);
}

BOOST_AUTO_TEST_CASE(keeps_an_updated_ads_id_and_creation_time) {
  create("one");
  create("two");
  now = 3'000;
  const auto changed = ads->update(1, {"uno", "", "http://example.com", "adv", "camp", ""}, "");
  BOOST_REQUIRE(changed.what == verdict::done);
  BOOST_TEST(changed.value.id == 1u);
  BOOST_TEST(changed.value.created_ms == 1'000);
  BOOST_TEST(changed.value.updated_ms == 3'000);
  BOOST_TEST(changed.value.version > 0);
  start();
  BOOST_REQUIRE(ads->find(1) != nullptr);
  BOOST_TEST((*ads->find(1) == changed.value));
  BOOST_TEST(ids(ads->page(1, 10)) == (numbers{1, 2}), boost::test_tools::per_element());
  BOOST_TEST((ads->update(9, {}, "").what == verdict::not_found));
}

BOOST_AUTO_TEST_CASE(writes_only_when_if_match_names_the_current_version) {
  const auto made = create("one");
  const auto tag = [](int64_t version) { return '"' + std::to_string(version) + '"'; };
  for (const auto& other : std::vector<std::string>{"\"17\"", "W/" + tag(made.version), "\"\"", ",", tag(made.version + 1)}) {
    BOOST_TEST((ads->update(1, {}, other).what == verdict::precondition_failed), other);
    BOOST_TEST((ads->remove(1, other).what == verdict::precondition_failed), other);
  }
  BOOST_TEST(ads->find(1)->version == made.version);
  const auto changed = ads->update(1, made.fields, "\"99\" , " + tag(made.version));
  BOOST_TEST((changed.what == verdict::done));
  BOOST_TEST((ads->update(1, made.fields, tag(made.version)).what == verdict::precondition_failed)); // lost the race
  BOOST_TEST((ads->update(1, made.fields, "*").what == verdict::done));
  BOOST_TEST((ads->remove(1, tag(ads->find(1)->version)).what == verdict::done));
  BOOST_TEST((ads->remove(1, "*").what == verdict::not_found));
}

BOOST_AUTO_TEST_CASE(never_gives_a_removed_ads_id_again) {
  create("one");
  const auto two = create("two");
  const auto removed = ads->remove(2, "");
  BOOST_REQUIRE(removed.what == verdict::done);
  BOOST_TEST((removed.value == two));
  BOOST_TEST(ads->find(2) == nullptr);
  start();
  BOOST_TEST(ads->size() == 1u);
  BOOST_TEST(create("three").id > 2u);
}

BOOST_AUTO_TEST_CASE(shows_pages_by_id_and_an_empty_one_past_the_end) {
  for (int i = 0; i < 25; ++i) create(std::to_string(i));
  BOOST_REQUIRE(ads->remove(3, "").what == verdict::done);
  start(); // the order must not come from having been made in it
  BOOST_TEST(ids(ads->page(1, 4)) == (numbers{1, 2, 4, 5}), boost::test_tools::per_element());
  BOOST_TEST(ids(ads->page(3, 10)) == (numbers{22, 23, 24, 25}), boost::test_tools::per_element());
  BOOST_TEST(ads->page(4, 10).ads.empty());
  BOOST_TEST(ads->page(4'294'967'295, 100).ads.empty());
  BOOST_TEST(ads->page(4, 10).total == 24u);
}

BOOST_AUTO_TEST_CASE(skips_and_counts_records_that_do_not_parse) {
  create("one");
  const char* bad[] = {"{",
                       "[]",
                       "7",
                       "{\"schema\":2}",
                       "{\"schema\":1,\"title\":7,\"created_ms\":1,\"updated_ms\":1}",
                       "{\"schema\":1,\"id\":\"x\",\"created_ms\":1,\"updated_ms\":1}",
                       "{\"schema\":1,\"created_ms\":1}",
                       "{\"schema\":1,\"id\":1,\"created_ms\":1,\"updated_ms\":1}",    // the id of another ad
                       "{\"schema\":1,\"id\":999,\"created_ms\":1,\"updated_ms\":1}"}; // an id not given yet
  for (const auto* text : bad) BOOST_REQUIRE(state->inner->append("bad" + std::to_string(++tokens), text).ok());
  start();
  BOOST_TEST(ads->skipped() == std::size(bad));
  BOOST_TEST(ads->size() == 1u);
  BOOST_TEST(ads->find(1)->fields.title == "one");
}

BOOST_AUTO_TEST_CASE(refuses_text_that_is_not_utf_8_and_goes_on) {
  auto made = ads->create({"\xff\xfe", "", "http://example.com", "", "", ""});
  BOOST_TEST(!made.ok());
  create("one");
  BOOST_TEST((ads->update(1, {"\xff", "", "", "", "", ""}, "").what == verdict::failed));
  BOOST_TEST(ads->find(1)->fields.title == "one");
}

BOOST_AUTO_TEST_CASE(reads_again_what_it_has_after_a_write_of_unknown_fate) {
  create("one");
  state->next = test_stream::fault::keep_and_fail;
  BOOST_TEST(!ads->create({"two", "", "http://example.com", "", "", ""}).ok());
  BOOST_TEST(ads->size() == 1u); // what was not acknowledged is not shown
  state->reopens = false;
  state->next = test_stream::fault::none;
  const auto appends = state->appends;
  BOOST_TEST((ads->update(1, {"uno", "", "", "", "", ""}, "").what == verdict::failed));
  BOOST_TEST(state->appends == appends); // not tried on a broken stream
  BOOST_TEST(ads->find(1)->fields.title == "one");
  state->reopens = true;
  const auto third = create("three");
  BOOST_TEST(third.id == 3u);
  BOOST_TEST(ids(ads->page(1, 10)) == (numbers{1, 2, 3}), boost::test_tools::per_element()); // two had been kept after all
  state->next = test_stream::fault::refuse;
  BOOST_TEST((ads->remove(1, "").what == verdict::failed));
  BOOST_TEST(ads->find(1) != nullptr);
  state->next = test_stream::fault::keep_and_fail;
  BOOST_TEST((ads->remove(1, "").what == verdict::failed));
  state->next = test_stream::fault::none;
  BOOST_TEST((ads->remove(1, "").what == verdict::not_found)); // it was gone
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_CASE(tokens_are_32_hex_digits_and_differ) {
  const auto first = random_token();
  BOOST_TEST(first.size() == 32u);
  BOOST_TEST(first.find_first_not_of("0123456789abcdef") == std::string::npos);
  BOOST_TEST(first != random_token());
}

} // namespace adtrack::storage
