#include "model/bucket.hpp"

#include <boost/test/unit_test.hpp>

using namespace adtrack;

namespace {

shard_record click(int64_t time_s, uint64_t visitor) {
  shard_record r;
  r.type = event_type::click;
  r.ad_id = 7;
  r.time_s = time_s;
  r.visitor = visitor;
  r.log_time_ms = time_s * 1'000;
  return r;
}

bucket_row minute_row() {
  bucket_row row;
  row.written_ms = 1'700'000'000'123;
  row.children = 5;
  row.hash = 42;
  for (int s : {59, 0, 30}) {
    auto r = click(s, static_cast<uint64_t>(s) * 1'000'003);
    row.count.add(r, invalid_reason::none);
    row.cell(static_cast<uint8_t>(s)).count.add(r, invalid_reason::none);
    row.cell(static_cast<uint8_t>(s)).clickers.add(r.visitor);
  }
  return row;
}

} // namespace

BOOST_AUTO_TEST_SUITE(bucket)

BOOST_AUTO_TEST_CASE(a_bucket_starts_at_a_multiple_of_its_span) {
  BOOST_TEST(bucket_start(bucket_level::minute, 1'700'000'123) == 1'700'000'123 / 60 * 60);
  BOOST_TEST(bucket_start(bucket_level::day, 1'700'000'123) == 1'700'000'123 / 86'400 * 86'400);
  BOOST_TEST(bucket_start(bucket_level::total, 1'700'000'123) == 0);
}

BOOST_AUTO_TEST_CASE(each_child_of_a_bucket_has_its_own_bit) {
  uint32_t minutes = 0, hours = 0;
  for (int64_t m = 0; m < 15; ++m) minutes |= child_bit(bucket_level::minute, 900 + m * 60);
  for (int64_t h = 0; h < 24; ++h) hours |= child_bit(bucket_level::hour, 86'400 + h * 3'600);
  BOOST_TEST(minutes == 0x7fffu);
  BOOST_TEST(hours == 0xffffffu);
  BOOST_TEST(child_bit(bucket_level::day, 86'400) == 0u);
}

BOOST_AUTO_TEST_CASE(seconds_stay_sorted_whatever_order_they_come_in) {
  auto row = minute_row();
  BOOST_TEST(row.seconds.size() == 3u);
  BOOST_TEST(row.seconds[0].second == 0);
  BOOST_TEST(row.seconds[1].second == 30);
  BOOST_TEST(row.seconds[2].second == 59);
}

BOOST_AUTO_TEST_CASE(dropping_seconds_keeps_the_numbers_and_the_visitors) {
  auto row = minute_row();
  visitor_set before, after;
  row.merge_clickers_into(before);
  auto count = row.count;
  row.drop_seconds();
  row.merge_clickers_into(after);
  BOOST_TEST((before == after));
  BOOST_TEST((row.count == count));
  BOOST_TEST(row.seconds_gone);
  BOOST_TEST(row.seconds.empty());
}

BOOST_AUTO_TEST_CASE(a_row_comes_back_from_its_stored_form) {
  auto row = minute_row();
  std::string bytes;
  encode(row, bytes);
  std::string_view in = bytes;
  bucket_row back;
  BOOST_TEST(decode(in, back));
  BOOST_TEST(in.empty());
  bucket_key key{7, bucket_level::minute, 0};
  BOOST_TEST(hash_of(key, back) == hash_of(key, row));
  BOOST_TEST(back.hash == row.hash);
}

BOOST_AUTO_TEST_CASE(a_cut_row_is_refused_at_every_length) {
  std::string bytes;
  encode(minute_row(), bytes);
  for (size_t n = 0; n < bytes.size(); ++n) {
    std::string_view in(bytes.data(), n);
    bucket_row back;
    BOOST_TEST(!decode(in, back));
  }
}

BOOST_AUTO_TEST_CASE(the_hash_sees_every_part_of_the_content) {
  bucket_key key{7, bucket_level::minute, 0};
  auto base = hash_of(key, minute_row());
  auto differs = [&](auto change) {
    auto row = minute_row();
    change(row);
    BOOST_TEST(hash_of(key, row) != base);
  };
  differs([](bucket_row& r) { ++r.count[metric::duplicates]; });
  differs([](bucket_row& r) { ++r.count.last_counted_ms; });
  differs([](bucket_row& r) { r.clickers.add(9); });
  differs([](bucket_row& r) { r.children ^= 1; });
  differs([](bucket_row& r) { r.seconds_gone = true; });
  differs([](bucket_row& r) { ++r.written_ms; });
  differs([](bucket_row& r) { ++r.seconds[1].count[metric::valid_clicks]; });
  differs([](bucket_row& r) { r.seconds[1].clickers.add(9); });
  differs([](bucket_row& r) { r.seconds[1].second = 31; });
  BOOST_TEST(hash_of({8, bucket_level::minute, 0}, minute_row()) != base);
  BOOST_TEST(hash_of({7, bucket_level::minute, 60}, minute_row()) != base);
}

BOOST_AUTO_TEST_SUITE_END()
