#include "storage/spool.hpp"

#include <algorithm>
#include <atomic>
#include <limits>
#include <mutex>
#include <optional>
#include <string_view>

#include "config/telemetry.hpp"
#include "storage/rocksdb_shard_store.hpp"

// Layout, on the byte store that the shards use: it writes all or nothing, guards the database after a failed write and leaves no
// range tombstones. "f": format. "n": the counters below, in the same batch as every change of them, so that opening costs two
// reads however long the queue is. 'e' position (big-endian): a waiting record; 'h' position: one moved aside.
// Their values: partition (4 bytes), accepted_ms (8), bytes of all records ever appended before it (8), value.

namespace adtrack::storage {
namespace {

constexpr std::string_view format_key = "f", counters_key = "n", format_version = "1";
constexpr char waiting = 'e', held = 'h';
constexpr uint64_t taken_at_once = 10'000; // of what is held, in one write
constexpr size_t header_bytes = 20;
constexpr size_t key_bytes = 9;

template <class Int>
void put_int(std::string& out, Int value) {
  for (int shift = 8 * (static_cast<int>(sizeof value) - 1); shift >= 0; shift -= 8)
    out.push_back(static_cast<char>(static_cast<uint64_t>(value) >> shift));
}

template <class Int>
Int take_int(std::string_view& from) {
  uint64_t value = 0;
  for (size_t i = 0; i < sizeof(Int); ++i) value = value << 8 | static_cast<unsigned char>(from[i]);
  from.remove_prefix(sizeof(Int));
  return static_cast<Int>(value);
}

std::string key_of(char kind, int64_t position) {
  std::string key(1, kind);
  put_int(key, position);
  return key;
}

// Everything of `kind` is below it.
std::string end_key(char kind) { return std::string(1, static_cast<char>(kind + 1)); }

struct counters {
  int64_t front = 0, next = 0;              // positions: the first one waiting, the next one given
  uint64_t front_bytes = 0, next_bytes = 0; // of all records ever appended below them
  uint64_t held_records = 0, held_bytes = 0;
  uint32_t partitions = 0;

  uint64_t records() const { return static_cast<uint64_t>(next - front); }
  uint64_t bytes() const { return next_bytes - front_bytes; }

  std::string encode() const {
    std::string out;
    put_int(out, front);
    put_int(out, next);
    put_int(out, front_bytes);
    put_int(out, next_bytes);
    put_int(out, held_records);
    put_int(out, held_bytes);
    put_int(out, partitions);
    return out;
  }
  static std::optional<counters> decode(std::string_view in) {
    if (in.size() != 6 * sizeof(int64_t) + sizeof(uint32_t)) return {};
    counters c;
    c.front = take_int<int64_t>(in);
    c.next = take_int<int64_t>(in);
    c.front_bytes = take_int<uint64_t>(in);
    c.next_bytes = take_int<uint64_t>(in);
    c.held_records = take_int<uint64_t>(in);
    c.held_bytes = take_int<uint64_t>(in);
    c.partitions = take_int<uint32_t>(in);
    if (c.front < 0 || c.front > c.next || c.front_bytes > c.next_bytes) return {};
    return c;
  }
};

// A stored record: what it is, and the bytes before it.
struct stored_entry {
  spool_entry entry;
  uint64_t bytes_before = 0;
};

std::string encode(const log_record& record, int64_t accepted_ms, uint64_t bytes_before) {
  std::string out;
  out.reserve(header_bytes + record.value.size());
  put_int(out, record.partition);
  put_int(out, accepted_ms);
  put_int(out, bytes_before);
  return out.append(record.value);
}

std::optional<stored_entry> decode(std::string_view key, std::string_view value) {
  if (key.size() != key_bytes || value.size() < header_bytes) return {};
  stored_entry out;
  key.remove_prefix(1);
  out.entry.position = take_int<int64_t>(key);
  out.entry.partition = take_int<uint32_t>(value);
  out.entry.accepted_ms = take_int<int64_t>(value);
  out.bytes_before = take_int<uint64_t>(value);
  out.entry.value = value;
  return out;
}

uint64_t size_of(const spool_entry& entry) { return entry.value.size() + spool_entry_overhead; }

} // namespace

struct spool::impl {
  explicit impl(spool_options o)
      : options(std::move(o)),
        budget(std::make_shared<shard_store_budget>(options.block_cache_bytes, options.write_buffer_bytes)) {}

  std::string what(const char* attempt) const { return std::string("cannot ") + attempt + " the spool at " + options.path; }
  counters now() const {
    std::lock_guard lock(state_mutex);
    return state;
  }

