// Every event log as a fixture, and what its suites have in common.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include <boost/test/unit_test.hpp>

#include "storage/memory_log.hpp"
#include "storage/rocksdb_log.hpp"
#include "tests/storage/kafka_fixtures.hpp"
#include "tests/support/faulty_env.hpp"
#include "tests/support/scratch_dir.hpp"

namespace adtrack::storage {

using strings = std::vector<std::string>;

inline constexpr int64_t first_time_ms = 1'753'200'972'000;

// What a fixture's log cannot do, or does later than at once.
struct immediate_log {
  static bool there() { return true; }
  static constexpr bool own_clock = true, trims = true, immediate = true;
};

struct memory_fixture : immediate_log {
  int64_t now = first_time_ms;
  std::unique_ptr<event_log> log = make_memory_log(3, [this] { return now; });
};

struct rocksdb_fixture : immediate_log {
  explicit rocksdb_fixture(size_t write_buffer_bytes = 64u << 20, size_t tail_bytes = 16u << 20)
      : write_buffer(write_buffer_bytes), tail(tail_bytes) {
    open();
  }
  result<std::unique_ptr<event_log>> try_open(uint32_t partitions = 3) {
    rocksdb_log_options options;
    options.path = directory.path() + "/log";
    options.partitions = partitions;
    options.env = &env;
    options.now_ms = [this] { return now; };
    options.write_buffer_bytes = write_buffer;
    options.partition_buffer_bytes_min = 0;
    options.tail_cache_bytes = tail;
    return open_rocksdb_log(std::move(options));
  }
  void open() {
    log.reset();
    auto opened = try_open();
    BOOST_REQUIRE_MESSAGE(opened.ok(), opened.why.message);
    log = std::move(*opened);
  }
  int64_t now = first_time_ms;
  size_t write_buffer;
  size_t tail;
  test::scratch_dir directory;
  test::faulty_env env{directory.path() + "/stash"};
  std::unique_ptr<event_log> log;
};

// Every read goes to the database.
struct tailless_fixture : rocksdb_fixture {
  tailless_fixture() : rocksdb_fixture(64 << 10, 0) {}
};

template <class Kafka, bool Trims>
struct kafka_fixture {
  static constexpr bool own_clock = false, trims = Trims, immediate = false;
  kafka_fixture() {
    auto opened = open_kafka_log(kafka.options());
    BOOST_REQUIRE_MESSAGE(opened.ok(), opened.why.message);
    log = std::move(*opened);
  }
  int64_t now = first_time_ms;
  Kafka kafka;
  std::unique_ptr<event_log> log;
};
struct mock_fixture : kafka_fixture<test::mock_kafka, false> {
  static bool there() { return true; }
};
struct real_fixture : kafka_fixture<test::real_kafka, true> {
  static bool there() { return test::real_kafka::there(); }
};

using fixtures = std::tuple<memory_fixture, rocksdb_fixture, tailless_fixture, mock_fixture, real_fixture>;
using rewritten_fixtures = std::tuple<memory_fixture, rocksdb_fixture, tailless_fixture>;

inline std::vector<append_outcome> append(event_log& log, std::vector<log_record> records) {
  std::mutex mutex;
  std::condition_variable told;
  std::vector<append_outcome> got;
  int calls = 0;
  log.append(std::move(records), [&](std::vector<append_outcome> outcomes) {
    std::lock_guard lock(mutex);
    ++calls;
    got = std::move(outcomes);
    told.notify_one();
  });
  std::unique_lock lock(mutex);
  told.wait_for(lock, std::chrono::seconds(20), [&] { return calls > 0; });
  BOOST_REQUIRE_EQUAL(calls, 1);
  return got;
}

inline void append_durable(event_log& log, uint32_t partition, const std::string& value) {
  const auto outcomes = append(log, {{partition, value}});
  BOOST_REQUIRE_EQUAL(outcomes.size(), 1u);
  BOOST_REQUIRE(outcomes[0].fate == append_fate::durable);
}

// All from `from` to the end, or `max`: a log may need a moment to have them at hand.
inline strings values(event_log& log, uint32_t partition, int64_t from, size_t max = 1'000) {
  std::vector<std::string> out;
  const bool all = test::eventually([&] {
    const auto next = from + static_cast<int64_t>(out.size());
    auto read = log.read(partition, next, max - out.size(), 1 << 30);
    BOOST_REQUIRE_MESSAGE(read.ok(), read.why.message);
    for (auto& record : *read) {
      BOOST_TEST(record.offset == from + static_cast<int64_t>(out.size()));
      out.push_back(std::move(record.value));
    }
    return out.size() >= max || from + static_cast<int64_t>(out.size()) >= log.end(partition).offset;
  });
  BOOST_TEST(all);
  return out;
}

// Text that does not compress.
struct random_bytes {
  explicit random_bytes(uint32_t seed) : engine(seed) {}
  std::string operator()(size_t count) {
    std::string out(count, '\0');
    for (auto& c : out) c = static_cast<char>(engine());
    return out;
  }
  std::mt19937 engine;
};

} // namespace adtrack::storage
