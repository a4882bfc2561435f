#include "config/telemetry.hpp"

#include <boost/test/unit_test.hpp>

#include <nlohmann/json.hpp>
#include <unistd.h>

#include <cmath>
#include <limits>
#include <thread>
#include <utility>
#include <vector>

#include "config/log_line.hpp"

using namespace adtrack::config;
using json = nlohmann::json;

namespace {

// What is written to standard error while it lives.
class captured_stderr {
public:
  captured_stderr() : file_(std::tmpfile()), before_(dup(STDERR_FILENO)) {
    BOOST_REQUIRE(file_ != nullptr);
    dup2(fileno(file_), STDERR_FILENO);
  }
  ~captured_stderr() {
    restore();
    std::fclose(file_);
  }
  std::vector<std::string> lines() {
    restore();
    std::rewind(file_);
    std::vector<std::string> out;
    std::string text;
    for (int c = std::fgetc(file_); c != EOF; c = std::fgetc(file_)) {
      text += static_cast<char>(c);
      if (c == '\n') out.push_back(std::exchange(text, {}));
    }
    if (!text.empty()) out.push_back(text);
    return out;
  }

private:
  void restore() {
    if (before_ < 0) return;
    dup2(before_, STDERR_FILENO);
    close(before_);
    before_ = -1;
  }
  std::FILE* file_;
  int before_;
};

struct level_guard {
  ~level_guard() { set_log_level(log_level::info); }
};

std::string message_of(std::string_view text) { return log_line(0, log_level::info, "c", "e", text, {}); }

} // namespace

BOOST_AUTO_TEST_SUITE(telemetry_test)

BOOST_AUTO_TEST_CASE(a_flood_of_one_warning_is_cut_off_and_says_so) {
  level_guard restore;
  captured_stderr err;
  for (int i = 0; i < 50; ++i) {
    log(log_level::warning, "test", "flood", "again", {{"n", i}});
    log(log_level::info, "test", "flood", "nothing is left out of this level");
  }
  log(log_level::warning, "test", "other", "of its own");
  std::vector<json> warnings;
  size_t infos = 0;
  for (const auto& line : err.lines()) {
    auto parsed = json::parse(line);
    if (parsed["level"] == "info") ++infos;
    if (parsed["level"] == "warning") warnings.push_back(std::move(parsed));
  }
  BOOST_TEST(infos == 50u);
  BOOST_REQUIRE(warnings.size() == 21u);
  BOOST_TEST(!warnings[18].contains("left_out_from_here_secs"));
  BOOST_TEST(warnings[19]["left_out_from_here_secs"] == 10);
  BOOST_TEST(warnings[20]["event"] == "other");
}

BOOST_AUTO_TEST_CASE(a_line_is_one_json_object_with_its_fields_in_order) {
  const std::string line =
      log_line(1'753'200'972'879'961, log_level::warning, "log", "opened", "the log is open",
               {{"path", "a/b"}, {"shards", 16u}, {"offset", int64_t{-1}}, {"took_s", 0.25}, {"fresh", true}});
  BOOST_TEST(line == R"({"time":"2025-07-22T16:16:12.879961Z","level":"warning","component":"log","event":"opened",)"
                     R"("message":"the log is open","path":"a/b","shards":16,"offset":-1,"took_s":0.25,"fresh":true})");
}

BOOST_AUTO_TEST_CASE(times_before_1970_and_whole_seconds_are_right) {
  BOOST_TEST(log_line(-1, log_level::info, "", "", "", {}).substr(0, 36) == R"({"time":"1969-12-31T23:59:59.999999Z)");
  BOOST_TEST(log_line(0, log_level::info, "", "", "", {}).substr(0, 36) == R"({"time":"1970-01-01T00:00:00.000000Z)");
}

