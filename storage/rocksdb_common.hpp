// What everything of ours on RocksDB has in common: how a status reads, how numbers order as keys, and the settings that
// durability rests on. Include it only in storage/rocksdb_*.cpp.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <rocksdb/options.h>
#include <rocksdb/status.h>

#include "storage/status.hpp"

namespace rocksdb {
class DB;
}

namespace adtrack::storage {

// `what` names the thing and the attempt: "cannot append to the log at data/log".
status to_status(const rocksdb::Status& s, std::string_view what);

// Fixed-width big-endian, so that byte order is number order.
void put_be64(std::string& out, uint64_t value);
uint64_t read_be64(const char* at) noexcept; // 8 readable bytes

// Decimal, at least one digit and nothing else; false otherwise.
bool parse_decimal(std::string_view text, int64_t& out) noexcept;

// True until something in the background (a flush, a compaction) or a write fails.
using health_flag = std::shared_ptr<std::atomic<bool>>;

// Settings for a database in which every acknowledged write was synced in its write-ahead log: recovery keeps all of them, drops
// a torn tail, puts what it found on stable storage, and never goes on by itself after an error. `env` may be null.
rocksdb::Options durable_options(rocksdb::Env* env, health_flag healthy);

// Refuses a directory that holds data but has lost the file that names it: opening it would start an empty database in its place.
status check_not_headless(const std::string& path, rocksdb::Env* env);

// Whether the directory takes a write and a sync now: a small file is written, synced and removed.
status probe_directory(const std::string& path, rocksdb::Env* env);

// Whether the database in the directory, which is closed, can be opened as far as room on the disk goes. Opening writes what the
// write-ahead logs hold to tables; when it runs out of room half way it leaves them behind, and they take the room of the next
// try. A file system that does not tell is believed to have room.
status check_room(const std::string& path, rocksdb::Env* env);

// What was written to the database so far as one of its own at `path`, which must not exist; files are shared by hard links. The
// caller has flushed what needs no log.
status make_checkpoint(rocksdb::DB& db, const std::string& path);

// Creates the directory and its parents, and syncs the directory that holds it.
status make_directory(const std::string& path, rocksdb::Env* env);

} // namespace adtrack::storage
