#include "storage/rocksdb_common.hpp"

#include <charconv>
#include <cstdarg>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <vector>

#include <rocksdb/env.h>
#include <rocksdb/listener.h>
#include <rocksdb/utilities/checkpoint.h>

#include "config/telemetry.hpp"

namespace adtrack::storage {
namespace {

constexpr size_t probe_bytes = 64 << 10;

// Marks the database as failed the moment RocksDB knows it, so that nothing is tried on it that may half happen.
class failure_listener final : public rocksdb::EventListener {
public:
  explicit failure_listener(health_flag healthy) : healthy_(std::move(healthy)) {}
  void OnBackgroundError(rocksdb::BackgroundErrorReason, rocksdb::Status*) override { healthy_->store(false); }

private:
  health_flag healthy_;
};

rocksdb::Env* env_or_default(rocksdb::Env* env) { return env != nullptr ? env : rocksdb::Env::Default(); }

// Keeps no file of its own: the packaged RocksDB aborts when the disk is full under its own log. Errors go to ours; what matters
// to us comes back as a status anyway.
class quiet_logger final : public rocksdb::Logger {
public:
  quiet_logger() : rocksdb::Logger(rocksdb::InfoLogLevel::ERROR_LEVEL) {}
  using rocksdb::Logger::Logv;
  void Logv(const char*, va_list) override {} // its header lines
  void Logv(const rocksdb::InfoLogLevel level, const char* format, va_list arguments) override {
    if (level < rocksdb::InfoLogLevel::ERROR_LEVEL || level >= rocksdb::InfoLogLevel::HEADER_LEVEL) return;
    char line[1'024];
    std::vsnprintf(line, sizeof line, format, arguments);
    config::log(config::log_level::warning, "rocksdb", "rocksdb_error", line);
  }
};

// Syncs a directory's entries, so that a file made in it is still there after a power loss.
rocksdb::Status sync_directory(const std::string& path, rocksdb::Env* env) {
  std::unique_ptr<rocksdb::Directory> directory;
  auto s = env->NewDirectory(path, &directory);
  return s.ok() ? directory->Fsync() : s;
}

} // namespace

status to_status(const rocksdb::Status& s, std::string_view what) {
  if (s.ok()) return {};
  errc code = errc::io;
  std::string_view advice;
  if (s.IsCorruption()) {
    code = errc::corrupt;
    advice = "; restore it from a backup or a replica";
  } else if (s.IsNoSpace()) {
    advice = "; make room on the disk";
  } else if (s.ToString().find("/LOCK: ") != std::string::npos) {
    // RocksDB reports a taken lock file as an I/O error that names it.
    code = errc::locked;
    advice = "; another process or another part of this one holds it";
  } else if (s.IsNotFound()) {
    code = errc::not_found;
  } else if (s.IsInvalidArgument()) {
    code = errc::mismatch;
  }
  return {code, std::string(what) + ": " + s.ToString() + std::string(advice)};
}

void put_be64(std::string& out, uint64_t value) {
  for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift));
}

uint64_t read_be64(const char* at) noexcept {
  uint64_t value = 0;
  for (int i = 0; i < 8; ++i) value = value << 8 | static_cast<unsigned char>(at[i]);
  return value;
}

bool parse_decimal(std::string_view text, int64_t& out) noexcept {
  if (text.empty() || text.front() == '-') return false;
  const auto* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, out);
  return error == std::errc{} && stop == end;
}

rocksdb::Options durable_options(rocksdb::Env* env, health_flag healthy) {
  rocksdb::Options options;
  options.env = env_or_default(env);
  options.create_if_missing = true;
  options.create_missing_column_families = true;
  options.paranoid_checks = true;
  // A batch cut short by a power loss was never acknowledged; anything else that does not decode is a fault to be told.
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  // What recovery read may only be in the page cache after a failed fsync: it is written anew, to a synced file.
  options.avoid_flush_during_recovery = false;
  options.max_bgerror_resume_count = 0;
  options.wal_compression = rocksdb::kNoCompression; // loses its tail in 7.8
  options.recycle_log_file_num = 0;
  options.compression = rocksdb::kLZ4Compression;
  options.info_log = std::make_shared<quiet_logger>();
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  options.listeners.push_back(std::make_shared<failure_listener>(std::move(healthy)));
  return options;
}

status check_not_headless(const std::string& path, rocksdb::Env* env) {
  env = env_or_default(env);
  if (env->FileExists(path + "/CURRENT").ok()) return {};
  std::vector<std::string> names;
  if (!env->GetChildren(path, &names).ok()) return {}; // not there yet
  for (const auto& name : names)
    if (name.ends_with(".sst") || name.ends_with(".log"))
      return {errc::corrupt, path + " holds data (" + name + ") but its CURRENT file is gone; restore it from a backup"};
  return {};
}

status check_room(const std::string& path, rocksdb::Env* env) {
  std::vector<rocksdb::Env::FileAttributes> files;
  env = env_or_default(env);
  uint64_t free = 0, needed = probe_bytes;
  if (!env->GetChildrenFileAttributes(path, &files).ok() || !env->GetFreeSpace(path, &free).ok()) return {};
  for (const auto& file : files)
    if (file.name.ends_with(".log")) needed += file.size_bytes;
  if (free >= needed) return {};
  return {errc::io, "opening " + path + " needs " + std::to_string(needed >> 20) + " MiB and the disk has " +
                        std::to_string(free >> 20) + " MiB; make room on the disk"};
}

status probe_directory(const std::string& path, rocksdb::Env* env) {
  env = env_or_default(env);
  const std::string name = path + "/probe.tmp";
  std::unique_ptr<rocksdb::WritableFile> file;
  auto s = env->NewWritableFile(name, &file, rocksdb::EnvOptions());
  if (s.ok()) s = file->Append(std::string(probe_bytes, 'p'));
  if (s.ok()) s = file->Sync();
  if (file) {
    const auto closed = file->Close();
    if (s.ok()) s = closed;
  }
  const auto removed = env->DeleteFile(name);
  if (s.ok()) s = removed;
  return to_status(s, "cannot write to " + path);
}

status make_directory(const std::string& path, rocksdb::Env* env) {
  env = env_or_default(env);
  auto s = env->FileExists(path);
  if (s.ok()) return {};
  // Only what is certainly missing is made: a disk that does not answer would have us walk up for ever.
  if (!s.IsNotFound()) return to_status(s, "cannot look for the directory " + path);
  const auto parent = std::filesystem::path(path).parent_path().string();
  if (!parent.empty() && parent != path)
    if (auto made = make_directory(parent, env); !made.ok()) return made;
  s = env->CreateDirIfMissing(path);
  if (s.ok()) s = sync_directory(parent.empty() ? "." : parent, env);
  return to_status(s, "cannot create the directory " + path);
}

status make_checkpoint(rocksdb::DB& db, const std::string& path) {
  rocksdb::Checkpoint* made = nullptr;
  auto s = rocksdb::Checkpoint::Create(&db, &made);
  const std::unique_ptr<rocksdb::Checkpoint> checkpoint(made);
  if (s.ok()) s = checkpoint->CreateCheckpoint(path, std::numeric_limits<uint64_t>::max());
  return to_status(s, "cannot make the checkpoint " + path);
}

} // namespace adtrack::storage
