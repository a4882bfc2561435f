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
#include "http/auth.hpp"
#include "http/options.hpp"

namespace adtrack::http {

enum class door : uint8_t { admin, ingest, read };
inline constexpr size_t door_count = 3;
using key_rings = std::array<std::shared_ptr<const key_ring>, door_count>; // null: the door has no file

class key_doors {
public:
  key_doors(const http_options& options, config::metrics& metrics);

  // Reads every file for the first time. False: `error` says which cannot be used.
  bool open(std::string& error);
  // Reads them again: a changed file takes the place of the one before, at once and as a whole; one that cannot be used is logged
  // and changes nothing. One thread at a time.
  void look();

  uint64_t version() const noexcept { return version_.load(std::memory_order_acquire); } // grows with every change
  key_rings rings() const;
  std::vector<std::string> troubles() const; // sentences: the files that cannot be used now

private:
  struct file {
    const char* name = ""; // of the door
    std::string path;      // "": none
    config::sha256_digest seen{};
    std::string trouble;
    std::shared_ptr<const key_ring> ring;
    std::map<std::string, std::shared_ptr<token_bucket>> buckets; // by the keys' names; a new file must not fill them
  };
  bool read(file& f, std::string& error, size_t& keys);

  config::metrics& metrics_;
  std::atomic<uint64_t> version_{0};
  mutable std::mutex mutex_; // guards each file's trouble and ring
  std::array<file, door_count> files_;
};

} // namespace adtrack::http
