#include "storage/shard_repeats.hpp"

#include <algorithm>

#include "model/mix.hpp"
#include "model/varint.hpp"
#include "storage/shard_keys.hpp"

namespace adtrack::storage {

namespace {

constexpr int64_t kept_s = 3'600;
constexpr size_t entry_bytes = 16;
constexpr size_t blobs_max = 4'096; // before they are written as one: bounds what a restart has to seek
constexpr size_t forget_at_least = 1'024;

uint32_t seconds(int64_t clock_ms) { return static_cast<uint32_t>(std::max<int64_t>(clock_ms, 0) / 1'000); }
bool passed(uint32_t came_s, uint32_t now_s) { return now_s >= came_s + kept_s; }

void pack(std::string& out, uint64_t key, uint32_t time_s, uint32_t came_s) {
  put_fixed64(out, key);
  put_fixed64(out, uint64_t{time_s} << 32 | came_s);
}

} // namespace

uint64_t shard_repeats::key_of(uint64_t ad_id, uint64_t visitor) noexcept { return mix64(visitor + mix64(ad_id)); }

status shard_repeats::load(int64_t clock_ms) {
  const auto now_s = seconds(clock_ms);
  status bad;
  auto why = store_.scan(keys::clicks(0), keys::clicks(-1), [&](std::string_view key, std::string_view in) {
    const auto offset = static_cast<int64_t>(read_big_endian<8>(key.substr(1)));
    uint64_t who = 0, times = 0;
    uint32_t newest_s = 0;
    while (get_fixed64(in, who) && get_fixed64(in, times)) {
      const click c{static_cast<uint32_t>(times >> 32), static_cast<uint32_t>(times)};
      newest_s = std::max(newest_s, c.came_s);
      // A later blob's click took the place of an earlier one's.
      if (!passed(c.came_s, now_s)) latest_.insert_or_assign(who, c);
    }
    if (!in.empty()) bad = {errc::corrupt, "the clicks before offset " + std::to_string(offset) + " do not decode"};
    blobs_.push_back({offset, newest_s});
    return bad.ok();
  });
  forget_at_ = std::max(forget_at_least, 2 * latest_.size());
  return why.ok() ? bad : why;
}

bool shard_repeats::is_repeat(uint64_t ad_id, uint64_t visitor, int64_t time_s, int64_t within_s, int64_t clock_ms) {
  const auto key = key_of(ad_id, visitor);
  const auto now_s = seconds(clock_ms);
  const click mine{static_cast<uint32_t>(time_s), now_s};
  const auto [at, made] = latest_.try_emplace(key, mine);
  if (!made && !passed(at->second.came_s, now_s)) {
    const int64_t latest_s = at->second.time_s;
    if (time_s >= latest_s && time_s < latest_s + within_s) return true;
    if (time_s < latest_s) return false;
  }
  at->second = mine;
  pack(pending_, key, mine.time_s, mine.came_s);
  return false;
}

void shard_repeats::replace(uint64_t visitor, uint64_t alias, std::span<const uint64_t> ads) {
  for (const auto ad : ads) {
    const auto found = latest_.find(key_of(ad, visitor));
    if (found == latest_.end()) continue;
    const auto was = found->second;
    latest_.erase(found);
    latest_.insert_or_assign(key_of(ad, alias), was);
  }
  anew_ = true;
}

void shard_repeats::stage(store_batch& batch, int64_t next_offset, int64_t clock_ms) {
  const auto now_s = seconds(clock_ms);
  for (; !blobs_.empty() && passed(blobs_.front().newest_s, now_s); blobs_.pop_front())
    batch.erase(keys::clicks(blobs_.front().offset));
  if (latest_.size() >= std::max(forget_at_, forget_at_least)) forget(now_s);
  if (pending_.empty() && !anew_) return;
  if (blobs_.size() >= blobs_max || anew_) {
    anew_ = false;
    forget(now_s);
    pending_.clear();
    for (const auto& [key, c] : latest_) pack(pending_, key, c.time_s, c.came_s);
    batch.erase_range(keys::clicks(0), keys::clicks(-1));
    blobs_.clear();
  }
  batch.put(keys::clicks(next_offset), pending_);
  blobs_.push_back({next_offset, now_s});
  pending_.clear();
}

void shard_repeats::forget(uint32_t now_s) {
  absl::erase_if(latest_, [&](const auto& each) { return passed(each.second.came_s, now_s); });
  forget_at_ = 2 * latest_.size();
}

size_t shard_repeats::memory_bytes() const noexcept {
  return latest_.capacity() * (sizeof(uint64_t) + sizeof(click) + 1) + pending_.capacity();
}

} // namespace adtrack::storage
