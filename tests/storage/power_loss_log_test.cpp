// Power losses at random moments of the embedded log's life: its creation, its appends, its trims, rewrites and purges, its
// recovery.
// ADTRACK_TEST_SEED picks the first seed; each case prints its own when it fails.
#include <cstdlib>
#include <map>
#include <random>
#include <set>

#include <boost/test/unit_test.hpp>

#include "storage/rocksdb_log.hpp"
#include "tests/support/faulty_env.hpp"
#include "tests/support/scratch_dir.hpp"

namespace adtrack::storage {
namespace {

constexpr uint32_t partitions = 4;
constexpr int losses = 100;

struct ledger {
  std::map<int64_t, std::string> acked;    // by offset
  std::map<int64_t, std::string> replaced; // by a rewrite that was not answered ok: all of them or none
  std::set<std::string> sent;
  int64_t begin_acked = 0; // trims that were answered ok
  int64_t begin_tried = 0;
};

struct rewrite_count {
  size_t records = 0;                 // replaced, and that was answered
  size_t came_about = 0, did_not = 0; // of those that were cut short
};

class power_loss_run {
public:
  explicit power_loss_run(uint64_t seed) : random_(seed), env_(directory_.path() + "/stash", seed) {}

  // Works until the power goes, restores, and checks. Returns the number of records acknowledged in it.
  size_t one_loss() {
    env_.power_loss_at(1 + random_() % 250);
    const auto before = acked_;
    {
      auto opened = open();
      if (opened.ok()) work(**opened);
      env_.power_loss();
    }
    env_.restore(random_() % 2 == 0 ? test::faulty_env::unsynced::torn : test::faulty_env::unsynced::dropped);
    auto opened = open();
    BOOST_REQUIRE_MESSAGE(opened.ok(), opened.why.message);
    for (uint32_t p = 0; p < partitions; ++p) check(**opened, p);
    return acked_ - before;
  }
  const rewrite_count& rewrites() const { return rewrites_; }

private:
  result<std::unique_ptr<event_log>> open() {
    rocksdb_log_options options;
    options.path = directory_.path() + "/data/log";
    options.partitions = partitions;
    options.env = &env_;
    options.now_ms = [] { return int64_t{1'753'200'972'000}; };
    options.write_buffer_bytes = 64 << 10; // so that flushes and merges are hit, too
    options.partition_buffer_bytes_min = 0;
    return open_rocksdb_log(std::move(options));
  }

  void work(event_log& log) {
    while (env_.powered()) {
      if (random_() % 20 == 0) trim(log);
      if (random_() % 3 == 0) rewrite(log);
      if (random_() % 40 == 0) (void)log.purge(static_cast<uint32_t>(random_() % partitions)); // may fail with the power
      append(log);
    }
  }

  void append(event_log& log) {
    std::vector<log_record> records;
    const auto count = 1 + random_() % 40;
    for (uint64_t i = 0; i < count; ++i) {
      const auto partition = static_cast<uint32_t>(random_() % partitions);
      records.push_back(
          {partition, std::to_string(++serial_) + ":" + std::string(random_() % 600, static_cast<char>('a' + serial_ % 26))});
      ledgers_[partition].sent.insert(records.back().value);
    }
    const auto sent = records;
    log.append(std::move(records), [&](std::vector<append_outcome> outcomes) {
      BOOST_REQUIRE_EQUAL(outcomes.size(), sent.size());
      for (size_t i = 0; i < sent.size(); ++i) {
        if (outcomes[i].fate != append_fate::durable) continue;
        ++acked_;
        const auto [at, is_new] = ledgers_[sent[i].partition].acked.emplace(outcomes[i].offset, sent[i].value);
        BOOST_TEST(is_new, "offset " << outcomes[i].offset << " was given twice");
      }
    });
  }

  void trim(event_log& log) {
    const auto partition = static_cast<uint32_t>(random_() % partitions);
    auto& book = ledgers_[partition];
    const auto begin = log.begin(partition), end = log.end(partition).offset;
    const auto below = begin + static_cast<int64_t>(random_() % static_cast<uint64_t>(end - begin + 1));
    book.begin_tried = std::max(book.begin_tried, below);
    if (log.trim(partition, below).ok()) book.begin_acked = std::max(book.begin_acked, below);
  }

