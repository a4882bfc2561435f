// The log that outlives an outage: when it spools, when it stops, what it drains, and what it never does. Clocks and the log
// behind are scripted, the spool is a real one; step() is called by the test, but for the last suite.
#include "storage/spooled_log.hpp"

#include <atomic>
#include <chrono>
#include <deque>
#include <mutex>
#include <random>
#include <set>
#include <thread>

#include <boost/test/unit_test.hpp>

#include "tests/storage/troubled_log.hpp"
#include "tests/support/faulty_env.hpp"
#include "tests/support/scratch_dir.hpp"

namespace adtrack::storage {
namespace {

constexpr int64_t day_ms = 86'400'000;
constexpr int64_t outage_after_ms = 2'000;

struct fixture {
  fixture() { open(); }
  void open() {
    log.reset();
    spool_options o;
    o.path = directory.path() + "/data/spool";
    o.partitions = shards;
    o.max_bytes = max_bytes;
    o.env = &env;
    auto queue = spool::open(std::move(o));
    BOOST_REQUIRE_MESSAGE(queue.ok(), queue.why.message);
    options.outage_after_ms = outage_after_ms;
    options.thread = false;
    options.now_ms = [this] { return now; };
    options.steady_ms = [this] { return steady; };
    log = make_spooled_log(std::make_unique<troubled_log>(behind), std::move(*queue), options);
  }

  // The index of a new append among `outcomes`, which it fills when it is answered.
  size_t send(std::vector<log_record> records) {
    const size_t index = outcomes.size();
    outcomes.emplace_back();
    calls.push_back(0);
    log->append(std::move(records), [this, index](std::vector<append_outcome> all) {
      ++calls[index];
      outcomes[index] = std::move(all);
    });
    return index;
  }
  append_outcome send_one(const std::string& value, uint32_t partition = 0) {
    const auto index = send({{partition, value}});
    BOOST_REQUIRE_EQUAL(outcomes[index].size(), 1u);
    return outcomes[index][0];
  }
  append_fate fate(const std::string& value, uint32_t partition = 0) { return send_one(value, partition).fate; }

  void pass(int64_t ms) {
    now += ms;
    steady += ms;
  }
  // Steps until there is nothing to do at once.
  void drain() {
    while (log->step()) {
    }
  }
  // Steps over a while, as the thread would; the log behind confirms its end or does not.
  void live(int64_t ms, bool confirms = false) {
    for (int64_t passed = 0; passed < ms; passed += 100) {
      pass(100);
      if (confirms) behind.confirmed_ms = steady;
      drain();
    }
  }
  void begin_outage() {
    behind.how = mood::silent;
    send({{2, "handed over"}});
    live(outage_after_ms + 100);
    BOOST_REQUIRE(log->state().outage);
  }

