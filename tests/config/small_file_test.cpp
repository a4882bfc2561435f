#include "config/small_file.hpp"

#include <boost/test/unit_test.hpp>
#include <sys/stat.h>

#include "tests/config/temporary_file.hpp"

using namespace adtrack::config;

BOOST_AUTO_TEST_SUITE(small_file_test)

BOOST_AUTO_TEST_CASE(a_file_is_read_as_a_whole) {
  std::string text = "before", error = "before";
  const std::string contents = std::string(100'000, 'x') + '\0' + "end";
  const temporary_file file(contents);
  BOOST_TEST(read_small_file("key file", file.path(), text, error));
  BOOST_TEST(text == contents);
  BOOST_TEST(error == "");
  const temporary_file empty("");
  BOOST_TEST(read_small_file("key file", empty.path(), text, error));
  BOOST_TEST(text == "");
}

BOOST_AUTO_TEST_CASE(what_cannot_be_read_is_refused_by_name) {
  std::string text, error;
  BOOST_TEST(!read_small_file("key file", "/nowhere/keys", text, error));
  BOOST_TEST(error == "cannot read the key file /nowhere/keys: No such file or directory");
  BOOST_TEST(!read_small_file("certificate", "/", text, error));
  BOOST_TEST(error == "cannot read the certificate /: Is a directory");
}

BOOST_AUTO_TEST_CASE(a_file_that_is_too_large_is_refused) {
  std::string text, error;
  const temporary_file fits(std::string(small_file_bytes_max, 'x'));
  BOOST_TEST(read_small_file("key file", fits.path(), text, error));
  const temporary_file large(std::string(small_file_bytes_max + 1, 'x'));
  BOOST_TEST(!read_small_file("key file", large.path(), text, error));
  BOOST_TEST(error == "the key file " + large.path() + " is larger than 1048576 bytes");
  BOOST_TEST(text == "");
}

BOOST_AUTO_TEST_CASE(a_pipe_that_nobody_writes_to_does_not_hold_up_the_reader) {
  const temporary_file file("");
  const std::string path = file.path() + ".pipe";
  BOOST_REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  std::string text, error;
  read_small_file("key file", path, text, error);
  BOOST_TEST(text == "");
  unlink(path.c_str());
}

BOOST_AUTO_TEST_SUITE_END()