  // All of these with io_mutex held.
  status open();
  status create() const;
  status adopt(counters found);
  status usable() const;
  status commit(store_batch& batch, const counters& after);
  status failed(status why);
  result<stored_entry> get(char kind, int64_t position) const;
  result<std::vector<stored_entry>> read(char kind, int64_t from, size_t max_records, size_t max_bytes) const;
  status advance(int64_t position, bool hold);
  result<uint64_t> take_held(int64_t position, std::optional<int64_t> waits_since_ms);
  result<uint64_t> take_all_held(int64_t position, std::optional<int64_t> waits_since_ms);
  result<int64_t> accepted_at(const counters& c) const;

  const spool_options options;
  const std::shared_ptr<shard_store_budget> budget;
  std::atomic<bool> healthy{false};

  std::mutex io_mutex;                // one piece of disk work at a time; taken before state_mutex
  std::unique_ptr<shard_store> store; // null: the last reopen failed

  mutable std::mutex state_mutex;
  counters state; // Invariant: what is counted here is on stable storage, or was removed by us.
  int64_t oldest_accepted_ms = -1;
};

status spool::impl::open() {
  store.reset();
  auto opened = open_rocksdb_shard_store({options.path, budget, options.env});
  if (!opened.ok()) return opened.why;
  store = std::move(*opened);
  const auto format = store->get(format_key);
  if (format.why.code == errc::not_found) {
    if (auto made = create(); !made.ok()) return made;
  } else if (!format.ok()) {
    return format.why;
  } else if (*format.value != format_version) {
    return {errc::mismatch, what("open") + ": it has format " + *format.value + ", this version reads format " +
                                std::string(format_version) + "; use the version that wrote it"};
  }
  const auto text = store->get(counters_key);
  if (!text.ok()) return text.why;
  const auto found = counters::decode(*text.value);
  if (!found) return {errc::corrupt, what("open") + ": its counters do not decode"};
  return adopt(*found);
}

status spool::impl::create() const {
  counters fresh;
  fresh.partitions = options.partitions;
  auto batch = store->new_batch();
  batch->put(format_key, format_version);
  batch->put(counters_key, fresh.encode());
  auto s = store->write(*batch);
  if (s.ok()) s = store->sync();
  return s;
}

// What the disk says against what this object knows: it may hold a batch of unknown fate more, and what we removed in vain.
status spool::impl::adopt(counters found) {
  const auto known = now();
  if (found.partitions != options.partitions)
    return {errc::mismatch, what("open") + ": it was created for " + std::to_string(found.partitions) + " shards, not for " +
                                std::to_string(options.partitions) + "; set log.shards as it was until it is drained"};
  if (found.next < known.next)
    return {errc::corrupt, what("open") + ": it lost acknowledged records, it ends at " + std::to_string(found.next) +
                               ", not at " + std::to_string(known.next) + "; its disk does not keep what it says it kept"};
  {
    std::lock_guard lock(state_mutex);
    state = found;
  }
  healthy.store(true);
  if (found.front < known.front)
    if (auto s = advance(known.front, false); !s.ok()) return s;
  const auto after = now();
  auto oldest = accepted_at(after);
  if (!oldest.ok()) return failed(oldest.why);
  std::lock_guard lock(state_mutex);
  oldest_accepted_ms = *oldest;
  return {};
}

status spool::impl::usable() const {
  if (healthy.load() && store) return {};
  return {errc::read_only, "the spool at " + options.path + " is read-only since a write failed; it has to be reopened"};
}

status spool::impl::failed(status why) {
  if (healthy.exchange(false))
    config::log(config::log_level::error, "spool", "write_failed", "the spool takes nothing until it was reopened",
                {{"reason", why.message}});
  return why;
}

status spool::impl::commit(store_batch& batch, const counters& after) {
  batch.put(counters_key, after.encode());
  auto s = store->write(batch);
  if (s.ok()) s = store->sync();
  return s.ok() ? s : failed(std::move(s));
}

result<stored_entry> spool::impl::get(char kind, int64_t position) const {
  const auto key = key_of(kind, position);
  auto value = store->get(key);
  if (value.why.code == errc::not_found)
    return status{errc::corrupt, what("read") + ": record " + std::to_string(position) + " is missing"};
  if (!value.ok()) return value.why;
  auto entry = decode(key, *value);
  if (!entry) return status{errc::corrupt, what("read") + ": record " + std::to_string(position) + " is damaged"};
  return std::move(*entry);
}

// When the first one waiting was accepted; -1 when there is none.
result<int64_t> spool::impl::accepted_at(const counters& c) const {
  if (c.front == c.next) return int64_t{-1};
  auto first = get(waiting, c.front);
  if (!first.ok()) return first.why;
  return first->entry.accepted_ms;
}

result<std::vector<stored_entry>> spool::impl::read(char kind, int64_t from, size_t max_records, size_t max_bytes) const {
  std::vector<stored_entry> out;
  if (max_records == 0) return out;
  const auto state_now = now();
  const auto upper = kind == waiting ? key_of(waiting, state_now.next) : end_key(held);
  size_t bytes = 0;
  status bad;
  const auto visit = [&](std::string_view key, std::string_view value) {
    auto entry = decode(key, value);
    // Invariant: waiting positions are dense, so a hole is a loss and never skipped.
    const auto expected = from + static_cast<int64_t>(out.size());
    if (!entry || (kind == waiting && entry->entry.position != expected)) {
      bad = {errc::corrupt, what("read") + ": record " + std::to_string(expected) + (entry ? " is missing" : " is damaged")};
      return false;
    }
    bytes += entry->entry.value.size();
    if (!out.empty() && bytes > max_bytes) return false;
    out.push_back(std::move(*entry));
    return out.size() < max_records && bytes < max_bytes;
  };
  if (auto s = store->scan(key_of(kind, from), upper, visit); !s.ok()) return s;
  if (!bad.ok()) return bad;
  if (kind == waiting && out.empty() && from < state_now.next)
    return status{errc::corrupt, what("read") + ": record " + std::to_string(from) + " is missing"};
  return out;
}

// Takes the records below `position` from the front: away, or aside.
status spool::impl::advance(int64_t position, bool hold) {
  auto after = now();
  if (position > after.next)
    return {errc::out_of_range, what("remove from") + ": position " + std::to_string(position) + " is past its end"};
  if (position <= after.front) return {};
  auto batch = store->new_batch();
  if (hold) {
    auto entries = read(waiting, after.front, static_cast<size_t>(position - after.front), std::numeric_limits<size_t>::max());
    if (!entries.ok()) return entries.why;
    if (entries->size() != static_cast<size_t>(position - after.front))
      return {errc::corrupt, what("read") + ": records before " + std::to_string(position) + " are missing"};
    for (const auto& each : *entries) {
      batch->put(key_of(held, each.entry.position),
                 encode({each.entry.partition, each.entry.value}, each.entry.accepted_ms, each.bytes_before));
      ++after.held_records;
      after.held_bytes += size_of(each.entry);
    }
  }
  for (int64_t at = after.front; at < position; ++at) batch->erase(key_of(waiting, at));
  int64_t oldest = -1;
  after.front_bytes = after.next_bytes;
  if (position < after.next) {
    auto first = get(waiting, position);
    if (!first.ok()) return first.why;
    after.front_bytes = first->bytes_before;
    oldest = first->entry.accepted_ms;
  }
  after.front = position;
  auto s = commit(*batch, after);
  // What is in the log already is done with, also when the disk could not be told; what is to be held is tried again.
  if (s.ok() || !hold) {
    std::lock_guard lock(state_mutex);
    state = after;
    oldest_accepted_ms = oldest;
  }
  return s;
}

// The first of those below `position` are held no more: they wait again since `waits_since_ms`, or are gone.
result<uint64_t> spool::impl::take_held(int64_t position, std::optional<int64_t> waits_since_ms) {
  if (auto s = usable(); !s.ok()) return s;
  const auto before = now();
  auto after = before;
  auto batch = store->new_batch();
  bool sound = true;
  const auto visit = [&](std::string_view key, std::string_view value) {
    const auto each = decode(key, value);
    sound = each.has_value();
    if (!sound || before.held_records - after.held_records == taken_at_once) return false;
    batch->erase(key);
    --after.held_records;
    after.held_bytes -= std::min(after.held_bytes, size_of(each->entry));
    if (waits_since_ms) {
      batch->put(key_of(waiting, after.next),
                 encode({each->entry.partition, each->entry.value}, *waits_since_ms, after.next_bytes));
      ++after.next;
      after.next_bytes += size_of(each->entry);
    }
    return true;
  };
  if (auto s = store->scan(key_of(held, 0), key_of(held, std::max<int64_t>(position, 0)), visit); !s.ok()) return s;
  if (!sound) return status{errc::corrupt, what("read") + ": a record that is held is damaged"};
  const uint64_t taken = before.held_records - after.held_records;
  if (taken == 0) return taken;
  if (auto s = commit(*batch, after); !s.ok()) return s;
  std::lock_guard lock(state_mutex);
  state = after;
  if (waits_since_ms && before.front == before.next) oldest_accepted_ms = *waits_since_ms;
  return taken;
}

result<uint64_t> spool::impl::take_all_held(int64_t position, std::optional<int64_t> waits_since_ms) {
  for (uint64_t all = 0;;) {
    auto taken = take_held(position, waits_since_ms);
    if (!taken.ok()) return taken;
    all += *taken;
    if (*taken < taken_at_once) return all;
  }
}

result<std::unique_ptr<spool>> spool::open(spool_options options) {
  auto parts = std::make_unique<impl>(std::move(options));
  {
    std::lock_guard io(parts->io_mutex);
    if (auto s = parts->open(); !s.ok()) return s;
  }
  return std::unique_ptr<spool>(new spool(std::move(parts)));
}

spool::spool(std::unique_ptr<impl> parts) : impl_(std::move(parts)) {}
spool::~spool() = default;

append_fate spool::append(const std::vector<log_record>& records, int64_t accepted_ms) {
  std::lock_guard io(impl_->io_mutex);
  uint64_t bytes = 0;
  for (const auto& record : records) {
    if (record.partition >= impl_->options.partitions) return append_fate::refused;
    bytes += record.value.size();
  }
  if (records.empty() || !impl_->usable().ok() || !has_room(records.size(), bytes)) return append_fate::refused;
  auto after = impl_->now();
  const bool was_empty = after.front == after.next;
  auto batch = impl_->store->new_batch();
  for (const auto& record : records) {
    batch->put(key_of(waiting, after.next), encode(record, accepted_ms, after.next_bytes));
    ++after.next;
    after.next_bytes += record.value.size() + spool_entry_overhead;
  }
  if (!impl_->commit(*batch, after).ok()) return append_fate::unknown;
  std::lock_guard lock(impl_->state_mutex);
  impl_->state = after;
  if (was_empty) impl_->oldest_accepted_ms = accepted_ms;
  return append_fate::spooled;
}

namespace {

result<std::vector<spool_entry>> entries_of(result<std::vector<stored_entry>> found) {
  if (!found.ok()) return found.why;
  std::vector<spool_entry> out;
  out.reserve(found->size());
  for (auto& each : *found) out.push_back(std::move(each.entry));
  return out;
}

} // namespace

result<std::vector<spool_entry>> spool::read_front(size_t max_records, size_t max_bytes) {
  std::lock_guard io(impl_->io_mutex);
  if (auto s = impl_->usable(); !s.ok()) return s;
  return entries_of(impl_->read(waiting, impl_->now().front, max_records, max_bytes));
}

status spool::remove_below(int64_t position) {
  std::lock_guard io(impl_->io_mutex);
  if (auto s = impl_->usable(); !s.ok()) return s;
  return impl_->advance(position, false);
}

status spool::hold_below(int64_t position) {
  std::lock_guard io(impl_->io_mutex);
  if (auto s = impl_->usable(); !s.ok()) return s;
  return impl_->advance(position, true);
}

result<std::vector<spool_entry>> spool::read_held(int64_t from, size_t max_records, size_t max_bytes) {
  std::lock_guard io(impl_->io_mutex);
  if (auto s = impl_->usable(); !s.ok()) return s;
  return entries_of(impl_->read(held, std::max<int64_t>(from, 0), max_records, max_bytes));
}

result<uint64_t> spool::remove_held_below(int64_t position) {
  std::lock_guard io(impl_->io_mutex);
  return impl_->take_all_held(position, {});
}

result<uint64_t> spool::release_held_below(int64_t position, int64_t now_ms) {
  std::lock_guard io(impl_->io_mutex);
  return impl_->take_all_held(position, now_ms);
}

spool_depth spool::depth() const {
  std::lock_guard lock(impl_->state_mutex);
  const auto& c = impl_->state;
  return {c.records(), c.bytes(), c.held_records, c.held_bytes, impl_->oldest_accepted_ms};
}

bool spool::has_room(uint64_t records, uint64_t bytes) const {
  const auto used = depth();
  return used.bytes + used.held_bytes + bytes + records * spool_entry_overhead <= impl_->options.max_bytes;
}

status spool::reopen() {
  std::lock_guard io(impl_->io_mutex);
  if (impl_->healthy.load()) return {};
  auto s = impl_->open();
  if (!s.ok()) impl_->healthy.store(false);
  return s;
}

bool spool::writable() const noexcept { return impl_->healthy.load(); }

} // namespace adtrack::storage
