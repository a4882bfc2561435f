// A RocksDB Env that loses power. It works on real files through the default Env and remembers what would survive: bytes that were
// synced, and directory entries whose directory was synced. Also fails writes and syncs, and fills the disk, on request.
//
//   faulty_env env(stash, seed);           // `stash`: a directory of its own on the same file system as the database
//   ... open a database with options.env = &env, write ...
//   env.power_loss();                      // or power_loss_at(n), or from the hook: from here on every call fails
//   ... destroy all that was opened with it ...
//   env.restore();                         // files now hold what survived; open again
//
// Strict: a new, renamed or removed file is undone unless its directory was synced since, and after a failed sync the bytes that it
// was to save never become safe by a later sync of that file (as on Linux). In-place overwrites (NewRandomRWFile) are not undone.
// Thread-safe. The info log (LOG) is written around it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <rocksdb/env.h>

namespace adtrack::test {

class faulty_env final : public rocksdb::EnvWrapper {
public:
  enum class io_kind : uint8_t { create, append, truncate, sync, sync_directory, rename, remove, link };
  struct io {
    io_kind kind = io_kind::append;
    std::string path;
  };
  // What becomes of what was not synced.
  enum class unsynced : uint8_t {
    dropped, // all of it is gone
    torn,    // of each file a random part of the tail stays, of each directory the first few changes
  };

  explicit faulty_env(std::string stash_directory, uint64_t seed = 1);
  ~faulty_env() override;

  void power_loss();
  // Power goes at the n-th I/O of those above from now, counted from 1; that one fails, though a sync may just have made it.
  void power_loss_at(uint64_t n);
  bool powered() const { return powered_.load(); }
  // Power is back: undoes what was not synced. First destroy what was opened with this Env. Ends all faults, keeps the hook.
  void restore(unsynced what = unsynced::torn);

  // Writes fail after half of their bytes.
  void fail_writes(bool on) { fail_writes_ = on; }
  void fail_syncs(bool on) { fail_syncs_ = on; }
  // Writes fail after half of their bytes with NoSpace; so does making files.
  void fill_disk(bool on) { fill_disk_ = on; }

  // Called before each I/O, on the thread that does it and with no lock held: it may call any of the above, or wait.
  void on_io(std::function<void(const io&)> hook);
  uint64_t io_count() const { return io_count_.load(); }

  // Env
  const char* Name() const override { return "faulty_env"; }
  rocksdb::Status NewSequentialFile(const std::string& name, std::unique_ptr<rocksdb::SequentialFile>* result,
                                    const rocksdb::EnvOptions& options) override;
  rocksdb::Status NewRandomAccessFile(const std::string& name, std::unique_ptr<rocksdb::RandomAccessFile>* result,
                                      const rocksdb::EnvOptions& options) override;
  rocksdb::Status NewWritableFile(const std::string& name, std::unique_ptr<rocksdb::WritableFile>* result,
                                  const rocksdb::EnvOptions& options) override;
  rocksdb::Status ReopenWritableFile(const std::string& name, std::unique_ptr<rocksdb::WritableFile>* result,
                                     const rocksdb::EnvOptions& options) override;
  rocksdb::Status ReuseWritableFile(const std::string& name, const std::string& old_name,
                                    std::unique_ptr<rocksdb::WritableFile>* result, const rocksdb::EnvOptions& options) override;
  rocksdb::Status NewRandomRWFile(const std::string& name, std::unique_ptr<rocksdb::RandomRWFile>* result,
                                  const rocksdb::EnvOptions& options) override;
  rocksdb::Status NewDirectory(const std::string& name, std::unique_ptr<rocksdb::Directory>* result) override;
  rocksdb::Status FileExists(const std::string& name) override;
  rocksdb::Status GetChildren(const std::string& directory, std::vector<std::string>* result) override;
  rocksdb::Status GetChildrenFileAttributes(const std::string& directory, std::vector<FileAttributes>* result) override;
  rocksdb::Status DeleteFile(const std::string& name) override;
  rocksdb::Status Truncate(const std::string& name, size_t size) override;
  rocksdb::Status CreateDir(const std::string& name) override;
  rocksdb::Status CreateDirIfMissing(const std::string& name) override;
  rocksdb::Status DeleteDir(const std::string& name) override;
  rocksdb::Status GetFileSize(const std::string& name, uint64_t* size) override;
  rocksdb::Status RenameFile(const std::string& from, const std::string& to) override;
  rocksdb::Status LinkFile(const std::string& from, const std::string& to) override;
  // Locks live in this object alone, so that power_loss() releases them.
  rocksdb::Status LockFile(const std::string& name, rocksdb::FileLock** lock) override;
  rocksdb::Status UnlockFile(rocksdb::FileLock* lock) override;
  // RocksDB rests a second after a failed flush; without power there is nothing to wait for.
  void SleepForMicroseconds(int micros) override { target()->SleepForMicroseconds(powered() ? micros : 0); }

private:
  friend class faulty_writable_file;
  friend class faulty_readable;
  friend class faulty_directory;
  friend class faulty_rw_file;

  // One file's bytes, whatever it is called.
  struct content {
    uint64_t size = 0;
    uint64_t synced = 0;    // bytes that survive
    bool sync_lost = false; // a sync failed: `synced` never grows again
  };
  using content_ptr = std::shared_ptr<content>;

  // How to take back one change of a directory that was not synced since.
  struct undo {
    enum class kind : uint8_t { remove, move_back, bring_back, remove_directory };
    kind how = kind::remove;
    std::string directory;
    uint64_t change = 0; // undos of one change share it: they are done, or not done, together
    std::string path;    // remove, remove_directory: it; move_back: where it is; bring_back: the stashed file
    std::string target;  // move_back, bring_back: where it was
    content_ptr bytes;   // bring_back
  };

  // What the I/O has to do instead of happening: ok() to go on. `happened`: a sync that was done before power went.
  rocksdb::Status before(io_kind kind, const std::string& path, bool* happened = nullptr);
  rocksdb::Status alive(uint64_t epoch) const;
  rocksdb::Status alive() const { return alive(epoch_.load()); }
  content_ptr content_of(const std::string& path); // mutex held
  rocksdb::Status stash(const std::string& path,
                        uint64_t change); // mutex held; keeps a name for what `path` names now, if anything
  void synced_directory(const std::string& path);
  void forget(const undo& done);
  void take_back(const undo& what);
  rocksdb::Status make_writable(const std::string& name, bool fresh, std::unique_ptr<rocksdb::WritableFile>* result,
                                const rocksdb::EnvOptions& options);
  rocksdb::Status make_directory(const std::string& name, bool may_exist);

  const std::string stash_;
  std::atomic<bool> powered_{true}, fail_writes_{false}, fail_syncs_{false}, fill_disk_{false};
  std::atomic<uint64_t> epoch_{0}; // power losses so far: what was opened in an earlier one stays dead
  std::atomic<uint64_t> io_count_{0};
  std::atomic<uint64_t> power_loss_at_{0}; // value of io_count_; 0: never

  std::mutex mutex_; // what follows
  std::mt19937_64 random_;
  std::function<void(const io&)> hook_;
  std::map<std::string, content_ptr> files_; // those written through this Env; others are taken as safe
  std::vector<undo> undos_;                  // oldest first
  uint64_t changes_ = 0;
  uint64_t stashed_ = 0;
  std::set<std::string> locks_;
};

} // namespace adtrack::test
