#include "tests/support/faulty_env.hpp"

#include <algorithm>
#include <filesystem>

namespace adtrack::test {

namespace fs = std::filesystem;
using rocksdb::Slice;
using rocksdb::Status;

namespace {

std::string normal(const std::string& path) { return fs::path(path).lexically_normal().string(); }

std::string directory_of(const std::string& path) {
  const auto parent = fs::path(normal(path)).parent_path().string();
  return parent.empty() ? "." : parent;
}

std::string without_slash(const std::string& path) {
  auto plain = normal(path);
  if (plain.size() > 1 && plain.back() == '/') plain.pop_back();
  return plain;
}

class held_lock final : public rocksdb::FileLock {
public:
  held_lock(std::string path, uint64_t since) : name(std::move(path)), epoch(since) {}
  const std::string name;
  const uint64_t epoch;
};

} // namespace

class faulty_readable {
public:
  explicit faulty_readable(faulty_env* env) : env_(env), epoch_(env->epoch_.load()) {}
  Status alive() const { return env_->alive(epoch_); }

private:
  faulty_env* env_;
  uint64_t epoch_;
};

namespace {

class faulty_sequential_file final : public rocksdb::SequentialFile {
public:
  faulty_sequential_file(faulty_readable power, std::unique_ptr<rocksdb::SequentialFile> file)
      : power_(power), file_(std::move(file)) {}
  Status Read(size_t n, Slice* result, char* scratch) override {
    auto s = power_.alive();
    return s.ok() ? file_->Read(n, result, scratch) : s;
  }
  Status Skip(uint64_t n) override { return file_->Skip(n); }

private:
  faulty_readable power_;
  std::unique_ptr<rocksdb::SequentialFile> file_;
};

class faulty_random_file final : public rocksdb::RandomAccessFile {
public:
  faulty_random_file(faulty_readable power, std::unique_ptr<rocksdb::RandomAccessFile> file)
      : power_(power), file_(std::move(file)) {}
  Status Read(uint64_t offset, size_t n, Slice* result, char* scratch) const override {
    auto s = power_.alive();
    return s.ok() ? file_->Read(offset, n, result, scratch) : s;
  }
  Status Prefetch(uint64_t offset, size_t n) override {
    auto s = power_.alive();
    return s.ok() ? file_->Prefetch(offset, n) : s;
  }
  size_t GetUniqueId(char* id, size_t max_size) const override { return file_->GetUniqueId(id, max_size); }

private:
  faulty_readable power_;
  std::unique_ptr<rocksdb::RandomAccessFile> file_;
};

} // namespace

class faulty_writable_file final : public rocksdb::WritableFileWrapper {
public:
  faulty_writable_file(faulty_env* env, std::string path, faulty_env::content_ptr bytes,
                       std::unique_ptr<rocksdb::WritableFile> file)
      : WritableFileWrapper(file.get()), env_(env), path_(std::move(path)), bytes_(std::move(bytes)), file_(std::move(file)),
        epoch_(env->epoch_.load()) {}

