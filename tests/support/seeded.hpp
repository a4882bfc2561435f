// A random number generator for property tests: prints its seed, and takes one from ADTRACK_TEST_SEED to run a failure again.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <random>

#include <boost/test/unit_test.hpp>

namespace adtrack::test {

inline std::mt19937_64 seeded() {
  const char* given = std::getenv("ADTRACK_TEST_SEED");
  const uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  BOOST_TEST_MESSAGE("ADTRACK_TEST_SEED=" << seed);
  return std::mt19937_64(seed);
}

} // namespace adtrack::test
