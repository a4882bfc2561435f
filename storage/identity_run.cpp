#include "storage/identity_run.hpp"

#include <algorithm>
#include <cstring>

#include "storage/shard_keys.hpp"

namespace adtrack::storage {

namespace {

constexpr size_t batch_bytes = 4 << 20;
constexpr size_t block_words = 8; // 512 bits, one cache line
constexpr uint64_t bits_a_key = 16;

uint64_t multiply_high(uint64_t a, uint64_t b) noexcept {
  return static_cast<uint64_t>((static_cast<unsigned __int128>(a) * b) >> 64);
}

} // namespace

void pack(const identity_row& row, std::string& out) {
  char bytes[identity_row_bytes];
  char* at = store_big_endian<8>(bytes, row.id.high);
  at = store_big_endian<8>(at, row.id.low);
  at = store_big_endian<8>(at, static_cast<uint64_t>(row.offset));
  at = store_big_endian<4>(at, row.time_s);
  at = store_big_endian<4>(at, row.fields_hash);
  at = store_big_endian<4>(at, row.segment);
  *at = static_cast<char>(row.fate);
  out.append(bytes, sizeof bytes);
}

identity_row unpack(const char* at) noexcept {
  std::string_view in(at, identity_row_bytes);
  identity_row row;
  row.id.high = read_big_endian<8>(in);
  row.id.low = read_big_endian<8>(in.substr(8));
  row.offset = static_cast<int64_t>(read_big_endian<8>(in.substr(16)));
  row.time_s = static_cast<uint32_t>(read_big_endian<4>(in.substr(24)));
  row.fields_hash = static_cast<uint32_t>(read_big_endian<4>(in.substr(28)));
  row.segment = static_cast<uint32_t>(read_big_endian<4>(in.substr(32)));
  row.fate = static_cast<uint8_t>(in[36]);
  return row;
}

identity_filter::identity_filter(uint64_t keys) : words_(std::max<uint64_t>(1, (keys * bits_a_key + 511) / 512) * block_words) {}

size_t identity_filter::block(const identity& id) const noexcept {
  return multiply_high(id.low, words_.size() / block_words) * block_words;
}

void identity_filter::add(const identity& id) noexcept {
  auto* w = &words_[block(id)];
  for (uint64_t h = id.high, i = 0; i < 7; ++i, h >>= 9) w[(h >> 6) & 7] |= uint64_t{1} << (h & 63);
}

bool identity_filter::may_hold(const identity& id) const noexcept {
  if (words_.empty()) return true;
  const auto* w = &words_[block(id)];
  for (uint64_t h = id.high, i = 0; i < 7; ++i, h >>= 9)
    if (!(w[(h >> 6) & 7] & uint64_t{1} << (h & 63))) return false;
  return true;
}

std::string identity_filter::part(size_t n) const {
  size_t from = n * part_bytes, all = memory_bytes();
  if (from >= all) return {};
  return {reinterpret_cast<const char*>(words_.data()) + from, std::min(part_bytes, all - from)};
}

void identity_filter::append_part(std::string_view bytes) {
  size_t at = words_.size();
  words_.resize(at + bytes.size() / sizeof(uint64_t));
  std::memcpy(&words_[at], bytes.data(), bytes.size() / sizeof(uint64_t) * sizeof(uint64_t));
}

result<identity_row> identity_run::find(const store_reader& store, const identity& wanted) const {
  std::string key;
  put_big_endian<8>(key, wanted.high);
  put_big_endian<8>(key, wanted.low);
  auto after = static_cast<size_t>(std::upper_bound(index.begin(), index.end(), wanted.high) - index.begin());
  // Chunks whose first identity has the same high word may follow one that ends with it: look back through them.
  for (size_t c = after; c-- > 0;) {
    auto chunk = store.get(keys::chunk(id, static_cast<uint32_t>(c)));
    if (!chunk.ok())
      return chunk.why.code == errc::not_found ? status{errc::corrupt, "a chunk of identities is missing"} : chunk.why;
    const std::string& packed = *chunk;
    size_t lo = 0, n = packed.size() / identity_row_bytes, hi = n;
    while (lo < hi) {
      size_t mid = (lo + hi) / 2;
      if (std::memcmp(packed.data() + mid * identity_row_bytes, key.data(), 16) < 0)
        lo = mid + 1;
      else
        hi = mid;
    }
    if (lo < n && std::memcmp(packed.data() + lo * identity_row_bytes, key.data(), 16) == 0)
      return unpack(packed.data() + lo * identity_row_bytes);
    if (index[c] != wanted.high) break;
  }
  return status{errc::not_found, {}};
}

run_writer::run_writer(shard_store& store, uint64_t id, uint64_t rows_expected)
    : store_(store), run_(std::make_shared<identity_run>()), batch_(store.new_batch()) {
  run_->id = id;
  run_->filter = identity_filter(rows_expected);
  run_->segment_min = ~uint32_t{0};
}

status run_writer::add(const identity_row& row) {
  if (chunk_.empty()) run_->index.push_back(row.id.high);
  pack(row, chunk_);
  run_->filter.add(row.id);
  run_->segment_min = std::min(run_->segment_min, row.segment);
  run_->segment_max = std::max(run_->segment_max, row.segment);
  ++run_->rows;
  return chunk_.size() == identity_run::chunk_rows * identity_row_bytes ? flush_chunk() : status::success();
}

status run_writer::flush_chunk() {
  batch_->put(keys::chunk(run_->id, chunks_++), chunk_);
  chunk_.clear();
  return batch_->bytes() >= batch_bytes ? flush_batch() : status::success();
}

status run_writer::flush_batch() {
  auto why = store_.write(*batch_);
  batch_ = store_.new_batch();
  return why;
}

result<std::shared_ptr<identity_run>> run_writer::finish() {
  if (!chunk_.empty())
    if (auto why = flush_chunk(); !why.ok()) return why;
  for (size_t n = 0;; ++n) {
    auto bytes = run_->filter.part(n);
    if (bytes.empty()) break;
    batch_->put(keys::filter(run_->id, run_->filter_parts++), bytes);
    if (batch_->bytes() >= batch_bytes)
      if (auto why = flush_batch(); !why.ok()) return why;
  }
  if (auto why = flush_batch(); !why.ok()) return why;
  return run_;
}

namespace {

// Walks one run's rows in order, a bounded piece of chunks at a time.
class run_cursor {
public:
  run_cursor(const store_reader& store, const identity_run& run) : store_(store), run_(run) {}
  status advance() { // to the next row; at_end() after the last
    at_ += identity_row_bytes;
    if (at_ >= rows_.size()) {
      rows_.clear();
      at_ = 0;
      if (chunk_ == run_.index.size()) {
        end_ = true;
        return status::success();
      }
      auto next = store_.get(keys::chunk(run_.id, chunk_++));
      if (!next.ok())
        return next.why.code == errc::not_found ? status{errc::corrupt, "a chunk of identities is missing"} : next.why;
      rows_ = std::move(*next);
    }
    row_ = unpack(rows_.data() + at_);
    return status::success();
  }
  bool at_end() const noexcept { return end_; }
  const identity_row& row() const noexcept { return row_; }

private:
  const store_reader& store_;
  const identity_run& run_;
  std::string rows_;
  size_t at_ = 0;
  uint32_t chunk_ = 0;
  bool end_ = false;
  identity_row row_;
};

} // namespace

result<std::shared_ptr<identity_run>> merge_runs(shard_store& store, std::span<const std::shared_ptr<identity_run>> runs,
                                                 uint64_t id, uint32_t horizon, const std::function<bool()>& cancelled) {
  std::vector<run_cursor> cursors;
  cursors.reserve(runs.size());
  uint64_t rows = 0;
  for (const auto& run : runs) {
    rows += run->rows;
    cursors.emplace_back(store, *run);
    if (auto why = cursors.back().advance(); !why.ok()) return why;
  }
  run_writer writer(store, id, rows);
  for (uint64_t n = 0;; ++n) {
    if (n % 4'096 == 0 && cancelled()) return status{errc::not_found, "cancelled"};
    const run_cursor* least = nullptr;
    for (const auto& c : cursors)
      if (!c.at_end() && (!least || c.row().id < least->row().id)) least = &c;
    if (!least) break;
    auto row = least->row();
    for (auto& c : cursors) {
      if (c.at_end() || c.row().id != row.id) continue;
      if (c.row().segment > row.segment) row = c.row();
      if (auto why = c.advance(); !why.ok()) return why;
    }
    if (row.segment < horizon) continue;
    if (auto why = writer.add(row); !why.ok()) return why;
  }
  return writer.finish();
}

std::string describe(const identity_run& run) {
  std::string out;
  put_varint(out, run.rows);
  put_varint(out, run.segment_min);
  put_varint(out, run.segment_max);
  put_varint(out, run.filter_parts);
  put_varint(out, run.index.size());
  for (auto high : run.index) put_fixed64(out, high);
  return out;
}

result<std::shared_ptr<identity_run>> open_run(const store_reader& store, uint64_t id, std::string_view description,
                                               bool with_filter) {
  auto run = std::make_shared<identity_run>();
  uint64_t low = 0, high = 0, parts = 0, chunks = 0;
  status bad{errc::corrupt, "the description of a run of identities does not decode"};
  if (!get_varint(description, run->rows) || !get_varint(description, low) || !get_varint(description, high) ||
      !get_varint(description, parts) || !get_varint(description, chunks) || description.size() != chunks * 8)
    return bad;
  run->id = id;
  run->segment_min = static_cast<uint32_t>(low);
  run->segment_max = static_cast<uint32_t>(high);
  run->filter_parts = static_cast<uint32_t>(parts);
  run->index.resize(chunks);
  for (auto& h : run->index)
    if (!get_fixed64(description, h)) return bad;
  if (with_filter) {
    auto why = store.scan(keys::filter(id, 0), keys::filter(id + 1, 0), [&](std::string_view, std::string_view part) {
      run->filter.append_part(part);
      return true;
    });
    if (!why.ok()) return why;
    if (run->filter.empty()) return status{errc::corrupt, "the filter of a run of identities is missing"};
  }
  return run;
}

void erase_run(store_batch& batch, const identity_run& run) {
  batch.erase(keys::run(run.id));
  for (uint32_t n = 0; n < run.index.size(); ++n) batch.erase(keys::chunk(run.id, n));
  for (uint32_t n = 0; n < run.filter_parts; ++n) batch.erase(keys::filter(run.id, n));
}

} // namespace adtrack::storage
