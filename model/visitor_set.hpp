// A set of visitors: exact (sorted hashes) up to 1,024, then a HyperLogLog sketch with p = 14.
// Canonical: its state depends on the set of visitors added, never on order, grouping or merges, so that replicas agree.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace adtrack {

class visitor_set {
public:
  static constexpr size_t exact_max = 1'024;
  static constexpr int precision = 14;
  static constexpr size_t register_count = size_t{1} << precision;

  // Adds a visitor; returns true when the state changed.
  bool add(uint64_t visitor);
  // Adds them all: sorts the span, moves those that changed the state to its front and returns how many these are.
  size_t add_all(std::span<uint64_t> visitors);
  void merge(const visitor_set& other);
  // While exact; a sketch holds nobody.
  bool has(uint64_t visitor) const noexcept;
  // Afterwards the set is as if `alias` had been added in the visitor's place, which holds of sketches too if it is alias_of()
  // it.
  void replace(uint64_t visitor, uint64_t alias);
  bool empty() const noexcept { return sketch_ == form::exact && exact_.empty(); }
  bool exact() const noexcept { return sketch_ == form::exact; }
  // Number of distinct visitors; an exact integer while exact(), else Ertl's improved estimator over the integer
  // histogram of registers ("New cardinality estimation algorithms for HyperLogLog sketches", 2017, algorithm 6).
  double estimate() const noexcept;
  // 0 while exact, else 1.04 / sqrt(2^14) = 0.008125.
  double standard_error() const noexcept;
  // Commutative hash of the state, kept as the set changes: the sum over members (exact) or over non-zero registers. Of a member
  // it knows the register that it would have, so that an alias_of() it gives the same.
  uint64_t digest() const noexcept { return digest_; }
  size_t memory_bytes() const noexcept;

  // Full form; starts with a byte that names it.
  void encode(std::string& out) const;
  // Consumes one encoded set from the front of `in`; false when it is malformed.
  static bool decode(std::string_view& in, visitor_set& out);

  bool operator==(const visitor_set& other) const;

private:
  enum class form : uint8_t { exact, sparse, dense };
  void to_sketch();
  bool raise(uint32_t index, uint8_t rank);
  void raise_all(const std::vector<uint8_t>& ranks); // both dense
  void to_dense();

  form sketch_ = form::exact;
  std::vector<uint64_t> exact_;  // sorted
  std::vector<uint32_t> sparse_; // sorted (index << 8 | rank), one an index
  std::vector<uint8_t> dense_;   // register_count ranks
  uint64_t digest_ = 0;
};

// Where a sketch has the visitor: the register's index and the rank.
uint32_t sketch_register_of(uint64_t visitor) noexcept;

// Another visitor that a sketch cannot tell from this one, chosen by 64 random bits: the two share a register and its rank, and
// nothing else. Never 0.
uint64_t alias_of(uint64_t visitor, uint64_t random) noexcept;

} // namespace adtrack
