#include "model/visitor_set.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include <boost/test/unit_test.hpp>

#include "model/mix.hpp"
#include "model/varint.hpp"
#include "tests/support/seeded.hpp"

using namespace adtrack;

namespace {

// Sizes on both sides of each change of form: 1,024 members, and about 3,400 members for 3,072 non-zero registers.
constexpr size_t sizes[] = {0, 1, 2, 100, 1'023, 1'024, 1'025, 1'026, 2'000, 3'300, 3'400, 3'500, 8'000, 30'000};

std::vector<uint64_t> random_visitors(std::mt19937_64& random, size_t size) {
  std::set<uint64_t> distinct;
  while (distinct.size() < size) distinct.insert(random());
  std::vector<uint64_t> visitors(distinct.begin(), distinct.end());
  std::shuffle(visitors.begin(), visitors.end(), random);
  return visitors;
}

template <class Range>
visitor_set set_of(const Range& visitors) {
  visitor_set s;
  for (const uint64_t v : visitors) s.add(v);
  return s;
}

std::string encoded(const visitor_set& s) {
  std::string text;
  s.encode(text);
  return text;
}

void require_same(const visitor_set& a, const visitor_set& b) {
  BOOST_REQUIRE(a == b);
  BOOST_REQUIRE(a.digest() == b.digest());
  BOOST_REQUIRE(encoded(a) == encoded(b));
  BOOST_REQUIRE(a.estimate() == b.estimate());
  BOOST_REQUIRE(a.exact() == b.exact());
}

bool decodes(std::string_view in) {
  visitor_set s;
  return visitor_set::decode(in, s);
}

} // namespace

BOOST_AUTO_TEST_SUITE(visitor_sets)

BOOST_AUTO_TEST_CASE(a_new_set_is_empty_and_exact) {
  const visitor_set s;
  BOOST_TEST(s.empty());
  BOOST_TEST(s.exact());
  BOOST_TEST(s.estimate() == 0);
  BOOST_TEST(s.standard_error() == 0);
  BOOST_TEST(s.digest() == 0u);
}

