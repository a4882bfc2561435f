// The disk is full, or its fsync fails, while a client sends: no acknowledgement that does not hold, an answer within a second,
// no crash, and service again within ten seconds of the cause being gone.
#include "tests/integration/node_on_env.hpp"
#include "tests/support/scratch_dir.hpp"

using namespace adtrack;
using namespace adtrack::test;

namespace {

// Refusals by ticket, as the ledger only keeps what was acknowledged.
class watching_ledger final : public completion_sink {
public:
  void complete(std::vector<completion> completions) override {
    kept.complete(completions);
    std::lock_guard lock(mutex_); // after `kept` knows: answered() asks both under it
    for (const auto& c : completions)
      if (auto* f = std::get_if<failed>(&c.what)) refused_[c.to.serial] = f->why;
    changed_.notify_all();
  }
  // Whether the ticket completed, either way, within the time.
  bool answered(uint64_t serial, std::chrono::milliseconds within) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, within, [&] { return refused_.contains(serial) || kept.acked(serial); });
  }
  void forget(uint64_t serial) {
    std::lock_guard lock(mutex_);
    refused_.erase(serial);
  }
  bool refused(uint64_t serial) {
    std::lock_guard lock(mutex_);
    return refused_.contains(serial);
  }
  ledger kept;

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<uint64_t, failure> refused_;
};

void submit(life& node, uint64_t serial) { BOOST_REQUIRE(node.running->door().submit({event_of(serial)})); }

void check_fault(const std::function<void(faulty_env&, bool)>& fault) {
  config::set_log_level(config::log_level::error);
  scratch_dir dir, stash;
  faulty_env env(stash.path());
  watching_ledger sink;
  uint64_t sent = 0;
  {
    life node(env, dir.path(), sink.kept);
    node.running->door().bind(&sink);
    BOOST_REQUIRE(node.wait_ready(env));
    for (int i = 0; i < 200; ++i) submit(node, ++sent);
    for (uint64_t serial = 1; serial <= sent; ++serial) BOOST_REQUIRE(sink.answered(serial, 10s));
    BOOST_TEST(sink.kept.acks() == sent);

    for (int again = 0; again < 2; ++again) { // what came back once comes back every time
      const uint64_t before = sent;
      fault(env, true);
      for (int i = 0; i < 50; ++i) {
        submit(node, ++sent);
        BOOST_TEST(sink.answered(sent, 1s));
        BOOST_TEST(sink.refused(sent));
      }
      BOOST_TEST(sink.kept.acks() == before);

      fault(env, false);
      auto healed = std::chrono::steady_clock::now();
      // What was refused is sent again until it is acknowledged, as a client does.
      for (uint64_t serial = before + 1; serial <= sent;) {
        sink.forget(serial);
        submit(node, serial);
        BOOST_REQUIRE(sink.answered(serial, 1s));
        if (sink.kept.acked(serial)) ++serial;
        BOOST_REQUIRE(std::chrono::steady_clock::now() - healed < 10s);
      }
    }
    check_counts(node, sink.kept, sent, ledger::first_query + 1);
  }
  // And it holds over a restart.
  life node(env, dir.path(), sink.kept);
  BOOST_REQUIRE(node.wait_ready(env));
  check_counts(node, sink.kept, sent, ledger::first_query + 2);
}

} // namespace

BOOST_AUTO_TEST_SUITE(failing_disk)

BOOST_AUTO_TEST_CASE(a_full_disk_refuses_and_resumes) {
  check_fault([](faulty_env& env, bool on) { env.fill_disk(on); });
}

BOOST_AUTO_TEST_CASE(a_failing_fsync_refuses_and_resumes) {
  check_fault([](faulty_env& env, bool on) { env.fail_syncs(on); });
}

BOOST_AUTO_TEST_CASE(failing_writes_refuse_and_resume) {
  check_fault([](faulty_env& env, bool on) { env.fail_writes(on); });
}

BOOST_AUTO_TEST_SUITE_END()
