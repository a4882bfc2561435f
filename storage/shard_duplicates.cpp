#include "storage/shard_duplicates.hpp"

#include "model/varint.hpp"
#include "storage/shard_keys.hpp"

namespace adtrack::storage {

namespace {

std::string encode(const duplicate_count& c) {
  std::string out;
  put_varint(out, c.duplicates);
  put_varint(out, c.conflicts);
  return out;
}

bool decode(std::string_view in, duplicate_count& out) {
  return get_varint(in, out.duplicates) && get_varint(in, out.conflicts) && in.empty();
}

void add_up(duplicate_count& sum, const duplicate_count& more) {
  sum.duplicates += more.duplicates;
  sum.conflicts += more.conflicts;
}

} // namespace

void shard_duplicates::add(const identity_row& first, bool conflict) {
  auto& entry = pending_[first.offset];
  entry.segment = first.segment;
  add_up(entry.more, {1, conflict ? uint64_t{1} : 0});
}

result<duplicate_count> shard_duplicates::of(const identity_row& first) const {
  duplicate_count out;
  auto stored = store_.get(keys::duplicates(first.segment, first.offset));
  if (!stored.ok() && stored.why.code != errc::not_found) return stored.why;
  if (stored.ok() && !decode(*stored, out))
    return status{errc::corrupt, "the duplicates of offset " + std::to_string(first.offset) + " do not decode"};
  if (auto it = pending_.find(first.offset); it != pending_.end()) add_up(out, it->second.more);
  return out;
}

void shard_duplicates::stage(store_batch& batch) {
  for (const auto& [offset, entry] : pending_) batch.merge(keys::duplicates(entry.segment, offset), encode(entry.more));
  pending_.clear();
}

size_t shard_duplicates::memory_bytes() const noexcept { return pending_.capacity() * (sizeof(int64_t) + sizeof(pending) + 1); }

bool merge_duplicates(std::string_view older, std::string_view newer, std::string& out) {
  duplicate_count sum, more;
  if (!decode(older, sum) || !decode(newer, more)) return false;
  add_up(sum, more);
  out = encode(sum);
  return true;
}

} // namespace adtrack::storage