  Status Append(const Slice& data) override {
    if (auto s = env_->alive(epoch_); !s.ok()) return s;
    const auto verdict = env_->before(faulty_env::io_kind::append, path_);
    if (auto s = env_->alive(epoch_); !s.ok()) return s;
    const Slice part(data.data(), verdict.ok() ? data.size() : data.size() / 2);
    auto s = file_->Append(part);
    if (s.ok()) {
      std::lock_guard lock(env_->mutex_);
      bytes_->size += part.size();
    }
    return verdict.ok() ? s : verdict;
  }
  Status Append(const Slice& data, const rocksdb::DataVerificationInfo&) override { return Append(data); }
  Status PositionedAppend(const Slice&, uint64_t) override { return Status::NotSupported("direct I/O"); }
  Status PositionedAppend(const Slice&, uint64_t, const rocksdb::DataVerificationInfo&) override {
    return Status::NotSupported("direct I/O");
  }
  Status Truncate(uint64_t size) override {
    if (auto s = env_->alive(epoch_); !s.ok()) return s;
    if (auto s = env_->before(faulty_env::io_kind::truncate, path_); !s.ok()) return s;
    auto s = file_->Truncate(size);
    std::lock_guard lock(env_->mutex_);
    if (s.ok()) {
      bytes_->size = std::min(bytes_->size, size);
      bytes_->synced = std::min(bytes_->synced, size);
    }
    return s;
  }
  Status Sync() override { return sync(); }
  Status Fsync() override { return sync(); }
  Status RangeSync(uint64_t, uint64_t) override { return env_->alive(epoch_); } // promises nothing
  bool IsSyncThreadSafe() const override { return true; }
  Status Flush() override {
    auto s = env_->alive(epoch_);
    return s.ok() ? file_->Flush() : s;
  }
  Status Allocate(uint64_t offset, uint64_t size) override {
    auto s = env_->alive(epoch_);
    return s.ok() ? file_->Allocate(offset, size) : s;
  }

private:
  Status sync() {
    if (auto s = env_->alive(epoch_); !s.ok()) return s;
    uint64_t size = 0; // what is appended meanwhile is not promised
    {
      std::lock_guard lock(env_->mutex_);
      size = bytes_->size;
    }
    bool happened = false;
    auto verdict = env_->before(faulty_env::io_kind::sync, path_, &happened);
    std::lock_guard lock(env_->mutex_);
    if (!verdict.ok() && env_->powered_.load()) bytes_->sync_lost = true;
    if ((verdict.ok() || happened) && !bytes_->sync_lost) bytes_->synced = std::max(bytes_->synced, std::min(size, bytes_->size));
    return verdict;
  }

