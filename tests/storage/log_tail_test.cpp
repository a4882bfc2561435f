#include <boost/test/unit_test.hpp>

#include "storage/log_tail.hpp"

namespace adtrack::storage {
namespace {

// "offset:value ..." of what it gives, or "no".
std::string read(const log_tail& tail, int64_t from, int64_t end = 1'000, size_t max_records = 100, size_t max_bytes = 10'000) {
  std::vector<stored_record> out;
  if (!tail.read(from, end, max_records, max_bytes, out)) return "no";
  std::string text;
  for (const auto& record : out) text += std::to_string(record.offset) + ":" + record.value + " ";
  return text;
}

} // namespace

BOOST_AUTO_TEST_SUITE(the_tail_of_a_partition)

BOOST_AUTO_TEST_CASE(gives_the_newest_records_within_the_bounds) {
  log_tail tail;
  tail.set_capacity(10'000);
  BOOST_TEST(read(tail, 0) == "no");
  for (int64_t offset = 7; offset < 11; ++offset) tail.push({offset, offset, "v"});
  BOOST_TEST(read(tail, 6) == "no"); // the log has to look further back
  BOOST_TEST(read(tail, 11) == "no");
  BOOST_TEST(read(tail, 8) == "8:v 9:v 10:v ");
  BOOST_TEST(read(tail, 8, 10) == "8:v 9:v "); // not past the end that is known
  BOOST_TEST(read(tail, 8, 1'000, 1) == "8:v ");
  BOOST_TEST(read(tail, 8, 1'000, 100, 2) == "8:v 9:v ");
  BOOST_TEST(read(tail, 8, 1'000, 100, 0) == "8:v ");
  tail.clear();
  BOOST_TEST(read(tail, 8) == "no");
}

BOOST_AUTO_TEST_CASE(drops_what_has_become_something_else) {
  log_tail tail;
  tail.set_capacity(1'000);
  for (int64_t offset = 7; offset < 11; ++offset) tail.push({offset, 0, "v"});
  tail.drop_through(6); // older than all of it
  BOOST_TEST(read(tail, 7) == "7:v 8:v 9:v 10:v ");
  tail.drop_through(8);
  BOOST_TEST(read(tail, 8) == "no");
  BOOST_TEST(read(tail, 9) == "9:v 10:v ");
  tail.drop_through(10);
  BOOST_TEST(read(tail, 10) == "no");
  tail.push({11, 0, std::string(800, 'x')}); // their room is free
  tail.push({12, 0, "y"});
  BOOST_TEST(read(tail, 11) != "no");
}

BOOST_AUTO_TEST_CASE(forgets_the_oldest_when_it_is_full_and_everything_after_a_gap) {
  log_tail tail;
  tail.set_capacity(1'000);
  for (int64_t offset = 0; offset < 100; ++offset) tail.push({offset, 0, std::string(50, 'x')});
  BOOST_TEST(read(tail, 85) == "no");
  BOOST_TEST(read(tail, 99) != "no");
  tail.push({200, 0, "y"});
  BOOST_TEST(read(tail, 99) == "no");
  BOOST_TEST(read(tail, 200) == "200:y ");
  tail.push({201, 0, std::string(2'000, 'z')}); // larger than all it may hold
  BOOST_TEST(read(tail, 201) == "no");
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace adtrack::storage
