// One suite for the quarantine over both stores.
#include "storage/quarantine.hpp"

#include <boost/mpl/list.hpp>
#include <boost/test/unit_test.hpp>

#include "storage/rocksdb_shard_store.hpp"
#include "tests/support/faulty_env.hpp"
#include "tests/support/scratch_dir.hpp"

using namespace adtrack;
using namespace adtrack::storage;

namespace {

quarantined entry(uint32_t partition, int64_t offset, std::string value = "garbage",
                  quarantine_source source = quarantine_source::events) {
  quarantined e;
  e.source = source;
  e.partition = partition;
  e.offset = offset;
  e.time_ms = 1'700'000'000'000 + offset;
  e.reason = "syntax";
  e.size = value.size();
  e.value = std::move(value);
  return e;
}

// The store in memory, which outlives the quarantine as a disk would.
class shared_store final : public shard_store {
public:
  explicit shared_store(std::shared_ptr<shard_store> under) : under_(std::move(under)) {}
  std::unique_ptr<store_batch> new_batch() override { return under_->new_batch(); }
  status write(store_batch& batch) override { return under_->write(batch); }
  status sync() override { return under_->sync(); }
  status purge(std::string_view from, std::string_view to) override { return under_->purge(from, to); }
  void set_horizons(const storage::store_horizons& h) override { under_->set_horizons(h); }
  result<std::string> get(std::string_view key) const override { return under_->get(key); }
  status scan(std::string_view from, std::string_view to,
              const std::function<bool(std::string_view, std::string_view)>& visit) const override {
    return under_->scan(from, to, visit);
  }
  std::shared_ptr<const store_reader> snapshot() override { return under_->snapshot(); }

private:
  std::shared_ptr<shard_store> under_;
};

struct in_memory {
  std::shared_ptr<shard_store> disk = make_memory_shard_store();
  result<std::unique_ptr<shard_store>> open_store() { return std::unique_ptr<shard_store>(std::make_unique<shared_store>(disk)); }
};

struct on_rocksdb {
  test::scratch_dir dir;
  std::shared_ptr<shard_store_budget> budget = std::make_shared<shard_store_budget>(8 << 20, 8 << 20);
  result<std::unique_ptr<shard_store>> open_store() {
    return open_rocksdb_shard_store({dir.path() + "/quarantine", budget, nullptr});
  }
};

template <class Disk>
struct fixture {
  explicit fixture(uint64_t entries_max = 10'000) {
    options.entries_max = entries_max;
    reopen();
  }
  void reopen() {
    kept.reset();
    auto opened = quarantine::open([this] { return disk.open_store(); }, options);
    BOOST_REQUIRE_MESSAGE(opened.ok(), opened.why.message);
    kept = std::move(*opened);
  }
  void add(const std::vector<quarantined>& entries) {
    const auto why = kept->add(entries);
    BOOST_REQUIRE_MESSAGE(why.ok(), why.message);
  }
  quarantine_page list(position from = {}, uint32_t max = 1'000, quarantine_source source = quarantine_source::events) {
    auto page = kept->list({source, from, max});
    BOOST_REQUIRE_MESSAGE(page.ok(), page.why.message);
    return std::move(*page);
  }
  std::vector<std::pair<uint32_t, int64_t>> places() {
    std::vector<std::pair<uint32_t, int64_t>> out;
    for (const auto& e : list().entries) out.emplace_back(e.partition, e.offset);
    return out;
  }

  Disk disk;
  quarantine_options options;
  std::unique_ptr<quarantine> kept;
};

using disks = boost::mpl::list<in_memory, on_rocksdb>;
using places = std::vector<std::pair<uint32_t, int64_t>>;

} // namespace

BOOST_AUTO_TEST_SUITE(quarantine_suite)