BOOST_AUTO_TEST_CASE(whatever_the_bytes_a_line_stays_one_line_of_valid_json) {
  std::string all;
  for (int c = 0; c < 256; ++c) all += static_cast<char>(c);
  const std::string line = message_of(all);
  BOOST_TEST(line.find('\n') == std::string::npos);
  const json parsed = json::parse(line); // throws on invalid UTF-8 or an unescaped control character
  const auto text = parsed["message"].get<std::string>();
  BOOST_TEST(text.substr(0, 128) == all.substr(0, 128));
}

BOOST_AUTO_TEST_CASE(valid_utf8_stays_and_invalid_bytes_become_replacement_characters) {
  const auto round = [](const std::string& s) { return json::parse(message_of(s))["message"].get<std::string>(); };
  for (const std::string good : {"é", "€", "\xed\x9f\xbf", "\xee\x80\x80", "😀", "\xf4\x8f\xbf\xbf"})
    BOOST_TEST(round(good) == good);
  const std::string r = "\xef\xbf\xbd";
  BOOST_TEST(round("a\xff"
                   "b") == "a" + r + "b");
  BOOST_TEST(round("\xc3") == r);                         // cut off
  BOOST_TEST(round("\xc0\xaf") == r + r);                 // overlong
  BOOST_TEST(round("\xe0\x80\xaf") == r + r + r);         // overlong
  BOOST_TEST(round("\xed\xa0\x80") == r + r + r);         // a surrogate
  BOOST_TEST(round("\xf4\x90\x80\x80") == r + r + r + r); // beyond U+10FFFF
  BOOST_TEST(round("\xe2\x82z") == r + r + "z");
}

BOOST_AUTO_TEST_CASE(numbers_that_json_cannot_say_are_null) {
  const std::string line = log_line(0, log_level::info, "c", "e", "m",
                                    {{"nan", std::nan("")}, {"inf", std::numeric_limits<double>::infinity()}, {"small", 1e-7}});
  const json parsed = json::parse(line);
  BOOST_TEST(parsed["nan"].is_null());
  BOOST_TEST(parsed["inf"].is_null());
  BOOST_TEST(parsed["small"].get<double>() == 1e-7);
}

BOOST_AUTO_TEST_CASE(lines_under_the_level_are_not_written) {
  const level_guard guard;
  captured_stderr out;
  log(log_level::debug, "c", "hidden", "not shown");
  set_log_level(log_level::debug);
  log(log_level::debug, "c", "shown", "{} %s is not a format", {{"n", 1}});
  set_log_level(log_level::error);
  log(log_level::warning, "c", "hidden", "not shown");
  log(log_level::error, "c", "last", "shown");
  const auto lines = out.lines();
  BOOST_REQUIRE_EQUAL(lines.size(), 2u);
  BOOST_TEST(json::parse(lines[0])["message"] == "{} %s is not a format");
  BOOST_TEST(json::parse(lines[1])["event"] == "last");
}

BOOST_AUTO_TEST_CASE(lines_of_several_threads_do_not_mix) {
  captured_stderr out;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([t] {
      for (int i = 0; i < 200; ++i) log(log_level::info, "c", "e", std::string(300, 'x'), {{"thread", t}, {"i", i}});
    });
  for (auto& t : threads) t.join();
  const auto lines = out.lines();
  BOOST_TEST(lines.size() == 800u);
  for (const auto& line : lines) BOOST_TEST(json::accept(line));
}

BOOST_AUTO_TEST_CASE(level_names_are_read_back_and_others_refused) {
  for (const log_level level : {log_level::trace, log_level::debug, log_level::info, log_level::warning, log_level::error}) {
    log_level back = log_level::trace;
    BOOST_TEST(parse(to_string(level), back));
    BOOST_TEST((back == level));
  }
  log_level untouched = log_level::warning;
  BOOST_TEST(!parse("INFO", untouched));
  BOOST_TEST(!parse("", untouched));
  BOOST_TEST((untouched == log_level::warning));
}

BOOST_AUTO_TEST_SUITE_END()
