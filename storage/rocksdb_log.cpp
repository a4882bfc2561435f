#include "storage/rocksdb_log.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <limits>
#include <mutex>
#include <numeric>
#include <shared_mutex>

#include <rocksdb/cache.h>
#include <rocksdb/convenience.h>
#include <rocksdb/db.h>
#include <rocksdb/listener.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include "config/telemetry.hpp"
#include "model/varint.hpp"
#include "storage/log_tail.hpp"
#include "storage/rocksdb_common.hpp"

// Layout. One column family a partition, so that a flushed file holds one run of offsets and merging stays cheap; one write-ahead
// log and one batch for all of them, so that an append call is atomic and costs one fsync. What an append gives a partition stands
// together in runs: key = the first record's offset (big-endian, 8 bytes), value = log time (unix ms, big-endian, 8 bytes), then
// each record's length (varint) and payload. Beside the runs the overlap mark, see below. In the default family: "format",
// "partitions", and "begin/<partition>" for each partition that was trimmed.
//
// Measured with 10 M records of 330 bytes in 16 partitions and 64 MiB of write buffers, an entry a record, CPU a record (making it
// included) and bytes written to tables per byte flushed: one family keyed (partition, offset) 8.9 us and 4.7; a family a partition
// 3.1 us and 1.0, but in files of 1.7 MB for ever; families and the overlap mark 3.5 us and 1.9, in files of 16 MB.

namespace adtrack::storage {
namespace {

constexpr std::string_view format_version = "2";
constexpr size_t time_bytes = 8;
constexpr size_t run_records_max = 256; // who wants one record reads its run
constexpr size_t run_bytes_max = 128 << 10;
constexpr size_t varint_bytes_max = 10;

// Sorts after every offset. Written now and then into each partition so that its level-0 files overlap there: RocksDB then
// merges them into larger ones, where it would otherwise move them down, small as they are, one by one.
constexpr std::string_view overlap_mark = "\xff";
constexpr int64_t overlap_mark_every = 1'000; // records

constexpr size_t per_record_overhead = 40; // of a batch: tags, lengths, key; more than a record of a run needs
constexpr size_t readahead_min = 256 << 10;
constexpr size_t readahead_max = 1 << 20;
constexpr size_t usual_record_bytes = 300;

constexpr size_t rewrite_bytes_max = 4 << 20; // of values, a part
constexpr size_t rewrite_records_max = 10'000;
constexpr int purge_tries_max = 5;

int64_t monotonic_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

rocksdb::Slice slice(std::string_view text) { return {text.data(), text.size()}; }

std::string key_of(int64_t offset) {
  std::string key;
  put_be64(key, static_cast<uint64_t>(offset));
  return key;
}

// The records of a stored run, one after the other.
class run_reader {
public:
  explicit run_reader(const rocksdb::Slice& value) : rest_(value.data(), value.size()) {
    if (rest_.size() <= time_bytes) { // no record is no run
      sound_ = false;
      return;
    }
    time_ms_ = static_cast<int64_t>(read_be64(rest_.data()));
    rest_.remove_prefix(time_bytes);
  }
  bool next(std::string_view& payload) {
    uint64_t size = 0;
    if (!sound_ || rest_.empty()) return false;
    sound_ = get_varint(rest_, size) && size <= rest_.size();
    if (!sound_) return false;
    payload = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return true;
  }
  bool sound() const noexcept { return sound_; } // false once something could not be read
  int64_t time_ms() const noexcept { return time_ms_; }

private:
  std::string_view rest_;
  int64_t time_ms_ = 0;
  bool sound_ = true;
};

// A stored run of which some values are to be others.
struct changed_run {
  std::string key;
  std::string value;
  int64_t end = 0;           // behind its last record
  int64_t last_changed = -1; // offset
};

std::string family_name(uint32_t partition) { return "p" + std::to_string(partition); }
std::string begin_key(uint32_t partition) { return "begin/" + std::to_string(partition); }

// An open database and its families; closed by the destructor.
struct database {
  std::unique_ptr<rocksdb::DB> db;
  std::shared_ptr<void> watched;
  rocksdb::ColumnFamilyHandle* meta = nullptr;
  std::vector<rocksdb::ColumnFamilyHandle*> partitions;
  std::vector<rocksdb::ColumnFamilyHandle*> others; // of some other version

