#include "storage/rocksdb_shard_store.hpp"

#include <algorithm>
#include <atomic>
#include <mutex>

#include <rocksdb/cache.h>
#include <rocksdb/compaction_filter.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/merge_operator.h>
#include <rocksdb/table.h>
#include <rocksdb/write_buffer_manager.h>

#include "storage/rocksdb_common.hpp"
#include "storage/store_merge.hpp"

namespace adtrack::storage {

struct shard_store_budget::parts {
  std::shared_ptr<rocksdb::Cache> cache;
  std::shared_ptr<rocksdb::WriteBufferManager> write_buffers;
  size_t write_buffer_bytes = 0;
};

shard_store_budget::shard_store_budget(size_t block_cache_bytes, size_t write_buffer_bytes) : parts_(std::make_unique<parts>()) {
  parts_->cache = rocksdb::NewLRUCache(block_cache_bytes);
  parts_->write_buffers = std::make_shared<rocksdb::WriteBufferManager>(write_buffer_bytes);
  parts_->write_buffer_bytes = write_buffer_bytes;
}
shard_store_budget::~shard_store_budget() = default;

namespace {

rocksdb::Slice slice(std::string_view s) { return {s.data(), s.size()}; }
std::string_view view(const rocksdb::Slice& s) { return {s.data(), s.size()}; }

class merge_operator final : public rocksdb::AssociativeMergeOperator {
public:
  const char* Name() const override { return "adtrack.rows.1"; }
  bool Merge(const rocksdb::Slice& key, const rocksdb::Slice* existing, const rocksdb::Slice& value, std::string* out,
             rocksdb::Logger*) const override {
    if (existing) return merge_values(view(key), view(*existing), view(value), *out);
    out->assign(value.data(), value.size());
    return true;
  }
};

struct shared_horizons {
  std::atomic<int64_t> seconds_ms{0}, minutes_ms{0};
  std::atomic<uint32_t> segment{0};
};

// Frees what has expired, whenever RocksDB rewrites it anyway. Readers treat expired rows as gone already, so it changes no
// answer.
class expiry_filter final : public rocksdb::CompactionFilter {
public:
  explicit expiry_filter(const shared_horizons& horizons) : horizons_(horizons) {}
  const char* Name() const override { return "adtrack.expiry.1"; }
  Decision FilterV2(int, const rocksdb::Slice& key, ValueType type, const rocksdb::Slice& value, std::string* changed,
                    std::string*) const override {
    bucket_key k;
    uint32_t segment = 0;
    if (type == ValueType::kValue && keys::parse_duplicates(view(key), segment))
      return segment < horizons_.segment ? Decision::kRemove : Decision::kKeep;
    if (type != ValueType::kValue || key.empty() || key[0] != 'b' || !keys::parse_bucket(view(key), k) ||
        k.level != bucket_level::minute)
      return Decision::kKeep;
    auto written = written_ms_of(view(value));
    if (written >= std::max(horizons_.minutes_ms.load(), horizons_.seconds_ms.load())) return Decision::kKeep;
    row_value stored;
    if (!decode(view(value), stored)) return Decision::kKeep; // whoever reads it will say so
    auto& row = stored.row;
    if (row.written_ms < horizons_.minutes_ms) return Decision::kRemove;
    if (row.seconds_gone || row.written_ms >= horizons_.seconds_ms) return Decision::kKeep;
    row.drop_seconds();
    changed->clear();
    encode(row, row.clickers, stored.merges, *changed);
    return Decision::kChangeValue;
  }

private:
  const shared_horizons& horizons_;
};

class rocksdb_batch final : public store_batch {
public:
  explicit rocksdb_batch(rocksdb::DB& db) : db_(db) {}
  void put(std::string_view key, std::string_view value) override { note(batch.Put(slice(key), slice(value))); }
  void merge(std::string_view key, std::string_view row) override { note(batch.Merge(slice(key), slice(row))); }
  void erase(std::string_view key) override { note(batch.Delete(slice(key))); }
  // One by one: after a flush that failed half way, the packaged RocksDB aborts on a memtable that holds a range tombstone.
  void erase_range(std::string_view from, std::string_view to) override {
    rocksdb::ReadOptions options;
    rocksdb::Slice upper = slice(to);
    options.iterate_upper_bound = &upper;
    options.fill_cache = false;
    std::unique_ptr<rocksdb::Iterator> it(db_.NewIterator(options));
    for (it->Seek(slice(from)); it->Valid(); it->Next()) note(batch.Delete(it->key()));
    note(it->status());
  }
  size_t bytes() const noexcept override { return batch.Count() ? batch.GetDataSize() : 0; }

