#include "model/groups.hpp"

#include <boost/test/unit_test.hpp>

using namespace adtrack;

namespace {

group_cells sample() {
  group_cells cells;
  shard_record r;
  r.log_time_ms = 1'700'000'000'123;
  for (uint64_t i = 0; i < 40; ++i) {
    r.visitor = i * 0x9E3779B97F4A7C15ull;
    for (auto [dimension, name] : {std::pair(group_dimension::os, i % 2 == 0 ? "Android" : "iOS"),
                                   std::pair(group_dimension::device, i % 3 == 0 ? "tablet" : "phone")}) {
      auto& cell = cells[cell_of(cells, dimension, name)];
      cell.count.add(r, invalid_reason::none);
      cell.clickers.add(r.visitor);
    }
  }
  cells[cell_of(cells, group_dimension::invalid_reason, "bot")].count.add(r, invalid_reason::bot);
  return cells;
}

std::string encoded(const group_cells& cells, bool added_only = false) {
  std::string out;
  encode(cells, added_only, out);
  return out;
}

group_cells decoded(std::string_view in, group_dimension only = group_dimension::none, bool visitors = true) {
  group_cells out;
  BOOST_REQUIRE(decode(in, only, visitors, out));
  BOOST_TEST(in.empty());
  return out;
}

} // namespace

BOOST_AUTO_TEST_SUITE(groups)

BOOST_AUTO_TEST_CASE(dimensions_are_named_and_none_is_no_name) {
  for (size_t i = 1; i < group_dimension_count; ++i) {
    auto out = group_dimension::none;
    BOOST_TEST(parse(to_string(static_cast<group_dimension>(i)), out));
    BOOST_TEST((out == static_cast<group_dimension>(i)));
  }
  auto out = group_dimension::os;
  for (auto bad : {"", "none", "Device", "city"}) BOOST_TEST(!parse(bad, out));
  BOOST_TEST((out == group_dimension::os));
}

BOOST_AUTO_TEST_CASE(a_value_has_one_cell_in_each_dimension) {
  group_cells cells;
  const auto a = cell_of(cells, group_dimension::browser, "Safari"), b = cell_of(cells, group_dimension::os, "Safari");
  BOOST_TEST(a != b);
  BOOST_TEST(cell_of(cells, group_dimension::browser, "Safari") == a);
  BOOST_TEST(cells.size() == 2u);
}

BOOST_AUTO_TEST_CASE(beyond_the_bound_values_go_to_other_which_takes_no_place_of_theirs) {
  group_cells cells;
  BOOST_TEST(cells[cell_of(cells, group_dimension::browser, "other")].name == "other"); // a browser may be called so
  for (int i = 0; i < 64; ++i) {
    const auto name = "b" + std::to_string(i);
    BOOST_TEST(cells[cell_of(cells, group_dimension::browser, name)].name == name);
  }
  BOOST_TEST(cells[cell_of(cells, group_dimension::browser, "b64")].name == "other");
  BOOST_TEST(cells[cell_of(cells, group_dimension::browser, "b63")].name == "b63");
  BOOST_TEST(cells[cell_of(cells, group_dimension::os, "b64")].name == "b64");
  BOOST_TEST(cells.size() == 66u);
}

BOOST_AUTO_TEST_CASE(what_is_encoded_is_decoded_again_wholly_or_in_part) {
  const auto cells = sample();
  const auto whole = decoded(encoded(cells));
  BOOST_TEST(whole.size() == 5u);
  BOOST_TEST(hash_of(whole) == hash_of(cells));
  const auto one = decoded(encoded(cells), group_dimension::os);
  BOOST_REQUIRE_EQUAL(one.size(), 2u);
  BOOST_TEST(one[0].name == "Android");
  BOOST_TEST((one[0].count == cells[0].count));
  BOOST_TEST((one[0].clickers == cells[0].clickers));
  const auto numbers = decoded(encoded(cells), group_dimension::os, false);
  BOOST_TEST((numbers[1].count == one[1].count));
  BOOST_TEST(numbers[1].clickers.empty());
  BOOST_TEST(decoded(encoded({})).empty());
}

BOOST_AUTO_TEST_CASE(what_is_cut_or_changed_is_refused_or_something_else) {
  const auto text = encoded(sample());
  group_cells out;
  for (size_t length = 0; length < text.size(); ++length) {
    std::string_view in = std::string_view(text).substr(0, length);
    BOOST_TEST(!decode(in, group_dimension::none, true, out));
  }
  for (size_t at = 0; at < text.size(); ++at) {
    auto bad = text;
    bad[at] = static_cast<char>(bad[at] ^ 0x41);
    std::string_view in = bad;
    if (decode(in, group_dimension::none, true, out) && in.empty()) BOOST_TEST(hash_of(out) != hash_of(sample()));
  }
}

BOOST_AUTO_TEST_CASE(added_cells_merge_to_the_newer_numbers_and_the_union_of_visitors) {
  auto cells = sample();
  auto older = decoded(encoded(cells));
  auto& phone = cells[cell_of(cells, group_dimension::device, "phone")];
  shard_record r;
  r.visitor = 7;
  phone.count.add(r, invalid_reason::none);
  phone.clickers.add(7);
  phone.added.add(7);
  phone.changed = true;
  auto& tv = cells[cell_of(cells, group_dimension::device, "tv")];
  tv.count.add(r, invalid_reason::none);
  tv.clickers.add(7);
  tv.added.add(7);
  tv.changed = true;
  auto added = decoded(encoded(cells, true));
  BOOST_TEST(added.size() == 2u);
  merge(older, std::move(added));
  BOOST_TEST(hash_of(older) == hash_of(cells));
}

BOOST_AUTO_TEST_CASE(a_hash_knows_names_dimensions_numbers_and_visitors_but_no_order) {
  const auto base = hash_of(sample());
  auto cells = sample();
  std::swap(cells[0], cells[3]);
  BOOST_TEST(hash_of(cells) == base);
  cells[0].name += "x";
  BOOST_TEST(hash_of(cells) != base);
  cells = sample();
  cells[0].dimension = group_dimension::country;
  BOOST_TEST(hash_of(cells) != base);
  cells = sample();
  cells[0].count.add_duplicate(false);
  BOOST_TEST(hash_of(cells) != base);
  cells = sample();
  cells[0].clickers.add(1);
  BOOST_TEST(hash_of(cells) != base);
  cells = sample();
  cells[0].added.add(1); // no content
  BOOST_TEST(hash_of(cells) == base);
}

BOOST_AUTO_TEST_SUITE_END()
