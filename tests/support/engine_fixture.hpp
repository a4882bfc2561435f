// A shard engine over either store, and streams to feed it with.
#pragma once

#include <functional>
#include <memory>
#include <random>

#include <boost/test/unit_test.hpp>

#include "storage/rocksdb_shard_store.hpp"
#include "storage/shard_engine.hpp"
#include "tests/support/scratch_dir.hpp"
#include "tests/support/shard_oracle.hpp"

namespace adtrack::test {

using storage::shard_engine;
using storage::shard_options;
using storage::shard_store;

using store_maker = std::function<std::unique_ptr<shard_store>()>;

inline std::unique_ptr<shard_engine> open(std::unique_ptr<shard_store> store, shard_options o) {
  auto e = shard_engine::open(std::move(store), o);
  BOOST_REQUIRE_MESSAGE(e.ok(), e.why.message);
  return std::move(*e);
}

inline void require(const storage::status& s) { BOOST_REQUIRE_MESSAGE(s.ok(), s.message); }

struct rocks {
  scratch_dir dir;
  std::shared_ptr<storage::shard_store_budget> budget = std::make_shared<storage::shard_store_budget>(8 << 20, 16 << 20);
  std::unique_ptr<shard_store> open() {
    auto s = storage::open_rocksdb_shard_store({dir.path(), budget, nullptr});
    BOOST_REQUIRE_MESSAGE(s.ok(), s.why.message);
    return std::move(*s);
  }
};

// Feeds a whole stream in random batches.
inline void feed(shard_engine& e, const random_stream& s, size_t batch_max, uint64_t seed, shard_oracle* oracle = nullptr) {
  std::mt19937_64 rng(seed);
  size_t at = 0;
  while (at < s.records.size() && s.records[at].offset < e.next_offset()) ++at;
  while (at < s.records.size()) {
    auto to = std::min(s.records.size(), at + 1 + rng() % batch_max);
    require(e.apply(cut(s, at, to, e.next_offset())));
    if (oracle)
      for (size_t i = at; i < to; ++i) oracle->apply(s.records[i], s.controls, s.names);
    at = to;
  }
}

} // namespace adtrack::test
