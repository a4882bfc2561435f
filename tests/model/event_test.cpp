#include "model/event.hpp"

#include <boost/test/unit_test.hpp>

using namespace adtrack;

BOOST_AUTO_TEST_SUITE(event_names)

template <class Enum>
void reads_back(Enum value, std::string_view name) {
  BOOST_TEST(to_string(value) == name);
  Enum back{};
  BOOST_TEST(parse(name, back));
  BOOST_TEST((back == value));
}

BOOST_AUTO_TEST_CASE(every_name_is_read_back) {
  reads_back(event_type::click, "click");
  reads_back(event_type::impression, "impression");
  reads_back(event_type::playback, "playback");
  reads_back(playback_progress::start, "start");
  reads_back(playback_progress::first_quartile, "first_quartile");
  reads_back(playback_progress::midpoint, "midpoint");
  reads_back(playback_progress::third_quartile, "third_quartile");
  reads_back(playback_progress::complete, "complete");
  reads_back(invalid_reason::bot, "bot");
  reads_back(invalid_reason::no_agent, "no_agent");
  reads_back(invalid_reason::datacenter, "datacenter");
  reads_back(invalid_reason::prefetch, "prefetch");
  reads_back(invalid_reason::repeat, "repeat");
}

BOOST_AUTO_TEST_CASE(other_texts_are_refused_and_leave_the_value_alone) {
  for (const std::string_view text : {"", "Click", "click ", "clic", "clicks", "none", "bott", "0"}) {
    auto type = event_type::playback;
    auto progress = playback_progress::midpoint;
    auto reason = invalid_reason::prefetch;
    BOOST_TEST(!parse(text, type));
    BOOST_TEST(!parse(text, progress));
    BOOST_TEST(!parse(text, reason));
    BOOST_TEST((type == event_type::playback && progress == playback_progress::midpoint && reason == invalid_reason::prefetch));
  }
}

BOOST_AUTO_TEST_SUITE_END()
