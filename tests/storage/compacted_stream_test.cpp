// One suite for every compacted stream, then what only the durable one promises.
#include <map>
#include <random>
#include <tuple>

#include <boost/test/unit_test.hpp>

#include "storage/memory_stream.hpp"
#include "storage/rocksdb_stream.hpp"
#include "tests/storage/kafka_fixtures.hpp"
#include "tests/support/faulty_env.hpp"
#include "tests/support/scratch_dir.hpp"

namespace adtrack::storage {
namespace {

struct embedded_stream {
  static bool there() { return true; }
  static constexpr bool own_clock = true;
};

struct memory_fixture : embedded_stream {
  int64_t now = 1'000;
  std::unique_ptr<compacted_stream> stream = make_memory_stream([this] { return now; });
};

struct rocksdb_fixture : embedded_stream {
  explicit rocksdb_fixture(uint64_t seed = 1) : env(directory.path() + "/stash", seed) { open(); }
  result<std::unique_ptr<compacted_stream>> try_open() {
    return open_rocksdb_stream({directory.path() + "/ads", &env, [this] { return now; }});
  }
  void open() {
    stream.reset();
    auto opened = try_open();
    BOOST_REQUIRE_MESSAGE(opened.ok(), opened.why.message);
    stream = std::move(*opened);
  }
  int64_t now = 1'000;
  test::scratch_dir directory;
  test::faulty_env env;
  std::unique_ptr<compacted_stream> stream;
};

template <class Kafka>
struct kafka_fixture {
  static constexpr bool own_clock = false;
  kafka_fixture() {
    auto opened = open_kafka_stream(kafka.options());
    BOOST_REQUIRE_MESSAGE(opened.ok(), opened.why.message);
    stream = std::move(*opened);
  }
  int64_t now = 0;
  Kafka kafka;
  std::unique_ptr<compacted_stream> stream;
};
struct mock_fixture : kafka_fixture<test::mock_kafka> {
  static bool there() { return true; }
};
struct real_fixture : kafka_fixture<test::real_kafka> {
  static bool there() { return test::real_kafka::there(); }
};

using fixtures = std::tuple<memory_fixture, rocksdb_fixture, mock_fixture, real_fixture>;

int64_t append(compacted_stream& stream, std::string_view key, std::string_view value) {
  auto offset = stream.append(key, value);
  BOOST_REQUIRE_MESSAGE(offset.ok(), offset.why.message);
  return *offset;
}

// "offset key=value" of what is kept, without tombstones: whether those are kept is the implementation's choice.
std::vector<std::string> kept(compacted_stream& stream) {
  std::vector<std::string> out;
  const auto s = stream.read_all([&](const compacted_stream::entry& e) {
    if (!e.value.empty()) out.push_back(std::to_string(e.offset) + " " + e.key + "=" + e.value);
  });
  BOOST_REQUIRE_MESSAGE(s.ok(), s.message);
  return out;
}

using strings = std::vector<std::string>;

} // namespace

BOOST_AUTO_TEST_SUITE(every_compacted_stream)

BOOST_AUTO_TEST_CASE_TEMPLATE(keeps_the_newest_entry_of_each_key_by_offset, fixture, fixtures) {
  ADTRACK_SKIP_WITHOUT_KAFKA(fixture)
  fixture f;
  BOOST_TEST(append(*f.stream, "a", "1") == 0);
  BOOST_TEST(append(*f.stream, "b", "2") == 1);
  BOOST_TEST(append(*f.stream, "a", "3") == 2);
  BOOST_TEST(kept(*f.stream) == (strings{"1 b=2", "2 a=3"}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(never_brings_a_removed_value_back, fixture, fixtures) {
  ADTRACK_SKIP_WITHOUT_KAFKA(fixture)
  fixture f;
  append(*f.stream, "a", "1");
  append(*f.stream, "a", "2");
  append(*f.stream, "a", "");
  BOOST_TEST(kept(*f.stream).empty());
  append(*f.stream, "never there", "");
  BOOST_TEST(append(*f.stream, "a", "3") == 4);
  BOOST_TEST(kept(*f.stream) == (strings{"4 a=3"}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(gives_each_entry_its_time_and_keeps_any_bytes, fixture, fixtures) {
  ADTRACK_SKIP_WITHOUT_KAFKA(fixture)
  fixture f;
  const std::string key("k\0\xff", 3), value("\0v\xfe", 3);
  append(*f.stream, key, value);
  f.now = 2'000;
  append(*f.stream, "", "an empty key");
  std::vector<compacted_stream::entry> entries;
  BOOST_REQUIRE(f.stream->read_all([&](const auto& e) { entries.push_back(e); }).ok());
  BOOST_REQUIRE_EQUAL(entries.size(), 2u);
  BOOST_TEST((entries[0].key == key && entries[0].value == value && entries[1].key.empty()));
  if (!fixture::own_clock) return;
  BOOST_TEST((entries[0].time_ms == 1'000 && entries[1].time_ms == 2'000));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(the_durable_stream)

BOOST_AUTO_TEST_CASE(survives_a_restart_and_never_uses_an_offset_again) {
  rocksdb_fixture f;
  append(*f.stream, "a", "1");
  append(*f.stream, "b", "2");
  append(*f.stream, "b", "");
  f.open();
  BOOST_TEST(kept(*f.stream) == (strings{"0 a=1"}), boost::test_tools::per_element());
  BOOST_TEST(append(*f.stream, "c", "3") == 3);
  BOOST_TEST((f.try_open().why.code == errc::locked));
}

BOOST_AUTO_TEST_CASE(refuses_appends_after_a_failure_until_it_is_reopened_and_still_reads) {
  for (const auto fault : {&test::faulty_env::fail_syncs, &test::faulty_env::fail_writes, &test::faulty_env::fill_disk}) {
    rocksdb_fixture f;
    append(*f.stream, "a", "1");
    (f.env.*fault)(true);
    BOOST_TEST((f.stream->append("a", "2").why.code == errc::io));
    BOOST_TEST((f.stream->append("a", "3").why.code == errc::read_only));
    BOOST_TEST(!f.stream->reopen().ok());
    BOOST_TEST(kept(*f.stream) == (strings{"0 a=1"}), boost::test_tools::per_element());
    (f.env.*fault)(false);
    BOOST_TEST((f.stream->append("a", "4").why.code == errc::read_only));
    const auto reopened = f.stream->reopen();
    BOOST_REQUIRE_MESSAGE(reopened.ok(), reopened.message);
    BOOST_TEST(append(*f.stream, "b", "5") >= 1);
    const auto now = kept(*f.stream);
    BOOST_TEST(now.size() == 2u);
    BOOST_TEST((now[0] == "0 a=1" || now[0] == "1 a=2")); // of unknown fate
  }
}

BOOST_AUTO_TEST_CASE(a_power_loss_at_any_moment_keeps_every_acknowledged_entry) {
  for (uint64_t seed = 1; seed <= 25; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      std::mt19937_64 random(seed);
      rocksdb_fixture f(seed);
      std::map<std::string, std::string> acked;
      std::map<std::string, std::string> tried; // of unknown fate: at most the last one
      int64_t last = -1;
      f.env.power_loss_at(1 + random() % 60);
      for (int i = 0; f.env.powered(); ++i) {
        const std::string key(1, static_cast<char>('a' + random() % 5));
        const std::string value = random() % 4 == 0 ? "" : std::to_string(i) + std::string(random() % 300, 'x');
        auto offset = f.stream->append(key, value);
        if (offset.ok()) {
          BOOST_TEST(*offset > last);
          last = *offset;
          acked[key] = value;
        } else if (tried.empty()) {
          tried[key] = value;
        }
      }
      f.stream.reset();
      f.env.restore();
      f.open();
      std::map<std::string, std::string> found;
      BOOST_REQUIRE(f.stream->read_all([&](const auto& e) { found[e.key] = e.value; }).ok());
      for (const auto& [key, value] : acked)
        BOOST_TEST((found[key] == value || (tried.contains(key) && found[key] == tried[key])), "key " << key);
      for (const auto& [key, value] : found) BOOST_TEST((acked.contains(key) || tried.contains(key)));
      BOOST_TEST(append(*f.stream, "z", "after") > last);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace adtrack::storage
