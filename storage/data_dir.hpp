// The data directory: everything that is remembered stands below it. Opened once at the start by the composition root, which
// holds it until the end; a second process on it is refused. Also the secret that visitor hashes are made with.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "model/visitor_key.hpp"
#include "storage/status.hpp"

namespace adtrack::storage {

class data_dir {
public:
  // Makes the directory when it is missing (mode 0700), takes <path>/LOCK and writes or checks <path>/FORMAT.
  // errc::locked, errc::mismatch (a later version's, or FORMAT is gone), errc::io.
  static result<std::unique_ptr<data_dir>> open(const std::string& path);
  ~data_dir(); // gives the lock back
  data_dir(const data_dir&) = delete;
  data_dir& operator=(const data_dir&) = delete;

  // Which log the shards below were computed from: written at the first call, compared ever after. errc::mismatch when it is
  // another one, as their offsets would then mean other records.
  status bind_log(const std::string& log_name);

  const std::string& path() const noexcept { return path_; }
  std::string log_path() const { return path_ + "/log"; }
  std::string ads_path() const { return path_ + "/ads"; }
  std::string spool_path() const { return path_ + "/spool"; }
  std::string quarantine_path() const { return path_ + "/quarantine"; }
  std::string checkpoints_path() const { return path_ + "/checkpoints"; }
  std::string shard_path(uint32_t shard) const { return path_ + "/shards/" + std::to_string(shard); }
  std::string visitor_key_path() const { return path_ + "/visitor.key"; } // unless privacy.visitor_key_file says otherwise

private:
  data_dir(std::string path, int lock) : path_(std::move(path)), lock_(lock) {}
  std::string path_;
  int lock_;
};

// Makes what was made, named or removed in a directory survive a power loss.
status sync_directory(const std::string& path);

// Reads 32 hex digits (a newline after them is allowed). When the file is missing and `create`, makes one of mode 0600 that
// survives a power loss from then on; else errc::not_found. errc::corrupt when it holds anything else.
result<visitor_key> load_visitor_key(const std::string& path, bool create);

} // namespace adtrack::storage
