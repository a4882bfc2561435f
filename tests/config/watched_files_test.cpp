#include "config/watched_files.hpp"

#include <boost/test/unit_test.hpp>

#include <cstdio>

#include "tests/config/temporary_file.hpp"

namespace {

using namespace adtrack;

struct a_pair_of_files {
  temporary_file first{"one"}, second{"two"};
  std::vector<std::string> in_force;
  int taken = 0;
  config::watched_files files{"pair",
                              "the pair before it stays in force",
                              {{"first", first.path()}, {"second", second.path()}, {"third", ""}},
                              [this](const auto& texts, std::string& why) {
                                ++taken;
                                if (texts[0] != texts[1] + "!" && texts[0].find('!') != std::string::npos)
                                  return why = "they do not fit", false;
                                in_force = texts;
                                return true;
                              }};
  std::string error;
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(watched_files_test, a_pair_of_files)

BOOST_AUTO_TEST_CASE(what_did_not_change_is_not_taken_again) {
  BOOST_REQUIRE(files.open(error));
  BOOST_TEST(in_force == (std::vector<std::string>{"one", "two", ""}), boost::test_tools::per_element());
  files.look();
  first.write("one");
  files.look();
  BOOST_TEST(taken == 1);
  second.write("three");
  files.look();
  BOOST_TEST(taken == 2);
  BOOST_TEST(in_force[1] == "three");
}

BOOST_AUTO_TEST_CASE(what_moves_from_one_file_to_the_other_is_a_change) {
  first.write("ab");
  second.write("c");
  BOOST_REQUIRE(files.open(error));
  first.write("a");
  second.write("bc");
  files.look();
  BOOST_TEST(taken == 2);
}

BOOST_AUTO_TEST_CASE(what_cannot_be_used_is_said_once_changes_nothing_and_is_forgotten_when_it_fits_again) {
  BOOST_REQUIRE(files.open(error));
  first.write("four!");
  files.look();
  files.look();
  BOOST_TEST(taken == 2);
  BOOST_TEST(in_force[0] == "one");
  BOOST_TEST(files.trouble() == "they do not fit; the pair before it stays in force");
  first.write("one");
  files.look();
  BOOST_TEST(taken == 3);
  BOOST_TEST(files.trouble() == "");
}

BOOST_AUTO_TEST_CASE(a_file_that_is_gone_is_named) {
  BOOST_REQUIRE(files.open(error));
  std::remove(second.path().c_str());
  files.look();
  BOOST_TEST(taken == 1);
  BOOST_TEST(files.trouble() ==
             "cannot read the second " + second.path() + ": No such file or directory; the pair before it stays in force");
}

BOOST_AUTO_TEST_CASE(at_start_it_is_an_error_instead) {
  first.write("two?!");
  BOOST_TEST(!files.open(error));
  BOOST_TEST(error == "they do not fit");
  BOOST_TEST(files.trouble() == "");
}

BOOST_AUTO_TEST_CASE(without_a_path_there_is_nothing_to_watch) {
  config::watched_files none("none", "", {{"file", ""}}, [](const auto&, std::string&) { return false; });
  BOOST_TEST(!none.active());
  BOOST_TEST(none.open(error));
  none.look();
  BOOST_TEST(none.trouble() == "");
}

BOOST_AUTO_TEST_SUITE_END()
