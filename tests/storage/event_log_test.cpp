// One suite for every event log, then what only the embedded one promises: that it survives, and how it fails.
#include <algorithm>
#include <atomic>
#include <fstream>
#include <thread>

#include <boost/test/unit_test.hpp>

#include "tests/storage/log_fixtures.hpp"

namespace adtrack::storage {
namespace {

// A log that has to ask whether an offset exists gives nothing until it knows.
result<std::vector<stored_record>> read_outside(event_log& log, uint32_t partition, int64_t from) {
  auto read = log.read(partition, from, 10, 100);
  test::eventually([&] {
    if (read.ok() && read->empty()) read = log.read(partition, from, 10, 100);
    return !read.ok() || !read->empty();
  });
  return read;
}

} // namespace

BOOST_AUTO_TEST_SUITE(every_event_log)

BOOST_AUTO_TEST_CASE_TEMPLATE(gives_back_what_was_appended_in_order_with_offset_and_log_time, fixture, fixtures) {
  ADTRACK_SKIP_WITHOUT_KAFKA(fixture)
  fixture f;
  const auto outcomes = append(*f.log, {{1, "a"}, {1, std::string("b\0c\xff", 4)}, {1, ""}});
  BOOST_REQUIRE_EQUAL(outcomes.size(), 3u);
  for (int i = 0; i < 3; ++i) {
    BOOST_TEST((outcomes[i].fate == append_fate::durable));
    BOOST_TEST(outcomes[i].offset == i);
  }
  f.now += 5;
  append_durable(*f.log, 1, "d");
  BOOST_TEST(values(*f.log, 1, 0) == (strings{"a", std::string("b\0c\xff", 4), "", "d"}), boost::test_tools::per_element());
  auto read = f.log->read(1, 2, 10, 100);
  BOOST_REQUIRE(read.ok());
  if (!fixture::own_clock) return; // the brokers'
  BOOST_TEST((*read)[0].time_ms == first_time_ms);
  BOOST_TEST((*read)[1].time_ms == first_time_ms + 5);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(counts_each_partition_on_its_own, fixture, fixtures) {
  ADTRACK_SKIP_WITHOUT_KAFKA(fixture)
  fixture f;
  const auto outcomes = append(*f.log, {{0, "a"}, {2, "b"}, {0, "c"}, {2, "d"}, {1, "e"}});
  const int64_t offsets[] = {0, 0, 1, 1, 0};
  for (int i = 0; i < 5; ++i) BOOST_TEST(outcomes[i].offset == offsets[i]);
  BOOST_TEST(f.log->end(0).offset == 2);
  BOOST_TEST(f.log->end(1).offset == 1);
  BOOST_TEST(f.log->end(2).offset == 2);
  BOOST_TEST(f.log->end(2).confirmed_ms >= 0);
  BOOST_TEST(values(*f.log, 2, 0) == (strings{"b", "d"}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(bounds_a_read_but_gives_at_least_one_record, fixture, fixtures) {
  ADTRACK_SKIP_WITHOUT_KAFKA(fixture)
  fixture f;
  append(*f.log, {{0, std::string(100, 'a')}, {0, std::string(100, 'b')}, {0, std::string(100, 'c')}});
  const auto gives = [&](int64_t from, size_t records, size_t bytes, size_t wanted) {
    size_t got = 0;
    const auto once = [&] {
      auto read = f.log->read(0, from, records, bytes);
      BOOST_REQUIRE_MESSAGE(read.ok(), read.why.message);
      got = read->size();
      BOOST_REQUIRE(got <= wanted);
      return got == wanted;
    };
    return fixture::immediate ? once() : test::eventually(once); // the records need not have been fetched together
  };
  BOOST_TEST(gives(0, 2, 1'000, 2));
  BOOST_TEST(gives(0, 10, 200, 2));
  BOOST_TEST(gives(0, 10, 299, 2));
  BOOST_TEST(gives(0, 10, 1, 1));
  BOOST_TEST(gives(0, 0, 1'000, 0));
  BOOST_TEST(gives(3, 10, 1'000, 0)); // at the end: nothing yet
}

BOOST_AUTO_TEST_CASE_TEMPLATE(refuses_to_read_outside_of_what_it_keeps, fixture, fixtures) {
  ADTRACK_SKIP_WITHOUT_KAFKA(fixture)
  fixture f;
  append(*f.log, {{0, "a"}, {0, "b"}, {0, "c"}});
  if (fixture::trims) BOOST_REQUIRE(f.log->trim(0, 1).ok());
  for (const int64_t from : {int64_t{-1}, int64_t{0}, int64_t{4}}) {
    if (from == 0 && !fixture::trims) continue;
    auto read = read_outside(*f.log, 0, from);
    BOOST_TEST(!read.ok());
    BOOST_TEST((read.why.code == errc::out_of_range));
  }
  BOOST_TEST((f.log->read(3, 0, 10, 100).why.code == errc::out_of_range)); // no such partition
}

BOOST_AUTO_TEST_CASE_TEMPLATE(trims_from_the_front_and_never_uses_an_offset_again, fixture, fixtures) {
  ADTRACK_SKIP_WITHOUT_KAFKA(fixture)
  fixture f;
  if (!fixture::trims) return;
  append(*f.log, {{0, "a"}, {0, "b"}, {0, "c"}, {1, "other"}});
  BOOST_REQUIRE(f.log->trim(0, 2).ok());
  BOOST_TEST(f.log->begin(0) == 2);
  BOOST_TEST(values(*f.log, 0, 2) == (strings{"c"}), boost::test_tools::per_element());
  BOOST_REQUIRE(f.log->trim(0, 1).ok()); // less than before: nothing happens
  BOOST_TEST(f.log->begin(0) == 2);
  BOOST_REQUIRE(f.log->trim(0, 3).ok());
  BOOST_TEST(f.log->end(0).offset == 3);
  BOOST_TEST((f.log->trim(0, 4).code == errc::out_of_range));
  const auto outcomes = append(*f.log, {{0, "d"}});
  BOOST_TEST(outcomes[0].offset == 3);
  BOOST_TEST(values(*f.log, 0, 3) == (strings{"d"}), boost::test_tools::per_element());
  BOOST_TEST(values(*f.log, 1, 0) == (strings{"other"}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(refuses_a_whole_batch_that_names_an_unknown_partition, fixture, fixtures) {
  ADTRACK_SKIP_WITHOUT_KAFKA(fixture)
  fixture f;
  for (const auto& outcome : append(*f.log, {{0, "a"}, {3, "b"}})) BOOST_TEST((outcome.fate == append_fate::refused));
  BOOST_TEST(f.log->end(0).offset == 0);
  append_durable(*f.log, 0, "c");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(tells_that_there_is_something_new_once_it_can_be_read, fixture, fixtures) {
  ADTRACK_SKIP_WITHOUT_KAFKA(fixture)
  fixture f;
  if (!fixture::immediate) { // told more often, and later
    std::atomic<int64_t> end{-1};
    f.log->on_appended([&] { end = f.log->end(0).offset; });
    append(*f.log, {{0, "a"}, {0, "b"}});
    BOOST_TEST(test::eventually([&] { return end == 2; }));
    append(*f.log, {{0, "c"}});
    BOOST_TEST(test::eventually([&] { return end == 3; }));
    f.log.reset(); // before what its callback uses
    return;
  }
  std::vector<int64_t> ends;
  f.log->on_appended([&] { ends.push_back(f.log->end(0).offset); });
  append(*f.log, {{0, "a"}, {0, "b"}});
  append(*f.log, {});
  append(*f.log, {{0, "c"}});
  BOOST_TEST(ends == (std::vector<int64_t>{2, 3}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(lets_many_read_and_trim_while_one_appends, fixture, fixtures) {
  ADTRACK_SKIP_WITHOUT_KAFKA(fixture)
  fixture f;
  constexpr int64_t total = 3'000;
  std::atomic<int64_t> wrong{0};
  const auto follow = [&](uint32_t partition) {
    int64_t next = 0;
    while (next < total) {
      auto read = f.log->read(partition, next, 100, 10'000);
      if (!read.ok()) {
        if (read.why.code != errc::out_of_range || partition != 2) ++wrong;
        next = std::max(next, f.log->begin(partition)); // trimmed away
        continue;
      }
      for (const auto& record : *read)
        if (record.offset != next || record.value != std::to_string(next) || record.offset >= f.log->end(partition).offset)
          ++wrong;
        else
          ++next;
      if (wrong > 0) return;
    }
  };
  std::vector<std::thread> readers;
  for (const uint32_t partition : {0u, 1u, 2u, 2u}) readers.emplace_back(follow, partition);
  for (int64_t i = 0; i < total; i += 10) {
    std::vector<log_record> records;
    for (int64_t each = i; each < i + 10; ++each)
      for (uint32_t partition = 0; partition < 3; ++partition) records.push_back({partition, std::to_string(each)});
    append(*f.log, std::move(records));
    if (i % 500 == 0 && fixture::trims) BOOST_TEST(f.log->trim(2, i).ok());
  }
  for (auto& reader : readers) reader.join();
  BOOST_TEST(wrong == 0);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(the_embedded_log)

BOOST_AUTO_TEST_CASE(keeps_records_begin_and_next_offset_over_a_restart) {
  rocksdb_fixture f;
  append(*f.log, {{0, "a"}, {0, "b"}, {1, "c"}, {1, "d"}});
  BOOST_REQUIRE(f.log->trim(0, 2).ok()); // emptied
  BOOST_REQUIRE(f.log->trim(1, 1).ok());
  f.open();
  BOOST_TEST(f.log->begin(0) == 2);
  BOOST_TEST(f.log->end(0).offset == 2);
  BOOST_TEST(values(*f.log, 1, 1) == (strings{"d"}), boost::test_tools::per_element());
  BOOST_TEST(f.log->end(2).offset == 0);
  BOOST_TEST(append(*f.log, {{0, "e"}})[0].offset == 2);
}

// Records of one append stand together, and are read from anywhere among them, one by one or many, before and after a restart.
BOOST_AUTO_TEST_CASE(keeps_each_record_of_large_and_small_appends_in_its_place) {
  rocksdb_fixture f(64u << 20, 0); // nothing is served from memory
  std::vector<std::string> written;
  const auto fill = [&](size_t count, size_t size) {
    std::vector<log_record> records;
    for (size_t i = 0; i < count; ++i) {
      auto text = std::to_string(written.size());
      if (size != 0)
        text.resize(std::max(text.size(), size), '.');
      else if (i % 2)
        text.clear();
      records.push_back({2, std::string("other")});
      records.push_back({1, text});
      written.push_back(std::move(text));
    }
    append(*f.log, std::move(records));
  };
  fill(1, 10);
  fill(700, 20);    // more than one run holds
  fill(3, 300'000); // each larger than a run
  fill(5, 0);       // empty ones among them
  for (int i = 0; i < 10; ++i) fill(2, 5);
  const auto end = static_cast<int64_t>(written.size());
  for (const bool reopened : {false, true}) {
    if (reopened) f.open();
    BOOST_TEST(f.log->end(1).offset == end);
    for (const size_t at_most : {size_t{1}, size_t{7}, size_t{300}, size_t{10'000}}) {
      for (int64_t from = 0; from < end; from += at_most == 1 ? 1 : 13) {
        auto got = f.log->read(1, from, at_most, 64u << 20);
        BOOST_REQUIRE_MESSAGE(got.ok(), got.why.message);
        BOOST_REQUIRE_EQUAL(got->size(), std::min<size_t>(at_most, static_cast<size_t>(end - from)));
        for (size_t i = 0; i < got->size(); ++i) {
          BOOST_REQUIRE_EQUAL((*got)[i].offset, from + static_cast<int64_t>(i));
          BOOST_REQUIRE((*got)[i].value == written[static_cast<size_t>(from) + i]);
        }
      }
    }
    BOOST_TEST(f.log->read(1, 0, 10'000, 100)->size() == 5u); // by bytes: 10, then 20 each
  }
  // Trimmed in the middle of a run: what is kept is all there.
  BOOST_REQUIRE(f.log->trim(1, 350).ok());
  f.open();
  BOOST_TEST(f.log->begin(1) == 350);
  BOOST_TEST((f.log->read(1, 349, 1, 100).why.code == errc::out_of_range));
  auto kept = f.log->read(1, 350, 10, 10'000);
  BOOST_REQUIRE(kept.ok());
  BOOST_TEST(kept->front().value == written[350]);
}

BOOST_AUTO_TEST_CASE(is_refused_with_another_number_of_partitions) {
  rocksdb_fixture f;
  append_durable(*f.log, 0, "a");
  f.log.reset();
  for (const uint32_t other : {2u, 4u, 0u}) {
    auto opened = f.try_open(other);
    BOOST_REQUIRE(!opened.ok());
    BOOST_TEST((opened.why.code == errc::mismatch));
    if (other != 0) BOOST_TEST(opened.why.message.find("created with 3 shards") != std::string::npos);
  }
  f.open();
  BOOST_TEST(f.log->end(0).offset == 1);
}

BOOST_AUTO_TEST_CASE(is_refused_while_it_is_open) {
  rocksdb_fixture f;
  auto second = f.try_open();
  BOOST_REQUIRE(!second.ok());
  BOOST_TEST((second.why.code == errc::locked));
  rocksdb_log_options plain; // without the test's Env
  plain.path = f.directory.path() + "/other";
  plain.now_ms = [] { return first_time_ms; };
  auto first = open_rocksdb_log(plain);
  BOOST_REQUIRE_MESSAGE(first.ok(), first.why.message);
  BOOST_TEST((open_rocksdb_log(plain).why.code == errc::locked));
}

BOOST_AUTO_TEST_CASE(is_refused_when_the_file_that_names_its_state_is_gone) {
  rocksdb_fixture f;
  append_durable(*f.log, 0, "a");
  f.log.reset();
  std::filesystem::remove(f.directory.path() + "/log/CURRENT");
  auto opened = f.try_open();
  BOOST_REQUIRE(!opened.ok());
  BOOST_TEST((opened.why.code == errc::corrupt));
}

BOOST_AUTO_TEST_CASE(says_so_when_a_record_in_the_middle_of_it_is_damaged) {
  rocksdb_fixture f;
  for (int i = 0; i < 200; ++i) append_durable(*f.log, 0, std::to_string(i) + std::string(200, 'x'));
  f.open(); // from the write-ahead log into a table
  f.log.reset();
  for (const auto& file : std::filesystem::directory_iterator(f.directory.path() + "/log")) {
    if (file.path().extension() != ".sst") continue;
    std::fstream table(file.path(), std::ios::in | std::ios::out | std::ios::binary);
    table.seekp(100);
    table.write("damaged", 7);
  }
  auto opened = f.try_open();
  if (!opened.ok()) { // seen already when the end was looked for
    BOOST_TEST((opened.why.code == errc::corrupt));
    return;
  }
  auto read = (*opened)->read(0, 0, 1'000, 1 << 20);
  BOOST_REQUIRE(!read.ok());
  BOOST_TEST((read.why.code == errc::corrupt));
}

BOOST_AUTO_TEST_CASE(reads_across_many_small_files_and_gives_trimmed_ones_back) {
  rocksdb_fixture f(64 << 10);
  constexpr int64_t total = 20'000;
  for (int64_t i = 0; i < total;) {
    std::vector<log_record> records;
    for (int k = 0; k < 100; ++k, ++i) records.push_back({0, std::to_string(i) + std::string(300, 'x')});
    append(*f.log, std::move(records));
  }
  const auto check = [&] {
    int64_t next = f.log->begin(0);
    while (next < total) {
      const auto got = values(*f.log, 0, next, 2'000);
      BOOST_REQUIRE(!got.empty());
      for (const auto& value : got) {
        const auto expected = std::to_string(next) + std::string(300, 'x');
        BOOST_REQUIRE(value == expected);
        ++next;
      }
    }
  };
  check();
  BOOST_REQUIRE(f.log->trim(0, total / 2).ok());
  check();
  f.open();
  BOOST_TEST(f.log->begin(0) == total / 2);
  check();
}

// A file is given back once all of it is below the first offset kept, and not when its last run merely begins there.
BOOST_AUTO_TEST_CASE(gives_files_back_and_keeps_every_record_of_a_run_that_is_trimmed_in_its_middle) {
  rocksdb_fixture f(1 << 20, 0);
  constexpr int64_t total = 20'000, together = 20, step = 10;
  random_bytes noise(7); // what does not compress, so that there are several files
  for (int64_t i = 0; i < total;) {
    std::vector<log_record> records;
    for (int64_t k = 0; k < together; ++k, ++i) records.push_back({0, std::to_string(i) + " " + noise(3'000)});
    append(*f.log, std::move(records));
  }
  f.open();
  const auto tables = [&] {
    return std::ranges::count_if(std::filesystem::directory_iterator(f.directory.path() + "/log"),
                                 [](const auto& file) { return file.path().extension() == ".sst"; });
  };
  const auto before = tables();
  for (int64_t below = step; below < total; below += step) {
    BOOST_REQUIRE(f.log->trim(0, below).ok());
    const auto kept = f.log->read(0, below, 1, 1 << 20);
    BOOST_REQUIRE_MESSAGE(kept.ok(), kept.why.message);
    BOOST_REQUIRE(kept.value->front().value.starts_with(std::to_string(below) + " "));
  }
  BOOST_TEST(tables() < before);
}

namespace {

// Faults: what is switched on for a while, and what the log has to be like before, meanwhile and after.
void check_fault(const std::function<void(test::faulty_env&, bool)>& fault) {
  tailless_fixture f;
  append_durable(*f.log, 0, "before");
  fault(f.env, true);
  const auto failed = append(*f.log, {{0, "failed"}, {1, "failed too"}});
  for (const auto& outcome : failed) {
    BOOST_TEST((outcome.fate == append_fate::unknown));
    BOOST_TEST(outcome.offset == -1);
  }
  BOOST_TEST(!f.log->writable());
  BOOST_TEST(f.log->end(0).offset == 1); // nothing that may not be there can be seen
  BOOST_TEST(values(*f.log, 0, 0) == (strings{"before"}), boost::test_tools::per_element());
  const auto confirmed = f.log->end(0).confirmed_ms;
  BOOST_TEST((append(*f.log, {{0, "refused"}})[0].fate == append_fate::refused));
  BOOST_TEST(!f.log->reopen().ok()); // the cause is still there
  BOOST_TEST(!f.log->writable());
  BOOST_TEST(values(*f.log, 0, 0) == (strings{"before"}), boost::test_tools::per_element());
  BOOST_TEST(f.log->end(0).confirmed_ms == confirmed);

  fault(f.env, false);
  BOOST_TEST((append(*f.log, {{0, "refused"}})[0].fate == append_fate::refused)); // only reopening brings it back
  const auto reopened = f.log->reopen();
  BOOST_REQUIRE_MESSAGE(reopened.ok(), reopened.message);
  BOOST_TEST(f.log->writable());
  append_durable(*f.log, 0, "after");
  f.log.reset();
  f.env.restore(test::faulty_env::unsynced::dropped); // and what was acknowledged since is really there
  f.open();
  auto kept = values(*f.log, 0, 0);
  BOOST_TEST(kept.front() == "before");
  BOOST_TEST(kept.back() == "after");
  // The batch of unknown fate: in both partitions or in neither.
  BOOST_TEST(kept.size() == 2u + static_cast<size_t>(f.log->end(1).offset));
  for (const auto& value : kept) BOOST_TEST(value != "refused");
}

} // namespace

BOOST_AUTO_TEST_CASE(refuses_appends_after_a_failed_sync_until_it_is_reopened) {
  check_fault([](test::faulty_env& env, bool on) { env.fail_syncs(on); });
}

BOOST_AUTO_TEST_CASE(refuses_appends_after_a_failed_write_until_it_is_reopened) {
  check_fault([](test::faulty_env& env, bool on) { env.fail_writes(on); });
}

BOOST_AUTO_TEST_CASE(refuses_appends_on_a_full_disk_until_there_is_room) {
  check_fault([](test::faulty_env& env, bool on) { env.fill_disk(on); });
}

BOOST_AUTO_TEST_CASE(does_not_go_on_when_acknowledged_records_are_gone_from_its_disk) {
  rocksdb_fixture f;
  append_durable(*f.log, 0, "a");
  f.env.fail_syncs(true);
  append(*f.log, {{0, "b"}});
  f.env.fail_syncs(false);
  for (const auto& file : std::filesystem::directory_iterator(f.directory.path() + "/log"))
    if (file.path().extension() == ".log") std::filesystem::resize_file(file.path(), 0);
  const auto reopened = f.log->reopen();
  BOOST_TEST((reopened.code == errc::corrupt));
  BOOST_TEST(reopened.message.find("lost acknowledged records of partition 0") != std::string::npos);
  BOOST_TEST(!f.log->writable());
}

BOOST_AUTO_TEST_CASE(comes_back_after_reopening_itself_failed) {
  rocksdb_fixture f;
  append_durable(*f.log, 0, "a");
  f.env.fail_syncs(true);
  append(*f.log, {{0, "b"}});
  f.env.fail_syncs(false);
  // The probe finds the disk well, the opening does not.
  f.env.on_io([&](const test::faulty_env::io& io) {
    if (io.path.find("MANIFEST") != std::string::npos) f.env.fail_writes(true);
  });
  BOOST_TEST(!f.log->reopen().ok());
  BOOST_TEST(!f.log->writable());
  BOOST_TEST((f.log->read(0, 0, 1, 1).why.code == errc::io));
  BOOST_TEST((append(*f.log, {{0, "c"}})[0].fate == append_fate::refused));
  BOOST_TEST(f.log->end(0).offset == 1);
  f.env.on_io({});
  f.env.fail_writes(false);
  const auto reopened = f.log->reopen();
  BOOST_REQUIRE_MESSAGE(reopened.ok(), reopened.message);
  BOOST_TEST(values(*f.log, 0, 0).front() == "a");
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace adtrack::storage
