#include "model/groups.hpp"

#include <algorithm>
#include <span>

#include <boost/test/unit_test.hpp>

using namespace adtrack;

namespace {

using dimension = group_dimension;

uint64_t visitor(uint64_t n) { return n * 0x9E3779B97F4A7C15ull; }

// What a click counts in, as whoever adds events does it.
struct click {
  uint64_t visitor = 0;
  std::string device = "phone", browser = "Chrome", os = "Android", country = "unknown";
};

void add(event_groups& groups, const std::vector<click>& clicks, int64_t at_ms = 1'700'000'000'123) {
  std::vector<group_visit> visits;
  for (const auto& c : clicks) {
    shard_record r;
    r.type = event_type::click;
    r.log_time_ms = at_ms;
    auto& visit = visits.emplace_back(group_visit{c.visitor});
    for (const auto& [d, name] : {std::pair(dimension::device, c.device), std::pair(dimension::browser, c.browser),
                                  std::pair(dimension::os, c.os), std::pair(dimension::country, c.country)}) {
      const auto at = cell_of(groups.cells, d, name);
      groups.cells[at].count.add(r, invalid_reason::none);
      groups.cells[at].changed = true;
      visit.set_cell(d, at);
    }
  }
  const auto fresh = std::span(visits).first(groups.visitors.add_all(visits, groups.cells));
  groups.added.add_all(fresh, groups.cells);
}

void stored(event_groups& groups) {
  for (auto& cell : groups.cells) cell.changed = false;
  groups.added = {};
}

// Clicks [from, to) of an endless stream, of which a visitor now and then comes back, sometimes with something else.
std::vector<click> clicks(uint64_t from, uint64_t to) {
  std::vector<click> out;
  for (uint64_t i = from; i < to; ++i)
    out.push_back({visitor(i % 7 == 0 ? i / 2 : i), i % 3 == 0 ? "tablet" : "phone", "B" + std::to_string(i % 5),
                   i % 2 == 0 ? "Android" : "iOS", "C" + std::to_string(i % 11)});
  return out;
}

event_groups sample() {
  event_groups groups;
  add(groups, clicks(0, 40));
  shard_record r;
  groups.cells[cell_of(groups.cells, dimension::invalid_reason, "bot")].count.add(r, invalid_reason::bot);
  stored(groups);
  return groups;
}

event_groups of(uint64_t from, uint64_t to) {
  event_groups groups;
  add(groups, clicks(from, to));
  return groups;
}

// By the plain definition.
visitor_set expected(const std::vector<click>& all, const std::string& os) {
  visitor_set out;
  for (const auto& c : all)
    if (c.os == os) out.add(c.visitor);
  return out;
}

visitor_set visitors(const event_groups& groups, dimension d, std::string_view name) {
  visitor_set out;
  visitor_set others;
  std::vector<visitor_set*> sets;
  for (const auto& c : groups.cells) sets.push_back(c.dimension != d ? nullptr : c.name == name ? &out : &others);
  groups.visitors.add_to(sets, d, groups.cells);
  return out;
}

std::string encoded(const event_groups& groups, bool added_only = false) {
  std::string out;
  encode(groups, added_only, out);
  return out;
}

event_groups decoded(std::string_view in, dimension only = dimension::none, bool visitors = true) {
  event_groups out;
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

BOOST_AUTO_TEST_CASE(each_value_has_its_visitors_however_many_they_are) {
  for (uint64_t n : {0u, 1u, 100u, 4'096u, 5'000u, 60'000u}) {
    const auto groups = of(0, n);
    for (auto os : {"Android", "iOS"}) {
      BOOST_TEST_CONTEXT(n << " clicks, " << os) {
        BOOST_TEST((visitors(groups, dimension::os, os) == expected(clicks(0, n), os)));
        BOOST_TEST((visitors(decoded(encoded(groups)), dimension::os, os) == expected(clicks(0, n), os)));
        BOOST_TEST((visitors(decoded(encoded(groups), dimension::os), dimension::os, os) == expected(clicks(0, n), os)));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(visitors_do_not_show_in_which_order_and_parts_they_came) {
  for (uint64_t n : {50u, 3'000u, 4'200u, 9'000u}) {
    const auto whole = of(0, n);
    auto backwards = clicks(0, n);
    std::reverse(backwards.begin(), backwards.end());
    event_groups other;
    for (uint64_t at = 0; at < n; at += 117)
      add(other, {backwards.begin() + static_cast<std::ptrdiff_t>(at),
                  backwards.begin() + static_cast<std::ptrdiff_t>(std::min(n, at + 117))});
    BOOST_TEST(hash_of(other) == hash_of(whole));
    add(other, {backwards[n / 2]}); // once more, which is no new visitor
    BOOST_TEST(other.visitors.digest(other.cells) == whole.visitors.digest(whole.cells));
    add(other, {{visitor(n + 1), "phone", "B0", "Linux", "C0"}});
    BOOST_TEST(other.visitors.digest(other.cells) != whole.visitors.digest(whole.cells));
  }
}

// Sets do not know which values came together: so a new mix of values that a visitor had before changes a list and no sets.
BOOST_AUTO_TEST_CASE(a_list_becomes_sets_by_what_is_in_it_alone) {
  for (const bool sets : {false, true}) {
    event_groups groups;
    add(groups, {{visitor(1), "tablet", "B1"}, {visitor(1), "phone", "B2"}});
    const auto fill = group_visitors::listed_max - (sets ? 1 : 4); // one visit too many, or room for two
    for (uint64_t i = 0; i < fill; ++i) add(groups, {{visitor(2 + i)}, {visitor(2 + i)}});
    auto before = groups.visitors.digest(groups.cells);
    for (const auto& mix : {click{visitor(1), "tablet", "B2"}, click{visitor(1), "phone", "B1"}}) {
      add(groups, {mix});
      const auto now = groups.visitors.digest(groups.cells);
      BOOST_TEST((now == before) == sets);
      before = now;
    }
  }
}

BOOST_AUTO_TEST_CASE(a_replaced_visitor_is_another_one_with_the_same_values) {
  for (uint64_t n : {50u, 4'090u, 4'200u}) {
    auto all = clicks(0, n);
    auto groups = of(0, n);
    const auto gone = visitor(7), alias = alias_of(gone, 99);
    BOOST_TEST(groups.visitors.has(gone));
    groups.visitors.replace(gone, alias, groups.cells);
    for (auto& c : all)
      if (c.visitor == gone) c.visitor = alias;
    event_groups wanted;
    add(wanted, all);
    BOOST_TEST(!groups.visitors.has(gone));
    BOOST_TEST(groups.visitors.has(alias));
    BOOST_TEST(hash_of(groups) == hash_of(wanted));
    BOOST_TEST(encoded(groups) == encoded(wanted));
    BOOST_TEST(hash_of(groups) == hash_of(of(0, n)));
  }
}

BOOST_AUTO_TEST_CASE(what_is_encoded_is_decoded_again_wholly_or_in_part) {
  const auto groups = sample();
  const auto whole = decoded(encoded(groups));
  BOOST_TEST(whole.cells.size() == 21u);
  BOOST_TEST(hash_of(whole) == hash_of(groups));
  auto all = whole.cells;
  const auto one = decoded(encoded(groups), dimension::os);
  BOOST_REQUIRE_EQUAL(one.cells.size(), 2u);
  BOOST_TEST(one.cells[0].name == "Android");
  BOOST_TEST((one.cells[0].count == whole.cells[cell_of(all, dimension::os, "Android")].count));
  const auto numbers = decoded(encoded(groups), dimension::os, false);
  BOOST_TEST((numbers.cells[1].count == one.cells[1].count));
  BOOST_TEST(numbers.visitors.empty());
  BOOST_TEST(decoded(encoded({})).cells.empty());
}

BOOST_AUTO_TEST_CASE(what_is_cut_or_changed_is_refused_or_something_else) {
  for (uint64_t n : {40u, 4'200u}) { // a list, sets
    const auto groups = of(0, n);
    const auto text = encoded(groups);
    const size_t step = n > 40 ? 131 : 1;
    event_groups out;
    for (size_t length = 0; length < text.size(); length += step) {
      std::string_view in = std::string_view(text).substr(0, length);
      BOOST_TEST(!decode(in, dimension::none, true, out));
    }
    for (size_t at = 0; at < text.size(); at += step) {
      auto bad = text;
      bad[at] = static_cast<char>(bad[at] ^ 0x41);
      std::string_view in = bad;
      if (decode(in, dimension::none, true, out) && in.empty()) BOOST_TEST(hash_of(out) != hash_of(groups));
      for (auto only : {dimension::device, dimension::country}) { // whatever it says, nothing is read or written beyond
        in = bad;
        if (decode(in, only, true, out)) visitors(out, only, "phone");
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(added_cells_merge_to_the_newer_numbers_and_the_union_of_visitors) {
  auto groups = sample();
  auto older = decoded(encoded(groups));
  add(groups, {{7, "phone", "B1"}, {7, "tv", "B1"}});
  auto added = decoded(encoded(groups, true));
  BOOST_TEST(added.cells.size() == 5u); // phone, tv, B1, Android, unknown
  merge(older, std::move(added));
  BOOST_TEST(hash_of(older) == hash_of(groups));
}

// As a store does it: what a commit added stands on what was stored, and the parts are merged in whatever grouping.
BOOST_AUTO_TEST_CASE(a_row_is_what_was_stored_and_added_in_any_grouping) {
  for (uint64_t step : {90u, 700u, 2'500u, 5'000u}) {
    event_groups groups;
    std::vector<std::string> values;
    for (uint64_t part = 0; part < 5; ++part) {
      add(groups, clicks(part * step, (part + 1) * step));
      values.push_back(encoded(groups, part > 0));
      stored(groups);
    }
    const auto all = [&](size_t first_split) { // [0, first_split) on its own, the rest on its own, then both
      auto low = decoded(values[0]), high = decoded(values[first_split]);
      for (size_t i = 1; i < first_split; ++i) merge(low, decoded(values[i]));
      for (size_t i = first_split + 1; i < values.size(); ++i) merge(high, decoded(values[i]));
      merge(low, std::move(high));
      return hash_of(decoded(encoded(low)));
    };
    for (size_t first_split = 1; first_split < 5; ++first_split)
      BOOST_TEST(all(first_split) == hash_of(groups), "steps of " << step << ", apart at " << first_split);
  }
}

BOOST_AUTO_TEST_CASE(a_hash_knows_names_dimensions_numbers_and_visitors_but_no_order) {
  const auto base = hash_of(sample());
  event_groups other;
  shard_record r;
  other.cells[cell_of(other.cells, dimension::invalid_reason, "bot")].count.add(r, invalid_reason::bot);
  auto backwards = clicks(0, 40);
  std::reverse(backwards.begin(), backwards.end());
  add(other, backwards);
  BOOST_TEST(other.cells[0].name != sample().cells[0].name);
  BOOST_TEST(hash_of(other) == base);
  const auto with = [](std::vector<click> clicks) {
    event_groups groups;
    add(groups, clicks);
    return hash_of(groups);
  };
  const auto one = with({{7}});
  BOOST_TEST(with({{7}}) == one);
  BOOST_TEST(with({{7, "tablet"}}) != one);
  BOOST_TEST(with({{7, "phone", "Android", "Chrome"}}) != one); // the same names in other dimensions
  BOOST_TEST(with({{8}}) != one);
  BOOST_TEST(with({{7}, {7}}) != one);
  // The same numbers, but who used what is exchanged.
  BOOST_TEST(with({{7, "phone"}, {8, "tablet"}}) != with({{8, "phone"}, {7, "tablet"}}));
  auto noted = sample();
  stored(noted);
  add(noted, {});
  noted.cells[0].changed = true; // no content
  BOOST_TEST(hash_of(noted) == base);
}

BOOST_AUTO_TEST_SUITE_END()