  uint64_t max_bytes = 1 << 20;
  int64_t now = start_ms, steady = 50'000;
  log_script behind;
  test::scratch_dir directory;
  test::faulty_env env{directory.path() + "/stash"};
  spooled_log_options options;
  std::deque<std::vector<append_outcome>> outcomes;
  std::deque<int> calls;
  std::unique_ptr<spooled_log> log; // before all that it answers to
};

using strings = std::vector<std::string>;
const auto each = boost::test_tools::per_element();

} // namespace

BOOST_FIXTURE_TEST_SUITE(a_spooled_log, fixture)

BOOST_AUTO_TEST_CASE(hands_everything_to_the_log_while_that_takes_it) {
  const auto first = send({{0, "a"}, {1, "b"}, {0, "c"}});
  BOOST_REQUIRE_EQUAL(outcomes[first].size(), 3u);
  for (const auto& outcome : outcomes[first]) BOOST_TEST((outcome.fate == append_fate::durable));
  BOOST_TEST(outcomes[first][2].offset == 1);
  live(10'000);
  BOOST_TEST((fate("d") == append_fate::durable));
  BOOST_TEST(log->end(0).offset == 3);
  BOOST_TEST(log->state().records == 0u);
  BOOST_TEST(!log->state().outage);
  BOOST_TEST(log->writable());
}

BOOST_AUTO_TEST_CASE(replaces_records_as_far_as_the_log_can) {
  send({{1, "a"}, {1, "b"}, {1, "c"}});
  const auto change = [](const stored_record& record) { return record.value + "!"; };
  BOOST_TEST(!log->rewrites());
  BOOST_TEST((log->rewrite(1, 1, 2, change).why.code == errc::cannot));
  behind.rewritten = true;
  BOOST_TEST(log->rewrites());
  BOOST_TEST(*log->rewrite(1, 1, 2, change) == 2);
  BOOST_TEST(behind.values(1) == (strings{"a", "b!", "c"}), each);
  BOOST_TEST(log->purge(1).message == "purged partition 1");
  BOOST_TEST(behind.purges == 1u);
}

BOOST_AUTO_TEST_CASE(spools_once_an_append_had_no_outcome_for_too_long_and_never_what_was_handed_over) {
  behind.how = mood::silent;
  const auto first = send({{0, "first"}});
  pass(outage_after_ms);
  const auto second = send({{0, "second"}}); // not longer than outage_after_ms yet
  BOOST_TEST(calls[second] == 0);
  pass(1);
  const auto third = send_one("third"); // without any step
  BOOST_TEST((third.fate == append_fate::spooled));
  BOOST_TEST(third.offset == -1);
  BOOST_TEST(log->state().outage);
  BOOST_TEST(log->state().records == 1u);
  BOOST_TEST(behind.appends == 2u);
  behind.answer(append_fate::unknown);
  behind.answer(append_fate::refused);
  BOOST_TEST((outcomes[first][0].fate == append_fate::unknown));
  BOOST_TEST((outcomes[second][0].fate == append_fate::refused));
  behind.how = mood::durable;
  live(1'000);
  BOOST_TEST(behind.values() == strings{"third"}, each);
}

BOOST_AUTO_TEST_CASE(spools_once_every_append_failed_for_too_long) {
  for (const auto how : {mood::refused, mood::unknown}) {
    fixture f;
    f.behind.how = how;
    for (int i = 0; i <= 4; ++i) {
      const auto said = f.fate("failed");
      BOOST_TEST((said == (how == mood::refused ? append_fate::refused : append_fate::unknown)));
      f.pass(outage_after_ms / 4);
    }
    BOOST_TEST((f.fate("late") == append_fate::spooled));
  }
}

BOOST_AUTO_TEST_CASE(does_not_spool_when_some_appends_fail_and_others_do_not) {
  for (int i = 0; i < 20; ++i) {
    behind.how = i % 2 == 0 ? mood::unknown : mood::durable;
    fate("x");
    live(outage_after_ms / 2);
  }
  BOOST_TEST(!log->state().outage);
  BOOST_TEST(log->state().records == 0u);
}

BOOST_AUTO_TEST_CASE(spools_once_the_log_was_not_writable_for_too_long_and_reopens_it) {
  behind.is_writable = behind.reopens = false;
  behind.how = mood::refused;
  live(outage_after_ms);
  BOOST_TEST(!log->state().outage);
  live(200);
  BOOST_TEST(log->state().outage);
  BOOST_TEST(log->writable()); // the spool takes records
  BOOST_TEST((fate("a") == append_fate::spooled));
  const auto tries = behind.reopened;
  BOOST_TEST(tries > 0u);
  live(60'000);
  BOOST_TEST(behind.reopened - tries < 60u); // backed off
  behind.reopens = true;
  behind.how = mood::durable;
  live(5'000);
  BOOST_TEST(behind.values() == strings{"a"}, each);
  BOOST_TEST(!log->state().outage);
}

BOOST_AUTO_TEST_CASE(drains_in_order_and_lets_live_records_pass) {
  begin_outage();
  for (int i = 0; i < 10; ++i) BOOST_TEST((fate(std::to_string(i)) == append_fate::spooled));
  behind.answer(append_fate::unknown);
  behind.how = mood::silent;
  live(1'000); // one batch is under way
  BOOST_TEST(behind.silent.size() == 1u);
  BOOST_TEST((fate("late") == append_fate::spooled));
  behind.answer(append_fate::unknown); // tried, failed
  BOOST_TEST((fate("later") == append_fate::spooled));
  options.batch_records = 4;
  open(); // as after a restart
  behind.how = mood::silent;
  drain();
  BOOST_TEST((behind.silent.size() == 1u));
  behind.how = mood::durable;
  BOOST_TEST((fate("live") == append_fate::durable)); // nothing is known against the log, and it does not wait for the drain
  BOOST_TEST(log->state().records == 12u);
  behind.answer(append_fate::unknown);
  live(1'000);
  BOOST_TEST(behind.values() == (strings{"live", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "late", "later"}), each);
  BOOST_TEST(log->state().records == 0u);
}

BOOST_AUTO_TEST_CASE(ends_the_outage_with_the_first_drain_batch_that_is_durable) {
  options.probe_records = 2;
  open();
  begin_outage();
  for (int i = 0; i < 5; ++i) fate(std::to_string(i));
  behind.answer(append_fate::unknown);
  behind.how = mood::durable;
  behind.appends = 0;
  log->step();
  BOOST_TEST(!log->state().outage);
  BOOST_TEST(behind.appends == 1u);
  BOOST_TEST(behind.values() == (strings{"0", "1"}), each); // little while in doubt: it may have to be repeated
  BOOST_TEST((fate("live") == append_fate::durable));
  drain();
  BOOST_TEST(behind.values() == (strings{"0", "1", "live", "2", "3", "4"}), each);
}

BOOST_AUTO_TEST_CASE(ends_the_outage_when_an_append_handed_over_before_it_arrives_after_all) {
  begin_outage();
  fate("a");
  behind.how = mood::durable;
  behind.answer(append_fate::durable);
  BOOST_TEST(!log->state().outage);
  BOOST_TEST((fate("b") == append_fate::durable));
  drain();
  BOOST_TEST(behind.values() == (strings{"b", "a"}), each);
}

BOOST_AUTO_TEST_CASE(stays_in_the_outage_while_an_older_append_has_no_outcome) {
  behind.how = mood::silent;
  send({{0, "first"}});
  pass(outage_after_ms);
  send({{0, "second"}});
  pass(1);
  BOOST_TEST((fate("third") == append_fate::spooled));
  behind.how = mood::durable;
  std::swap(behind.silent[0], behind.silent[1]);
  behind.answer(append_fate::durable); // of the second
  BOOST_TEST(log->state().outage);
  BOOST_TEST((fate("fourth") == append_fate::spooled));
  behind.answer(append_fate::unknown);
  live(500);
  BOOST_TEST(!log->state().outage);
  BOOST_TEST(log->state().records == 0u);
}

BOOST_AUTO_TEST_CASE(repeats_what_is_of_unknown_fate_and_rests_in_between) {
  begin_outage();
  fate("a");
  fate("b");
  behind.answer(append_fate::unknown);
  behind.how = mood::unknown_there;
  behind.appends = 0;
  live(10'000);
  BOOST_TEST(behind.appends > 3u);
  BOOST_TEST(behind.appends < 20u);
  BOOST_TEST(log->state().records == 2u);
  BOOST_TEST(log->state().outage);
  behind.how = mood::durable;
  live(5'000);
  BOOST_TEST(log->state().records == 0u);
  const auto values = behind.values();
  BOOST_TEST(strings(values.end() - 2, values.end()) == (strings{"a", "b"}), each);
}

BOOST_AUTO_TEST_CASE(repeats_of_a_batch_only_what_did_not_arrive) {
  begin_outage();
  send({{0, "a"}, {1, "dead"}, {0, "b"}, {1, "dead too"}, {2, "c"}});
  behind.answer(append_fate::unknown);
  behind.how = mood::durable;
  behind.dead_partition = 1;
  for (int i = 0; i < 5; ++i) {
    pass(100);
    log->step();
    BOOST_TEST(log->state().outage); // a part of a batch proves nothing
  }
  BOOST_TEST(behind.values(0).size() == 2u);
  live(10'000);
  BOOST_TEST(behind.values(0) == (strings{"a", "b"}), each);
  BOOST_TEST(log->state().records == 4u); // all behind the first that did not arrive
  BOOST_TEST(log->state().outage);        // not proven: a batch as a whole was not durable
  fate("d");
  live(10'000);
  BOOST_TEST(behind.values(0) == (strings{"a", "b", "d"}), each);
  behind.dead_partition = -1;
  live(5'000);
  BOOST_TEST(behind.values(0) == (strings{"a", "b", "d"}), each);
  BOOST_TEST(behind.values(1) == (strings{"dead", "dead too"}), each);
  BOOST_TEST(log->state().records == 0u);
  BOOST_TEST(!log->state().outage);
}

BOOST_AUTO_TEST_CASE(leaves_the_outage_without_traffic_when_the_log_confirms_its_end_but_has_it_proven_by_the_spool) {
  begin_outage();
  behind.answer(append_fate::unknown);
  live(10'000);
  BOOST_TEST(log->state().outage); // nothing says that it is well
  const auto before_trouble = steady;
  behind.is_writable = behind.reopens = false;
  live(500);
  behind.is_writable = true;
  behind.confirmed_ms = before_trouble;
  drain();
  BOOST_TEST(log->state().outage); // what says so is older than the last trouble
  live(200, true);
  BOOST_TEST(!log->state().outage);
  behind.how = mood::unknown; // it confirms its end, but takes nothing
  BOOST_TEST((fate("a") == append_fate::spooled));
  live(5'000, true);
  BOOST_TEST(log->state().outage);
  BOOST_TEST(log->state().records == 1u);
  BOOST_TEST((fate("b") == append_fate::spooled));
  behind.how = mood::durable;
  live(5'000, true);
  BOOST_TEST(!log->state().outage);
  BOOST_TEST((fate("c") == append_fate::durable));
  BOOST_TEST(behind.values() == (strings{"a", "b", "c"}), each);
}

BOOST_AUTO_TEST_CASE(refuses_throughout_an_outage_when_told_to) {
  options.policy = outage_policy::reject;
  open();
  begin_outage();
  const auto handed_over = behind.appends;
  BOOST_TEST((fate("a") == append_fate::refused));
  BOOST_TEST(!log->writable());
  BOOST_TEST(!log->reopen().ok());
  BOOST_TEST(behind.appends == handed_over);
  BOOST_TEST(log->state().records == 0u);
  behind.answer(append_fate::unknown);
  behind.how = mood::durable;
  BOOST_TEST((fate("b") == append_fate::refused)); // nothing has shown yet that it is over
  live(200, true);
  BOOST_TEST(log->writable());
  BOOST_TEST((fate("c") == append_fate::durable));
  BOOST_TEST(behind.values() == strings{"c"}, each);
}

BOOST_AUTO_TEST_CASE(refuses_when_the_spool_is_full_and_drains_nothing_of_what_it_refused) {
  const std::string a(3'000, 'a'), b(3'000, 'b'), c(3'000, 'c');
  max_bytes = 3 * (spool_entry_overhead + a.size()) + 1'000; // a small record would fit, but most do not
  open();
  begin_outage();
  for (const auto& value : {a, b, c}) BOOST_TEST((fate(value) == append_fate::spooled));
  BOOST_TEST((fate(std::string(3'000, 'd')) == append_fate::refused));
  BOOST_TEST(!log->state().writable);
  BOOST_TEST(!log->writable());
  behind.answer(append_fate::unknown);
  behind.how = mood::durable;
  live(1'000);
  BOOST_TEST(behind.values() == (strings{a, b, c}), each);
  BOOST_TEST(log->state().writable);
  BOOST_TEST(log->writable());
}

BOOST_AUTO_TEST_CASE(never_spools_a_record_of_a_partition_that_the_log_does_not_have) {
  begin_outage();
  const auto index = send({{0, "a"}, {shards, "b"}});
  for (const auto& outcome : outcomes[index]) BOOST_TEST((outcome.fate == append_fate::refused));
  BOOST_TEST(log->state().records == 0u);
  BOOST_TEST(outcomes[send({})].empty());
}

BOOST_AUTO_TEST_CASE(holds_for_the_operator_what_waited_too_long) {
  options.max_wait_ms = 6 * day_ms;
  open();
  begin_outage();
  fate("a");
  fate("b", 1);
  pass(day_ms);
  fate("c");
  BOOST_TEST(log->state().oldest_age_ms == day_ms);
  behind.answer(append_fate::unknown);
  behind.how = mood::unknown;
  pass(5 * day_ms);
  live(1'000); // longer than the limit for the first two
  BOOST_TEST(log->state().held_records == 2u);
  BOOST_TEST(log->state().records == 1u);
  behind.how = mood::durable;
  live(5'000);
  BOOST_TEST(behind.values(0) == strings{"c"}, each);
  BOOST_TEST(behind.values(1).empty());
  open(); // over a restart
  BOOST_TEST(log->state().held_records == 2u);
  auto held = log->read_held(0, 10, SIZE_MAX);
  BOOST_REQUIRE(held.ok());
  BOOST_TEST((*held)[1].value == "b");
  BOOST_TEST((*held)[1].partition == 1u);
  BOOST_TEST((*held)[1].accepted_ms < now - 6 * day_ms);
  BOOST_TEST(log->remove_held_below((*held)[0].position + 1).ok());
  BOOST_TEST(log->state().held_records == 1u);
  BOOST_TEST(log->release_held_below((*held)[1].position + 1).ok());
  BOOST_TEST(log->state().held_records == 0u);
  live(1'000);
  BOOST_TEST(behind.values(1) == strings{"b"}, each);
  BOOST_TEST(log->state().records == 0u);
}

BOOST_AUTO_TEST_CASE(goes_back_to_the_log_when_the_spool_s_disk_is_broken_but_the_log_is_well) {
  begin_outage();
  fate("a");
  behind.answer(append_fate::unknown);
  env.fail_syncs(true);
  BOOST_TEST((fate("b") == append_fate::unknown));
  BOOST_TEST((fate("c") == append_fate::refused));
  BOOST_TEST(!log->writable());
  BOOST_TEST(!log->reopen().ok());
  behind.how = mood::durable;
  live(500, true);
  BOOST_TEST(log->writable());
  BOOST_TEST((fate("d") == append_fate::durable));
  BOOST_TEST(!log->state().writable);
  BOOST_TEST(behind.values() == strings{"d"}, each);
  env.fail_syncs(false);
  live(10'000);
  BOOST_TEST(log->state().writable);
  BOOST_TEST(log->state().records == 0u);
  const auto values = behind.values();
  BOOST_TEST(values[1] == "a"); // and perhaps "b", whose fate nobody was told
  BOOST_TEST(std::set<std::string>(values.begin(), values.end()).count("c") == 0u);
}

BOOST_AUTO_TEST_CASE(gives_every_append_one_outcome_when_it_ends) {
  for (const bool answers : {true, false}) {
    fixture f;
    f.behind.answers_at_end = answers;
    f.begin_outage();
    f.behind.how = mood::silent;
    f.fate("a");
    f.live(1'000); // a drain append is under way too
    f.log.reset();
    BOOST_TEST(f.calls[0] == 1);
    BOOST_TEST((f.outcomes[0][0].fate == append_fate::unknown));
    while (!f.behind.silent.empty()) f.behind.answer(append_fate::durable); // far too late
    BOOST_TEST(f.calls[0] == 1);
    f.open();
    BOOST_TEST(f.log->state().records == 1u);
  }
}

BOOST_AUTO_TEST_CASE(does_not_drain_again_what_arrived_as_it_ended) {
  begin_outage();
  behind.answer(append_fate::unknown);
  fate("a");
  live(500);
  BOOST_REQUIRE(behind.silent.size() == 1u);
  behind.answer(append_fate::durable);
  open();
  BOOST_TEST(log->state().records == 0u);
}

BOOST_AUTO_TEST_CASE(takes_an_answer_that_is_too_short_as_unknown) {
  behind.how = mood::silent;
  const auto index = send({{0, "a"}, {0, "b"}});
  behind.silent.front().first = 1;
  behind.answer(append_fate::durable);
  BOOST_REQUIRE_EQUAL(outcomes[index].size(), 2u);
  BOOST_TEST((outcomes[index][0].fate == append_fate::durable));
  BOOST_TEST((outcomes[index][1].fate == append_fate::unknown));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(a_spooled_log_and_power)

// Random moods, times and power losses; then everything drains. Spooled or durable means in the log; refused means not in it.
BOOST_AUTO_TEST_CASE(keeps_its_word_over_outages_and_power_losses) {
  const char* given = std::getenv("ADTRACK_TEST_SEED");
  const uint64_t first = given != nullptr ? std::strtoull(given, nullptr, 10) : 1;
  size_t spooled = 0;
  for (uint64_t seed = first; seed < first + 20; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      std::mt19937_64 random(seed);
      fixture f;
      f.options.batch_records = 7;
      f.options.probe_records = 3;
      f.open();
      std::vector<std::string> sent;
      for (int i = 0; i < 400; ++i) {
        const auto choice = random() % 100;
        if (choice < 8) f.behind.how = static_cast<mood>(random() % 5);
        if (choice < 12) f.behind.dead_partition = static_cast<int>(random() % 8) < 3 ? static_cast<int>(random() % 3) : -1;
        if (choice >= 20 && choice < 24) f.env.fail_syncs(random() % 2 == 0);
        if (choice < 30 && !f.behind.silent.empty())
          f.behind.answer(random() % 2 == 0 ? append_fate::unknown : append_fate::refused);
        if (choice == 99) {
          f.env.power_loss();
          f.log.reset();
          f.env.restore(random() % 2 == 0 ? test::faulty_env::unsynced::torn : test::faulty_env::unsynced::dropped);
          f.open();
        }
        std::vector<log_record> records;
        for (auto left = 1 + random() % 3; left > 0; --left) {
          sent.push_back(std::to_string(f.outcomes.size()) + "/" + std::to_string(left));
          records.push_back({static_cast<uint32_t>(random() % shards), sent.back()});
        }
        f.send(std::move(records));
        f.live(static_cast<int64_t>(random() % 900), random() % 2 == 0);
      }
      f.behind.how = mood::durable;
      f.behind.dead_partition = -1;
      f.env.fail_syncs(false);
      while (!f.behind.silent.empty()) f.behind.answer(append_fate::unknown);
      f.live(30'000, true);
      BOOST_TEST(f.log->state().records == 0u);
      BOOST_TEST(!f.log->state().outage);
      std::set<std::string> there;
      for (uint32_t p = 0; p < shards; ++p)
        for (auto& value : f.behind.values(p)) there.insert(std::move(value));
      size_t at = 0;
      for (size_t i = 0; i < f.outcomes.size(); ++i) {
        BOOST_TEST(f.calls[i] == 1);
        for (const auto& outcome : f.outcomes[i]) {
          const auto& value = sent[at++];
          if (outcome.fate == append_fate::refused) BOOST_TEST(!there.contains(value), value << " was refused");
          if (outcome.fate == append_fate::spooled || outcome.fate == append_fate::durable)
            BOOST_TEST(there.contains(value), value << " is lost");
          spooled += outcome.fate == append_fate::spooled ? 1 : 0;
        }
      }
    }
  }
  BOOST_TEST(spooled > 1'000u); // or it has said nothing of the spool
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(a_spooled_log_with_its_thread)

BOOST_AUTO_TEST_CASE(drains_by_itself_while_records_come) {
  const auto steady = [] {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
  };
  const auto until = [&](const auto& condition) {
    for (const auto deadline = steady() + 30'000; !condition() && steady() < deadline;) std::this_thread::yield();
    return condition();
  };
  test::scratch_dir directory;
  log_script behind;
  spool_options o;
  o.path = directory.path() + "/spool";
  o.partitions = shards;
  auto queue = spool::open(std::move(o));
  BOOST_REQUIRE_MESSAGE(queue.ok(), queue.why.message);
  spooled_log_options options;
  options.outage_after_ms = 20;
  options.batch_records = 50;
  options.tick_ms = 5;
  options.retry_ms_min = 1;
  options.retry_ms_max = 10;
  options.now_ms = [] { return start_ms; };
  options.steady_ms = steady;
  auto log = make_spooled_log(std::make_unique<troubled_log>(behind), std::move(*queue), options);
  std::atomic<size_t> durable{0}, spooled{0}, other{0};
  const auto send = [&](size_t i) {
    log->append({{static_cast<uint32_t>(i % shards), std::to_string(i)}}, [&](std::vector<append_outcome> all) {
      auto& counter = all[0].fate == append_fate::durable ? durable : all[0].fate == append_fate::spooled ? spooled : other;
      ++counter;
    });
  };
  const auto set = [&](mood how) {
    std::lock_guard lock(behind.mutex);
    behind.how = how;
  };
  size_t sent = 0;
  for (int round = 0; round < 3; ++round) {
    for (const auto before = durable.load(); durable < before + 100;) send(sent++);
    set(mood::refused);
    BOOST_REQUIRE(until([&] {
      send(sent++);
      return log->state().outage;
    }));
    for (int i = 0; i < 50; ++i) send(sent++);
    BOOST_TEST(log->state().records > 0u);
    set(mood::durable);
    BOOST_REQUIRE(until([&] {
      send(sent++);
      return log->state().records == 0 && !log->state().outage;
    }));
  }
  log.reset();
  BOOST_TEST(durable + spooled + other == sent);
  BOOST_TEST(spooled >= 150u);
  size_t kept = 0;
  for (uint32_t p = 0; p < shards; ++p) kept += behind.values(p).size();
  BOOST_TEST(kept == durable + spooled);
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace adtrack::storage