BOOST_AUTO_TEST_CASE(it_counts_exactly_up_to_1024_and_within_its_error_from_1025) {
  auto random = test::seeded();
  const auto visitors = random_visitors(random, 1'025);
  visitor_set s;
  for (size_t i = 0; i < 1'024; ++i) {
    BOOST_REQUIRE(s.add(visitors[i]));
    BOOST_REQUIRE(!s.add(visitors[random() % (i + 1)]));
    BOOST_REQUIRE(s.exact());
    BOOST_REQUIRE(s.estimate() == static_cast<double>(i + 1));
    BOOST_REQUIRE(s.standard_error() == 0);
  }
  BOOST_TEST(s.add(visitors[1'024]));
  BOOST_TEST(!s.exact());
  BOOST_TEST(!s.empty());
  BOOST_TEST(s.standard_error() == 0.008125);
  BOOST_TEST(std::abs(s.estimate() - 1'025) < 5 * 0.008125 * 1'025);
  for (const uint64_t v : visitors) BOOST_REQUIRE(!s.add(v));
}

BOOST_AUTO_TEST_CASE(order_and_repeats_do_not_matter) {
  auto random = test::seeded();
  for (const size_t size : sizes) {
    auto visitors = random_visitors(random, size);
    const visitor_set first = set_of(visitors);
    for (size_t i = 0; i < size / 3; ++i) visitors.push_back(visitors[random() % size]);
    std::shuffle(visitors.begin(), visitors.end(), random);
    require_same(first, set_of(visitors));
    std::sort(visitors.begin(), visitors.end());
    require_same(first, set_of(visitors));
  }
}

BOOST_AUTO_TEST_CASE(a_merge_is_the_union_in_any_grouping) {
  auto random = test::seeded();
  for (int round = 0; round < 60; ++round) {
    const auto visitors = random_visitors(random, sizes[random() % std::size(sizes)]);
    std::vector<visitor_set> parts(1 + random() % 7);
    for (const uint64_t v : visitors) { // uneven parts that overlap
      for (size_t copies = 1 + random() % 2; copies > 0; --copies)
        parts[std::min(random() % parts.size(), random() % parts.size())].add(v);
    }
    while (parts.size() > 1) {
      std::shuffle(parts.begin(), parts.end(), random);
      parts[0].merge(parts.back());
      parts.pop_back();
    }
    require_same(parts[0], set_of(visitors));
  }
}

BOOST_AUTO_TEST_CASE(merging_is_commutative_and_with_itself_or_nothing_changes_nothing) {
  auto random = test::seeded();
  for (const size_t a_size : sizes) {
    for (const size_t b_size : {0, 1, 700, 1'024, 1'200, 5'000}) {
      const auto a = set_of(random_visitors(random, a_size));
      const auto b = set_of(random_visitors(random, b_size));
      visitor_set ab = a, ba = b;
      ab.merge(b);
      ba.merge(a);
      require_same(ab, ba);
      visitor_set again = ab;
      again.merge(a);
      again.merge(b);
      again.merge(visitor_set{});
      again.merge(again);
      require_same(again, ab);
    }
  }
}

BOOST_AUTO_TEST_CASE(add_says_whether_the_state_changed) {
  auto random = test::seeded();
  visitor_set s;
  for (int i = 0; i < 6'000; ++i) {
    const visitor_set before = s;
    const bool changed = s.add(random() % 5'000 * 0x9e3779b97f4a7c15u);
    BOOST_REQUIRE(changed == !(s == before));
    BOOST_REQUIRE(changed == (s.digest() != before.digest()));
  }
}

BOOST_AUTO_TEST_CASE(adding_many_is_adding_each_and_says_which_changed_the_state) {
  auto random = test::seeded();
  for (const size_t size : sizes) {
    auto visitors = random_visitors(random, size);
    for (size_t i = 0; i < size / 3; ++i) visitors.push_back(visitors[random() % size]); // repeats within and over groups
    visitor_set one_by_one, grouped;
    for (size_t from = 0; from < visitors.size();) {
      std::vector<uint64_t> group(visitors.begin() + static_cast<long>(from),
                                  visitors.begin() + static_cast<long>(std::min(visitors.size(), from + 1 + random() % 50)));
      from += group.size();
      const bool sketch_before = !one_by_one.exact();
      std::set<uint64_t> changing;
      for (const uint64_t v : group)
        if (one_by_one.add(v)) changing.insert(v);
      const auto count = grouped.add_all(group);
      require_same(grouped, one_by_one);
      // A sketch's change can be two visitors' of one register: which one is told depends on their order.
      if (!sketch_before && one_by_one.exact())
        BOOST_REQUIRE(changing == std::set<uint64_t>(group.begin(), group.begin() + static_cast<long>(count)));
      else
        BOOST_REQUIRE(count <= group.size());
    }
  }
  visitor_set none;
  BOOST_TEST(none.add_all({}) == 0u);
  BOOST_TEST(none.empty());
}

BOOST_AUTO_TEST_CASE(an_alias_is_somebody_else_whom_no_sketch_can_tell_apart) {
  auto random = test::seeded();
  for (int i = 0; i < 20'000; ++i) {
    const uint64_t visitor = random(), alias = alias_of(visitor, random());
    BOOST_TEST(alias != visitor);
    BOOST_TEST(alias != 0u);
    BOOST_TEST(sketch_register_of(alias) == sketch_register_of(visitor));
  }
  // Ranks that hardly any visitor has: the fewer bits are free, the fewer aliases there are; of the last there is one.
  for (int zeros = 0; zeros <= 50; ++zeros) {
    const uint64_t hash = uint64_t{0x1234} << 50 | (zeros == 50 ? 0 : uint64_t{1} << (49 - zeros));
    const uint64_t visitor = unmix64(hash) ^ 0x9e3779b97f4a7c15u;
    BOOST_TEST((sketch_register_of(visitor) & 0xff) == static_cast<uint32_t>(zeros + 1));
    BOOST_TEST(sketch_register_of(alias_of(visitor, random())) == sketch_register_of(visitor));
  }
}

BOOST_AUTO_TEST_CASE(replacing_a_visitor_is_as_if_the_alias_had_been_added) {
  auto random = test::seeded();
  for (const size_t size : sizes) {
    if (size == 0) continue;
    auto visitors = random_visitors(random, size);
    auto s = set_of(visitors);
    const auto gone = visitors[size / 2], alias = alias_of(gone, random());
    BOOST_TEST(s.has(gone) == s.exact());
    const auto digest = s.digest();
    s.replace(gone, alias);
    s.replace(random(), random()); // nobody that is in it
    BOOST_TEST(!s.has(gone));
    BOOST_TEST(s.has(alias) == s.exact());
    BOOST_TEST(s.digest() == digest);
    visitors[size / 2] = alias;
    BOOST_TEST((s == set_of(visitors)));
    s.replace(alias, visitors[0]); // who is there already
    if (s.exact() && size > 1) BOOST_TEST(s.estimate() == static_cast<double>(size / 2 == 0 ? size : size - 1));
  }
}

BOOST_AUTO_TEST_CASE(the_encoded_form_is_read_back_and_consumes_itself_alone) {
  auto random = test::seeded();
  for (const size_t size : sizes) {
    const visitor_set s = set_of(random_visitors(random, size));
    const std::string text = encoded(s) + "rest";
    std::string_view in = text;
    visitor_set back = set_of(random_visitors(random, 10));
    BOOST_REQUIRE(visitor_set::decode(in, back));
    BOOST_REQUIRE(in == "rest");
    require_same(back, s);
    const uint64_t next = random();
    visitor_set grown = s;
    grown.add(next);
    back.add(next);
    require_same(back, grown);
  }
}

BOOST_AUTO_TEST_CASE(a_cut_form_is_refused_at_every_length) {
  auto random = test::seeded();
  for (const size_t size : {0, 3, 1'024, 1'025, 3'000, 9'000}) {
    const std::string text = encoded(set_of(random_visitors(random, static_cast<size_t>(size))));
    for (size_t cut = 0; cut < text.size(); ++cut) {
      std::string_view in(text.data(), cut);
      visitor_set s;
      BOOST_REQUIRE(!visitor_set::decode(in, s));
      BOOST_REQUIRE(in.size() == cut);
      BOOST_REQUIRE(s.empty());
    }
  }
}

BOOST_AUTO_TEST_CASE(malformed_forms_are_refused) {
  using namespace std::string_view_literals;
  BOOST_TEST(decodes("e\x00"sv));
  BOOST_TEST(decodes("e\x01\x05\x00\x00\x00\x00\x00\x00\x00"sv));
  BOOST_TEST(!decodes("x\x00"sv));
  BOOST_TEST(!decodes("e\x02\x05\x00\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00"sv)); // twice the same
  BOOST_TEST(!decodes("e\x02\x05\x00\x00\x00\x00\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00"sv)); // not sorted
  BOOST_TEST(!decodes("e\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"sv));                             // a count that would overflow
  std::string many("e");
  put_varint(many, 1'025);
  for (uint64_t i = 0; i < 1'025; ++i) put_fixed64(many, i);
  BOOST_TEST(!decodes(many)); // too many to be exact

  const auto sparse = [](std::initializer_list<uint64_t> entries) {
    std::string text("s");
    put_varint(text, entries.size());
    for (const uint64_t entry : entries) put_varint(text, entry);
    return text;
  };
  BOOST_TEST(decodes(sparse({0 << 6 | 1, 0 << 6 | 51})));
  BOOST_TEST(decodes(sparse({16'383 << 6 | 1})));
  BOOST_TEST(!decodes(sparse({})));
  BOOST_TEST(!decodes(sparse({0 << 6 | 0})));                  // rank 0
  BOOST_TEST(!decodes(sparse({0 << 6 | 52})));                 // past the highest rank
  BOOST_TEST(!decodes(sparse({16'384 << 6 | 1})));             // past the last register
  BOOST_TEST(!decodes(sparse({16'383 << 6 | 1, 0 << 6 | 1}))); // the second one
  BOOST_TEST(!decodes(sparse({~uint64_t{0} >> 6 << 6 | 1})));
  std::string full("s");
  put_varint(full, 3'073);
  for (int i = 0; i < 3'073; ++i) put_varint(full, 1);
  BOOST_TEST(!decodes(full)); // should be dense

  std::string dense(1 + 12'288, '\x41'); // ranks 1, 5, 20, 16
  dense[0] = 'd';
  BOOST_TEST(decodes(dense));
  std::string high = dense;
  high[1] = '\x74'; // rank 52
  BOOST_TEST(!decodes(high));
  std::string thin(1 + 12'288, '\0');
  thin[0] = 'd';
  std::fill_n(thin.begin() + 1, 3'072 / 4 * 3, '\x41');
  BOOST_TEST(!decodes(thin)); // should be sparse
  thin[1 + 3'072 / 4 * 3] = '\x01';
  BOOST_TEST(decodes(thin));
}

BOOST_AUTO_TEST_CASE(damaged_forms_never_do_harm_and_what_is_accepted_is_canonical) {
  auto random = test::seeded();
  int accepted = 0;
  for (int i = 0; i < 3'000; ++i) {
    std::string text = encoded(set_of(random_visitors(random, sizes[random() % 9])));
    for (size_t damage = 1 + random() % 3; damage > 0; --damage) text[random() % text.size()] = static_cast<char>(random());
    std::string_view in = text;
    visitor_set s;
    if (!visitor_set::decode(in, s)) continue;
    ++accepted;
    BOOST_REQUIRE(encoded(s) == text.substr(0, text.size() - in.size()));
    s.merge(set_of(random_visitors(random, 1'500)));
    BOOST_REQUIRE(std::isfinite(s.estimate()));
  }
  BOOST_TEST(accepted > 100);
}

// What an answer shows is the set of its window: one bucket's, or the union of several that share visitors.
BOOST_AUTO_TEST_CASE(of_1000_independent_streams_99_percent_lie_within_3_standard_errors) {
  auto random = test::seeded();
  constexpr int streams = 1'000;
  int beyond = 0, united = 0, beyond_united = 0;
  double sum = 0, squares = 0;
  for (int i = 0; i < streams; ++i) {
    const auto size = static_cast<size_t>(1'025 * std::pow(200'000.0 / 1'025, static_cast<double>(random() >> 11) * 0x1p-53));
    std::vector<visitor_set> buckets(random() % 2 == 0 ? 1 : 2 + random() % 23);
    for (size_t n = 0; n < size; ++n) {
      const uint64_t visitor = random();
      for (size_t visits = 1 + random() % 2; visits > 0; --visits) // early buckets have more than late ones
        buckets[std::min(random() % buckets.size(), random() % buckets.size())].add(visitor);
    }
    visitor_set window;
    for (const auto& bucket : buckets) window.merge(bucket);
    BOOST_REQUIRE(!window.exact());
    const double error = (window.estimate() / static_cast<double>(size) - 1) / window.standard_error();
    sum += error;
    squares += error * error;
    beyond += std::abs(error) > 3;
    united += buckets.size() > 1;
    beyond_united += buckets.size() > 1 && std::abs(error) > 3;
  }
  BOOST_TEST_MESSAGE(beyond << " of " << streams << " streams beyond 3 standard errors (" << beyond_united << " of the " << united
                            << " that unite buckets), mean " << sum / streams << ", root of the mean square "
                            << std::sqrt(squares / streams) << " standard errors");
  BOOST_TEST(beyond <= streams / 100);
  BOOST_TEST(united > streams / 3);
  BOOST_TEST(std::abs(sum / streams) < 5 / std::sqrt(streams));
}

BOOST_AUTO_TEST_CASE(estimates_keep_their_error_for_inputs_that_are_no_hashes) {
  for (const uint64_t step : {uint64_t{1}, uint64_t{3}, uint64_t{1} << 32, uint64_t{1} << 44, uint64_t{0x9e3779b97f4a7c15}}) {
    for (const uint64_t size : {2'000u, 20'000u, 500'000u}) {
      visitor_set s;
      for (uint64_t i = 0; i < size; ++i) s.add(i * step);
      const double error = s.estimate() / static_cast<double>(size) - 1;
      BOOST_TEST(std::abs(error) < 4 * s.standard_error(), "step " << step << ", " << size << ": " << error);
    }
  }
}

BOOST_AUTO_TEST_CASE(the_estimator_is_ertls_for_saturated_registers_too) { // expected: the formula computed apart from this code
  const auto estimate_of = [](std::initializer_list<uint32_t> ranks) {
    uint32_t bits = 0;
    for (const uint32_t rank : ranks) bits = bits >> 6 | rank << 18;
    std::string text("d");
    for (int i = 0; i < 4'096; ++i)
      text.append({static_cast<char>(bits), static_cast<char>(bits >> 8), static_cast<char>(bits >> 16)});
    std::string_view in = text;
    visitor_set s;
    BOOST_REQUIRE(visitor_set::decode(in, s));
    return s.estimate();
  };
  BOOST_TEST(estimate_of({1, 5, 20, 16}) == 88984.07237427741, boost::test_tools::tolerance(1e-13));
  BOOST_TEST(estimate_of({51, 50, 50, 50}) == 1.603424350822866e+19, boost::test_tools::tolerance(1e-13));
}

BOOST_AUTO_TEST_CASE(stored_forms_are_the_same_in_every_release) {
  visitor_set s;
  BOOST_TEST(encoded(s) == std::string_view("e\0", 2));
  s.add(0x0102030405060708u);
  s.add(1);
  BOOST_TEST(encoded(s) == std::string_view("e\x02\x01\0\0\0\0\0\0\0\x08\x07\x06\x05\x04\x03\x02\x01", 18));
  visitor_set sparse, dense;
  for (uint64_t i = 0; i < 2'000; ++i) sparse.add(i);
  for (uint64_t i = 0; i < 100'000; ++i) dense.add(i);
  BOOST_TEST(sparse.digest() == 0xead58edbbc8a1e25u);
  BOOST_TEST(dense.digest() == 0xa7efa10a91e1d807u);
  BOOST_TEST(sparse.estimate() == 0x1.f205b3f2c639ap+10); // to the bit, on every machine
  BOOST_TEST(dense.estimate() == 0x1.89241d37b0985p+16);
}

BOOST_AUTO_TEST_CASE(memory_is_bounded_and_given_back_when_the_form_changes) {
  visitor_set s;
  for (uint64_t i = 0; i < 300'000; ++i) {
    s.add(i);
    BOOST_REQUIRE(s.memory_bytes() < sizeof s + 24'700); // the sparse form while it turns dense
  }
  BOOST_TEST(s.memory_bytes() < sizeof s + 16'500);
}

BOOST_AUTO_TEST_SUITE_END()
