#include "storage/rocksdb_stream.hpp"

#include <atomic>

#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include "storage/rocksdb_common.hpp"

// Layout, one column family: 'f' format; 'n' next offset, decimal; 'e' offset (big-endian, 8 bytes) -> time (8 bytes), length of
// the key (8 bytes), key, value; 'k' key -> offset of its entry (8 bytes).

namespace adtrack::storage {
namespace {

constexpr std::string_view format_version = "1";
constexpr size_t write_buffer_bytes = 4 << 20;

std::string entry_key(int64_t offset) {
  std::string key = "e";
  put_be64(key, static_cast<uint64_t>(offset));
  return key;
}

class rocksdb_stream final : public compacted_stream {
public:
  explicit rocksdb_stream(rocksdb_stream_options options) : options_(std::move(options)) {}

  status open() {
    healthy_->store(true); // before, as what fails in the background meanwhile unsets it
    auto s = open_database();
    if (!s.ok()) healthy_->store(false);
    return s;
  }

  result<int64_t> append(std::string_view key, std::string_view value) override;
  status read_all(const std::function<void(const entry&)>& visit) override;

  status checkpoint(const std::string& path) override {
    if (!healthy_->load() || !db_) return {errc::read_only, what("copy") + ": it has to be reopened"};
    return make_checkpoint(*db_, path);
  }

  status reopen() override {
    if (healthy_->load()) return {};
    if (auto s = (db_ ? probe_directory : check_room)(options_.path, options_.env); !s.ok()) return s;
    db_.reset();
    return open();
  }

private:
  status open_database();
  status load_counter();
  std::string what(const char* attempt) const { return std::string("cannot ") + attempt + " the stream at " + options_.path; }

  rocksdb_stream_options options_;
  health_flag healthy_ = std::make_shared<std::atomic<bool>>(false);
  std::unique_ptr<rocksdb::DB> db_;
  int64_t next_ = 0;
};

status rocksdb_stream::open_database() {
  if (auto made = make_directory(options_.path, options_.env); !made.ok()) return made;
  if (auto sound = check_not_headless(options_.path, options_.env); !sound.ok()) return sound;
  auto options = durable_options(options_.env, healthy_);
  options.write_buffer_size = write_buffer_bytes;
  rocksdb::DB* db = nullptr;
  if (const auto s = rocksdb::DB::Open(options, options_.path, &db); !s.ok()) return to_status(s, what("open"));
  db_.reset(db);
  auto s = load_counter();
  if (!s.ok()) db_.reset();
  return s;
}

status rocksdb_stream::load_counter() {
  std::string format, next;
  auto s = db_->Get({}, "f", &format);
  if (s.IsNotFound()) {
    rocksdb::WriteOptions synced;
    synced.sync = true;
    return to_status(db_->Put(synced, "f", rocksdb::Slice(format_version.data(), format_version.size())), what("create"));
  }
  if (!s.ok()) return to_status(s, what("open"));
  if (format != format_version)
    return {errc::mismatch,
            what("open") + ": it has format " + format + ", this version reads format " + std::string(format_version)};
  s = db_->Get({}, "n", &next);
  if (!s.ok() && !s.IsNotFound()) return to_status(s, what("open"));
  int64_t stored = 0; // also while nothing was appended
  if (s.ok() && !parse_decimal(next, stored)) return {errc::corrupt, what("open") + ": its next offset reads " + next};
  if (stored < next_)
    return {errc::corrupt, what("open") + ": it lost acknowledged entries; its disk does not keep what it says it kept"};
  next_ = stored;
  return {};
}

result<int64_t> rocksdb_stream::append(std::string_view key, std::string_view value) {
  if (!healthy_->load() || !db_)
    return status{errc::read_only,
                  "the stream at " + options_.path + " is read-only since a write failed; it has to be reopened"};
  const std::string name = "k" + std::string(key);
  std::string older;
  auto s = db_->Get({}, name, &older);
  if (!s.ok() && !s.IsNotFound()) return to_status(s, what("read"));
  if (s.ok() && older.size() != 8) return status{errc::corrupt, what("read") + ": a key's offset has a wrong length"};

  const int64_t offset = next_;
  rocksdb::WriteBatch batch;
  s = older.empty() ? rocksdb::Status::OK() : batch.Delete("e" + older);
  if (s.ok()) s = batch.Put("n", std::to_string(offset + 1));
  if (value.empty()) {
    if (s.ok()) s = batch.Delete(name);
  } else {
    std::string stored, pointer;
    put_be64(stored, static_cast<uint64_t>(options_.now_ms()));
    put_be64(stored, key.size());
    stored.append(key).append(value);
    put_be64(pointer, static_cast<uint64_t>(offset));
    if (s.ok()) s = batch.Put(entry_key(offset), stored);
    if (s.ok()) s = batch.Put(name, pointer);
  }
  rocksdb::WriteOptions synced;
  synced.sync = true;
  if (s.ok()) s = db_->Write(synced, &batch);
  if (!s.ok()) {
    healthy_->store(false);
    return to_status(s, what("append to"));
  }
  next_ = offset + 1;
  return offset;
}

status rocksdb_stream::read_all(const std::function<void(const entry&)>& visit) {
  if (!db_) return {errc::io, "the stream at " + options_.path + " is closed: reopening it failed"};
  const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator({}));
  entry each;
  for (it->Seek("e"); it->Valid() && it->key().starts_with("e"); it->Next()) {
    const auto key = it->key();
    const auto value = it->value();
    if (key.size() != 9 || value.size() < 16 || read_be64(value.data() + 8) > value.size() - 16)
      return {errc::corrupt, what("read") + ": an entry is damaged"};
    const auto key_size = static_cast<size_t>(read_be64(value.data() + 8));
    each.offset = static_cast<int64_t>(read_be64(key.data() + 1));
    each.time_ms = static_cast<int64_t>(read_be64(value.data()));
    each.key.assign(value.data() + 16, key_size);
    each.value.assign(value.data() + 16 + key_size, value.size() - 16 - key_size);
    visit(each);
  }
  return to_status(it->status(), what("read"));
}

} // namespace

result<std::unique_ptr<compacted_stream>> open_rocksdb_stream(rocksdb_stream_options options) {
  auto stream = std::make_unique<rocksdb_stream>(std::move(options));
  if (auto s = stream->open(); !s.ok()) return s;
  return std::unique_ptr<compacted_stream>(std::move(stream));
}

} // namespace adtrack::storage
