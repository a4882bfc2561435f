#include "storage/quarantine.hpp"

#include <algorithm>
#include <chrono>
#include <limits>
#include <set>
#include <string_view>
#include <utility>

#include "model/varint.hpp"

namespace adtrack::storage {

namespace {

// 'q' source partition offset -> entry; 'n' source partition -> shelf. Numbers are big-endian.
std::string entry_prefix(char kind, quarantine_source source) {
  std::string out(1, kind);
  out.push_back(static_cast<char>(source));
  return out;
}
std::string shelf_name(quarantine_source source, uint32_t partition) {
  auto out = entry_prefix('n', source);
  put_big_endian<4>(out, partition);
  return out;
}
std::string entry_name(quarantine_source source, uint32_t partition, int64_t offset) {
  auto out = entry_prefix('q', source);
  put_big_endian<4>(out, partition);
  put_big_endian<8>(out, static_cast<uint64_t>(offset));
  return out;
}
constexpr size_t shelf_name_size = 6;
constexpr size_t entry_name_size = 14;
constexpr int64_t last_offset = std::numeric_limits<int64_t>::max();

std::string encode(const quarantined& e, size_t value_bytes_max) {
  std::string out;
  put_fixed64(out, static_cast<uint64_t>(e.time_ms));
  put_varint(out, e.size);
  put_varint(out, e.reason.size());
  out += e.reason;
  return out.append(e.value, 0, value_bytes_max);
}

bool decode(std::string_view name, std::string_view value, quarantined& out) {
  uint64_t time_ms = 0, reason_size = 0;
  if (name.size() != entry_name_size || !get_fixed64(value, time_ms) || !get_varint(value, out.size) ||
      !get_varint(value, reason_size) || reason_size > value.size())
    return false;
  out.source = static_cast<quarantine_source>(name[1]);
  out.partition = static_cast<uint32_t>(read_big_endian<4>(name.substr(2)));
  out.offset = static_cast<int64_t>(read_big_endian<8>(name.substr(6)));
  out.time_ms = static_cast<int64_t>(time_ms);
  out.reason = value.substr(0, reason_size);
  out.value = value.substr(reason_size);
  return true;
}

status does_not_decode() {
  return {errc::corrupt, "the quarantine does not decode; remove its folder: nothing that is counted stands in it"};
}

int64_t monotonic_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

} // namespace

quarantine::quarantine(opener open_store, quarantine_options options)
    : open_store_(std::move(open_store)), options_([&] {
        if (!options.steady_ms) options.steady_ms = monotonic_ms;
        return std::move(options);
      }()) {}

result<std::unique_ptr<quarantine>> quarantine::open(opener open_store, quarantine_options options) {
  if (options.entries_max == 0) return status{errc::mismatch, "the quarantine must be allowed to keep at least one entry"};
  std::unique_ptr<quarantine> made(new quarantine(std::move(open_store), std::move(options)));
  if (auto why = made->load(); !why.ok()) return why;
  return made;
}

status quarantine::load() {
  auto opened = open_store_();
  if (!opened.ok()) return opened.why;
  shelves found;
  bool good = true;
  const auto visit = [&](std::string_view name, std::string_view value) {
    shelf s;
    uint64_t gone_to = 0;
    good = name.size() == shelf_name_size && get_varint(value, s.total) && get_varint(value, s.kept) &&
           get_fixed64(value, gone_to) && value.empty();
    if (!good) return false;
    s.gone_to = static_cast<int64_t>(gone_to);
    found[{static_cast<quarantine_source>(name[1]), static_cast<uint32_t>(read_big_endian<4>(name.substr(2)))}] = s;
    return true;
  };
  if (auto why = (*opened)->scan("n", "o", visit); !why.ok()) return why;
  if (!good) return does_not_decode();
  store_ = std::move(*opened);
  shelves_ = std::move(found);
  return {};
}

status quarantine::ready() {
  if (store_) return {};
  const auto now = options_.steady_ms();
  if (now < retry_at_ms_) return {errc::read_only, "the quarantine is closed since a failed write; it is opened again soon"};
  retry_at_ms_ = now + options_.retry_ms;
  return load();
}

status quarantine::dropped(status why) {
  store_.reset();
  retry_at_ms_ = options_.steady_ms() + options_.retry_ms;
  return why;
}

status quarantine::put(store_batch& batch, shelves& changed, const quarantined& entry) {
  const shelf_key key{entry.source, entry.partition};
  auto at = changed.find(key);
  if (at == changed.end()) at = changed.emplace(key, shelves_[key]).first;
  auto& to = at->second;
  if (entry.offset <= to.gone_to) return {};
  const auto name = entry_name(entry.source, entry.partition, entry.offset);
  const auto before = store_->get(name);
  if (!before.ok() && before.why.code != errc::not_found) return before.why;
  if (!before.ok()) {
    ++to.total;
    ++to.kept;
  }
  batch.put(name, encode(entry, options_.value_bytes_max));
  return {};
}

// Erases the oldest of each shelf that holds too many, among them what is being added.
status quarantine::make_room(store_batch& batch, shelves& changed, std::span<const quarantined> added) {
  for (auto& [key, of] : changed) {
    if (of.kept <= options_.entries_max) continue;
    const auto [source, partition] = key;
    const auto surplus = of.kept - options_.entries_max;
    std::set<int64_t> oldest;
    for (const auto& e : added)
      if (e.source == source && e.partition == partition && e.offset > of.gone_to) oldest.insert(e.offset);
    uint64_t seen = 0;
    const auto visit = [&](std::string_view name, std::string_view) {
      oldest.insert(static_cast<int64_t>(read_big_endian<8>(name.substr(6))));
      return ++seen < surplus; // in order: no later one can be among the oldest
    };
    auto why = store_->scan(entry_name(source, partition, of.gone_to + 1), entry_name(source, partition, last_offset), visit);
    if (!why.ok()) return why;
    auto it = oldest.begin();
    for (uint64_t i = 0; i < surplus; ++i, ++it) {
      batch.erase(entry_name(source, partition, *it));
      of.gone_to = *it;
    }
    of.kept = options_.entries_max;
  }
  return {};
}

status quarantine::add(std::span<const quarantined> entries) {
  if (entries.empty()) return {};
  std::lock_guard lock(mutex_);
  if (auto why = ready(); !why.ok()) return why;
  auto batch = store_->new_batch();
  shelves changed;
  std::set<std::pair<shelf_key, int64_t>> given; // of two for one place the first is taken
  for (const auto& entry : entries) {
    if (!given.insert({{entry.source, entry.partition}, entry.offset}).second) continue;
    if (auto why = put(*batch, changed, entry); !why.ok()) return dropped(std::move(why));
  }
  if (auto why = make_room(*batch, changed, entries); !why.ok()) return dropped(std::move(why));
  for (const auto& [key, of] : changed) {
    std::string value;
    put_varint(value, of.total);
    put_varint(value, of.kept);
    put_fixed64(value, static_cast<uint64_t>(of.gone_to));
    batch->put(shelf_name(key.first, key.second), value);
  }
  if (auto why = store_->write(*batch); !why.ok()) return dropped(std::move(why));
  for (const auto& [key, of] : changed) shelves_[key] = of;
  dirty_ = true;
  return {};
}

status quarantine::sync() {
  std::shared_ptr<shard_store> store;
  {
    std::lock_guard lock(mutex_);
    if (!dirty_ || !store_) return {};
    dirty_ = false;
    store = store_;
  }
  auto why = store->sync();
  if (why.ok()) return why;
  std::lock_guard lock(mutex_);
  return store_ == store ? dropped(std::move(why)) : std::move(why);
}

result<quarantine_page> quarantine::list(const quarantine_query& query) {
  quarantine_page out;
  std::shared_ptr<shard_store> store; // outlives the snapshot
  {
    std::lock_guard lock(mutex_);
    if (auto why = ready(); !why.ok()) return why;
    store = store_;
    for (const auto& [key, of] : shelves_)
      if (key.first == query.source) out.total += of.total;
  }
  const auto frozen = store->snapshot();
  bool good = true;
  const auto visit = [&](std::string_view name, std::string_view value) {
    quarantined entry;
    good = decode(name, value, entry);
    if (!good) return false;
    out.more = out.entries.size() >= query.max;
    if (out.more)
      out.next = {entry.partition, entry.offset};
    else
      out.entries.push_back(std::move(entry));
    return !out.more;
  };
  auto end = entry_prefix('q', query.source);
  end.back() = static_cast<char>(end.back() + 1);
  auto why = frozen->scan(entry_name(query.source, query.from.shard, query.from.offset), end, visit);
  if (!why.ok()) return why;
  if (!good) return does_not_decode();
  return out;
}

} // namespace adtrack::storage
