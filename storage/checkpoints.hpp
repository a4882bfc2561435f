// The checkpoints that this node keeps: copies of its stores as they were at one moment, each a directory of its own below one
// path, <of>/<number>. They share files with the stores by hard links, so a young one costs little and an old one what was
// rewritten since. At most two of each kind are kept. Thread-safe; who makes one kind keeps nobody waiting who makes another.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>

#include "storage/status.hpp"

namespace adtrack::storage {

inline constexpr size_t checkpoints_kept = 2; // of one kind

class checkpoints {
public:
  explicit checkpoints(std::string path) : path_(std::move(path)) {}

  // The directory <path>/<of>/<number>: the one that is there, or what `fill` makes in an empty directory of another name that
  // takes this one once it is whole. Then the oldest of this kind are removed. Absolute when the path is.
  result<std::string> make(const std::string& of, int64_t number,
                           const std::function<status(const std::string& directory)>& fill);

  // Removes all of this kind: what was erased must not live on in them.
  status remove_all(const std::string& of);

private:
  std::mutex& lock_of(const std::string& of);

  const std::string path_;
  std::mutex mutex_;
  std::map<std::string, std::mutex> kinds_; // guarded by mutex_; each held while one of its kind is made or removed
};

} // namespace adtrack::storage
