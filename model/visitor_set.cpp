#include "model/visitor_set.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <functional>

#include "model/mix.hpp"
#include "model/varint.hpp"

namespace adtrack {
namespace {

constexpr int value_bits = 64 - visitor_set::precision; // of the hash, after the register's index
constexpr uint8_t rank_max = value_bits + 1;
constexpr int rank_bits = 6;
// Invariant: a sketch is sparse exactly while at most this many registers are non-zero (three quarters of a dense one's bytes).
constexpr size_t sparse_max = visitor_set::register_count * 3 / 4 / sizeof(uint32_t);
constexpr size_t dense_bytes = visitor_set::register_count * rank_bits / 8;

struct reg {
  uint32_t index;
  uint8_t rank;
};

constexpr uint32_t pack(reg r) noexcept { return r.index << 8 | r.rank; }
constexpr uint32_t index_of(uint32_t packed) noexcept { return packed >> 8; }
constexpr uint8_t rank_of(uint32_t packed) noexcept { return static_cast<uint8_t>(packed); }

constexpr uint64_t visitor_salt = 0x9e3779b97f4a7c15u;

// Visitors are keyed hashes already; mixing again keeps the sketch sound for any other input.
constexpr reg register_of(uint64_t visitor) noexcept {
  const uint64_t hash = mix64(visitor ^ visitor_salt);
  const uint64_t rest = hash << visitor_set::precision | uint64_t{1} << (visitor_set::precision - 1);
  return {static_cast<uint32_t>(hash >> value_bits), static_cast<uint8_t>(std::countl_zero(rest) + 1)};
}

// Terms of the digest. The constants keep 0 from hashing to 0, and members apart from registers.
constexpr uint64_t member_digest(uint64_t visitor) noexcept { return mix64(pack(register_of(visitor)) + 0xd1b54a32d192ed03u); }
constexpr uint64_t register_digest(uint32_t index, uint8_t rank) noexcept {
  return rank == 0 ? 0 : mix64(pack({index, rank}) + 0xaef17502108ef2d9u);
}

// Ertl's sigma and tau (2017, section 4.2): + - * / and sqrt only, so every IEEE 754 machine gets the same bits.
double sigma(double x) noexcept {
  double y = 1;
  double z = x;
  for (double before = -1; z != before;) {
    x *= x;
    before = z;
    z += x * y;
    y += y;
  }
  return z;
}

double tau(double x) noexcept {
  if (x == 0 || x == 1) return 0;
  double y = 1;
  double z = 1 - x;
  for (double before = -1; z != before;) {
    x = std::sqrt(x);
    before = z;
    y *= 0.5;
    z -= (1 - x) * (1 - x) * y;
  }
  return z / 3;
}

using histogram = std::array<uint32_t, rank_max + 1>; // registers by rank

double estimate_of(const histogram& count) noexcept {
  constexpr double m = visitor_set::register_count;
  constexpr double alpha = 0.72134752044448170368; // 1 / (2 ln 2)
  double z = m * tau(1 - count[rank_max] / m);
  for (int k = value_bits; k >= 1; --k) z = 0.5 * (z + count[static_cast<size_t>(k)]);
  z += m * sigma(count[0] / m);
  return alpha * m * m / z;
}

constexpr char form_exact = 'e', form_sparse = 's', form_dense = 'd';

// Where `value` stands or would stand in a sorted run, looking first at `guess` and from there in doubling steps. Hashes are
// spread evenly, so a guess by proportion is near: one or two cache lines, where halving the whole run touches ten.
template <class T>
size_t place_near(const std::vector<T>& sorted, T value, size_t guess) noexcept {
  size_t low = 0, high = sorted.size(); // Invariant: what stands below low is less, what stands from high on is not
  if (high == 0) return 0;
  if (sorted[guess] < value) {
    size_t at = low = guess + 1;
    for (size_t step = 1; at < high && sorted[at] < value; at += step, step *= 2) low = at + 1;
    high = std::min(high, at);
  } else {
    high = guess;
    for (size_t step = 1; high > 0; step *= 2) {
      const size_t at = high - std::min(high, step);
      if (sorted[at] < value) {
        low = at + 1;
        break;
      }
      high = at;
    }
  }
  return static_cast<size_t>(std::lower_bound(sorted.begin() + static_cast<std::ptrdiff_t>(low),
                                              sorted.begin() + static_cast<std::ptrdiff_t>(high), value) -
                             sorted.begin());
}

size_t place_of(const std::vector<uint64_t>& members, uint64_t visitor) noexcept {
  return place_near(members, visitor, static_cast<size_t>((static_cast<unsigned __int128>(visitor) * members.size()) >> 64));
}

size_t place_of(const std::vector<uint32_t>& registers, uint32_t index) noexcept {
  return place_near(registers, index << 8, static_cast<size_t>(uint64_t{index} * registers.size() >> visitor_set::precision));
}

bool decode_exact(std::string_view& in, std::vector<uint64_t>& out) {
  uint64_t count = 0;
  if (!get_varint(in, count) || count > visitor_set::exact_max || in.size() / 8 < count) return false;
  out.resize(count);
  for (size_t i = 0; i < count; ++i) {
    if (!get_fixed64(in, out[i]) || (i > 0 && out[i] <= out[i - 1])) return false;
  }
  return true;
}

bool decode_sparse(std::string_view& in, std::vector<uint32_t>& out) {
  uint64_t count = 0;
  if (!get_varint(in, count) || count == 0 || count > sparse_max || in.size() < count) return false;
  out.reserve(count);
  uint64_t next = 0; // the lowest index that may come
  for (uint64_t i = 0; i < count; ++i) {
    uint64_t packed = 0;
    if (!get_varint(in, packed)) return false;
    const uint64_t gap = packed >> rank_bits;
    const auto rank = static_cast<uint8_t>(packed & ((1u << rank_bits) - 1));
    if (gap >= visitor_set::register_count - next || rank == 0 || rank > rank_max) return false;
    out.push_back(pack({static_cast<uint32_t>(next + gap), rank}));
    next += gap + 1;
  }
  return true;
}

bool decode_dense(std::string_view& in, std::vector<uint8_t>& out) {
  if (in.size() < dense_bytes) return false;
  out.resize(visitor_set::register_count);
  size_t used = 0;
  for (size_t group = 0; group < visitor_set::register_count / 4; ++group) {
    const auto* from = reinterpret_cast<const uint8_t*>(in.data()) + group * 3;
    const uint32_t bits = from[0] | from[1] << 8 | from[2] << 16;
    for (size_t i = 0; i < 4; ++i) {
      const auto rank = static_cast<uint8_t>(bits >> (rank_bits * i) & 63);
      if (rank > rank_max) return false;
      used += rank != 0;
      out[group * 4 + i] = rank;
    }
  }
  if (used <= sparse_max) return false;
  in.remove_prefix(dense_bytes);
  return true;
}

} // namespace

bool visitor_set::add(uint64_t visitor) {
  if (sketch_ != form::exact) {
    const reg r = register_of(visitor);
    return raise(r.index, r.rank);
  }
  const size_t at = place_of(exact_, visitor);
  if (at < exact_.size() && exact_[at] == visitor) return false;
  exact_.insert(exact_.begin() + static_cast<std::ptrdiff_t>(at), visitor);
  digest_ += member_digest(visitor);
  if (exact_.size() > exact_max) to_sketch();
  return true;
}

size_t visitor_set::add_all(std::span<uint64_t> visitors) {
  std::sort(visitors.begin(), visitors.end());
  visitors = visitors.first(static_cast<size_t>(std::unique(visitors.begin(), visitors.end()) - visitors.begin()));
  size_t changed = 0;
  if (sketch_ != form::exact) {
    for (const uint64_t visitor : visitors)
      if (add(visitor)) visitors[changed++] = visitor;
    return changed;
  }
  for (const uint64_t visitor : visitors) {
    const size_t at = place_of(exact_, visitor);
    if (at == exact_.size() || exact_[at] != visitor) visitors[changed++] = visitor;
  }
  // One pass from the back instead of a shift a member.
  size_t from = exact_.size(), more = changed;
  exact_.resize(from + more);
  for (size_t to = exact_.size(); more > 0;)
    exact_[--to] = from > 0 && exact_[from - 1] > visitors[more - 1] ? exact_[--from] : visitors[--more];
  for (const uint64_t visitor : visitors.first(changed)) digest_ += member_digest(visitor);
  if (exact_.size() > exact_max) to_sketch();
  return changed;
}

bool visitor_set::has(uint64_t visitor) const noexcept {
  const size_t at = place_of(exact_, visitor);
  return at < exact_.size() && exact_[at] == visitor;
}

void visitor_set::replace(uint64_t visitor, uint64_t alias) {
  if (!has(visitor)) return;
  exact_.erase(exact_.begin() + static_cast<std::ptrdiff_t>(place_of(exact_, visitor)));
  digest_ -= member_digest(visitor);
  add(alias);
}

uint32_t sketch_register_of(uint64_t visitor) noexcept { return pack(register_of(visitor)); }

uint64_t alias_of(uint64_t visitor, uint64_t random) noexcept {
  const auto [index, rank] = register_of(visitor);
  const int free = std::max(0, value_bits - rank); // bits below the one that makes the rank
  const uint64_t low = free == 0 ? 0 : random >> (64 - free);
  const uint64_t one = rank > value_bits ? 0 : uint64_t{1} << free;
  const uint64_t alias = unmix64(uint64_t{index} << value_bits | one | low) ^ visitor_salt;
  return alias != 0 ? alias : alias_of(visitor, mix64(random + 1));
}

void visitor_set::merge(const visitor_set& other) {
  if (&other == this || other.empty()) return;
  if (empty()) {
    *this = other;
    return;
  }
  switch (other.sketch_) {
  case form::exact:
    for (const uint64_t visitor : other.exact_) add(visitor);
    break;
  case form::sparse:
    if (sketch_ == form::exact) to_sketch();
    for (const uint32_t packed : other.sparse_) raise(index_of(packed), rank_of(packed));
    break;
  case form::dense:
    if (sketch_ == form::exact) to_sketch();
    if (sketch_ == form::sparse) to_dense();
    raise_all(other.dense_);
    break;
  }
}

// Of two alike sketches few registers differ: blocks without a higher rank are passed over at the speed of vector compares.
void visitor_set::raise_all(const std::vector<uint8_t>& ranks) {
  constexpr uint32_t block = 32;
  for (uint32_t start = 0; start < register_count; start += block) {
    uint8_t higher = 0;
    for (uint32_t i = start; i < start + block; ++i) higher |= static_cast<uint8_t>(ranks[i] > dense_[i]);
    if (higher == 0) continue;
    for (uint32_t i = start; i < start + block; ++i) raise(i, ranks[i]);
  }
}

// The members become registers. Called with the 1,025th member, or before a merge with a sketch: then the union is past 1,024
// too.
void visitor_set::to_sketch() {
  sparse_.reserve(exact_.size());
  for (const uint64_t visitor : exact_) sparse_.push_back(pack(register_of(visitor)));
  // The highest rank of an index sorts last; keep that one.
  std::sort(sparse_.begin(), sparse_.end(), std::greater<>());
  sparse_.erase(std::unique(sparse_.begin(), sparse_.end(), [](uint32_t a, uint32_t b) { return index_of(a) == index_of(b); }),
                sparse_.end());
  std::reverse(sparse_.begin(), sparse_.end());
  digest_ = 0;
  for (const uint32_t packed : sparse_) digest_ += register_digest(index_of(packed), rank_of(packed));
  std::vector<uint64_t>().swap(exact_);
  sketch_ = form::sparse;
}

bool visitor_set::raise(uint32_t index, uint8_t rank) {
  uint8_t before = 0;
  if (sketch_ == form::dense) {
    before = dense_[index];
    if (rank <= before) return false;
    dense_[index] = rank;
  } else {
    if (rank == 0) return false;
    const auto at = sparse_.begin() + static_cast<std::ptrdiff_t>(place_of(sparse_, index));
    if (at != sparse_.end() && index_of(*at) == index) {
      before = rank_of(*at);
      if (rank <= before) return false;
      *at = pack({index, rank});
    } else {
      sparse_.insert(at, pack({index, rank}));
      if (sparse_.size() > sparse_max) to_dense();
    }
  }
  digest_ += register_digest(index, rank) - register_digest(index, before);
  return true;
}

void visitor_set::to_dense() {
  dense_.assign(register_count, 0);
  for (const uint32_t packed : sparse_) dense_[index_of(packed)] = rank_of(packed);
  std::vector<uint32_t>().swap(sparse_);
  sketch_ = form::dense;
}

double visitor_set::estimate() const noexcept {
  histogram count{};
  switch (sketch_) {
  case form::exact: return static_cast<double>(exact_.size());
  case form::sparse:
    for (const uint32_t packed : sparse_) ++count[rank_of(packed)];
    count[0] = static_cast<uint32_t>(register_count - sparse_.size());
    break;
  case form::dense:
    for (const uint8_t rank : dense_) ++count[rank];
    break;
  }
  return estimate_of(count);
}

double visitor_set::standard_error() const noexcept { return exact() ? 0 : 1.04 / 128; /* sqrt(2^14) */ }

size_t visitor_set::memory_bytes() const noexcept {
  return sizeof *this + exact_.capacity() * sizeof exact_[0] + sparse_.capacity() * sizeof sparse_[0] + dense_.capacity();
}

void visitor_set::encode(std::string& out) const {
  switch (sketch_) {
  case form::exact:
    out.push_back(form_exact);
    put_varint(out, exact_.size());
    if constexpr (std::endian::native == std::endian::little)
      out.append(reinterpret_cast<const char*>(exact_.data()), exact_.size() * sizeof exact_[0]);
    else
      for (const uint64_t visitor : exact_) put_fixed64(out, visitor);
    break;
  case form::sparse: {
    out.push_back(form_sparse);
    put_varint(out, sparse_.size());
    uint32_t next = 0;
    for (const uint32_t packed : sparse_) {
      put_varint(out, (index_of(packed) - next) << rank_bits | rank_of(packed));
      next = index_of(packed) + 1;
    }
    break;
  }
  case form::dense: {
    out.push_back(form_dense);
    const size_t start = out.size();
    out.resize(start + dense_bytes);
    char* to = out.data() + start;
    for (size_t i = 0; i < register_count; i += 4, to += 3) {
      const auto bits = static_cast<uint32_t>(dense_[i] | dense_[i + 1] << 6 | dense_[i + 2] << 12 | dense_[i + 3] << 18);
      to[0] = static_cast<char>(bits);
      to[1] = static_cast<char>(bits >> 8);
      to[2] = static_cast<char>(bits >> 16);
    }
    break;
  }
  }
}

bool visitor_set::decode(std::string_view& in, visitor_set& out) {
  if (in.empty()) return false;
  std::string_view rest = in.substr(1);
  visitor_set s;
  switch (in[0]) {
  case form_exact:
    if (!decode_exact(rest, s.exact_)) return false;
    for (const uint64_t visitor : s.exact_) s.digest_ += member_digest(visitor);
    break;
  case form_sparse:
    s.sketch_ = form::sparse;
    if (!decode_sparse(rest, s.sparse_)) return false;
    for (const uint32_t packed : s.sparse_) s.digest_ += register_digest(index_of(packed), rank_of(packed));
    break;
  case form_dense:
    s.sketch_ = form::dense;
    if (!decode_dense(rest, s.dense_)) return false;
    for (uint32_t i = 0; i < register_count; ++i) s.digest_ += register_digest(i, s.dense_[i]);
    break;
  default: return false;
  }
  out = std::move(s);
  in = rest;
  return true;
}

bool visitor_set::operator==(const visitor_set& other) const {
  return sketch_ == other.sketch_ && exact_ == other.exact_ && sparse_ == other.sparse_ && dense_ == other.dense_;
}

} // namespace adtrack
