// Replacing the values of durable records: what every log that can do it promises, and that the embedded one leaves nothing of
// the old bytes on its disk.
#include <algorithm>
#include <atomic>
#include <fstream>
#include <map>
#include <thread>

#include <boost/test/unit_test.hpp>

#include "tests/storage/log_fixtures.hpp"

namespace adtrack::storage {
namespace {

const auto per_element = boost::test_tools::per_element();

// Replaces the values that are named.
record_change exchange(std::map<std::string, std::string> others) {
  return [others = std::move(others)](const stored_record& record) -> std::optional<std::string> {
    const auto found = others.find(record.value);
    return found == others.end() ? std::nullopt : std::optional(found->second);
  };
}

// All parts; returns how many there were.
int rewrite_all(event_log& log, uint32_t partition, int64_t from, int64_t to, const record_change& change) {
  int parts = 0;
  while (from < to) {
    auto next = log.rewrite(partition, from, to, change);
    BOOST_REQUIRE_MESSAGE(next.ok(), next.why.message);
    BOOST_REQUIRE(*next > from);
    BOOST_REQUIRE(*next <= to);
    from = *next;
    ++parts;
  }
  return parts;
}

void append_many(event_log& log, uint32_t partition, int64_t from, int64_t to, int64_t together,
                 const std::function<std::string(int64_t)>& value) {
  while (from < to) {
    std::vector<log_record> records;
    for (int64_t i = 0; i < together && from < to; ++i) records.push_back({partition, value(from++)});
    append(log, std::move(records));
  }
}

// How many of these stand in some file of the log.
size_t on_disk(const rocksdb_fixture& f, const strings& wanted) {
  std::vector<bool> found(wanted.size());
  for (const auto& file : std::filesystem::recursive_directory_iterator(f.directory.path() + "/log")) {
    std::error_code gone; // removed meanwhile
    const auto size = file.is_directory(gone) ? 0 : file.file_size(gone);
    if (gone || size == 0) continue;
    std::ifstream in(file.path(), std::ios::binary);
    std::string all(size, '\0');
    in.read(all.data(), static_cast<std::streamsize>(all.size()));
    for (size_t i = 0; i < wanted.size(); ++i)
      if (all.find(wanted[i]) != std::string::npos) found[i] = true;
  }
  return static_cast<size_t>(std::ranges::count(found, true));
}
bool on_disk(const rocksdb_fixture& f, const std::string& bytes) { return on_disk(f, strings{bytes}) == 1; }

size_t tables(const rocksdb_fixture& f) {
  return static_cast<size_t>(std::ranges::count_if(std::filesystem::directory_iterator(f.directory.path() + "/log"),
                                                   [](const auto& file) { return file.path().extension() == ".sst"; }));
}

} // namespace

BOOST_AUTO_TEST_SUITE(every_log_that_is_rewritten)

BOOST_AUTO_TEST_CASE_TEMPLATE(says_so_when_its_records_cannot_be_replaced, fixture, fixtures) {
  ADTRACK_SKIP_WITHOUT_KAFKA(fixture)
  fixture f;
  append_durable(*f.log, 0, "a");
  BOOST_TEST(f.log->rewrites() == fixture::immediate);
  if (f.log->rewrites()) return;
  BOOST_TEST((f.log->rewrite(0, 0, 1, exchange({{"a", "b"}})).why.code == errc::cannot));
  BOOST_TEST((f.log->purge(0).code == errc::cannot));
  BOOST_TEST(values(*f.log, 0, 0) == (strings{"a"}), per_element);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(replaces_values_and_nothing_else, fixture, rewritten_fixtures) {
  fixture f;
  append(*f.log, {{1, "a"}, {0, "b"}, {1, "b"}, {1, "c"}});
  f.now += 5;
  append(*f.log, {{1, "b"}, {1, "d"}, {1, ""}});
  append(*f.log, {{1, "b"}, {2, "b"}});
  BOOST_REQUIRE(f.log->read(1, 0, 10, 1'000).ok()); // as a reader has done who follows the end
  std::vector<std::tuple<int64_t, int64_t, std::string>> shown;
  const std::string longer(1'000, 'l'), none;
  auto next = f.log->rewrite(1, 1, 6, [&](const stored_record& record) -> std::optional<std::string> {
    shown.emplace_back(record.offset, record.time_ms, record.value);
    if (record.value == "b") return record.offset == 1 ? longer : none;
    if (record.value.empty()) return "was empty";
    return {};
  });
  BOOST_REQUIRE_MESSAGE(next.ok(), next.why.message);
  BOOST_TEST(*next == 6);
  const auto t = first_time_ms;
  BOOST_TEST((shown == decltype(shown){{1, t, "b"}, {2, t, "c"}, {3, t + 5, "b"}, {4, t + 5, "d"}, {5, t + 5, ""}}));
  BOOST_TEST(values(*f.log, 1, 0) == (strings{"a", longer, "c", none, "d", "was empty", "b"}), per_element);
  BOOST_TEST(values(*f.log, 0, 0) == (strings{"b"}), per_element);
  BOOST_TEST(values(*f.log, 2, 0) == (strings{"b"}), per_element);
  auto read = f.log->read(1, 0, 10, 10'000);
  BOOST_REQUIRE(read.ok());
  for (const auto& record : *read) BOOST_TEST(record.time_ms == (record.offset < 3 ? t : t + 5));
  BOOST_TEST(f.log->begin(1) == 0);
  BOOST_TEST(f.log->end(1).offset == 7);
  BOOST_REQUIRE(f.log->purge(1).ok());
  BOOST_TEST(values(*f.log, 1, 0) == (strings{"a", longer, "c", none, "d", "was empty", "b"}), per_element);
  BOOST_TEST(append(*f.log, {{1, "e"}})[0].offset == 7);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(is_rewritten_in_parts, fixture, rewritten_fixtures) {
  fixture f;
  constexpr int64_t total = 25'000, from = 777, to = total - 333;
  append_many(*f.log, 0, 0, total, 1'000, [](int64_t i) { return std::to_string(i); });
  const auto is_changed = [](int64_t offset) { return offset % 7 == 0 || offset / 500 % 3 == 0; };
  int64_t shown = from;
  const int parts = rewrite_all(*f.log, 0, from, to, [&](const stored_record& record) -> std::optional<std::string> {
    BOOST_REQUIRE_EQUAL(record.offset, shown++); // each of them once
    BOOST_REQUIRE_EQUAL(record.value, std::to_string(record.offset));
    if (!is_changed(record.offset)) return {};
    return "x" + record.value;
  });
  BOOST_TEST(shown == to);
  BOOST_TEST(parts > 1);
  const auto got = values(*f.log, 0, 0, total);
  BOOST_REQUIRE_EQUAL(got.size(), static_cast<size_t>(total));
  for (int64_t i = 0; i < total; ++i) {
    const bool changed = i >= from && i < to && is_changed(i);
    BOOST_REQUIRE_EQUAL(got[static_cast<size_t>(i)], (changed ? "x" : "") + std::to_string(i));
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(is_rewritten_within_what_it_keeps, fixture, rewritten_fixtures) {
  fixture f;
  append(*f.log, {{0, "a"}, {0, "b"}, {0, "c"}, {0, "d"}});
  BOOST_REQUIRE(f.log->trim(0, 2).ok());
  int64_t shown = 2;
  const auto change = [&](const stored_record& record) -> std::optional<std::string> {
    BOOST_TEST(record.offset == shown++);
    return record.value + "!";
  };
  BOOST_TEST(*f.log->rewrite(0, 0, 2, change) == 2); // passed over
  BOOST_TEST(*f.log->rewrite(0, 4, 100, change) == 100);
  BOOST_TEST(*f.log->rewrite(0, 3, 3, change) == 3);
  BOOST_TEST(shown == 2);
  BOOST_TEST(*f.log->rewrite(0, -1, 100, change) == 100);
  BOOST_TEST(shown == 4);
  BOOST_TEST(f.log->begin(0) == 2);
  BOOST_TEST(values(*f.log, 0, 2) == (strings{"c!", "d!"}), per_element);
  BOOST_TEST((f.log->rewrite(3, 0, 1, change).why.code == errc::out_of_range)); // no such partition
  BOOST_TEST((f.log->purge(3).code == errc::out_of_range));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(is_rewritten_while_others_append_read_and_trim, fixture, rewritten_fixtures) {
  fixture f;
  constexpr int64_t total = 4'000;
  append_many(*f.log, 0, 0, total / 2, 50, [](int64_t i) { return std::to_string(i); });
  std::atomic<bool> stop{false};
  std::atomic<int64_t> wrong{0}, rewritten{0}; // all below it are
  std::thread reader([&] {
    for (int64_t at = 0; !stop;) {
      const auto done = rewritten.load();
      auto read = f.log->read(0, at, 100, 10'000);
      if (!read.ok() && read.why.code != errc::out_of_range) ++wrong;
      if (!read.ok() || read->empty()) {
        at = f.log->begin(0);
        std::this_thread::yield();
        continue;
      }
      for (const auto& record : *read) {
        const auto plain = std::to_string(record.offset);
        if (record.offset != at++ || (record.value != "x" + plain && (record.value != plain || record.offset < done))) ++wrong;
      }
    }
  });
  std::thread rewriter([&] {
    for (int64_t at = 0; at < total;) {
      const auto to = std::min(at + 200, f.log->end(0).offset);
      if (to == at) {
        std::this_thread::yield();
        continue;
      }
      auto next = f.log->rewrite(0, at, to, [](const stored_record& record) -> std::optional<std::string> {
        return record.value.front() == 'x' ? std::nullopt : std::optional("x" + record.value);
      });
      if (!next.ok()) ++wrong;
      if (!next.ok()) return;
      rewritten = at = *next;
      if (at % 1'000 == 0 && !f.log->purge(0).ok()) ++wrong;
    }
  });
  for (int64_t i = total / 2; i < total; i += 20) {
    append_many(*f.log, 0, i, i + 20, 20, [](int64_t each) { return std::to_string(each); });
    BOOST_TEST(f.log->trim(0, i - total / 2 + 7).ok());
  }
  rewriter.join();
  stop = true;
  reader.join();
  BOOST_TEST(wrong == 0);
  const auto begin = f.log->begin(0);
  BOOST_TEST(begin == total / 2 - 13);
  const auto got = values(*f.log, 0, begin, total);
  BOOST_TEST(got.size() == static_cast<size_t>(total - begin));
  for (size_t i = 0; i < got.size(); ++i) BOOST_REQUIRE_EQUAL(got[i], "x" + std::to_string(begin + static_cast<int64_t>(i)));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(the_embedded_log_that_is_rewritten)

BOOST_AUTO_TEST_CASE(keeps_what_was_replaced_over_a_restart) {
  rocksdb_fixture f(64u << 20, 0);
  append_many(*f.log, 1, 0, 700, 700, [](int64_t i) { return std::to_string(i); }); // more than one run holds
  append_many(*f.log, 1, 700, 710, 1, [](int64_t i) { return std::to_string(i); });
  const auto change = [](const stored_record& record) -> std::optional<std::string> {
    if (record.offset % 3 != 0) return {};
    return std::string(static_cast<size_t>(record.offset % 300), 'r');
  };
  BOOST_TEST(rewrite_all(*f.log, 1, 250, 709, change) == 1);
  for (const bool reopened : {false, true, true}) {
    if (reopened) f.open();
    BOOST_TEST(f.log->end(1).offset == 710);
    const auto got = values(*f.log, 1, 0);
    BOOST_REQUIRE_EQUAL(got.size(), 710u);
    for (int64_t i = 0; i < 710; ++i) {
      const auto now = i < 250 || i >= 709 ? std::nullopt : change({i, 0, {}});
      BOOST_TEST(got[static_cast<size_t>(i)] == now.value_or(std::to_string(i)));
    }
  }
}

BOOST_AUTO_TEST_CASE(is_rewritten_in_parts_of_some_megabytes) {
  rocksdb_fixture f;
  append_many(*f.log, 0, 0, 12, 3, [](int64_t) { return std::string(1 << 20, 'x'); });
  const int parts = rewrite_all(*f.log, 0, 0, 12, [](const stored_record& record) { return std::to_string(record.offset); });
  BOOST_TEST(parts >= 3);
  BOOST_TEST(values(*f.log, 0, 9) == (strings{"9", "10", "11"}), per_element);
}

BOOST_AUTO_TEST_CASE(never_writes_again_what_was_trimmed_while_it_was_rewritten) {
  rocksdb_fixture f;
  append_many(*f.log, 0, 0, 10, 1, [](int64_t i) { return std::to_string(i); });
  auto next = f.log->rewrite(0, 0, 10, [&](const stored_record& record) {
    if (record.offset == 9) std::thread([&] { BOOST_TEST(f.log->trim(0, 5).ok()); }).join();
    return "replaced " + record.value + ";";
  });
  BOOST_REQUIRE_MESSAGE(next.ok(), next.why.message);
  BOOST_TEST(f.log->begin(0) == 5);
  for (int64_t i = 0; i < 10; ++i) BOOST_TEST(on_disk(f, "replaced " + std::to_string(i) + ";") == (i >= 5));
  f.open();
  BOOST_TEST(f.log->begin(0) == 5);
  BOOST_TEST(values(*f.log, 0, 5, 1) == (strings{"replaced 5;"}), per_element);
}

BOOST_AUTO_TEST_CASE(leaves_nothing_of_a_replaced_value_in_its_write_ahead_logs) {
  rocksdb_fixture f;
  random_bytes noise(7);
  const auto secret = noise(64), other = noise(64), kept = noise(64);
  append(*f.log, {{0, kept}, {0, secret}, {1, noise(100)}, {2, noise(100)}}); // the others' hold it back, too
  BOOST_REQUIRE(f.log->trim(2, 1).ok());
  BOOST_TEST(on_disk(f, secret));
  rewrite_all(*f.log, 0, 0, 2, exchange({{secret, other}}));
  BOOST_TEST(on_disk(f, secret)); // so far
  const auto purged = f.log->purge(0);
  BOOST_REQUIRE_MESSAGE(purged.ok(), purged.message);
  BOOST_TEST(!on_disk(f, secret));
  BOOST_TEST(on_disk(f, other));
  BOOST_REQUIRE(f.log->purge(0).ok()); // again, with nothing to do
  f.open();
  BOOST_TEST(values(*f.log, 0, 0) == (strings{kept, other}), per_element);
  BOOST_TEST(f.log->end(1).offset == 1);
  BOOST_TEST(f.log->begin(2) == 1);
}

// Old values on two levels, new ones above them.
BOOST_AUTO_TEST_CASE(leaves_nothing_of_a_replaced_value_in_its_tables) {
  rocksdb_fixture f(2 << 20, 64 << 10); // too few tables to be merged by themselves
  random_bytes noise(8);
  constexpr int64_t total = 6'000;
  strings secrets;
  const auto value = [&](int64_t i) {
    if (i % 500 != 250) return noise(2'000);
    secrets.push_back(noise(64));
    return "<" + secrets.back() + ">";
  };
  append_many(*f.log, 0, 0, total / 2, 100, value);
  BOOST_REQUIRE(f.log->purge(0).ok());
  append_many(*f.log, 0, total / 2, total, 100, value);
  f.open(); // all of it into tables
  BOOST_TEST(tables(f) > 3u);
  BOOST_TEST(secrets.size() == 12u);
  BOOST_TEST(on_disk(f, secrets) == secrets.size());
  const auto erase = [](const stored_record& record) -> std::optional<std::string> {
    if (record.value.size() != 66) return {};
    return "erased";
  };
  BOOST_TEST(rewrite_all(*f.log, 0, 0, total, erase) > 1);
  std::thread appender([&] { append_many(*f.log, 0, total, total + 2'000, 20, [&](int64_t) { return noise(2'000); }); });
  const auto purged = f.log->purge(0);
  appender.join();
  BOOST_REQUIRE_MESSAGE(purged.ok(), purged.message);
  BOOST_TEST(on_disk(f, secrets) == 0u);
  f.open();
  BOOST_TEST(f.log->end(0).offset == total + 2'000);
  for (int64_t i = 0; i < total; ++i) {
    const auto got = f.log->read(0, i, 1, 1);
    BOOST_REQUIRE_MESSAGE(got.ok(), got.why.message);
    BOOST_REQUIRE(i % 500 != 250 ? got.value->front().value.size() == 2'000 : got.value->front().value == "erased");
  }
}

BOOST_AUTO_TEST_CASE(comes_back_after_a_rewrite_that_failed) {
  using fault = std::function<void(test::faulty_env&, bool)>;
  for (const auto& set :
       {fault([](auto&env, bool on) { env.fail_syncs(on); }), fault([](auto&env, bool on) { env.fail_writes(on); }),
        fault([](auto&env, bool on) { env.fill_disk(on); })}) {
    rocksdb_fixture f;
    append(*f.log, {{0, "a"}, {0, "b"}});
    append(*f.log, {{0, "a"}});
    const auto change = exchange({{"a", "new"}});
    set(f.env, true);
    BOOST_TEST((f.log->rewrite(0, 0, 3, change).why.code == errc::io));
    BOOST_TEST(!f.log->writable());
    BOOST_TEST(values(*f.log, 0, 0) == (strings{"a", "b", "a"}), per_element);
    BOOST_TEST((append(*f.log, {{0, "c"}})[0].fate == append_fate::refused));
    BOOST_TEST((f.log->rewrite(0, 0, 3, change).why.code == errc::read_only));
    BOOST_TEST((f.log->purge(0).code == errc::read_only));
    set(f.env, false);
    const auto reopened = f.log->reopen();
    BOOST_REQUIRE_MESSAGE(reopened.ok(), reopened.message);
    const auto found = values(*f.log, 0, 0);
    BOOST_TEST((found == strings{"a", "b", "a"} || found == strings{"new", "b", "new"})); // all of it or none
    BOOST_TEST(*f.log->rewrite(0, 0, 3, change) == 3);
    f.log.reset();
    f.env.restore(test::faulty_env::unsynced::dropped); // what was answered ok is really there
    f.open();
    BOOST_TEST(values(*f.log, 0, 0) == (strings{"new", "b", "new"}), per_element);
  }
}

BOOST_AUTO_TEST_CASE(says_so_when_a_purge_fails_and_does_it_once_it_can) {
  rocksdb_fixture f;
  random_bytes noise(9);
  const auto secret = noise(64);
  append(*f.log, {{0, secret}, {1, "other"}});
  rewrite_all(*f.log, 0, 0, 1, exchange({{secret, "erased"}}));
  f.env.fail_writes(true);
  BOOST_TEST(!f.log->purge(0).ok());
  BOOST_TEST(!f.log->writable());
  f.env.fail_writes(false);
  const auto reopened = f.log->reopen();
  BOOST_REQUIRE_MESSAGE(reopened.ok(), reopened.message);
  const auto purged = f.log->purge(0);
  BOOST_REQUIRE_MESSAGE(purged.ok(), purged.message);
  BOOST_TEST(!on_disk(f, secret));
  BOOST_TEST(values(*f.log, 0, 0) == (strings{"erased"}), per_element);
}

BOOST_AUTO_TEST_CASE(is_reopened_while_it_is_purged) {
  rocksdb_fixture f(1 << 20);
  random_bytes noise(10);
  append_many(*f.log, 0, 0, 4'000, 100, [&](int64_t) { return noise(2'000); });
  std::atomic<bool> stop{false};
  std::atomic<int> purges{0};
  std::thread purger([&] {
    while (!stop) purges += f.log->purge(0).ok() ? 1 : 0;
  });
  for (int i = 0; i < 5; ++i) {
    BOOST_TEST(test::eventually([&, before = purges.load()] { return purges > before; }));
    f.env.fail_syncs(true);
    append(*f.log, {{1, "a"}});
    f.env.fail_syncs(false);
    const auto reopened = f.log->reopen();
    BOOST_REQUIRE_MESSAGE(reopened.ok(), reopened.message);
    append_durable(*f.log, 1, "b");
  }
  stop = true;
  purger.join();
  BOOST_TEST(f.log->end(0).offset == 4'000);
  BOOST_TEST(values(*f.log, 0, 0, 4'000).size() == 4'000u);
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace adtrack::storage
