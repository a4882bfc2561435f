// What is asked and said of the erasure of a visitor.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/analytics.hpp"
#include "model/ip_address.hpp"

namespace adtrack {

// By the hash that the log has, or, where that is 0, by what it is made of.
struct visitor_question {
  uint64_t visitor = 0;
  ip_address address;
  std::string agent;
};

// It is a record in every partition. Answers at these positions hold it; the log and the stores are cleared after that.
struct visitor_erased {
  std::vector<position> positions; // by shard
  bool log_keeps = false;          // the log is one that nobody can rewrite: its records go when it drops them
};

} // namespace adtrack