  rocksdb::WriteBatch batch;
  rocksdb::Status failed; // the first error while filling

private:
  void note(const rocksdb::Status& s) {
    if (!s.ok() && failed.ok()) failed = s;
  }
  rocksdb::DB& db_;
};

// Reads through the database as it is, or through a snapshot of it.
class reader_base {
public:
  reader_base(rocksdb::DB& db, const rocksdb::Snapshot* at, std::string name) : db_(db), name_(std::move(name)) {
    options_.snapshot = at;
  }

  result<std::string> get(std::string_view key) const {
    rocksdb::PinnableSlice value;
    auto s = db_.Get(options_, db_.DefaultColumnFamily(), slice(key), &value);
    if (s.IsNotFound()) return status{errc::not_found, {}};
    if (!s.ok()) return to_status(s, "cannot read the shard store at " + name_);
    return value.ToString();
  }

  status scan(std::string_view from, std::string_view to,
              const std::function<bool(std::string_view, std::string_view)>& visit) const {
    auto options = options_;
    rocksdb::Slice upper = slice(to);
    options.iterate_upper_bound = &upper;
    std::unique_ptr<rocksdb::Iterator> it(db_.NewIterator(options));
    for (it->Seek(slice(from)); it->Valid(); it->Next())
      if (!visit(view(it->key()), view(it->value()))) break;
    return scanned(*it);
  }

  std::unique_ptr<rocksdb::Iterator> iterator() const { return std::unique_ptr<rocksdb::Iterator>(db_.NewIterator(options_)); }
  status scanned(const rocksdb::Iterator& it) const { return to_status(it.status(), "cannot scan the shard store at " + name_); }

private:
  rocksdb::DB& db_;
  std::string name_;
  rocksdb::ReadOptions options_;
};

class rocksdb_snapshot final : public store_reader {
public:
  rocksdb_snapshot(std::shared_ptr<rocksdb::DB> db, const std::string& name)
      : db_(std::move(db)), at_(db_->GetSnapshot()), reader_(*db_, at_, name) {}
  ~rocksdb_snapshot() override {
    spare_.reset(); // before what it reads
    db_->ReleaseSnapshot(at_);
  }
  rocksdb_snapshot(const rocksdb_snapshot&) = delete;
  rocksdb_snapshot& operator=(const rocksdb_snapshot&) = delete;
  result<std::string> get(std::string_view key) const override { return reader_.get(key); }
  // Whoever asks for many ranges asks for them in the order of keys: then the iterator of the scan before stands where this one
  // begins, or a few keys before, and a seek costs more than these. A scan within a scan has an iterator of its own.
  status scan(std::string_view from, std::string_view to,
              const std::function<bool(std::string_view, std::string_view)>& visit) const override {
    auto it = std::move(spare_);
    const bool ahead = it && !stands_from_.empty() && from >= stands_from_;
    if (!it) it = reader_.iterator();
    const auto before = [&] { return it->Valid() && view(it->key()) < from; };
    for (int steps = 0; ahead && before() && steps < steps_max; ++steps) it->Next();
    if (!ahead || before()) it->Seek(slice(from));
    bool to_the_end = true;
    for (; to_the_end && it->Valid() && view(it->key()) < to; it->Next()) to_the_end = visit(view(it->key()), view(it->value()));
    auto why = reader_.scanned(*it);
    stands_from_ = why.ok() ? to : std::string_view();
    spare_ = std::move(it);
    return why;
  }

private:
  static constexpr int steps_max = 8;

  std::shared_ptr<rocksdb::DB> db_;
  const rocksdb::Snapshot* at_;
  reader_base reader_;
  mutable std::unique_ptr<rocksdb::Iterator> spare_; // of one thread at a time, as the snapshot is
  mutable std::string stands_from_;                  // from here on spare_ has passed no key; empty: nobody knows
};

class rocksdb_store final : public shard_store {
public:
  explicit rocksdb_store(const rocksdb_shard_store_options& options)
      : path_(options.path), budget_(options.budget), horizons_(std::make_shared<shared_horizons>()),
        filter_(std::make_shared<expiry_filter>(*horizons_)) {}