  database() = default;
  database(const database&) = delete;
  database& operator=(const database&) = delete;
  ~database() {
    if (!db) return;
    watched.reset();
    for (auto* family : partitions) destroy(family);
    for (auto* family : others) destroy(family);
    destroy(meta);
    // Every acknowledged record is synced in the write-ahead log: a close that fails loses nothing.
    if (const auto s = db->Close(); !s.ok()) config::log(config::log_level::info, "log", "close_failed", s.ToString());
  }

private:
  void destroy(rocksdb::ColumnFamilyHandle* family) const {
    if (family == nullptr) return;
    if (const auto s = db->DestroyColumnFamilyHandle(family); !s.ok())
      config::log(config::log_level::warning, "log", "close_failed", s.ToString());
  }
};

// Tells how long each sync of the write-ahead log took.
class sync_listener final : public rocksdb::EventListener {
public:
  explicit sync_listener(std::function<void(double)> told) : told_(std::move(told)) {}
  bool ShouldBeNotifiedOnFileIO() override { return true; }
  void OnFileSyncFinish(const rocksdb::FileOperationInfo& info) override {
    if (info.path.ends_with(".log")) told_(std::chrono::duration<double>(info.duration).count());
  }

private:
  const std::function<void(double)> told_;
};

struct partition_state {
  std::atomic<int64_t> begin{0};
  std::atomic<int64_t> end{0}; // Invariant: every record below it is on stable storage.
  log_tail tail;
};

class rocksdb_log final : public event_log {
public:
  explicit rocksdb_log(rocksdb_log_options options) : options_(std::move(options)), states_(options_.partitions) {
    for (auto& state : states_) state.tail.set_capacity(options_.tail_cache_bytes / options_.partitions);
  }

  // Opens and recovers. The caller holds both locks, or is the only one that knows this log.
  status open();

  uint32_t partitions() const noexcept override { return options_.partitions; }
  void append(std::vector<log_record> records, append_done done) override;
  result<std::vector<stored_record>> read(uint32_t partition, int64_t from, size_t max_records, size_t max_bytes) override;
  int64_t begin(uint32_t partition) override { return partition < states_.size() ? states_[partition].begin.load() : 0; }
  log_end end(uint32_t partition) override;
  status trim(uint32_t partition, int64_t below) override;
  bool rewrites() const noexcept override { return true; }
  result<int64_t> rewrite(uint32_t partition, int64_t from, int64_t to, const record_change& change) override;
  status purge(uint32_t partition) override;
  status checkpoint(const std::string& path) override;
  status reopen() override;
  bool writable() const noexcept override { return healthy_->load(); }
  void on_appended(std::function<void()> callback) override {
    std::lock_guard lock(callback_mutex_);
    appended_ = std::move(callback);
  }

private:
  status open_database();
  rocksdb::Options database_options() const;
  status open_families(const rocksdb::Options& options, database& opened) const;
  status check_or_write_meta(database& opened) const;
  status create_missing_partitions(const rocksdb::Options& options, database& opened) const;
  status recover_partition(const database& opened, uint32_t partition, int64_t& begin, int64_t& end) const;
  std::vector<append_outcome> write(std::vector<log_record> records);
  // `places` has the records' offsets.
  rocksdb::Status to_runs(const std::vector<log_record>& records, const std::vector<append_outcome>& places, int64_t now_ms,
                          rocksdb::WriteBatch& batch) const;
  status check_range(uint32_t partition, int64_t from) const;
  result<std::vector<stored_record>> read_stored(uint32_t partition, int64_t from, int64_t end, size_t max_records,
                                                 size_t max_bytes) const; // database_mutex_ shared
  // What a part of a rewrite has to write; returns where the next part begins.
  result<int64_t> changed_runs(uint32_t partition, int64_t from, int64_t to, const record_change& change,
                               std::vector<changed_run>& runs);
  rocksdb::Status merge_all(uint32_t partition); // database_mutex_ shared
  rocksdb::Status flush_all();                   // likewise
  status read_only() const;
  static status no_partition(uint32_t partition) {
    return {errc::out_of_range, "the log has no partition " + std::to_string(partition)};
  }

  const rocksdb_log_options options_;
  health_flag healthy_ = std::make_shared<std::atomic<bool>>(false);
  std::vector<partition_state> states_;
  std::atomic<int64_t> confirmed_ms_{-1};

