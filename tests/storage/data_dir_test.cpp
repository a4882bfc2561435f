#include <fstream>
#include <sstream>

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>

#include "storage/data_dir.hpp"
#include "tests/support/scratch_dir.hpp"

namespace adtrack::storage {
namespace {

void write(const std::string& path, const std::string& text) { std::ofstream(path, std::ios::binary) << text; }

std::string read(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

struct fixture {
  test::scratch_dir scratch;
  std::string path = scratch.path() + "/a/data";
  std::string key_path = scratch.path() + "/visitor.key";
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(the_data_directory, fixture)

BOOST_AUTO_TEST_CASE(is_made_with_its_parents_and_opens_again) {
  {
    auto opened = data_dir::open(path);
    BOOST_REQUIRE_MESSAGE(opened.ok(), opened.why.message);
    BOOST_TEST((*opened)->log_path() == path + "/log");
    BOOST_TEST((*opened)->shard_path(7) == path + "/shards/7");
    std::filesystem::create_directories((*opened)->log_path());
  }
  BOOST_TEST(read(path + "/FORMAT") == "1\n");
  auto again = data_dir::open(path);
  BOOST_REQUIRE_MESSAGE(again.ok(), again.why.message);
}

BOOST_AUTO_TEST_CASE(belongs_to_the_log_that_it_was_first_used_with) {
  {
    auto opened = data_dir::open(path);
    BOOST_REQUIRE(opened.ok());
    BOOST_TEST((*opened)->bind_log("kafka adtrack").ok());
    BOOST_TEST((*opened)->bind_log("kafka adtrack").ok());
  }
  auto again = data_dir::open(path);
  BOOST_REQUIRE(again.ok());
  auto other = (*again)->bind_log("embedded");
  BOOST_TEST((other.code == errc::mismatch));
  BOOST_TEST(other.message.find("\"kafka adtrack\", not to \"embedded\"") != std::string::npos);
  BOOST_TEST((*again)->bind_log("kafka adtrack").ok());
}

BOOST_AUTO_TEST_CASE(of_before_logs_were_named_belongs_to_the_embedded_one) {
  auto opened = data_dir::open(path);
  BOOST_REQUIRE(opened.ok());
  std::filesystem::create_directories((*opened)->log_path());
  BOOST_TEST(((*opened)->bind_log("kafka adtrack").code == errc::mismatch));
  BOOST_TEST((*opened)->bind_log("embedded").ok());
}

BOOST_AUTO_TEST_CASE(is_refused_to_a_second_holder_with_a_sentence_that_names_it) {
  auto opened = data_dir::open(path);
  BOOST_REQUIRE(opened.ok());
  auto second = data_dir::open(path);
  BOOST_REQUIRE(!second.ok());
  BOOST_TEST((second.why.code == errc::locked));
  BOOST_TEST(second.why.message.find(path) != std::string::npos);
  const pid_t child = ::fork();
  BOOST_REQUIRE(child >= 0);
  if (child == 0) ::_exit(data_dir::open(path).why.code == errc::locked ? 0 : 1); // another process
  int exited = -1;
  BOOST_REQUIRE(::waitpid(child, &exited, 0) == child);
  BOOST_TEST((WIFEXITED(exited) && WEXITSTATUS(exited) == 0));
  (*opened).reset();
  BOOST_TEST(data_dir::open(path).ok());
}

BOOST_AUTO_TEST_CASE(of_another_format_or_without_its_format_is_refused) {
  std::filesystem::create_directories(path);
  write(path + "/FORMAT", "2\n");
  auto later = data_dir::open(path);
  BOOST_TEST((later.why.code == errc::mismatch));
  BOOST_TEST(later.why.message.find("\"2\"") != std::string::npos);
  std::filesystem::remove(path + "/FORMAT");
  std::filesystem::create_directories(path + "/log");
  BOOST_TEST((data_dir::open(path).why.code == errc::mismatch));
  std::filesystem::remove(path + "/log");
  write(path + "/FORMAT.tmp", "left by a crash");
  BOOST_TEST(data_dir::open(path).ok());
}

BOOST_AUTO_TEST_CASE(that_is_a_file_or_has_no_name_is_refused) {
  write(key_path, "x");
  BOOST_TEST((data_dir::open(key_path).why.code == errc::io));
  BOOST_TEST((data_dir::open(key_path + "/below").why.code == errc::io));
  BOOST_TEST((data_dir::open("").why.code == errc::io));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(the_visitor_key, fixture)

BOOST_AUTO_TEST_CASE(is_made_once_for_its_owner_only_and_stays) {
  auto made = load_visitor_key(key_path, true);
  BOOST_REQUIRE_MESSAGE(made.ok(), made.why.message);
  struct stat about {};
  BOOST_REQUIRE(::stat(key_path.c_str(), &about) == 0);
  BOOST_TEST((about.st_mode & 0777) == 0600u);
  BOOST_TEST(read(key_path).size() == 33u);
  for (const bool create : {true, false}) {
    auto again = load_visitor_key(key_path, create);
    BOOST_REQUIRE(again.ok());
    BOOST_TEST((again->secret == made->secret));
  }
  auto other = load_visitor_key(scratch.path() + "/other.key", true);
  BOOST_REQUIRE(other.ok());
  BOOST_TEST((other->secret != made->secret));
}

BOOST_AUTO_TEST_CASE(is_read_from_32_hex_digits_of_either_case) {
  write(key_path, "000102030405060708090A0b0C0d0E0f");
  auto key = load_visitor_key(key_path, false);
  BOOST_REQUIRE_MESSAGE(key.ok(), key.why.message);
  for (size_t i = 0; i < 16; ++i) BOOST_TEST(key->secret[i] == i);
}

BOOST_AUTO_TEST_CASE(that_is_damaged_or_missing_is_refused_and_never_replaced_or_shown) {
  BOOST_TEST((load_visitor_key(key_path, false).why.code == errc::not_found));
  BOOST_TEST(!std::filesystem::exists(key_path));
  for (const std::string text :
       {"", "00", "000102030405060708090a0b0c0d0e0", "000102030405060708090a0b0c0d0e0f0", "000102030405060708090a0b0c0d0e0g",
        "000102030405060708090a0b 0c0d0e0", " 00102030405060708090a0b0c0d0e0f"}) {
    write(key_path, text);
    auto key = load_visitor_key(key_path, true);
    BOOST_REQUIRE(!key.ok());
    BOOST_TEST((key.why.code == errc::corrupt));
    BOOST_TEST(key.why.message.find(key_path) != std::string::npos);
    BOOST_TEST((text.size() < 10 || key.why.message.find(text.substr(0, 10)) == std::string::npos));
    BOOST_TEST(read(key_path) == text);
  }
  BOOST_TEST((load_visitor_key(scratch.path(), true).why.code == errc::io)); // a directory
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace adtrack::storage
