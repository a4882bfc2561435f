// What applying costs a shard, in CPU a core: counters and dedupe over RocksDB, against a raw RocksDB WriteBatch of the same
// identities.
//   bench_apply [--events N] [--ads N] [--identities N] [--countries no] [--dir PATH]
// `identities` fills the dedupe window after that and measures again with 0, 5 and 50 % duplicates (one shard holds them all).
// Prints one line a measurement; ratios are within one run.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <rocksdb/db.h>

#include "model/record_batch.hpp"
#include "storage/rocksdb_shard_store.hpp"
#include "storage/shard_engine.hpp"
#include "storage/shard_keys.hpp"
#include "tests/bench/stopwatch.hpp"

using namespace adtrack;
using namespace adtrack::storage;
using bench::figures;
using bench::stopwatch;

namespace {

uint64_t mix(uint64_t x) {
  x ^= x >> 31;
  x *= 0x7fb5d329728ea185ull;
  x ^= x >> 27;
  x *= 0x81dadef4bc2dd44dull;
  return x ^ x >> 33;
}

// What visitors use and where they are, the common ones far more often than the rest.
const std::vector<std::string> names = [] {
  std::vector<std::string> out{"",        "Chrome",  "Chrome Mobile",    "Mobile Safari", "Safari",
                               "Edge",    "Firefox", "Samsung Internet", "Opera",         "Windows",
                               "Android", "iOS",     "Mac OS X",         "Linux"};
  for (char c = 'A'; c <= 'Z'; ++c) out.push_back(std::string{c, 'A'}), out.push_back(std::string{c, 'E'});
  return out;
}();
constexpr uint32_t first_browser = 1, first_os = 9, first_country = 14;

// 0 ... n-1, number k about twice as often as number 2k.
uint32_t skewed(uint64_t h, uint32_t n) {
  auto a = static_cast<uint32_t>(h % n), b = static_cast<uint32_t>((h >> 20) % n);
  return a * b / n;
}

// Event n of an endless stream at `rate` events a second; half are clicks, visitors repeat and so does what they use.
shard_record make(uint64_t n, uint64_t ads, uint64_t rate, bool countries) {
  shard_record r;
  uint64_t h = mix(n + 1);
  r.type = h & 1 ? event_type::click : event_type::impression;
  r.ad_id = 1 + (h >> 8) % ads;
  r.id = {mix(n * 2 + 0x1000000000000ull), mix(n * 2 + 0x2000000000001ull)};
  r.fields_hash = static_cast<uint32_t>(h >> 32);
  r.visitor = mix((h >> 20) % 1'000'000);
  r.log_time_ms = 1'700'000'000'000 + static_cast<int64_t>(n * 1'000 / rate);
  r.time_s = r.log_time_ms / 1'000;
  r.play_time_secs = static_cast<int32_t>(h % 100);
  r.watched_percent = static_cast<int32_t>(h % 101);
  const uint64_t v = mix(r.visitor);
  r.device = static_cast<device_class>(1 + skewed(v, 3));
  r.browser = first_browser + skewed(v >> 3, first_os - first_browser);
  r.os = first_os + skewed(v >> 7, first_country - first_os);
  if (countries) r.country = first_country + skewed(v >> 11, static_cast<uint32_t>(names.size()) - first_country);
  if (h % 50 == 0) r.invalid = invalid_reason::bot;
  return r;
}

void must(const status& s) {
  if (s.ok()) return;
  std::fprintf(stderr, "%s\n", s.message.c_str());
  std::exit(1);
}

struct feeder {
  shard_engine& engine;
  uint64_t ads, rate;
  bool countries;     // a database says where visitors are
  uint64_t fresh = 0; // events made so far
  int64_t offset = 0;
  figures spent = {};

  void run(uint64_t events, double duplicates) {
    constexpr uint64_t batch_records = 2'000;
    for (uint64_t done = 0; done < events; done += batch_records) {
      record_batch b;
      b.first_offset = offset;
      b.names = names;
      for (uint64_t i = 0; i < batch_records; ++i) {
        bool again = fresh > 0 && static_cast<double>(mix(offset + 77) >> 11) * 0x1p-53 < duplicates;
        auto r = again ? make(mix(offset + 99) % fresh, ads, rate, countries) : make(fresh, ads, rate, countries);
        r.log_time_ms = 1'700'000'000'000 + static_cast<int64_t>(fresh * 1'000 / rate);
        if (!again) ++fresh;
        r.offset = offset++;
        b.records.push_back(r);
      }
      b.next_offset = offset;
      stopwatch watch(spent);
      must(engine.apply(b));
    }
  }
};

void print(const char* what, const figures& f, uint64_t events) {
  auto n = static_cast<double>(events);
  std::printf("%-44s %9.0f events/s a core (%.2f us), process CPU %.2f us, wall %9.0f events/s\n", what, n / f.cpu_s,
              f.cpu_s / n * 1e6, f.process_cpu_s / n * 1e6, n / f.wall_s);
  std::fflush(stdout);
}

// The same identities by Put, 2,000 a WriteBatch, no dedupe, no counters: what RocksDB alone costs.
void raw_rocksdb(const std::string& path, uint64_t events) {
  rocksdb::Options o;
  o.create_if_missing = true;
  rocksdb::DB* raw = nullptr;
  if (auto s = rocksdb::DB::Open(o, path, &raw); !s.ok()) {
    std::fprintf(stderr, "%s\n", s.ToString().c_str());
    std::exit(1);
  }
  std::unique_ptr<rocksdb::DB> db(raw);
  figures f;
  for (uint64_t n = 0; n < events;) {
    rocksdb::WriteBatch b;
    for (int i = 0; i < 2'000; ++i, ++n) {
      auto r = make(n, 1'000, 5'000, false);
      char value[21]{};
      b.Put(rocksdb::Slice(reinterpret_cast<const char*>(&r.id), 16), rocksdb::Slice(value, sizeof value));
    }
    stopwatch watch(f);
    if (auto s = db->Write({}, &b); !s.ok()) {
      std::fprintf(stderr, "%s\n", s.ToString().c_str());
      std::exit(1);
    }
  }
  print("raw RocksDB WriteBatch, same keys", f, events);
}

// What one ad's hour takes in the store, as a whole value: its numbers by group beside those of the hour itself.
void print_hours(const shard_store& store) {
  for (auto [what, level] : {std::pair("an ad's hour", bucket_level::hour), std::pair("its groups", bucket_level::hour_groups)}) {
    uint64_t rows = 0, bytes = 0;
    const auto next = static_cast<bucket_level>(static_cast<uint8_t>(level) + 1);
    must(store.scan(keys::bucket({0, level, 0}), keys::bucket({0, next, 0}), [&](std::string_view, std::string_view value) {
      ++rows;
      bytes += value.size();
      return true;
    }));
    if (rows > 0)
      std::printf("%-44s %9.0f bytes, of %llu rows\n", what, static_cast<double>(bytes) / static_cast<double>(rows),
                  static_cast<unsigned long long>(rows));
  }
}

} // namespace

int main(int argc, char** argv) {
  uint64_t events = 3'000'000, ads = 1'000, identities = 0;
  bool countries = true;
  std::string dir = (std::filesystem::temp_directory_path() / "adtrack-bench-apply").string();
  for (int i = 1; i + 1 < argc; i += 2) {
    if (!std::strcmp(argv[i], "--events")) events = std::strtoull(argv[i + 1], nullptr, 10);
    if (!std::strcmp(argv[i], "--ads")) ads = std::strtoull(argv[i + 1], nullptr, 10);
    if (!std::strcmp(argv[i], "--identities")) identities = std::strtoull(argv[i + 1], nullptr, 10);
    if (!std::strcmp(argv[i], "--countries")) countries = std::strcmp(argv[i + 1], "no") != 0;
    if (!std::strcmp(argv[i], "--dir")) dir = argv[i + 1];
  }
  std::filesystem::remove_all(dir);
  std::filesystem::create_directories(dir);
  raw_rocksdb(dir + "/raw", events);
  auto budget = std::make_shared<shard_store_budget>(256u << 20, 128u << 20);
  auto store = open_rocksdb_shard_store({dir + "/shard", budget, nullptr});
  if (!store.ok()) must(store.why);
  // At the fill rate a window of seven days holds all identities asked for.
  uint64_t rate = std::max<uint64_t>(5'000, identities / (6 * 86'400));
  auto engine = shard_engine::open(
      std::move(*store), {.cache_bytes = 256u << 20, .dedupe_bytes = 512u << 20, .worker = std::make_shared<background>()});
  if (!engine.ok()) must(engine.why);
  feeder f{**engine, ads, rate, countries};
  f.run(events, 0);
  print("apply, empty window, 0 % duplicates", f.spent, events);
  if (identities > f.fresh) {
    auto before = f.fresh;
    f.spent = {};
    f.run(identities - f.fresh, 0);
    print(("filling the window to " + std::to_string(identities)).c_str(), f.spent, identities - before);
  }
  std::vector<double> shares; // of duplicates, in a full window: when one was asked for
  if (identities > 0) shares = {0.0, 0.05, 0.5};
  for (double share : shares) {
    f.spent = {};
    f.run(events, share);
    char what[80];
    std::snprintf(what, sizeof what, "apply, %llu M identities, %.0f %% duplicates",
                  static_cast<unsigned long long>(f.fresh / 1'000'000), share * 100);
    print(what, f.spent, events);
  }
  std::printf("held in memory %zu MB\n", (*engine)->memory_bytes() >> 20);
  must((*engine)->commit());
  engine->reset();
  auto left = open_rocksdb_shard_store({dir + "/shard", budget, nullptr});
  if (!left.ok()) must(left.why);
  print_hours(**left);
  left->reset();
  std::filesystem::remove_all(dir);
}