  status open(rocksdb::Env* env) {
    const auto& budget = budget_->get();
    auto options = durable_options(env, healthy_);
    options.write_buffer_manager = budget.write_buffers;
    options.write_buffer_size = std::max<size_t>(4 << 20, std::min<size_t>(64 << 20, budget.write_buffer_bytes / 2));
    // RocksDB would reserve 1.1 times its write buffer for each store's log: 1 GB for 16 shards, which a disk that was full and
    // has a little room again lost at once to the shards, before the event log could open.
    options.allow_fallocate = false;
    options.avoid_flush_during_shutdown = true; // a flush after a failed write aborts; what is logged needs none
    options.merge_operator = std::make_shared<merge_operator>();
    options.compaction_filter = filter_.get();
    options.compression = rocksdb::kLZ4Compression;
    options.max_open_files = 256; // a node has many shards
    options.level_compaction_dynamic_level_bytes = true;
    options.bytes_per_sync = 1 << 20;
    options.wal_bytes_per_sync = 1 << 20;
    rocksdb::BlockBasedTableOptions table;
    table.block_cache = budget.cache;
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
    table.cache_index_and_filter_blocks = true;
    table.pin_l0_filter_and_index_blocks_in_cache = true;
    table.format_version = 5;
    options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    if (auto why = make_directory(path_, env); !why.ok()) return why;
    if (auto why = check_not_headless(path_, env); !why.ok()) return why;
    rocksdb::DB* db = nullptr;
    auto s = rocksdb::DB::Open(options, path_, &db);
    if (!s.ok()) return to_status(s, "cannot open the shard store at " + path_);
    // A snapshot may keep the database open after the store has gone: the filter goes with the database.
    db_ = std::shared_ptr<rocksdb::DB>(
        db, [filter = filter_, horizons = horizons_, watched = budget_->watch().enroll(*db)](rocksdb::DB* p) mutable {
          watched.reset();
          delete p;
        });
    reader_ = std::make_unique<reader_base>(*db_, nullptr, path_);
    return status::success();
  }

  std::unique_ptr<store_batch> new_batch() override { return std::make_unique<rocksdb_batch>(*db_); }

  status write(store_batch& batch) override {
    auto& b = static_cast<rocksdb_batch&>(batch);
    return guarded([&] { return b.failed.ok() ? db_->Write({}, &b.batch) : b.failed; }, "cannot write the shard store at ");
  }
  status sync() override {
    return guarded([&] { return db_->SyncWAL(); }, "cannot sync the shard store at ");
  }

  // A flush lets go of the logs that hold it, a compaction of the tables.
  status purge(std::string_view from, std::string_view to) override {
    if (auto why = guarded([&] { return db_->Flush({}); }, "cannot flush the shard store at "); !why.ok()) return why;
    rocksdb::CompactRangeOptions options;
    options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForce;
    options.exclusive_manual_compaction = false;
    const auto low = slice(from), high = slice(to);
    return to_status(db_->CompactRange(options, &low, &high), "cannot compact the shard store at " + path_);
  }

  // The flush leaves little of the log to be copied.
  status checkpoint(const std::string& path) override {
    if (auto why = guarded([&] { return db_->Flush({}); }, "cannot flush the shard store at "); !why.ok()) return why;
    return make_checkpoint(*db_, path);
  }

  void set_horizons(const store_horizons& h) override {
    horizons_->seconds_ms = h.seconds_ms;
    horizons_->minutes_ms = h.minutes_ms;
    horizons_->segment = h.segment;
  }
  result<std::string> get(std::string_view key) const override { return reader_->get(key); }
  status scan(std::string_view from, std::string_view to,
              const std::function<bool(std::string_view, std::string_view)>& visit) const override {
    return reader_->scan(from, to, visit);
  }
  std::shared_ptr<const store_reader> snapshot() override { return std::make_shared<rocksdb_snapshot>(db_, path_); }

private:
  // The packaged RocksDB aborts when its log is used again after an I/O error: one at a time, and none after the first that
  // failed.
  template <class F>
  status guarded(F io, const char* what) {
    std::lock_guard lock(io_);
    if (!healthy_->load()) return {errc::read_only, what + path_ + ": an earlier write failed"};
    auto s = io();
    if (!s.ok()) healthy_->store(false);
    return to_status(s, what + path_);
  }

  std::string path_;
  std::mutex io_; // held by who writes or syncs
  std::shared_ptr<shard_store_budget> budget_;
  std::shared_ptr<shared_horizons> horizons_;
  std::shared_ptr<expiry_filter> filter_;
  health_flag healthy_ = std::make_shared<std::atomic<bool>>(true);
  std::shared_ptr<rocksdb::DB> db_;
  std::unique_ptr<reader_base> reader_;
};

} // namespace

result<std::unique_ptr<shard_store>> open_rocksdb_shard_store(const rocksdb_shard_store_options& options) {
  auto store = std::make_unique<rocksdb_store>(options);
  if (auto why = store->open(options.env); !why.ok()) return why;
  return std::unique_ptr<shard_store>(std::move(store));
}

} // namespace adtrack::storage
