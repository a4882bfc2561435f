#include "storage/remote_log.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <thread>

#include <httplib.h>
#include <unistd.h>

#include "model/timestamp.hpp"

using namespace adtrack;
using namespace adtrack::storage;

namespace {

// Answers as the node whose log it is would: two shards, three records a page at most.
class other_node {
public:
  other_node() {
    server_.set_keep_alive_max_count(100'000);
    server_.Get(R"(/admin/v1/log/(\d+))", [this](const httplib::Request& q, httplib::Response& r) { answer(q, r); });
    port_ = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
  }
  ~other_node() { end(); }
  void end() {
    server_.stop();
    if (thread_.joinable()) thread_.join();
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  void append(size_t shard, int64_t time_ms, std::string line) {
    std::lock_guard lock(mutex_);
    auto& of = lines_.at(shard);
    of.push_back("{\"offset\":" + std::to_string(of.size()) + ",\"time\":\"" + format_rfc3339_ms(time_ms) + "\"," + line + "}\n");
  }
  void forget(size_t shard) {
    std::lock_guard lock(mutex_);
    lines_.at(shard).clear();
  }
  std::atomic<int64_t> begin{0};
  std::atomic<bool> cut{false}; // answers lose their last byte

private:
  void answer(const httplib::Request& q, httplib::Response& r) {
    std::lock_guard lock(mutex_);
    r.status = 401;
    if (q.get_header_value("Authorization") != "Bearer secret") return;
    const auto shard = std::stoul(q.matches[1]);
    r.status = 404;
    if (shard >= lines_.size()) return;
    const auto& of = lines_[shard];
    const auto end = static_cast<int64_t>(of.size());
    const int64_t from = q.has_param("from") ? std::stoll(q.get_param_value("from")) : begin.load();
    r.status = 409;
    if (from < begin || from > end) return;
    r.status = 200;
    std::string body;
    const auto most = std::min<int64_t>(std::stoll(q.get_param_value("max")), 3);
    for (auto at = from; at < std::min(end, from + most); ++at) body += of[static_cast<size_t>(at)];
    if (cut && !body.empty()) body.pop_back();
    r.set_header("Adtrack-Log-Shards", "2");
    r.set_header("Adtrack-Log-Begin", std::to_string(begin));
    r.set_header("Adtrack-Log-End", std::to_string(end));
    r.set_content(body, "application/x-ndjson");
  }

  std::mutex mutex_;
  std::array<std::vector<std::string>, 2> lines_;
  httplib::Server server_;
  int port_ = 0;
  std::thread thread_;
};

struct fixture {
  fixture() { std::ofstream(key_file) << "secret\n"; }
  ~fixture() { std::filesystem::remove(key_file); }
  remote_log_options options() const {
    remote_log_options o;
    o.url = node.url();
    o.key_file = key_file;
    o.partitions = 2;
    o.poll_ms = 10;
    return o;
  }
  std::unique_ptr<event_log> open() const {
    auto log = open_remote_log(options());
    BOOST_REQUIRE_MESSAGE(log.ok(), log.why.message);
    return std::move(*log);
  }
  // Long enough for a machine that stands still.
  static void wait_until(const std::function<bool()>& done) {
    for (int i = 0; i < 12'000 && !done(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    BOOST_REQUIRE(done());
  }

  const std::string key_file = (std::filesystem::temp_directory_path() / ("adtrack-key-" + std::to_string(::getpid()))).string();
  other_node node;
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(remote_log, fixture)

BOOST_AUTO_TEST_CASE(records_are_read_as_they_are_with_offsets_and_times) {
  node.append(1, 1'754'898'558'342, R"("record":{"a" : "x,\"record\":", "b":[]})");
  node.append(1, 7, R"("base64":"Z2FyYmFnZQ==")");
  for (int i = 2; i < 5; ++i) node.append(1, i, "\"record\":{\"n\":" + std::to_string(i) + "}");
  auto log = open();
  BOOST_TEST(log->partitions() == 2u);
  BOOST_TEST(log->end(1).offset == 5);
  BOOST_TEST(log->end(1).confirmed_ms > 0);
  auto first = log->read(1, 0, 100, 1'000);
  BOOST_REQUIRE(first.ok() && first->size() == 3u); // as many as a page holds
  BOOST_TEST((*first)[0].value == R"({"a" : "x,\"record\":", "b":[]})");
  BOOST_TEST((*first)[0].time_ms == 1'754'898'558'342);
  BOOST_TEST((*first)[1].value == "garbage");
  BOOST_TEST((*first)[2].offset == 2);
  auto rest = log->read(1, 3, 1, 1'000);
  BOOST_REQUIRE(rest.ok() && rest->size() == 1u);
  BOOST_TEST(log->read(1, 3, 100, 1)->size() == 1u); // one at least
  BOOST_TEST(log->read(1, 3, 100, 8)->size() == 1u);
  BOOST_TEST(log->read(1, 5, 100, 1'000)->empty());
  BOOST_TEST(log->read(0, 0, 100, 1'000)->empty());
  BOOST_TEST((log->read(1, 6, 1, 1).why.code == errc::out_of_range));
  BOOST_TEST((log->read(2, 0, 1, 1).why.code == errc::out_of_range));
  BOOST_TEST(!log->rewrites()); // that is the other node's to do
  BOOST_TEST((log->rewrite(1, 0, 5, [](const auto&) { return "x"; }).why.code == errc::cannot));
  BOOST_TEST((log->purge(1).code == errc::cannot));
}

BOOST_AUTO_TEST_CASE(what_is_appended_there_is_told_here) {
  auto log = open();
  std::atomic<int> told{0};
  log->on_appended([&] { ++told; });
  node.append(0, 1, R"("record":{})");
  wait_until([&] { return log->end(0).offset == 1; });
  wait_until([&, before = told.load()] { return told > before; });
  BOOST_TEST(log->read(0, 0, 9, 9)->size() == 1u);
  BOOST_TEST(log->generation(0) == 0u);
}

BOOST_AUTO_TEST_CASE(no_record_is_older_than_the_last_answer_that_the_log_ended_before_it) {
  node.append(0, 1, R"("record":{})");
  const auto now = [] {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  };
  const auto before = now();
  auto log = open();
  BOOST_TEST(!log->appended_ms(0, 0)); // that was there already
  const auto first = log->appended_ms(0, 1);
  BOOST_REQUIRE(first.has_value());
  BOOST_TEST(*first >= before);
  BOOST_TEST(*first <= now());
  wait_until([&] { return log->appended_ms(0, 1) > first; }); // it is asked again and again
  BOOST_TEST(!log->appended_ms(2, 0));
}

BOOST_AUTO_TEST_CASE(a_log_that_was_made_anew_or_trimmed_is_seen) {
  for (int i = 0; i < 4; ++i) node.append(0, 1, R"("record":{})");
  auto log = open();
  node.begin = 2;
  wait_until([&] { return log->begin(0) == 2; });
  BOOST_TEST((log->read(0, 1, 9, 9).why.code == errc::out_of_range));
  BOOST_TEST(log->generation(0) == 0u);
  node.begin = 0;
  node.forget(0);
  node.append(0, 1, R"("record":{})");
  wait_until([&] { return log->generation(0) == 1; });
  BOOST_TEST(log->end(0).offset == 1);
  BOOST_TEST(log->generation(1) == 0u);
}

BOOST_AUTO_TEST_CASE(it_takes_no_records) {
  auto log = open();
  std::vector<append_outcome> said;
  log->append({{0, "{}"}, {1, "{}"}}, [&](auto outcomes) { said = std::move(outcomes); });
  BOOST_REQUIRE(said.size() == 2u);
  for (const auto& one : said) BOOST_TEST((one.fate == append_fate::refused));
  BOOST_TEST(!log->takes_records());
  BOOST_TEST(!log->writable());
  BOOST_TEST(!log->reopen().ok());
  BOOST_TEST(!log->trim(0, 0).ok());
}

BOOST_AUTO_TEST_CASE(records_are_rewritten_when_that_is_asked_for) {
  node.append(0, 1, R"("record":{})");
  auto o = options();
  o.rewrite = [](std::string& value) { value += "!"; };
  auto log = open_remote_log(o);
  BOOST_REQUIRE(log.ok());
  BOOST_TEST((*log)->read(0, 0, 9, 9)->front().value == "{}!");
}

BOOST_AUTO_TEST_CASE(a_node_that_cannot_be_followed_is_refused_with_the_reason) {
  auto o = options();
  o.partitions = 3;
  BOOST_TEST(open_remote_log(o).why.message == node.url() + " has a log of 2 shards; log.shards is 3");
  o = options();
  o.key_file.clear();
  BOOST_TEST((open_remote_log(o).why.code == errc::mismatch));
  o.key_file = "/nowhere";
  BOOST_TEST(open_remote_log(o).why.message == "remote.key_file cannot be read: /nowhere: No such file or directory");
  o = options();
  node.end();
  BOOST_TEST((open_remote_log(o).why.code == errc::io));
}

BOOST_AUTO_TEST_CASE(a_node_that_goes_away_leaves_the_end_unconfirmed) {
  node.append(0, 1, R"("record":{})");
  auto log = open();
  node.end();
  BOOST_TEST((log->read(0, 0, 9, 9).why.code == errc::io));
  const auto before = log->end(0).confirmed_ms;
  std::this_thread::sleep_for(std::chrono::milliseconds(100)); // several looks
  BOOST_TEST(log->end(0).confirmed_ms - before < 100);
  BOOST_TEST(log->end(0).offset == 1);
  BOOST_TEST(log->health().ok());
}

BOOST_AUTO_TEST_CASE(an_answer_that_is_cut_off_is_no_records) {
  node.append(0, 1, R"("record":{})");
  auto log = open();
  node.cut = true;
  BOOST_TEST((log->read(0, 0, 9, 9).why.code == errc::corrupt));
}

BOOST_AUTO_TEST_SUITE_END()