  faulty_env* env_;
  const std::string path_;
  const faulty_env::content_ptr bytes_;
  const std::unique_ptr<rocksdb::WritableFile> file_;
  const uint64_t epoch_;
};

class faulty_rw_file final : public rocksdb::RandomRWFile {
public:
  faulty_rw_file(faulty_env* env, std::string path, std::unique_ptr<rocksdb::RandomRWFile> file)
      : env_(env), path_(std::move(path)), file_(std::move(file)), epoch_(env->epoch_.load()) {}
  Status Write(uint64_t offset, const Slice& data) override {
    auto s = env_->alive(epoch_);
    if (s.ok()) s = env_->before(faulty_env::io_kind::append, path_);
    return s.ok() ? file_->Write(offset, data) : s;
  }
  Status Read(uint64_t offset, size_t n, Slice* result, char* scratch) const override {
    auto s = env_->alive(epoch_);
    return s.ok() ? file_->Read(offset, n, result, scratch) : s;
  }
  Status Flush() override { return env_->alive(epoch_); }
  Status Sync() override {
    auto s = env_->alive(epoch_);
    return s.ok() ? env_->before(faulty_env::io_kind::sync, path_) : s;
  }
  Status Close() override { return file_->Close(); }

private:
  faulty_env* env_;
  const std::string path_;
  const std::unique_ptr<rocksdb::RandomRWFile> file_;
  const uint64_t epoch_;
};

class faulty_directory final : public rocksdb::Directory {
public:
  faulty_directory(faulty_env* env, std::string path, std::unique_ptr<rocksdb::Directory> directory)
      : env_(env), path_(std::move(path)), directory_(std::move(directory)), epoch_(env->epoch_.load()) {}
  Status Fsync() override {
    if (auto s = env_->alive(epoch_); !s.ok()) return s;
    bool happened = false;
    auto verdict = env_->before(faulty_env::io_kind::sync_directory, path_, &happened);
    if (verdict.ok() || happened) env_->synced_directory(path_);
    return verdict;
  }
  Status Close() override { return directory_->Close(); }
  size_t GetUniqueId(char* id, size_t max_size) const override { return directory_->GetUniqueId(id, max_size); }

private:
  faulty_env* env_;
  const std::string path_;
  const std::unique_ptr<rocksdb::Directory> directory_;
  const uint64_t epoch_;
};

faulty_env::faulty_env(std::string stash_directory, uint64_t seed)
    : EnvWrapper(rocksdb::Env::Default()), stash_(std::move(stash_directory)), random_(seed) {
  fs::create_directories(stash_);
}

faulty_env::~faulty_env() {
  std::error_code gone; // only temporary files are left behind when this fails
  fs::remove_all(stash_, gone);
}

Status faulty_env::alive(uint64_t epoch) const {
  if (powered_.load() && epoch == epoch_.load()) return Status::OK();
  return Status::IOError("the power is off");
}

void faulty_env::power_loss() {
  std::lock_guard lock(mutex_);
  powered_ = false;
  locks_.clear();
}

void faulty_env::power_loss_at(uint64_t n) { power_loss_at_ = n == 0 ? 0 : io_count_.load() + n; }

void faulty_env::on_io(std::function<void(const io&)> hook) {
  std::lock_guard lock(mutex_);
  hook_ = std::move(hook);
}

Status faulty_env::before(io_kind kind, const std::string& path, bool* happened) {
  std::function<void(const io&)> hook;
  {
    std::lock_guard lock(mutex_);
    hook = hook_;
  }
  if (hook) hook({kind, path});
  if (auto s = alive(); !s.ok()) return s;
  if (++io_count_ == power_loss_at_.load()) {
    power_loss();
    std::lock_guard lock(mutex_);
    if (happened != nullptr) *happened = random_() % 2 == 0;
    return Status::IOError("the power went off", path);
  }
  const bool is_sync = kind == io_kind::sync || kind == io_kind::sync_directory;
  if (is_sync) return fail_syncs_ ? Status::IOError("sync fails", path) : Status::OK();
  if (fill_disk_ && (kind == io_kind::append || kind == io_kind::create)) return Status::NoSpace("the disk is full", path);
  if (fail_writes_) return Status::IOError("write fails", path);
  return Status::OK();
}

faulty_env::content_ptr faulty_env::content_of(const std::string& path) {
  auto& bytes = files_[path];
  if (!bytes) {
    bytes = std::make_shared<content>();
    std::error_code missing; // then it is empty
    const auto size = fs::file_size(path, missing);
    if (!missing) bytes->size = bytes->synced = size;
  }
  return bytes;
}

Status faulty_env::stash(const std::string& path, uint64_t change) {
  if (!target()->FileExists(path).ok()) return Status::OK();
  const auto bytes = content_of(path);
  const auto kept = stash_ + "/" + std::to_string(++stashed_);
  auto s = target()->LinkFile(path, kept);
  if (s.ok()) undos_.push_back({undo::kind::bring_back, directory_of(path), change, kept, path, bytes});
  return s;
}

Status faulty_env::make_writable(const std::string& name, bool fresh, std::unique_ptr<rocksdb::WritableFile>* result,
                                 const rocksdb::EnvOptions& options) {
  const auto path = normal(name);
  if (auto s = before(io_kind::create, path); !s.ok()) return s;
  std::lock_guard lock(mutex_);
  std::unique_ptr<rocksdb::WritableFile> file;
  const bool is_new = fresh || !target()->FileExists(path).ok();
  if (is_new) {
    const auto change = ++changes_;
    if (auto s = stash(path, change); !s.ok()) return s;
    // A new file and not the old one truncated, as that one may have to come back.
    if (target()->FileExists(path).ok())
      if (auto s = target()->DeleteFile(path); !s.ok()) return s;
    if (auto s = target()->NewWritableFile(path, &file, options); !s.ok()) return s;
    undos_.push_back({undo::kind::remove, directory_of(path), change, path, {}, nullptr});
    files_[path] = std::make_shared<content>();
  } else if (auto s = target()->ReopenWritableFile(path, &file, options); !s.ok()) {
    return s;
  }
  *result = std::make_unique<faulty_writable_file>(this, path, content_of(path), std::move(file));
  return Status::OK();
}

Status faulty_env::NewWritableFile(const std::string& name, std::unique_ptr<rocksdb::WritableFile>* result,
                                   const rocksdb::EnvOptions& options) {
  return make_writable(name, true, result, options);
}

Status faulty_env::ReopenWritableFile(const std::string& name, std::unique_ptr<rocksdb::WritableFile>* result,
                                      const rocksdb::EnvOptions& options) {
  return make_writable(name, false, result, options);
}

Status faulty_env::ReuseWritableFile(const std::string&, const std::string&, std::unique_ptr<rocksdb::WritableFile>*,
                                     const rocksdb::EnvOptions&) {
  return Status::NotSupported("recycled log files");
}

Status faulty_env::NewSequentialFile(const std::string& name, std::unique_ptr<rocksdb::SequentialFile>* result,
                                     const rocksdb::EnvOptions& options) {
  if (auto s = alive(); !s.ok()) return s;
  std::unique_ptr<rocksdb::SequentialFile> file;
  auto s = target()->NewSequentialFile(name, &file, options);
  if (s.ok()) *result = std::make_unique<faulty_sequential_file>(faulty_readable(this), std::move(file));
  return s;
}

Status faulty_env::NewRandomAccessFile(const std::string& name, std::unique_ptr<rocksdb::RandomAccessFile>* result,
                                       const rocksdb::EnvOptions& options) {
  if (auto s = alive(); !s.ok()) return s;
  std::unique_ptr<rocksdb::RandomAccessFile> file;
  auto s = target()->NewRandomAccessFile(name, &file, options);
  if (s.ok()) *result = std::make_unique<faulty_random_file>(faulty_readable(this), std::move(file));
  return s;
}

Status faulty_env::NewRandomRWFile(const std::string& name, std::unique_ptr<rocksdb::RandomRWFile>* result,
                                   const rocksdb::EnvOptions& options) {
  if (auto s = alive(); !s.ok()) return s;
  std::unique_ptr<rocksdb::RandomRWFile> file;
  auto s = target()->NewRandomRWFile(name, &file, options);
  if (s.ok()) *result = std::make_unique<faulty_rw_file>(this, normal(name), std::move(file));
  return s;
}

Status faulty_env::NewDirectory(const std::string& name, std::unique_ptr<rocksdb::Directory>* result) {
  if (auto s = alive(); !s.ok()) return s;
  std::unique_ptr<rocksdb::Directory> directory;
  auto s = target()->NewDirectory(name, &directory);
  if (s.ok()) *result = std::make_unique<faulty_directory>(this, without_slash(name), std::move(directory));
  return s;
}

Status faulty_env::FileExists(const std::string& name) {
  auto s = alive();
  return s.ok() ? target()->FileExists(name) : s;
}

Status faulty_env::GetChildren(const std::string& directory, std::vector<std::string>* result) {
  auto s = alive();
  return s.ok() ? target()->GetChildren(directory, result) : s;
}

Status faulty_env::GetChildrenFileAttributes(const std::string& directory, std::vector<FileAttributes>* result) {
  auto s = alive();
  return s.ok() ? target()->GetChildrenFileAttributes(directory, result) : s;
}

Status faulty_env::GetFileSize(const std::string& name, uint64_t* size) {
  auto s = alive();
  return s.ok() ? target()->GetFileSize(name, size) : s;
}

Status faulty_env::DeleteFile(const std::string& name) {
  const auto path = normal(name);
  if (auto s = before(io_kind::remove, path); !s.ok()) return s;
  std::lock_guard lock(mutex_);
  if (auto s = stash(path, ++changes_); !s.ok()) return s;
  files_.erase(path);
  return target()->DeleteFile(path);
}

Status faulty_env::Truncate(const std::string& name, size_t size) {
  const auto path = normal(name);
  if (auto s = before(io_kind::truncate, path); !s.ok()) return s;
  auto s = target()->Truncate(path, size);
  std::lock_guard lock(mutex_);
  if (s.ok()) {
    const auto bytes = content_of(path);
    bytes->size = size;
    bytes->synced = std::min<uint64_t>(bytes->synced, size);
  }
  return s;
}

Status faulty_env::make_directory(const std::string& name, bool may_exist) {
  const auto path = without_slash(name);
  if (auto s = alive(); !s.ok()) return s;
  if (may_exist && fs::is_directory(path)) return Status::OK();
  if (auto s = before(io_kind::create, path); !s.ok()) return s;
  std::lock_guard lock(mutex_);
  auto s = target()->CreateDir(path);
  if (s.ok()) undos_.push_back({undo::kind::remove_directory, directory_of(path), ++changes_, path, {}, nullptr});
  return s;
}

Status faulty_env::CreateDir(const std::string& name) { return make_directory(name, false); }
Status faulty_env::CreateDirIfMissing(const std::string& name) { return make_directory(name, true); }

Status faulty_env::DeleteDir(const std::string& name) {
  auto s = alive();
  return s.ok() ? target()->DeleteDir(name) : s;
}

Status faulty_env::RenameFile(const std::string& from, const std::string& to) {
  const auto source = normal(from), destination = normal(to);
  if (auto s = before(io_kind::rename, destination); !s.ok()) return s;
  std::lock_guard lock(mutex_);
  const auto change = ++changes_;
  const auto bytes = content_of(source);
  if (auto s = stash(destination, change); !s.ok()) return s;
  if (auto s = target()->RenameFile(source, destination); !s.ok()) return s;
  undos_.push_back({undo::kind::move_back, directory_of(destination), change, destination, source, nullptr});
  files_.erase(source);
  files_[destination] = bytes;
  return Status::OK();
}

Status faulty_env::LinkFile(const std::string& from, const std::string& to) {
  const auto source = normal(from), destination = normal(to);
  if (auto s = before(io_kind::link, destination); !s.ok()) return s;
  std::lock_guard lock(mutex_);
  const auto bytes = content_of(source);
  if (auto s = target()->LinkFile(source, destination); !s.ok()) return s;
  undos_.push_back({undo::kind::remove, directory_of(destination), ++changes_, destination, {}, nullptr});
  files_[destination] = bytes;
  return Status::OK();
}

Status faulty_env::LockFile(const std::string& name, rocksdb::FileLock** lock) {
  *lock = nullptr;
  if (auto s = alive(); !s.ok()) return s;
  std::lock_guard locked(mutex_);
  if (!locks_.insert(normal(name)).second) return Status::IOError("lock hold by current process", name + ": No locks available");
  *lock = new held_lock(normal(name), epoch_.load());
  return Status::OK();
}

Status faulty_env::UnlockFile(rocksdb::FileLock* lock) {
  const std::unique_ptr<held_lock> held(static_cast<held_lock*>(lock));
  std::lock_guard locked(mutex_);
  if (held && held->epoch == epoch_.load()) locks_.erase(held->name);
  return Status::OK();
}

void faulty_env::forget(const undo& done) {
  std::error_code gone; // a stashed file that stays is of no harm
  if (done.how == undo::kind::bring_back) fs::remove(done.path, gone);
}

void faulty_env::synced_directory(const std::string& path) {
  std::lock_guard lock(mutex_);
  std::vector<undo> left;
  for (auto& each : undos_) {
    if (each.directory == path)
      forget(each);
    else
      left.push_back(std::move(each));
  }
  undos_ = std::move(left);
}

void faulty_env::take_back(const undo& what) {
  switch (what.how) {
  case undo::kind::remove:
    fs::remove(what.path);
    files_.erase(what.path);
    return;
  case undo::kind::remove_directory: fs::remove_all(what.path); return;
  case undo::kind::move_back:
    fs::rename(what.path, what.target);
    files_[what.target] = files_[what.path];
    files_.erase(what.path);
    return;
  case undo::kind::bring_back:
    fs::rename(what.path, what.target);
    files_[what.target] = what.bytes;
    return;
  }
}

void faulty_env::restore(unsynced what) {
  power_loss();
  std::lock_guard lock(mutex_);
  // A file system keeps a directory's changes in order: the first few of them may have reached the disk.
  std::map<std::string, std::set<uint64_t>> changes;
  for (const auto& each : undos_) changes[each.directory].insert(each.change);
  std::set<uint64_t> kept;
  for (const auto& [directory, ids] : changes) {
    auto count = what == unsynced::torn ? random_() % (ids.size() + 1) : 0;
    for (auto id = ids.begin(); count > 0; ++id, --count) kept.insert(*id);
  }
  for (auto each = undos_.rbegin(); each != undos_.rend(); ++each) {
    if (kept.contains(each->change))
      forget(*each);
    else
      take_back(*each);
  }
  undos_.clear();
  for (auto& [path, bytes] : files_) {
    if (!fs::exists(path)) continue;
    const auto tail = bytes->size - bytes->synced;
    const auto left = bytes->synced + (what == unsynced::torn ? random_() % (tail + 1) : 0);
    if (fs::file_size(path) > left) fs::resize_file(path, left);
    *bytes = {left, left, false};
  }
  files_.clear();
  fail_writes_ = fail_syncs_ = fill_disk_ = false;
  power_loss_at_ = 0;
  ++epoch_;
  powered_ = true;
}

} // namespace adtrack::test
