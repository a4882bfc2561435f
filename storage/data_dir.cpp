#include "storage/data_dir.hpp"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/telemetry.hpp"

namespace adtrack::storage {
namespace {

constexpr std::string_view format_text = "1\n";
constexpr size_t small_file_max = 4'096;

status failure(const std::string& attempt) { return {errc::io, "cannot " + attempt + ": " + std::strerror(errno)}; }

class descriptor {
public:
  explicit descriptor(int fd) : fd_(fd) {}
  ~descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  descriptor(const descriptor&) = delete;
  descriptor& operator=(const descriptor&) = delete;
  bool ok() const { return fd_ >= 0; }
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

private:
  int fd_;
};

std::string parent_of(const std::string& path) {
  const auto parent = std::filesystem::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

status make_directories(const std::string& path) {
  std::error_code unreadable; // then mkdir says why
  if (std::filesystem::is_directory(path, unreadable)) return {};
  const auto parent = parent_of(path);
  if (parent != path && parent != ".")
    if (auto made = make_directories(parent); !made.ok()) return made;
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return failure("create the directory " + path);
  return sync_directory(parent);
}

// errc::not_found when there is none.
result<std::string> read_small_file(const std::string& path) {
  const descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.ok()) {
    if (errno == ENOENT) return status{errc::not_found, path + " does not exist"};
    return failure("read " + path);
  }
  std::string text(small_file_max, '\0');
  const auto got = ::read(file.get(), text.data(), text.size());
  if (got < 0) return failure("read " + path);
  text.resize(static_cast<size_t>(got));
  return text;
}

// The file is there in full or not at all, also after a power loss.
status write_small_file(const std::string& path, std::string_view text) {
  const std::string temporary = path + ".tmp";
  if (::unlink(temporary.c_str()) != 0 && errno != ENOENT) return failure("remove " + temporary);
  {
    const descriptor file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!file.ok()) return failure("create " + temporary);
    errno = ENOSPC; // a short write sets none
    if (::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) return failure("write " + temporary);
    if (::fsync(file.get()) != 0) return failure("sync " + temporary);
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) return failure("rename " + temporary + " to " + path);
  return sync_directory(parent_of(path));
}

status check_format(const data_dir& directory) {
  const std::string file = directory.path() + "/FORMAT";
  auto text = read_small_file(file);
  if (text.ok()) {
    if (*text == format_text) return {};
    return {errc::mismatch, file + " says \"" + text->substr(0, text->find('\n')) +
                                "\", this version reads format 1; use the version that wrote it"};
  }
  if (text.why.code != errc::not_found) return text.why;
  for (const auto& kept : {directory.log_path(), directory.ads_path(), directory.path() + "/shards"})
    if (std::error_code unreadable; std::filesystem::exists(kept, unreadable) || unreadable)
      return {errc::mismatch,
              kept + " is there but " + file + " is not; restore the directory from a backup, or name another data.dir"};
  return write_small_file(file, format_text);
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

result<visitor_key> parse_key(const std::string& path, std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.remove_suffix(1);
  visitor_key key;
  bool good = text.size() == 2 * key.secret.size();
  for (size_t i = 0; good && i < key.secret.size(); ++i) {
    const int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
    good = high >= 0 && low >= 0;
    key.secret[i] = static_cast<uint8_t>(high << 4 | low);
  }
  if (!good) // the text itself may be a secret with one character too many: it is not shown
    return status{errc::corrupt, "the visitor key file " + path + " must hold 32 hex digits and nothing else, it holds " +
                                     std::to_string(text.size()) +
                                     " characters; restore it, as another key makes visitors count anew"};
  return key;
}

result<visitor_key> create_key(const std::string& path) {
  visitor_key key;
  if (::getrandom(key.secret.data(), key.secret.size(), 0) != static_cast<ssize_t>(key.secret.size()))
    return failure("get random bytes for " + path);
  std::string text;
  for (const auto byte : key.secret) {
    text.push_back("0123456789abcdef"[byte >> 4]);
    text.push_back("0123456789abcdef"[byte & 15]);
  }
  text.push_back('\n');
  if (auto made = make_directories(parent_of(path)); !made.ok()) return made;
  if (auto written = write_small_file(path, text); !written.ok()) return written;
  return key;
}

} // namespace

status sync_directory(const std::string& path) {
  const descriptor directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory.ok() || ::fsync(directory.get()) != 0) return failure("sync the directory " + path);
  return {};
}

result<std::unique_ptr<data_dir>> data_dir::open(const std::string& path) {
  if (path.empty()) return status{errc::io, "data.dir is empty; name a directory"};
  std::error_code ignored; // make_directories says what is wrong
  if (std::filesystem::exists(path, ignored) && !std::filesystem::is_directory(path, ignored))
    return status{errc::io, path + " is not a directory; name one as data.dir"};
  if (auto made = make_directories(path); !made.ok()) return made;
  const std::string lock_file = path + "/LOCK";
  descriptor lock(::open(lock_file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock.ok()) return failure("open " + lock_file);
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return failure("lock " + lock_file);
    return status{errc::locked, "another process uses the data directory " + path + " (it holds " + lock_file +
                                    "); stop it or name another data.dir"};
  }
  std::unique_ptr<data_dir> opened(new data_dir(path, lock.release()));
  if (auto checked = check_format(*opened); !checked.ok()) return checked;
  return opened;
}

status data_dir::bind_log(const std::string& log_name) {
  const std::string file = path_ + "/LOG";
  auto text = read_small_file(file);
  if (text.why.code == errc::not_found) {
    // Directories of before this file was written hold the embedded log.
    std::error_code unreadable;
    const bool older = std::filesystem::exists(log_path(), unreadable) || unreadable;
    text = result<std::string>((older ? "embedded" : log_name) + "\n");
    if (auto written = write_small_file(file, *text); !written.ok()) return written;
  }
  if (!text.ok()) return text.why;
  const auto bound = text.value->substr(0, text.value->find('\n'));
  if (bound == log_name) return {};
  return {errc::mismatch, "the data directory " + path_ + " belongs to the log \"" + bound + "\", not to \"" + log_name +
                              "\"; name another data.dir, or the settings that it was made with"};
}

data_dir::~data_dir() { ::close(lock_); }

result<visitor_key> load_visitor_key(const std::string& path, bool create) {
  auto text = read_small_file(path);
  if (!text.ok()) {
    if (text.why.code == errc::not_found && create) return create_key(path);
    if (text.why.code == errc::not_found)
      return status{errc::not_found, "the visitor key file " + path + " does not exist; copy the one that the other nodes use"};
    return text.why;
  }
  struct stat about {};
  if (::stat(path.c_str(), &about) == 0 && (about.st_mode & (S_IRWXG | S_IRWXO)) != 0)
    config::log(config::log_level::warning, "data_dir", "key_file_open",
                "the visitor key file can be read by others than its owner; chmod it to 0600", {{"path", path}});
  return parse_key(path, *text);
}

} // namespace adtrack::storage
