// Checkpoints: which are kept, and that a copy of a log, a stream and a shard is that log, stream and shard.
#include "storage/checkpoints.hpp"

#include <filesystem>
#include <fstream>
#include <future>

#include <boost/test/unit_test.hpp>

#include "storage/memory_stream.hpp"
#include "storage/rocksdb_log.hpp"
#include "storage/rocksdb_stream.hpp"
#include "tests/storage/log_fixtures.hpp"
#include "tests/support/engine_fixture.hpp"

namespace adtrack::storage {
namespace {

namespace fs = std::filesystem;

const auto each = boost::test_tools::per_element();

struct fixture {
  test::scratch_dir directory;
  const std::string path = directory.path() + "/data/checkpoints";
  checkpoints kept{path};

  static status write(const std::string& directory) {
    std::ofstream(directory + "/file") << "x";
    return {};
  }
  strings names(const std::string& of) {
    strings out;
    std::error_code none;
    for (const auto& one : fs::directory_iterator(path + "/" + of, none)) out.push_back(one.path().filename().string());
    std::sort(out.begin(), out.end());
    return out;
  }
};

} // namespace

BOOST_AUTO_TEST_SUITE(checkpoint)

BOOST_FIXTURE_TEST_CASE(the_newest_two_of_each_kind_are_kept, fixture) {
  for (const auto number : {9, 10, 100}) {
    auto made = kept.make("shard-1", number, write);
    BOOST_REQUIRE_MESSAGE(made.ok(), made.why.message);
    BOOST_TEST(*made == path + "/shard-1/" + std::to_string(number));
    BOOST_TEST(fs::exists(*made + "/file"));
  }
  BOOST_TEST(kept.make("shard-2", 3, write).ok());
  BOOST_TEST(names("shard-1") == (strings{"10", "100"}), each);
  BOOST_TEST(names("shard-2") == strings{"3"}, each);
  BOOST_TEST(kept.remove_all("shard-1").ok());
  BOOST_TEST(kept.remove_all("shard-1").ok());
  BOOST_TEST(names("shard-1").empty());
  BOOST_TEST(names("shard-2") == strings{"3"}, each);
}

BOOST_FIXTURE_TEST_CASE(one_kind_is_made_while_another_is_under_way_and_is_removed_only_when_it_is_whole, fixture) {
  std::promise<void> begun, go;
  auto slow = std::async(std::launch::async, [&] {
    return kept.make("log", 1, [&](const std::string& directory) {
      begun.set_value();
      go.get_future().wait();
      return write(directory);
    });
  });
  begun.get_future().wait();
  BOOST_TEST(kept.make("shard-1", 1, write).ok());
  auto removed = std::async(std::launch::async, [&] { return kept.remove_all("log"); });
  BOOST_TEST((removed.wait_for(std::chrono::milliseconds(50)) == std::future_status::timeout));
  go.set_value();
  BOOST_TEST(slow.get().ok());
  BOOST_TEST(removed.get().ok());
  BOOST_TEST(names("log").empty());
}

BOOST_FIXTURE_TEST_CASE(one_that_is_there_is_not_made_again, fixture) {
  BOOST_TEST(kept.make("log", 5, write).ok());
  auto again = kept.make("log", 5, [](const std::string&) -> status {
    BOOST_ERROR("made again");
    return {};
  });
  BOOST_REQUIRE(again.ok());
  BOOST_TEST(*again == path + "/log/5");
}

BOOST_FIXTURE_TEST_CASE(what_failed_half_way_is_no_checkpoint_and_is_in_nobodys_way, fixture) {
  auto failed = kept.make("log", 5, [](const std::string& directory) -> status {
    static_cast<void>(write(directory));
    return {errc::io, "the disk is full"};
  });
  BOOST_TEST((failed.why.code == errc::io));
  BOOST_TEST(failed.why.message == "the disk is full");
  BOOST_TEST(names("log").empty());
  fs::create_directories(path + "/log/5.unfinished"); // of a process that was killed
  std::ofstream(path + "/log/5.unfinished/other") << "x";
  BOOST_TEST(kept.make("log", 5, write).ok());
  BOOST_TEST(names("log") == strings{"5"}, each);
  BOOST_TEST(!fs::exists(path + "/log/5/other"));
}

BOOST_FIXTURE_TEST_CASE(a_copy_of_the_embedded_log_has_its_records_and_goes_its_own_way, fixture) {
  rocksdb_log_options options;
  options.path = directory.path() + "/log";
  options.partitions = 3;
  options.now_ms = [] { return first_time_ms; };
  auto log = open_rocksdb_log(options);
  BOOST_REQUIRE_MESSAGE(log.ok(), log.why.message);
  for (int i = 0; i < 1'000; ++i) append_durable(**log, static_cast<uint32_t>(i % 3), std::to_string(i));
  BOOST_TEST((*log)->trim(2, 10).ok());
  fs::create_directories(path);
  BOOST_TEST((*log)->checkpoint(path + "/log").ok());
  BOOST_TEST(!(*log)->checkpoint(path + "/log").ok()); // it is there
  append_durable(**log, 0, "later");
  options.path = path + "/log";
  auto copy = open_rocksdb_log(options);
  BOOST_REQUIRE_MESSAGE(copy.ok(), copy.why.message);
  BOOST_TEST((*copy)->end(0).offset == 334);
  BOOST_TEST((*copy)->begin(2) == 10);
  auto records = (*copy)->read(0, 0, 1'000, SIZE_MAX);
  BOOST_REQUIRE(records.ok());
  BOOST_TEST(records->size() == 334u);
  BOOST_TEST(records->back().value == "999");
  append_durable(**copy, 0, "its own");
  auto original = (*log)->read(0, 334, 10, SIZE_MAX);
  BOOST_REQUIRE(original.ok());
  BOOST_REQUIRE_EQUAL(original->size(), 1u);
  BOOST_TEST(original->front().value == "later");
}

BOOST_FIXTURE_TEST_CASE(a_copy_of_a_stream_has_its_entries, fixture) {
  auto stream = open_rocksdb_stream({directory.path() + "/ads", nullptr, [] { return first_time_ms; }});
  BOOST_REQUIRE_MESSAGE(stream.ok(), stream.why.message);
  BOOST_TEST((*stream)->append("a", "1").ok());
  BOOST_TEST((*stream)->append("b", "2").ok());
  fs::create_directories(path);
  BOOST_TEST((*stream)->checkpoint(path + "/ads").ok());
  BOOST_TEST((*stream)->append("c", "3").ok());
  auto copy = open_rocksdb_stream({path + "/ads", nullptr, [] { return first_time_ms; }});
  BOOST_REQUIRE_MESSAGE(copy.ok(), copy.why.message);
  strings keys;
  BOOST_TEST((*copy)->read_all([&](const compacted_stream::entry& one) { keys.push_back(one.key); }).ok());
  BOOST_TEST(keys == (strings{"a", "b"}), each);
}

BOOST_FIXTURE_TEST_CASE(a_copy_of_a_shard_has_its_digest_and_counts_on_to_the_same, fixture) {
  test::rocks rocks;
  auto engine = test::open(rocks.open(), {});
  auto stream = test::make_stream(1, {});
  const auto half = stream.records.size() / 2;
  BOOST_TEST(engine->apply(test::cut(stream, 0, half, 0)).ok());
  auto digest = engine->digest();
  BOOST_REQUIRE(digest.ok());
  fs::create_directories(path);
  const auto copied = engine->checkpoint(path + "/store");
  BOOST_REQUIRE_MESSAGE(copied.ok(), copied.message);
  test::feed(*engine, stream, 100, 1);
  auto store = open_rocksdb_shard_store({path + "/store", rocks.budget, nullptr});
  BOOST_REQUIRE_MESSAGE(store.ok(), store.why.message);
  auto copy = test::open(std::move(*store), {});
  BOOST_TEST(copy->next_offset() == digest->offset);
  BOOST_TEST(copy->digest()->value == digest->value);
  test::feed(*copy, stream, 100, 2);
  BOOST_TEST(copy->digest()->value == engine->digest()->value);
}

BOOST_AUTO_TEST_CASE(what_is_kept_elsewhere_or_in_memory_says_that_it_cannot) {
  test::scratch_dir directory;
  memory_fixture f;
  BOOST_TEST((f.log->checkpoint(directory.path() + "/log").code == errc::cannot));
  auto engine = test::open(make_memory_shard_store(), {});
  BOOST_TEST((engine->checkpoint(directory.path() + "/store").code == errc::cannot));
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace adtrack::storage