  std::mutex rewrite_mutex_;            // one rewrite at a time, or one would undo the other; taken before write_mutex_
  std::mutex write_mutex_;              // one writer at a time: append, trim, rewrite, reopen; taken before database_mutex_
  std::shared_mutex database_mutex_;    // shared to use db_, exclusive to replace it
  std::unique_ptr<database> db_;        // null: the last reopen failed
  std::atomic<bool> stop_purge_{false}; // a reopen waits for it

  std::mutex callback_mutex_;
  std::function<void()> appended_;
};

rocksdb::Options rocksdb_log::database_options() const {
  auto options = durable_options(options_.env, healthy_);
  const size_t budget = std::max(options_.write_buffer_bytes, options_.partitions * options_.partition_buffer_bytes_min);
  options.db_write_buffer_size = budget;
  options.write_buffer_size = budget;
  options.arena_block_size = std::min<size_t>(256 << 10, budget / 8);
  options.max_total_wal_size = 3 * budget;
  options.max_background_jobs = 2;
  options.max_open_files = options_.open_files_max;
  options.level0_file_num_compaction_trigger = 12;
  options.level0_slowdown_writes_trigger = 32;
  options.level0_stop_writes_trigger = 48;
  options.target_file_size_base = 16 << 20;
  rocksdb::BlockBasedTableOptions table;
  table.block_size = 32 << 10; // read in runs
  table.block_cache = rocksdb::NewLRUCache(options_.block_cache_bytes);
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  if (options_.on_synced) options.listeners.push_back(std::make_shared<sync_listener>(options_.on_synced));
  return options;
}

// Opens every family that exists; a new log has none but the default one.
status rocksdb_log::open_families(const rocksdb::Options& options, database& opened) const {
  const std::string what = "cannot open the log at " + options_.path;
  std::vector<std::string> names{rocksdb::kDefaultColumnFamilyName};
  if (options.env->FileExists(options_.path + "/CURRENT").ok())
    if (const auto s = rocksdb::DB::ListColumnFamilies(options, options_.path, &names); !s.ok()) return to_status(s, what);
  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  families.reserve(names.size());
  for (const auto& name : names) families.emplace_back(name, options);
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* db = nullptr;
  if (const auto s = rocksdb::DB::Open(options, options_.path, families, &handles, &db); !s.ok()) return to_status(s, what);
  opened.db.reset(db);
  if (options_.watch) opened.watched = options_.watch->enroll(*db);
  opened.partitions.resize(std::max<size_t>(names.size(), options_.partitions));
  status found;
  for (size_t i = 0; i < names.size(); ++i) {
    int64_t partition = 0;
    if (names[i] == rocksdb::kDefaultColumnFamilyName)
      opened.meta = handles[i];
    else if (names[i][0] == 'p' && parse_decimal(std::string_view(names[i]).substr(1), partition) &&
             static_cast<size_t>(partition) < opened.partitions.size())
      opened.partitions[static_cast<size_t>(partition)] = handles[i];
    else {
      opened.others.push_back(handles[i]);
      found = {errc::mismatch, options_.path + " is not a log of this version: it holds a family named " + names[i]};
    }
  }
  return found;
}

// The first thing that a new log keeps is what it was created with; an older one is refused when it was made otherwise.
status rocksdb_log::check_or_write_meta(database& opened) const {
  const std::string what = "cannot read the log at " + options_.path;
  const std::string partitions = std::to_string(options_.partitions);
  std::string format, stored;
  const auto s = opened.db->Get({}, opened.meta, "format", &format);
  if (s.IsNotFound()) {
    rocksdb::WriteBatch batch;
    auto made = batch.Put(opened.meta, "format", slice(format_version));
    if (made.ok()) made = batch.Put(opened.meta, "partitions", partitions);
    rocksdb::WriteOptions synced;
    synced.sync = true;
    if (made.ok()) made = opened.db->Write(synced, &batch);
    return to_status(made, "cannot create the log at " + options_.path);
  }
  if (!s.ok()) return to_status(s, what);
  if (format != format_version)
    return {errc::mismatch, "the log at " + options_.path + " has format " + format + ", this version reads format " +
                                std::string(format_version) + "; use the version that wrote it"};
  if (const auto t = opened.db->Get({}, opened.meta, "partitions", &stored); !t.ok()) return to_status(t, what);
  if (stored != partitions)
    return {errc::mismatch, "the log at " + options_.path + " was created with " + stored + " shards and cannot be opened with " +
                                partitions + "; set log.shards to " + stored};
  return {};
}

// Also after a creation that was interrupted.
status rocksdb_log::create_missing_partitions(const rocksdb::Options& options, database& opened) const {
  for (uint32_t p = 0; p < options_.partitions; ++p) {
    if (opened.partitions[p] != nullptr) continue;
    if (const auto s = opened.db->CreateColumnFamily(options, family_name(p), &opened.partitions[p]); !s.ok())
      return to_status(s, "cannot create the log at " + options_.path);
  }
  return {};
}

status rocksdb_log::recover_partition(const database& opened, uint32_t partition, int64_t& begin, int64_t& end) const {
  const std::string what = "cannot read partition " + std::to_string(partition) + " of the log at " + options_.path;
  begin = 0;
  std::string text;
  const auto s = opened.db->Get({}, opened.meta, begin_key(partition), &text);
  if (!s.ok() && !s.IsNotFound()) return to_status(s, what);
  if (s.ok() && !parse_decimal(text, begin)) return {errc::corrupt, what + ": its first offset reads " + text};
  end = begin; // an emptied partition goes on where it was trimmed
  const std::unique_ptr<rocksdb::Iterator> it(opened.db->NewIterator({}, opened.partitions[partition]));
  it->SeekForPrev(key_of(std::numeric_limits<int64_t>::max()));
  if (it->Valid()) {
    if (it->key().size() != 8) return {errc::corrupt, what + ": a key has " + std::to_string(it->key().size()) + " bytes"};
    int64_t last = static_cast<int64_t>(read_be64(it->key().data()));
    run_reader run(it->value());
    for (std::string_view payload; run.next(payload);) ++last;
    if (!run.sound()) return {errc::corrupt, what + ": its last records are damaged"};
    end = std::max(end, last);
  }
  return to_status(it->status(), what);
}

status rocksdb_log::open() {
  healthy_->store(true); // before, as what fails in the background meanwhile unsets it
  auto s = open_database();
  if (!s.ok()) healthy_->store(false);
  return s;
}

status rocksdb_log::open_database() {
  if (auto made = make_directory(options_.path, options_.env); !made.ok()) return made;
  if (auto sound = check_not_headless(options_.path, options_.env); !sound.ok()) return sound;
  const auto options = database_options();
  auto opened = std::make_unique<database>();
  if (auto s = open_families(options, *opened); !s.ok()) return s;
  if (auto s = check_or_write_meta(*opened); !s.ok()) return s;
  if (auto s = create_missing_partitions(options, *opened); !s.ok()) return s;
  std::vector<std::pair<int64_t, int64_t>> found(states_.size());
  for (uint32_t p = 0; p < states_.size(); ++p) {
    auto& [begin, end] = found[p];
    if (auto s = recover_partition(*opened, p, begin, end); !s.ok()) return s;
    if (end < states_[p].end.load())
      return {errc::corrupt, "the log at " + options_.path + " lost acknowledged records of partition " + std::to_string(p) +
                                 ": it ends at " + std::to_string(end) + ", not at " + std::to_string(states_[p].end.load()) +
                                 "; its disk does not keep what it says it kept"};
  }
  for (uint32_t p = 0; p < states_.size(); ++p) {
    states_[p].tail.clear(); // records of unknown fate may have come in after it
    states_[p].begin.store(found[p].first);
    states_[p].end.store(found[p].second);
  }
  db_ = std::move(opened);
  confirmed_ms_.store(monotonic_ms());
  return {};
}

status rocksdb_log::reopen() {
  std::lock_guard writing(write_mutex_);
  if (healthy_->load()) return {};
  // While the cause is still there, the open database stays: it can be read.
  if (auto s = (db_ ? probe_directory : check_room)(options_.path, options_.env); !s.ok()) return s;
  stop_purge_.store(true); // it would keep this one, and every append, waiting until it has merged all
  std::unique_lock replacing(database_mutex_);
  stop_purge_.store(false);
  db_.reset();
  return open();
}

void rocksdb_log::append(std::vector<log_record> records, append_done done) {
  auto outcomes = write(std::move(records));
  const bool any = !outcomes.empty() && outcomes.front().fate == append_fate::durable;
  done(std::move(outcomes));
  if (!any) return;
  std::function<void()> appended;
  {
    std::lock_guard lock(callback_mutex_);
    appended = appended_;
  }
  if (appended) appended();
}

rocksdb::Status rocksdb_log::to_runs(const std::vector<log_record>& records, const std::vector<append_outcome>& places,
                                     int64_t now_ms, rocksdb::WriteBatch& batch) const {
  std::vector<uint32_t> order(records.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](uint32_t a, uint32_t b) { return records[a].partition < records[b].partition; });
  std::string time, lengths;
  put_be64(time, static_cast<uint64_t>(now_ms));
  lengths.reserve(records.size() * varint_bytes_max); // never moves: slices point into it
  std::vector<rocksdb::Slice> parts;
  rocksdb::Status s;
  for (size_t i = 0; i < order.size() && s.ok();) {
    const auto partition = records[order[i]].partition;
    auto* family = db_->partitions[partition];
    const int64_t first = places[order[i]].offset;
    const std::string key = key_of(first);
    bool mark = false;
    size_t size = 0;
    parts.assign(1, time);
    for (size_t n = 0; i < order.size() && n < run_records_max && size < run_bytes_max; ++n, ++i) {
      const auto& record = records[order[i]];
      if (record.partition != partition) break;
      const size_t at = lengths.size();
      put_varint(lengths, record.value.size());
      parts.emplace_back(lengths.data() + at, lengths.size() - at);
      parts.emplace_back(record.value);
      size += record.value.size();
      mark = mark || places[order[i]].offset % overlap_mark_every == 0;
    }
    const rocksdb::Slice key_part(key);
    s = batch.Put(family, rocksdb::SliceParts(&key_part, 1), rocksdb::SliceParts(parts.data(), static_cast<int>(parts.size())));
    if (s.ok() && mark) s = batch.Put(family, slice(overlap_mark), {});
  }
  return s;
}

// All of the records or none: they are one batch.
std::vector<append_outcome> rocksdb_log::write(std::vector<log_record> records) {
  std::vector<append_outcome> outcomes(records.size(), {append_fate::refused, -1});
  std::lock_guard writing(write_mutex_);
  std::shared_lock using_database(database_mutex_);
  if (records.empty() || !healthy_->load() || !db_) return outcomes;

  size_t bytes = 0;
  for (const auto& record : records) {
    if (record.partition >= states_.size()) {
      config::log(config::log_level::error, "log", "no_such_partition", "an append names a partition that the log does not have",
                  {{"partition", record.partition}});
      return outcomes;
    }
    bytes += record.value.size() + per_record_overhead;
  }
  const int64_t now = options_.now_ms();
  std::vector<int64_t> next(states_.size());
  for (size_t p = 0; p < next.size(); ++p) next[p] = states_[p].end.load();
  for (size_t i = 0; i < records.size(); ++i) outcomes[i].offset = next[records[i].partition]++;
  rocksdb::WriteBatch batch(bytes);
  auto s = to_runs(records, outcomes, now, batch);
  rocksdb::WriteOptions synced;
  synced.sync = true;
  if (s.ok()) s = db_->db->Write(synced, &batch);
  if (!s.ok()) {
    healthy_->store(false);
    config::log(config::log_level::error, "log", "append_failed", "the log is read-only until it was reopened",
                {{"reason", s.ToString()}, {"records", records.size()}});
    for (auto& outcome : outcomes) outcome = {append_fate::unknown, -1};
    return outcomes;
  }
  for (size_t i = 0; i < records.size(); ++i) {
    states_[records[i].partition].tail.push({outcomes[i].offset, now, std::move(records[i].value)});
    outcomes[i].fate = append_fate::durable;
  }
  for (size_t p = 0; p < next.size(); ++p) states_[p].end.store(next[p]);
  confirmed_ms_.store(monotonic_ms());
  return outcomes;
}

log_end rocksdb_log::end(uint32_t partition) {
  if (partition >= states_.size()) return {0, -1};
  // While appends fail, records of unknown fate may stand past the end: it is as old as the last success.
  if (healthy_->load()) confirmed_ms_.store(monotonic_ms());
  return {states_[partition].end.load(), confirmed_ms_.load()};
}

status rocksdb_log::check_range(uint32_t partition, int64_t from) const {
  if (partition >= states_.size()) return no_partition(partition);
  const auto begin = states_[partition].begin.load(), end = states_[partition].end.load();
  if (from >= begin && from <= end) return {};
  return {errc::out_of_range, "offset " + std::to_string(from) + " of partition " + std::to_string(partition) + " is outside " +
                                  std::to_string(begin) + "-" + std::to_string(end)};
}

result<std::vector<stored_record>> rocksdb_log::read(uint32_t partition, int64_t from, size_t max_records, size_t max_bytes) {
  std::shared_lock using_database(database_mutex_);
  if (!db_) return status{errc::io, "the log at " + options_.path + " is closed: reopening it failed"};
  if (auto s = check_range(partition, from); !s.ok()) return s;
  const int64_t end = states_[partition].end.load();
  std::vector<stored_record> out;
  if (from == end || max_records == 0) return out;
  // Asking the database costs tens of microseconds whatever it gives: too much for a reader that follows the tail.
  if (states_[partition].tail.read(from, end, max_records, max_bytes, out)) return out;
  return read_stored(partition, from, end, max_records, max_bytes);
}

result<std::vector<stored_record>> rocksdb_log::read_stored(uint32_t partition, int64_t from, int64_t end, size_t max_records,
                                                            size_t max_bytes) const {
  std::vector<stored_record> out;
  const size_t wanted = std::min(max_records, static_cast<size_t>(end - from));
  const std::string last_key = key_of(end), first_key = key_of(from);
  const rocksdb::Slice upper(last_key);
  rocksdb::ReadOptions options;
  options.iterate_upper_bound = &upper;
  options.fill_cache = false;
  // Reading ahead pays for a reader that catches up; at the tail it would read far more than there is.
  const size_t expected = std::min(max_bytes, wanted * usual_record_bytes);
  if (expected >= readahead_min) options.readahead_size = std::min(expected, readahead_max);

  out.reserve(std::min(wanted, max_bytes / usual_record_bytes + 1));
  const std::unique_ptr<rocksdb::Iterator> it(db_->db->NewIterator(options, db_->partitions[partition]));
  const auto damaged = [&](const char* how) {
    return status{errc::corrupt, "record " + std::to_string(from + static_cast<int64_t>(out.size())) + " of partition " +
                                     std::to_string(partition) + " of the log at " + options_.path + " is " + how};
  };
  size_t bytes = 0;
  bool full = false;
  status bad;
  for (it->SeekForPrev(first_key); !full && bad.ok() && it->Valid(); it->Next()) {
    // Invariant: offsets are dense, so a hole is a loss and never skipped.
    if (it->key().size() != 8) break;
    int64_t offset = static_cast<int64_t>(read_be64(it->key().data()));
    if (out.empty() ? offset > from : offset != from + static_cast<int64_t>(out.size())) break;
    run_reader run(it->value());
    for (std::string_view payload; !full && run.next(payload); ++offset) {
      if (offset < from) continue;
      bytes += payload.size();
      full = !out.empty() && bytes > max_bytes;
      if (full) break;
      out.push_back({offset, run.time_ms(), std::string(payload)});
      full = out.size() == wanted || bytes >= max_bytes;
    }
    if (!run.sound()) bad = damaged("damaged");
  }
  if (!it->status().ok()) return to_status(it->status(), "cannot read the log at " + options_.path);
  // A trim may have taken the records away meanwhile; then this is no hole.
  if (auto s = check_range(partition, from); !s.ok()) return s;
  if (!bad.ok()) return bad;
  if (!full) return damaged("missing");
  return out;
}

status rocksdb_log::read_only() const {
  return {errc::read_only, "the log at " + options_.path + " is read-only since a write failed; it has to be reopened"};
}

status rocksdb_log::trim(uint32_t partition, int64_t below) {
  std::lock_guard writing(write_mutex_);
  std::shared_lock using_database(database_mutex_);
  if (partition >= states_.size() || below > states_[partition].end.load())
    return {errc::out_of_range,
            "cannot trim partition " + std::to_string(partition) + " below " + std::to_string(below) + ": that is past its end"};
  if (!healthy_->load() || !db_) return read_only();
  const int64_t begin = states_[partition].begin.load();
  if (below <= begin) return {};
  auto* family = db_->partitions[partition];
  // From 0: what an earlier trim had to leave, too. The run that holds `below` stays.
  const std::string from = key_of(0);
  std::string to = key_of(below);
  const std::unique_ptr<rocksdb::Iterator> it(db_->db->NewIterator({}, family));
  it->SeekForPrev(to);
  if (it->Valid()) to = it->key().ToString();
  if (!it->status().ok()) return to_status(it->status(), "cannot trim the log at " + options_.path);
  // First, so that a reader that finds records gone knows why.
  states_[partition].begin.store(below);
  rocksdb::WriteOptions synced;
  synced.sync = true;
  auto s = db_->db->Put(synced, db_->meta, begin_key(partition), std::to_string(below));
  // Gives whole files back to the disk; what shares a file with kept records goes with a later trim. No range tombstone: the
  // packaged RocksDB aborts on a memtable that holds one when a flush before it failed half way.
  const rocksdb::Slice first(from), last(to);
  const rocksdb::RangePtr range(&first, &last);
  if (s.ok()) s = rocksdb::DeleteFilesInRanges(db_->db.get(), family, &range, 1, false);
  if (!s.ok()) healthy_->store(false);
  return to_status(s, "cannot trim the log at " + options_.path);
}

result<int64_t> rocksdb_log::changed_runs(uint32_t partition, int64_t from, int64_t to, const record_change& change,
                                          std::vector<changed_run>& runs) {
  std::shared_lock using_database(database_mutex_);
  if (!healthy_->load() || !db_) return read_only();
  const auto& state = states_[partition];
  const int64_t first = std::max(from, state.begin.load()), last = std::min(to, state.end.load());
  if (first >= last) return to;
  const std::string last_key = key_of(last);
  const rocksdb::Slice upper(last_key);
  rocksdb::ReadOptions options;
  options.iterate_upper_bound = &upper;
  options.fill_cache = false;
  options.readahead_size = readahead_max;
  const std::unique_ptr<rocksdb::Iterator> it(db_->db->NewIterator(options, db_->partitions[partition]));
  int64_t next = first;
  size_t bytes = 0;
  bool sound = true;
  for (it->SeekForPrev(key_of(first)); it->Valid() && it->key().size() == 8; it->Next()) {
    int64_t offset = static_cast<int64_t>(read_be64(it->key().data()));
    if (offset > next) break; // a hole
    run_reader run(it->value());
    changed_run made{it->key().ToString(), {}};
    put_be64(made.value, static_cast<uint64_t>(run.time_ms()));
    for (std::string_view payload; run.next(payload); ++offset) {
      std::optional<std::string> other;
      if (offset >= first && offset < last) {
        other = change({offset, run.time_ms(), std::string(payload)});
        bytes += payload.size();
      }
      if (other) made.last_changed = offset;
      const std::string_view value = other ? *other : payload;
      put_varint(made.value, value.size());
      made.value += value;
    }
    sound = run.sound();
    if (!sound) break;
    made.end = offset;
    next = std::max(next, offset);
    if (made.last_changed >= 0) runs.push_back(std::move(made));
    if (next >= last) return to;
    if (bytes >= rewrite_bytes_max || next - first >= static_cast<int64_t>(rewrite_records_max)) return next;
  }
  if (!it->status().ok()) return to_status(it->status(), "cannot read the log at " + options_.path);
  if (const int64_t begin = state.begin.load(); begin > next) return std::min(begin, to); // trimmed meanwhile: no hole
  return status{errc::corrupt, "record " + std::to_string(next) + " of partition " + std::to_string(partition) +
                                   " of the log at " + options_.path + " is " + (sound ? "missing" : "damaged")};
}

result<int64_t> rocksdb_log::rewrite(uint32_t partition, int64_t from, int64_t to, const record_change& change) {
  if (partition >= states_.size()) return no_partition(partition);
  std::lock_guard rewriting(rewrite_mutex_);
  // Read without keeping appends waiting: nothing but a rewrite changes a run, and what a trim took meanwhile is seen below.
  std::vector<changed_run> runs;
  auto next = changed_runs(partition, from, to, change, runs);
  if (!next.ok() || runs.empty()) return next;
  std::lock_guard writing(write_mutex_);
  std::shared_lock using_database(database_mutex_);
  if (!healthy_->load() || !db_) return read_only();
  rocksdb::WriteBatch batch;
  rocksdb::Status s;
  // Invariant: a run that was trimmed as a whole is never written again.
  std::erase_if(runs, [begin = states_[partition].begin.load()](const auto& run) { return run.end <= begin; });
  if (runs.empty()) return next;
  for (const auto& run : runs)
    if (s.ok()) s = batch.Put(db_->partitions[partition], run.key, run.value);
  rocksdb::WriteOptions synced;
  synced.sync = true;
  if (s.ok()) s = db_->db->Write(synced, &batch);
  if (!s.ok()) {
    healthy_->store(false);
    config::log(config::log_level::error, "log", "rewrite_failed", "the log is read-only until it was reopened",
                {{"reason", s.ToString()}, {"partition", partition}});
    return to_status(s, "cannot replace records of the log at " + options_.path);
  }
  states_[partition].tail.drop_through(runs.back().last_changed);
  return next;
}

// Merges until no run has two values. Those of one run stand on two levels, or in two files of level 0: where all files that hold
// runs from before are on one level below it, there is none. What is merged in the background beside this one can be in its way.
rocksdb::Status rocksdb_log::merge_all(uint32_t partition) {
  auto* family = db_->partitions[partition];
  const std::string end = key_of(states_[partition].end.load());
  rocksdb::CompactRangeOptions options;
  options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForce;
  options.canceled = &stop_purge_;
  for (int tries = 0; tries < purge_tries_max; ++tries) {
    if (auto s = db_->db->CompactRange(options, family, nullptr, nullptr); !s.ok()) return s;
    rocksdb::ColumnFamilyMetaData files;
    db_->db->GetColumnFamilyMetaData(family, &files);
    const auto holds_runs = [&](const auto& level) {
      return std::ranges::any_of(level.files, [&](const auto& file) { return file.smallestkey < end; });
    };
    if (std::ranges::count_if(files.levels, holds_runs) <= 1 && !holds_runs(files.levels.front())) return {};
  }
  return rocksdb::Status::TryAgain("other merges were in the way");
}

// All families: each holds back the write-ahead logs that have something of it that is in no table yet.
rocksdb::Status rocksdb_log::flush_all() {
  std::vector<rocksdb::ColumnFamilyHandle*> families(db_->partitions.begin(), db_->partitions.begin() + options_.partitions);
  families.push_back(db_->meta);
  return db_->db->Flush({}, families);
}

status rocksdb_log::checkpoint(const std::string& path) {
  std::shared_lock using_database(database_mutex_);
  if (!healthy_->load() || !db_) return read_only();
  if (const auto s = flush_all(); !s.ok()) return to_status(s, "cannot flush the log at " + options_.path);
  return make_checkpoint(*db_->db, path);
}

status rocksdb_log::purge(uint32_t partition) {
  if (partition >= states_.size()) return no_partition(partition);
  std::shared_lock using_database(database_mutex_);
  if (!healthy_->load() || !db_) return read_only();
  auto& db = *db_->db;
  const auto newest = db.GetLatestSequenceNumber();
  auto s = flush_all();
  if (s.ok()) s = merge_all(partition);
  if (s.ok()) s = db.EnableFileDeletions(false); // was never disabled: removes what nobody needs any more, now
  rocksdb::VectorLogPtr logs;
  if (s.ok()) s = db.GetSortedWalFiles(logs); // and waits for removals under way
  if (s.ok() && std::ranges::any_of(logs, [&](const auto& log) { return log->StartSequence() <= newest; }))
    s = rocksdb::Status::TryAgain("an old write-ahead log is still there");
  return to_status(s, "cannot take what was replaced off the disk of the log at " + options_.path);
}

} // namespace

result<std::unique_ptr<event_log>> open_rocksdb_log(rocksdb_log_options options) {
  if (options.partitions == 0) return status{errc::mismatch, "a log needs at least one shard"};
  auto log = std::make_unique<rocksdb_log>(std::move(options));
  if (auto s = log->open(); !s.ok()) return s;
  return std::unique_ptr<event_log>(std::move(log));
}

} // namespace adtrack::storage