  void rewrite(event_log& log) {
    const auto partition = static_cast<uint32_t>(random_() % partitions);
    auto& book = ledgers_[partition];
    const auto begin = log.begin(partition), end = log.end(partition).offset;
    const auto from = begin + static_cast<int64_t>(random_() % static_cast<uint64_t>(end - begin + 1));
    const auto one_of = 1 + random_() % 5;
    auto next = log.rewrite(partition, from, end, [&](const stored_record& record) -> std::optional<std::string> {
      if (random_() % one_of != 0) return {};
      const auto serial = ++serial_;
      auto value = std::to_string(serial) + ":" + std::string(random_() % 600, static_cast<char>('A' + serial % 26));
      book.sent.insert(value);
      return book.replaced.emplace(record.offset, std::move(value)).first->second;
    });
    if (!next.ok()) return; // the power went
    BOOST_TEST(*next == end);
    rewrites_.records += book.replaced.size();
    for (auto& [offset, value] : book.replaced) book.acked[offset] = std::move(value);
    book.replaced.clear();
  }

  // A rewrite of unknown fate came about as a whole, or not at all.
  void settle(ledger& book, const std::vector<stored_record>& found, int64_t begin) {
    size_t is_new = 0, is_old = 0;
    for (auto at = book.replaced.lower_bound(begin); at != book.replaced.end(); ++at) {
      const auto& value = found.at(static_cast<size_t>(at->first - begin)).value;
      ++(value == at->second ? is_new : is_old);
      if (value == at->second) book.acked[at->first] = value;
    }
    BOOST_TEST((is_new == 0 || is_old == 0), is_new << " records of a rewrite are replaced, " << is_old << " are not");
    if (is_new > 0) ++rewrites_.came_about;
    if (is_old > 0) ++rewrites_.did_not;
    book.replaced.clear();
  }

  void check(event_log& log, uint32_t partition) {
    auto& book = ledgers_[partition];
    const auto begin = log.begin(partition), end = log.end(partition).offset;
    BOOST_TEST(begin >= book.begin_acked);
    BOOST_TEST(begin <= book.begin_tried);
    auto read = log.read(partition, begin, SIZE_MAX, SIZE_MAX);
    BOOST_REQUIRE_MESSAGE(read.ok(), read.why.message);
    BOOST_TEST(read->size() == static_cast<size_t>(end - begin));
    settle(book, *read, begin);
    std::set<std::string> seen;
    for (const auto& record : *read) {
      BOOST_TEST(book.sent.contains(record.value), "offset " << record.offset << " holds what was never appended");
      BOOST_TEST(seen.insert(record.value).second, "offset " << record.offset << " holds a record for the second time");
    }
    for (auto at = book.acked.lower_bound(begin); at != book.acked.end(); ++at) {
      BOOST_REQUIRE_MESSAGE(at->first < end, "acknowledged offset " << at->first << " is lost, the log ends at " << end);
      BOOST_TEST((*read)[static_cast<size_t>(at->first - begin)].value == at->second);
    }
  }

  std::mt19937_64 random_;
  test::scratch_dir directory_;
  test::faulty_env env_;
  ledger ledgers_[partitions];
  uint64_t serial_ = 0;
  size_t acked_ = 0;
  rewrite_count rewrites_;
};

} // namespace

BOOST_AUTO_TEST_SUITE(the_embedded_log_and_power)

BOOST_AUTO_TEST_CASE(a_power_loss_at_any_moment_loses_nothing_acknowledged_and_invents_nothing) {
  const char* given = std::getenv("ADTRACK_TEST_SEED");
  const uint64_t first = given != nullptr ? std::strtoull(given, nullptr, 10) : 1;
  size_t acked = 0;
  rewrite_count rewrites;
  int with_acks = 0;
  for (int i = 0; i < losses / 5; ++i) { // five losses in a row on one log: damage would add up
    const uint64_t seed = first + static_cast<uint64_t>(i);
    power_loss_run run(seed);
    for (int loss = 0; loss < 5; ++loss) {
      BOOST_TEST_CONTEXT("seed " << seed << ", loss " << loss) {
        const auto got = run.one_loss();
        acked += got;
        with_acks += got > 0 ? 1 : 0;
      }
    }
    rewrites.records += run.rewrites().records;
    rewrites.came_about += run.rewrites().came_about;
    rewrites.did_not += run.rewrites().did_not;
  }
  BOOST_TEST_MESSAGE(acked << " acknowledged records in " << with_acks << " of " << losses << " runs");
  BOOST_TEST_MESSAGE(rewrites.records << " records replaced; of the rewrites cut short " << rewrites.came_about << " came about, "
                                      << rewrites.did_not << " did not");
  BOOST_TEST(with_acks > losses / 4); // the test has to have something to lose
  BOOST_TEST(rewrites.records > acked / 100);
  BOOST_TEST(rewrites.did_not > 0u);
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace adtrack::storage
