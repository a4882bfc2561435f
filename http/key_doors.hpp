// Who may: the keys of the three doors, as their files have them now. The files are looked at again while the server runs, so
// that keys are rotated without a restart. One object for all loops, which hold the ring that they last saw.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "config/telemetry.hpp"
#include "config/watched_files.hpp"
#include "http/auth.hpp"
#include "http/options.hpp"

namespace adtrack::http {

enum class door : uint8_t { admin, ingest, read };
inline constexpr size_t door_count = 3;
using key_rings = std::array<std::shared_ptr<const key_ring>, door_count>; // null: the door has no file

class key_doors {
public:
  key_doors(const http_options& options, config::metrics& metrics);

  std::vector<config::watched_files*> files();

  uint64_t version() const noexcept { return version_.load(std::memory_order_acquire); } // grows with every change
  key_rings rings() const;

private:
  struct file {
    std::shared_ptr<const key_ring> ring;
    std::map<std::string, std::shared_ptr<token_bucket>> buckets; // by the keys' names; a new file must not fill them
    std::unique_ptr<config::watched_files> watched;
  };
  void watch(door which, const char* name, const std::string& path);
  bool take(file& f, const char* name, const std::string& path, const std::string& text, std::string& error);

  config::metrics& metrics_;
  std::atomic<uint64_t> version_{0};
  mutable std::mutex mutex_; // guards each file's ring
  std::array<file, door_count> files_;
};

} // namespace adtrack::http
