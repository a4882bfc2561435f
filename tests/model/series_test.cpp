#include "model/series.hpp"

#include <boost/test/unit_test.hpp>

using namespace adtrack;

namespace {

const time_grid hours(granularity::hour, time_zone{});

std::vector<int64_t> starts(std::vector<series_point> series, const time_window& window) {
  fill_gaps(series, window, hours);
  BOOST_TEST(length_of(series, window, hours, 1'000) == series.size());
  std::vector<int64_t> out;
  for (const auto& p : series) out.push_back(p.start_s);
  return out;
}

series_point point(int64_t start_s) {
  series_point out;
  out.start_s = start_s;
  out.count[metric::valid_clicks] = 1;
  return out;
}

using list = std::vector<int64_t>;

} // namespace

BOOST_AUTO_TEST_SUITE(model_series)

BOOST_AUTO_TEST_CASE(points_are_cut_to_the_window_and_visitors_are_each_points_own) {
  series_builder builder(hours, {1'800, 9'000}, 100);
  BOOST_TEST(!builder.touches({0, 1'800}));
  BOOST_TEST(builder.touches({0, 1'801}));
  BOOST_TEST(!builder.holds({0, 3'600})); // the window's edge cuts it
  BOOST_TEST(!builder.holds({1'800, 3'601}));
  BOOST_TEST(builder.holds({1'800, 3'600}));
  for (auto t : {1'800, 3'599, 3'600}) {
    auto& sum = builder.at(t);
    ++sum.count[metric::valid_clicks];
    sum.clickers.add(42);
  }
  const auto points = builder.finish();
  BOOST_REQUIRE(points.size() == 2u);
  BOOST_TEST(points[0].start_s == 1'800);
  BOOST_TEST(points[0].count[metric::valid_clicks] == 2u);
  BOOST_TEST(points[0].unique_clicks == 1);
  BOOST_TEST(points[1].start_s == 3'600);
  BOOST_TEST(points[1].unique_clicks == 1);
}

BOOST_AUTO_TEST_CASE(a_builder_that_has_too_many_points_is_full) {
  series_builder builder(hours, {}, 2);
  for (int64_t h = 0; h < 4; ++h) ++builder.at(h * 3'600).count[metric::valid_clicks];
  BOOST_TEST(builder.full());
}

BOOST_AUTO_TEST_CASE(a_bounded_window_has_all_its_points) {
  BOOST_TEST(starts({point(7'200)}, {1'800, 14'401}) == (list{1'800, 3'600, 7'200, 10'800, 14'400}),
             boost::test_tools::per_element());
  BOOST_TEST(starts({point(1'800)}, {1'800, 3'600}) == (list{1'800}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(an_open_end_is_closed_at_the_outermost_point_with_an_event) {
  BOOST_TEST(starts({point(7'200), point(14'400)}, {}) == (list{7'200, 10'800, 14'400}), boost::test_tools::per_element());
  BOOST_TEST(starts({point(7'200)}, {0, time_window::unbounded_until}) == (list{0, 3'600, 7'200}),
             boost::test_tools::per_element());
  BOOST_TEST(starts({point(7'200)}, {time_window::unbounded_since, 14'400}) == (list{7'200, 10'800}),
             boost::test_tools::per_element());
  BOOST_TEST(starts({}, {}).empty());
}

BOOST_AUTO_TEST_SUITE_END()
