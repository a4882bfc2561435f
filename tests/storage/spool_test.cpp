// The queue on disk: order, bound, what is moved aside, and that it survives. ADTRACK_TEST_SEED picks the first seed of the
// random power losses; each run prints its own when it fails.
#include "storage/spool.hpp"

#include <cstdlib>
#include <map>
#include <random>
#include <set>

#include <boost/test/unit_test.hpp>

#include "tests/support/faulty_env.hpp"
#include "tests/support/scratch_dir.hpp"

namespace adtrack::storage {
namespace {

constexpr int64_t accepted = 1'753'200'972'000;
constexpr size_t all = SIZE_MAX;

struct fixture {
  fixture() { open(); }
  spool_options options() {
    spool_options o;
    o.path = directory.path() + "/data/spool";
    o.partitions = 3;
    o.max_bytes = max_bytes;
    o.env = &env;
    o.write_buffer_bytes = 1 << 20;
    return o;
  }
  void open() {
    queue.reset();
    auto opened = spool::open(options());
    BOOST_REQUIRE_MESSAGE(opened.ok(), opened.why.message);
    queue = std::move(*opened);
  }
  void append(std::vector<log_record> records, int64_t at = accepted) {
    BOOST_REQUIRE((queue->append(records, at) == append_fate::spooled));
  }
  std::vector<spool_entry> front(size_t max_records = 1'000, size_t max_bytes_read = all) {
    auto entries = queue->read_front(max_records, max_bytes_read);
    BOOST_REQUIRE_MESSAGE(entries.ok(), entries.why.message);
    return std::move(*entries);
  }
  std::vector<std::string> values() {
    std::vector<std::string> out;
    for (auto& each : front()) out.push_back(each.value);
    return out;
  }
  std::vector<std::string> held() {
    auto entries = queue->read_held(0, 1'000, all);
    BOOST_REQUIRE_MESSAGE(entries.ok(), entries.why.message);
    std::vector<std::string> out;
    for (auto& each : *entries) out.push_back(each.value);
    return out;
  }
  uint64_t max_bytes = 1 << 20;
  test::scratch_dir directory;
  test::faulty_env env{directory.path() + "/stash"};
  std::unique_ptr<spool> queue;
};

using strings = std::vector<std::string>;
const auto each = boost::test_tools::per_element();

void ok(const status& s) { BOOST_TEST(s.ok(), s.message); }

} // namespace

BOOST_FIXTURE_TEST_SUITE(the_spool, fixture)

BOOST_AUTO_TEST_CASE(gives_back_in_order_what_it_took_with_partition_and_time) {
  append({{2, "a"}, {0, std::string("b\0\xff", 3)}});
  append({{1, ""}}, accepted + 7);
  const auto entries = front();
  BOOST_REQUIRE_EQUAL(entries.size(), 3u);
  for (int64_t i = 0; i < 3; ++i) BOOST_TEST(entries[static_cast<size_t>(i)].position == i);
  BOOST_TEST(values() == (strings{"a", std::string("b\0\xff", 3), ""}), each);
  BOOST_TEST(entries[0].partition == 2u);
  BOOST_TEST(entries[1].partition == 0u);
  BOOST_TEST(entries[1].accepted_ms == accepted);
  BOOST_TEST(entries[2].accepted_ms == accepted + 7);
}

BOOST_AUTO_TEST_CASE(bounds_a_read_but_gives_at_least_one_record) {
  append({{0, std::string(100, 'a')}, {0, std::string(100, 'b')}, {0, std::string(100, 'c')}});
  BOOST_TEST(front(2).size() == 2u);
  BOOST_TEST(front(9, 299).size() == 2u);
  BOOST_TEST(front(9, 300).size() == 3u);
  BOOST_TEST(front(9, 1).size() == 1u);
  BOOST_TEST(front(0).empty());
}

BOOST_AUTO_TEST_CASE(removes_from_the_front_and_says_how_much_is_left) {
  BOOST_TEST(queue->depth().oldest_accepted_ms == -1);
  append({{0, "a"}, {0, "bb"}});
  append({{0, "ccc"}}, accepted + 5);
  BOOST_TEST(queue->depth().records == 3u);
  BOOST_TEST(queue->depth().bytes == 6 + 3 * spool_entry_overhead);
  BOOST_TEST(queue->depth().oldest_accepted_ms == accepted);
  ok(queue->remove_below(2));
  BOOST_TEST(values() == strings{"ccc"}, each);
  BOOST_TEST(queue->depth().records == 1u);
  BOOST_TEST(queue->depth().bytes == 3 + spool_entry_overhead);
  BOOST_TEST(queue->depth().oldest_accepted_ms == accepted + 5);
  ok(queue->remove_below(1)); // less than before: nothing happens
  BOOST_TEST(queue->depth().records == 1u);
  BOOST_TEST((queue->remove_below(4).code == errc::out_of_range));
  ok(queue->remove_below(3));
  BOOST_TEST(queue->depth().bytes == 0u);
  BOOST_TEST(queue->depth().oldest_accepted_ms == -1);
  append({{0, "d"}});
  BOOST_TEST(front()[0].position == 3); // no position is used again
}

BOOST_AUTO_TEST_CASE(moves_aside_what_is_to_be_held_and_removes_that_on_request) {
  append({{0, "a"}, {1, "bb"}}, accepted);
  append({{2, "c"}}, accepted + 5);
  ok(queue->hold_below(2));
  BOOST_TEST(values() == strings{"c"}, each);
  BOOST_TEST(held() == (strings{"a", "bb"}), each);
  BOOST_TEST(queue->depth().records == 1u);
  BOOST_TEST(queue->depth().held_records == 2u);
  BOOST_TEST(queue->depth().held_bytes == 3 + 2 * spool_entry_overhead);
  open();
  auto kept = queue->read_held(1, 10, all);
  BOOST_REQUIRE(kept.ok());
  BOOST_REQUIRE_EQUAL(kept->size(), 1u);
  BOOST_TEST((*kept)[0].position == 1);
  BOOST_TEST((*kept)[0].partition == 1u);
  BOOST_TEST((*kept)[0].accepted_ms == accepted);
  ok(queue->remove_held_below(1).why);
  BOOST_TEST(held() == strings{"bb"}, each);
  BOOST_TEST(queue->depth().held_bytes == 2 + spool_entry_overhead);
  auto removed = queue->remove_held_below(100);
  BOOST_REQUIRE(removed.ok());
  BOOST_TEST(*removed == 1u);
  BOOST_TEST(queue->depth().held_records == 0u);
  BOOST_TEST(queue->depth().held_bytes == 0u);
  BOOST_TEST(values() == strings{"c"}, each);
}

BOOST_AUTO_TEST_CASE(what_is_released_waits_again_behind_the_others_as_if_accepted_now) {
  append({{0, "a"}, {1, "bb"}, {0, "c"}}, accepted);
  ok(queue->hold_below(3));
  BOOST_TEST(queue->depth().oldest_accepted_ms == -1);
  auto none = queue->release_held_below(0, accepted + 9);
  BOOST_REQUIRE(none.ok());
  BOOST_TEST(*none == 0u);
  append({{2, "d"}}, accepted + 5);
  auto released = queue->release_held_below(2, accepted + 9);
  BOOST_REQUIRE_MESSAGE(released.ok(), released.why.message);
  BOOST_TEST(*released == 2u);
  BOOST_TEST(values() == (strings{"d", "a", "bb"}), each);
  BOOST_TEST(held() == strings{"c"}, each);
  const auto depth = queue->depth();
  open();
  BOOST_TEST(values() == (strings{"d", "a", "bb"}), each);
  const auto entries = front();
  BOOST_TEST(entries[2].position == 5);
  BOOST_TEST(entries[2].partition == 1u);
  BOOST_TEST(entries[2].accepted_ms == accepted + 9);
  for (const auto& now : {depth, queue->depth()}) {
    BOOST_TEST(now.records == 3u);
    BOOST_TEST(now.bytes == 4 + 3 * spool_entry_overhead);
    BOOST_TEST(now.held_records == 1u);
    BOOST_TEST(now.held_bytes == 1 + spool_entry_overhead);
    BOOST_TEST(now.oldest_accepted_ms == accepted + 5);
  }
  ok(queue->remove_below(6));
  ok(queue->release_held_below(3, accepted + 20).why);
  BOOST_TEST(queue->depth().oldest_accepted_ms == accepted + 20);
  BOOST_TEST(queue->depth().bytes == 1 + spool_entry_overhead);
}

BOOST_AUTO_TEST_CASE(more_than_one_write_can_hold_are_released_in_order) {
  max_bytes = 16 << 20;
  open();
  std::vector<log_record> records;
  for (int i = 0; i < 25'000; ++i) records.push_back({0, std::to_string(i)});
  append(records);
  ok(queue->hold_below(25'000));
  auto released = queue->release_held_below(24'999, accepted);
  BOOST_REQUIRE(released.ok());
  BOOST_TEST(*released == 24'999u);
  const auto entries = front(all);
  BOOST_REQUIRE_EQUAL(entries.size(), 24'999u);
  for (size_t i = 0; i < entries.size(); ++i) BOOST_REQUIRE_EQUAL(entries[i].value, std::to_string(i));
}

BOOST_AUTO_TEST_CASE(refuses_a_batch_that_does_not_fit_and_keeps_nothing_of_it) {
  max_bytes = 2 * (100 + spool_entry_overhead);
  open();
  const log_record big = {0, std::string(100, 'x')};
  BOOST_TEST((queue->append({big, big, big}, accepted) == append_fate::refused));
  BOOST_TEST(queue->depth().records == 0u);
  append({big});
  append({big});
  BOOST_TEST((queue->append({{0, ""}}, accepted) == append_fate::refused));
  ok(queue->hold_below(1)); // the disk is as full as before
  BOOST_TEST((queue->append({{0, ""}}, accepted) == append_fate::refused));
  BOOST_TEST(queue->writable());
  ok(queue->remove_held_below(1).why);
  append({big});
  open();
  BOOST_TEST((queue->append({{0, ""}}, accepted) == append_fate::refused)); // counted over a restart
  ok(queue->remove_below(2));
  append({{0, ""}});
}

BOOST_AUTO_TEST_CASE(keeps_everything_over_a_restart) {
  append({{0, "a"}, {1, "b"}, {2, "c"}, {0, "d"}});
  ok(queue->remove_below(1));
  ok(queue->hold_below(2));
  const auto before = queue->depth();
  open();
  BOOST_TEST(values() == (strings{"c", "d"}), each);
  BOOST_TEST(held() == strings{"b"}, each);
  BOOST_TEST(queue->depth().bytes == before.bytes);
  BOOST_TEST(queue->depth().oldest_accepted_ms == accepted);
  append({{0, "e"}});
  BOOST_TEST(front()[2].position == 4);
}

BOOST_AUTO_TEST_CASE(is_refused_for_another_number_of_shards_and_while_it_is_open) {
  append({{0, "a"}});
  BOOST_TEST((spool::open(options()).why.code == errc::locked));
  queue.reset();
  auto other = options();
  other.partitions = 4;
  BOOST_TEST((spool::open(other).why.code == errc::mismatch));
  open();
  BOOST_TEST((queue->append({{0, "b"}, {3, "c"}}, accepted) == append_fate::refused)); // no such shard
  BOOST_TEST(values() == strings{"a"}, each);
}

BOOST_AUTO_TEST_CASE(refuses_after_a_failed_write_until_it_is_reopened) {
  using fault = void (test::faulty_env::*)(bool);
  for (const fault set : {&test::faulty_env::fail_writes, &test::faulty_env::fail_syncs, &test::faulty_env::fill_disk}) {
    fixture f;
    f.append({{0, "before"}});
    (f.env.*set)(true);
    BOOST_TEST((f.queue->append({{0, "failed"}, {1, "failed"}}, accepted) == append_fate::unknown));
    BOOST_TEST(!f.queue->writable());
    BOOST_TEST(f.queue->depth().records == 1u);
    BOOST_TEST((f.queue->append({{0, "refused"}}, accepted) == append_fate::refused));
    BOOST_TEST((f.queue->remove_below(1).code == errc::read_only));
    BOOST_TEST(!f.queue->reopen().ok()); // the cause is still there
    BOOST_TEST((f.queue->append({{0, "refused"}}, accepted) == append_fate::refused));
    BOOST_TEST(!f.queue->read_front(1, 1).ok());
    (f.env.*set)(false);
    BOOST_TEST((f.queue->append({{0, "refused"}}, accepted) == append_fate::refused)); // only reopening brings it back
    ok(f.queue->reopen());
    f.append({{0, "after"}});
    f.queue.reset();
    f.env.restore(test::faulty_env::unsynced::dropped);
    f.open();
    auto kept = f.values();
    BOOST_REQUIRE(!kept.empty());
    BOOST_TEST(kept.front() == "before");
    BOOST_TEST(kept.back() == "after");
    BOOST_TEST((kept.size() == 2u || kept.size() == 4u)); // of the batch of unknown fate: all or nothing
    for (const auto& value : kept) BOOST_TEST(value != "refused");
  }
}

BOOST_AUTO_TEST_CASE(does_not_show_again_what_was_removed_while_the_disk_failed) {
  append({{0, "a"}, {0, "b"}});
  env.fail_syncs(true);
  BOOST_TEST(!queue->remove_below(1).ok());
  BOOST_TEST(queue->depth().records == 1u);
  env.fail_syncs(false);
  ok(queue->reopen());
  BOOST_TEST(values() == strings{"b"}, each);
  BOOST_TEST(queue->depth().bytes == 1 + spool_entry_overhead);
  queue.reset();
  env.restore(test::faulty_env::unsynced::dropped);
  open();
  BOOST_TEST(values() == strings{"b"}, each);
}

BOOST_AUTO_TEST_CASE(leaves_in_place_what_could_not_be_moved_aside) {
  append({{0, "a"}, {0, "b"}});
  env.fail_writes(true);
  BOOST_TEST(!queue->hold_below(1).ok());
  BOOST_TEST(queue->depth().held_records == 0u);
  BOOST_TEST(queue->depth().records == 2u);
  env.fail_writes(false);
  ok(queue->reopen());
  BOOST_TEST(queue->depth().held_records + queue->depth().records == 2u);
}

BOOST_AUTO_TEST_CASE(does_not_go_on_when_acknowledged_records_are_gone_from_its_disk) {
  append({{0, "a"}});
  env.fail_syncs(true);
  BOOST_TEST((queue->append({{0, "b"}}, accepted) == append_fate::unknown));
  env.fail_syncs(false);
  for (const auto& file : std::filesystem::directory_iterator(options().path))
    if (file.path().extension() == ".log") std::filesystem::resize_file(file.path(), 0);
  const auto reopened = queue->reopen();
  BOOST_TEST((reopened.code == errc::corrupt || reopened.code == errc::not_found));
  BOOST_TEST(!queue->writable());
}

BOOST_AUTO_TEST_SUITE_END()

namespace {

// A life of a spool with power losses in it, and a book of what it said.
class power_loss_run {
public:
  explicit power_loss_run(uint64_t seed) : random_(seed), env_(directory_.path() + "/stash", seed) {}

  size_t one_loss() {
    env_.power_loss_at(1 + random_() % 120);
    const auto before = spooled_;
    {
      auto opened = open();
      if (opened.ok())
        while (env_.powered()) work(**opened);
      env_.power_loss();
    }
    env_.restore(random_() % 2 == 0 ? test::faulty_env::unsynced::torn : test::faulty_env::unsynced::dropped);
    auto opened = open();
    BOOST_REQUIRE_MESSAGE(opened.ok(), opened.why.message);
    check(**opened);
    return spooled_ - before;
  }

private:
  result<std::unique_ptr<spool>> open() {
    spool_options o;
    o.path = directory_.path() + "/data/spool";
    o.partitions = 4;
    o.max_bytes = 200'000;
    o.env = &env_;
    o.write_buffer_bytes = 64 << 10;
    return spool::open(std::move(o));
  }

  void work(spool& queue) {
    const auto depth = queue.depth();
    const auto choice = random_() % 10;
    if (choice < 7) {
      append(queue);
    } else if (depth.records > 0) {
      auto front = queue.read_front(1 + random_() % 50, all);
      if (!front.ok()) return; // the power is gone
      const auto below = front->back().position + 1;
      const bool hold = choice == 9;
      const auto done = hold ? queue.hold_below(below) : queue.remove_below(below);
      for (const auto& entry : *front) {
        auto& fate = book_.at(entry.value);
        fate.left = true;
        fate.gone = fate.gone || (!hold && done.ok());
        fate.held = hold;
      }
    }
    if (random_() % 30 == 0) {
      const auto below = static_cast<int64_t>(random_() % 1'000);
      for (auto& [value, fate] : book_)
        if (fate.held) fate.dropped_aside = true;
      if (!queue.remove_held_below(below).ok()) return;
    }
  }

  void append(spool& queue) {
    std::vector<log_record> records;
    for (auto left = 1 + random_() % 20; left > 0; --left)
      records.push_back(
          {static_cast<uint32_t>(random_() % 4), std::to_string(++serial_) + ":" + std::string(random_() % 400, 'x')});
    const auto fate = queue.append(records, accepted);
    for (const auto& record : records) book_[record.value].said = fate;
    if (fate == append_fate::spooled) spooled_ += records.size();
  }

  void check(spool& queue) {
    auto waiting = queue.read_front(all, all);
    auto aside = queue.read_held(0, all, all);
    BOOST_REQUIRE_MESSAGE(waiting.ok() && aside.ok(), waiting.why.message + aside.why.message);
    BOOST_TEST(queue.depth().records == waiting->size());
    BOOST_TEST(queue.depth().held_records == aside->size());
    uint64_t bytes = 0;
    std::set<std::string> there;
    int64_t serial_before = 0;
    for (const auto* list : {&*aside, &*waiting}) {
      for (const auto& entry : *list) {
        bytes += entry.value.size() + spool_entry_overhead;
        BOOST_TEST(there.insert(entry.value).second, entry.value << " is there twice");
        BOOST_REQUIRE(book_.contains(entry.value));
        BOOST_TEST((book_[entry.value].said != append_fate::refused), entry.value << " was refused");
        BOOST_TEST(!book_[entry.value].gone, entry.value << " was removed");
        const int64_t serial = std::stoll(entry.value);
        if (list == &*waiting) BOOST_TEST(serial > serial_before, "out of order");
        if (list == &*waiting) serial_before = serial;
      }
    }
    BOOST_TEST(queue.depth().bytes + queue.depth().held_bytes == bytes);
    for (const auto& [value, fate] : book_)
      if (fate.said == append_fate::spooled && (!fate.left || (fate.held && !fate.dropped_aside)))
        BOOST_TEST(there.contains(value), value << " is lost");
  }

  struct record_fate {
    append_fate said = append_fate::unknown;
    bool left = false;          // was to be removed or held
    bool gone = false;          // its removal was answered ok
    bool held = false;          // was to be held
    bool dropped_aside = false; // may have been removed by the operator since
  };
  std::mt19937_64 random_;
  test::scratch_dir directory_;
  test::faulty_env env_;
  std::map<std::string, record_fate> book_;
  uint64_t serial_ = 0;
  size_t spooled_ = 0;
};

} // namespace

BOOST_AUTO_TEST_SUITE(the_spool_and_power)

BOOST_AUTO_TEST_CASE(a_power_loss_at_any_moment_loses_nothing_spooled_and_invents_nothing) {
  const char* given = std::getenv("ADTRACK_TEST_SEED");
  const uint64_t first = given != nullptr ? std::strtoull(given, nullptr, 10) : 1;
  size_t with_records = 0;
  for (uint64_t seed = first; seed < first + 20; ++seed) {
    power_loss_run run(seed);
    for (int loss = 0; loss < 5; ++loss) {
      BOOST_TEST_CONTEXT("seed " << seed << ", loss " << loss) { with_records += run.one_loss() > 0 ? 1 : 0; }
    }
  }
  BOOST_TEST(with_records > 25u); // the test has to have something to lose
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace adtrack::storage
