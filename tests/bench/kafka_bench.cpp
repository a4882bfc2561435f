// A load in batches on Kafka: librdkafka's own producer with the records, against the whole node with the events of the same
// records: masked, hashed, encoded, appended, acknowledged, read back, deduplicated and counted.
//   bench_kafka --brokers HOST:PORT --dir PATH [--events N] [--batch N] [--rounds N]
// The node gets submissions as http would hand them on; there is no HTTP in this figure. One line a measurement, alternating.
#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "actors/enrich.hpp"
#include "actors/node.hpp"
#include "config/telemetry.hpp"
#include "model/partitioner.hpp"
#include "storage/background.hpp"
#include "storage/catalogue.hpp"
#include "storage/kafka_log.hpp"
#include "storage/memory_stream.hpp"
#include "storage/record_codec.hpp"
#include "storage/rocksdb_shard_store.hpp"
#include "tests/bench/stopwatch.hpp"

using namespace adtrack;
using bench::figures;
using bench::stopwatch;

namespace {

constexpr uint32_t shards = 16;
constexpr uint64_t ads = 1'000;
constexpr size_t mib = 1u << 20;

[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "bench_kafka: %s\n", why.c_str());
  std::exit(1);
}

int64_t now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

submission make(uint64_t n, const std::string& run) {
  submission s;
  s.type = n & 1 ? event_type::click : event_type::impression;
  s.ad_id = 1 + n % ads;
  s.event_id = run + "-" + std::to_string(n);
  s.address = parse_ip_address("2001:db8::" + std::to_string(n % 9'999));
  s.address_given = s.agent_given = true;
  s.agent = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";
  s.time_s = now_ms() / 1'000;
  s.play_time_secs = 30;
  s.watched_percent = 80;
  return s;
}

void print(const char* what, const figures& f, uint64_t events) {
  const auto n = static_cast<double>(events);
  std::printf("%-52s%10.0f events/s, %6.2f us CPU an event\n", what, n / f.wall_s, f.process_cpu_s / n * 1e6);
  std::fflush(stdout);
}

void make_topic(const std::string& brokers, const std::string& name) {
  char text[512];
  auto* conf = rd_kafka_conf_new();
  if (rd_kafka_conf_set(conf, "bootstrap.servers", brokers.c_str(), text, sizeof text) != RD_KAFKA_CONF_OK) give_up(text);
  auto* client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
  auto* topic = rd_kafka_NewTopic_new(name.c_str(), shards, 1, text, sizeof text);
  auto* queue = rd_kafka_queue_new(client);
  rd_kafka_CreateTopics(client, &topic, 1, nullptr, queue);
  auto* said = rd_kafka_queue_poll(queue, 30'000);
  if (said == nullptr || rd_kafka_event_error(said)) give_up("the topic " + name + " cannot be made");
  rd_kafka_event_destroy(said);
  rd_kafka_queue_destroy(queue);
  rd_kafka_NewTopic_destroy(topic);
  rd_kafka_destroy(client);
}

// What the node would write for these events, by partition.
std::vector<storage::log_record> records_of(uint64_t events, const std::string& run, const visitor_key& key) {
  std::vector<storage::log_record> out;
  out.reserve(events);
  actors::enrich_rules rules;
  rules.key = key;
  for (uint64_t n = 0; n < events; ++n) {
    const auto e = actors::enrich_event(rules, make(n, run));
    out.push_back({shard_of(e.ad_id, shards), storage::encode(e)});
  }
  return out;
}

// librdkafka as its manual says for throughput with the same promise; polled by the thread that produces, as its examples do.
double raw(const std::string& brokers, const std::string& topic, const std::vector<storage::log_record>& records) {
  char text[512];
  auto* conf = rd_kafka_conf_new();
  for (auto [name, value] :
       std::initializer_list<std::pair<const char*, const char*>>{{"bootstrap.servers", brokers.c_str()},
                                                                  {"enable.idempotence", "true"},
                                                                  {"acks", "all"},
                                                                  {"compression.codec", "lz4"},
                                                                  {"linger.ms", "5"},
                                                                  {"queue.buffering.max.messages", "1000000"},
                                                                  {"batch.size", "1000000"}})
    if (rd_kafka_conf_set(conf, name, value, text, sizeof text) != RD_KAFKA_CONF_OK) give_up(text);
  static std::atomic<uint64_t> delivered, failed;
  delivered = failed = 0;
  rd_kafka_conf_set_dr_msg_cb(conf, [](rd_kafka_t*, const rd_kafka_message_t* m, void*) { ++(m->err ? failed : delivered); });
  auto* producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
  if (producer == nullptr) give_up(text);
  auto* to = rd_kafka_topic_new(producer, topic.c_str(), nullptr);
  figures f;
  {
    stopwatch watch(f);
    for (const auto& r : records) {
      while (rd_kafka_produce(to, static_cast<int32_t>(r.partition), RD_KAFKA_MSG_F_COPY, const_cast<char*>(r.value.data()),
                              r.value.size(), nullptr, 0, nullptr) != 0)
        rd_kafka_poll(producer, 10);
      rd_kafka_poll(producer, 0);
    }
    rd_kafka_flush(producer, 60'000);
  }
  if (delivered != records.size() || failed != 0) give_up("the raw producer lost records");
  rd_kafka_topic_destroy(to);
  rd_kafka_destroy(producer);
  print("librdkafka's own producer, the same records", f, records.size());
  return static_cast<double>(records.size()) / f.wall_s;
}

class counting_sink final : public actors::completion_sink {
public:
  void complete(std::vector<actors::completion> completions) override {
    std::lock_guard lock(mutex_);
    for (auto& c : completions) {
      if (auto* a = std::get_if<actors::analytics_result>(&c.what)) answer_ = *a;
      if (std::holds_alternative<actors::ingested>(c.what)) ++acked_;
      if (auto* why = std::get_if<actors::failed>(&c.what)) failure_ = why->detail.empty() ? "failed" : why->detail;
    }
    changed_.notify_all();
  }
  template <class Condition>
  void wait(Condition done) {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, std::chrono::seconds(120), [&] { return !failure_.empty() || done(); }))
      give_up("the node does not answer");
    if (!failure_.empty()) give_up("the node refused: " + failure_);
  }
  uint64_t acked() const { return acked_; } // inside wait()
  actors::analytics_result& answer() { return answer_; }

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  uint64_t acked_ = 0;
  actors::analytics_result answer_;
  std::string failure_;
};

// The node as adtrackd sets it up by default, on Kafka; without spool, inbox and quarantine, which these events do not meet.
class service {
public:
  service(const std::string& brokers, const std::string& prefix, const std::string& dir) {
    storage::kafka_options o;
    o.brokers = brokers;
    o.topic_prefix = prefix;
    o.partitions = shards;
    o.allow_unsafe = true;
    auto opened = storage::open_kafka_log(o);
    if (!opened.ok()) give_up(opened.why.message);
    log_ = std::move(*opened);
    actors::node_parts parts;
    parts.log = log_;
    parts.open_engine = [this, dir](uint32_t shard) -> storage::result<std::unique_ptr<storage::shard_engine>> {
      auto store = storage::open_rocksdb_shard_store({dir + "/" + std::to_string(shard), budget_, nullptr});
      if (!store.ok()) return store.why;
      storage::shard_options s;
      s.shard = shard;
      s.cache_bytes = 512 * mib / shards;
      s.dedupe_bytes = 512 * mib / shards;
      s.worker = worker_;
      return storage::shard_engine::open(std::move(*store), s);
    };
    parts.open_catalogue = []() -> storage::result<std::unique_ptr<storage::ads_catalogue>> {
      return std::make_unique<storage::ads_catalogue>(storage::make_memory_stream(now_ms), storage::random_token, now_ms);
    };
    parts.metrics = &metrics_;
    parts.key = key;
    parts.wanted.visitor_key_id = key.id();
    parts.now_ms = now_ms;
    std::string error;
    node_ = actors::node::start({}, std::move(parts), error);
    if (!node_) give_up(error);
    node_->door().bind(&sink_);
    while (!node_->door().ready().ready) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  ~service() { node_->stop(std::chrono::steady_clock::now() + std::chrono::seconds(20)); }
  service(const service&) = delete;
  service& operator=(const service&) = delete;

  double load(const std::string& run, uint64_t events, uint64_t batch) {
    std::vector<std::vector<actors::ingest_item>> batches;
    for (uint64_t at = 0; at < events; at += batch) {
      auto& items = batches.emplace_back();
      for (uint64_t n = at; n < std::min(events, at + batch); ++n) items.push_back({{0, 0, n}, make(n, run)});
    }
    figures acked, counted;
    const auto before = acked_;
    acked_ += events;
    {
      stopwatch all(counted);
      {
        stopwatch watch(acked);
        uint64_t sent = before;
        for (auto& items : batches) {
          sent += items.size();
          sink_.wait([&] { return sent - sink_.acked() < 80'000; }); // below ingest.max_in_flight_events
          if (!node_->door().submit(std::move(items))) give_up("the node is full");
        }
        sink_.wait([&] { return sink_.acked() == acked_; });
      }
      analytics_query q;
      q.limit = 1'000;
      q.timeout_ms = 60'000;
      for (uint32_t s = 0; s < shards; ++s) q.min_positions.push_back({s, log_->end(s).offset - 1});
      sink_.answer().reset();
      node_->door().query({}, q);
      sink_.wait([&] { return sink_.answer() != nullptr; });
    }
    uint64_t found = 0;
    for (const auto& row : sink_.answer()->rows)
      found += row.count.gross(event_type::click) + row.count.gross(event_type::impression);
    if (found != acked_) give_up("counted " + std::to_string(found) + " of " + std::to_string(acked_));
    print("adtrack's node, acknowledged", acked, events);
    print("adtrack's node, counted: shards deduplicated all", counted, events);
    return static_cast<double>(events) / counted.wall_s;
  }

  visitor_key key;

private:
  std::shared_ptr<storage::shard_store_budget> budget_ = std::make_shared<storage::shard_store_budget>(256 * mib, 128 * mib);
  std::shared_ptr<storage::background> worker_ = std::make_shared<storage::background>();
  config::metrics metrics_;
  counting_sink sink_;
  std::shared_ptr<storage::event_log> log_;
  std::unique_ptr<actors::node> node_;
  uint64_t acked_ = 0;
};

} // namespace

int main(int argc, char** argv) {
  std::string brokers, dir;
  uint64_t events = 500'000, batch = 1'000, rounds = 3;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (!std::strcmp(argv[i], "--brokers")) brokers = argv[i + 1];
    if (!std::strcmp(argv[i], "--dir")) dir = argv[i + 1];
    if (!std::strcmp(argv[i], "--events")) events = std::strtoull(argv[i + 1], nullptr, 10);
    if (!std::strcmp(argv[i], "--batch")) batch = std::strtoull(argv[i + 1], nullptr, 10);
    if (!std::strcmp(argv[i], "--rounds")) rounds = std::strtoull(argv[i + 1], nullptr, 10);
  }
  if (brokers.empty() || dir.empty()) give_up("--brokers and --dir are needed");
  const auto prefix = "bench-" + std::to_string(now_ms());
  make_topic(brokers, prefix + ".raw");
  service node(brokers, prefix, dir + "/" + prefix);
  std::vector<double> ratios;
  for (uint64_t round = 0; round < rounds; ++round) {
    const auto run = prefix + "-" + std::to_string(round);
    const auto theirs = raw(brokers, prefix + ".raw", records_of(events, run, node.key));
    ratios.push_back(node.load(run, events, batch) / theirs);
  }
  std::sort(ratios.begin(), ratios.end());
  std::printf("counted by the node / raw producer: %.2f x events/s (%.2f to %.2f over the rounds; aim 0.5 x)\n",
              ratios[ratios.size() / 2], ratios.front(), ratios.back());
}