BOOST_AUTO_TEST_CASE_TEMPLATE(what_was_added_is_listed_by_position_also_after_it_was_opened_again, Disk, disks) {
  fixture<Disk> f;
  const std::string bytes("\xff\0{", 3);
  f.add({entry(7, 300), entry(2, 9)});
  f.add({entry(7, 12, bytes)});
  for (int round = 0; round < 2; ++round) {
    BOOST_TEST((f.places() == places{{2, 9}, {7, 12}, {7, 300}}));
    const auto page = f.list();
    BOOST_TEST(page.total == 3u);
    BOOST_TEST(!page.more);
    const auto& e = page.entries.at(1);
    BOOST_TEST((e.source == quarantine_source::events));
    BOOST_TEST(e.time_ms == 1'700'000'000'012);
    BOOST_TEST(e.reason == "syntax");
    BOOST_TEST(e.value == bytes);
    BOOST_TEST(e.size == 3u);
    f.reopen();
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(pages_follow_each_other_over_partitions, Disk, disks) {
  fixture<Disk> f;
  f.add({entry(0, 1), entry(0, 5), entry(1, 0), entry(3, 256), entry(3, 257)});
  const auto first = f.list({}, 2);
  BOOST_TEST(first.entries.size() == 2u);
  BOOST_TEST(first.more);
  BOOST_TEST(to_string(first.next) == "1:0");
  const auto second = f.list(first.next, 2);
  BOOST_TEST(to_string(second.next) == "3:257");
  const auto third = f.list(second.next, 2);
  BOOST_REQUIRE(third.entries.size() == 1u);
  BOOST_TEST(third.entries[0].offset == 257);
  BOOST_TEST(!third.more);
  BOOST_TEST(f.list({0, 2}, 1).entries.at(0).offset == 5); // from a position that holds none
  BOOST_TEST(f.list({4, 0}, 1).entries.empty());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(adding_the_same_again_changes_nothing, Disk, disks) {
  fixture<Disk> f;
  f.add({entry(1, 5), entry(1, 5), entry(1, 6)});
  f.reopen();
  f.add({entry(1, 5), entry(1, 6), entry(1, 7)});
  BOOST_TEST((f.places() == places{{1, 5}, {1, 6}, {1, 7}}));
  BOOST_TEST(f.list().total == 3u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(the_oldest_of_a_partition_give_way_and_stay_away_and_all_are_counted, Disk, disks) {
  fixture<Disk> f(3);
  f.add({entry(1, 10), entry(1, 20), entry(2, 1)});
  f.add({entry(1, 30), entry(1, 40), entry(1, 50)});
  BOOST_TEST((f.places() == places{{1, 30}, {1, 40}, {1, 50}, {2, 1}}));
  BOOST_TEST(f.list().total == 6u);
  f.reopen();
  f.add({entry(1, 10), entry(1, 20), entry(1, 60)}); // a shard that is built anew sees them again
  BOOST_TEST((f.places() == places{{1, 40}, {1, 50}, {1, 60}, {2, 1}}));
  BOOST_TEST(f.list().total == 7u);
  std::vector<quarantined> many;
  for (int64_t offset = 100; offset < 110; ++offset) many.push_back(entry(1, offset)); // more at once than are kept
  f.add(many);
  BOOST_TEST((f.places() == places{{1, 107}, {1, 108}, {1, 109}, {2, 1}}));
  BOOST_TEST(f.list().total == 17u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(the_sources_do_not_mix, Disk, disks) {
  fixture<Disk> f(2);
  f.add({entry(1, 1), entry(1, 1, "other", quarantine_source::inbox), entry(1, 2, "other", quarantine_source::inbox)});
  BOOST_TEST(f.list().total == 1u);
  const auto inbox = f.list({}, 10, quarantine_source::inbox);
  BOOST_TEST(inbox.total == 2u);
  BOOST_REQUIRE(inbox.entries.size() == 2u);
  BOOST_TEST(inbox.entries[0].value == "other");
  BOOST_TEST((inbox.entries[0].source == quarantine_source::inbox));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(only_the_beginning_of_a_long_value_is_kept, Disk, disks) {
  fixture<Disk> f;
  f.add({entry(1, 1, std::string(5'000, 'x'))});
  BOOST_TEST(f.list().entries.at(0).value.size() == 1'024u);
  BOOST_TEST(f.list().entries.at(0).size == 5'000u);
}

namespace {

// On a disk that fails as it is told, with a clock of its own.
struct failing {
  failing() { open(); }
  void open() {
    kept.reset();
    quarantine_options options;
    options.steady_ms = [this] { return steady_ms; };
    auto opened = quarantine::open([this] { return open_rocksdb_shard_store({dir.path() + "/store", budget, &env}); }, options);
    BOOST_REQUIRE_MESSAGE(opened.ok(), opened.why.message);
    kept = std::move(*opened);
  }
  bool add(int64_t offset) {
    const std::vector<quarantined> one{entry(1, offset)};
    return kept->add(one).ok();
  }
  size_t count() {
    auto page = kept->list({quarantine_source::events, {}, 100});
    BOOST_REQUIRE_MESSAGE(page.ok(), page.why.message);
    BOOST_TEST(page->total == page->entries.size());
    return page->entries.size();
  }

  test::scratch_dir dir;
  test::faulty_env env{dir.path() + "/stash"};
  std::shared_ptr<shard_store_budget> budget = std::make_shared<shard_store_budget>(8 << 20, 8 << 20);
  int64_t steady_ms = 1'000;
  std::unique_ptr<quarantine> kept;
};

} // namespace

BOOST_FIXTURE_TEST_CASE(what_was_synced_survives_a_power_loss, failing) {
  BOOST_TEST(add(1));
  BOOST_REQUIRE(kept->sync().ok());
  BOOST_TEST(add(2));
  env.power_loss();
  kept.reset();
  env.restore(test::faulty_env::unsynced::dropped);
  open();
  BOOST_TEST(count() == 1u);
  BOOST_TEST(add(1));
  BOOST_TEST(add(2));
  BOOST_TEST(count() == 2u);
}

BOOST_FIXTURE_TEST_CASE(after_a_failed_write_it_is_opened_again_but_not_at_every_call, failing) {
  BOOST_TEST(add(1));
  env.fail_writes(true);
  BOOST_TEST(!add(2));
  env.fail_writes(false);
  const auto ios = env.io_count();
  BOOST_TEST(!add(2));
  BOOST_TEST(env.io_count() == ios);
  steady_ms += 1'000;
  BOOST_TEST(add(2));
  BOOST_TEST(count() == 2u);
}

BOOST_FIXTURE_TEST_CASE(a_failed_sync_is_told_and_the_store_is_opened_again, failing) {
  BOOST_TEST(add(1));
  env.fail_syncs(true);
  BOOST_TEST(!kept->sync().ok());
  env.fail_syncs(false);
  steady_ms += 1'000;
  BOOST_TEST(add(2));
  BOOST_TEST(kept->sync().ok());
}

BOOST_AUTO_TEST_SUITE_END()
