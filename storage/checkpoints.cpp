#include "storage/checkpoints.hpp"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "storage/data_dir.hpp"

namespace adtrack::storage {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view unfinished = ".unfinished";

std::optional<int64_t> number_of(const fs::path& directory) {
  const auto name = directory.filename().string();
  int64_t number = 0;
  const auto read = std::from_chars(name.data(), name.data() + name.size(), number);
  if (read.ec != std::errc() || read.ptr != name.data() + name.size()) return {};
  return number;
}

status remove_tree(const fs::path& directory) {
  std::error_code why;
  fs::remove_all(directory, why);
  if (why) return {errc::io, "cannot remove the checkpoint " + directory.string() + ": " + why.message()};
  return {};
}

status remove_oldest(const fs::path& kind) {
  std::vector<std::pair<int64_t, fs::path>> kept;
  std::error_code why;
  for (auto it = fs::directory_iterator(kind, why); !why && it != fs::directory_iterator(); it.increment(why))
    if (const auto number = number_of(it->path())) kept.emplace_back(*number, it->path());
  if (why) return {errc::io, "cannot list the checkpoints in " + kind.string() + ": " + why.message()};
  std::sort(kept.begin(), kept.end());
  for (size_t i = 0; i + checkpoints_kept < kept.size(); ++i)
    if (auto s = remove_tree(kept[i].second); !s.ok()) return s;
  return {};
}

} // namespace

std::mutex& checkpoints::lock_of(const std::string& of) {
  std::lock_guard lock(mutex_);
  return kinds_[of];
}

result<std::string> checkpoints::make(const std::string& of, int64_t number,
                                      const std::function<status(const std::string& directory)>& fill) {
  std::lock_guard lock(lock_of(of));
  const auto kind = fs::path(path_) / of;
  const auto made = kind / std::to_string(number), draft = fs::path(made.string() + std::string(unfinished));
  std::error_code why;
  if (fs::exists(made, why)) return made.string();
  if (auto s = remove_tree(draft); !s.ok()) return s;
  fs::create_directories(draft, why);
  if (why) return status{errc::io, "cannot make the directory " + draft.string() + ": " + why.message()};
  auto filled = fill(draft.string());
  if (filled.ok()) {
    fs::rename(draft, made, why);
    if (why) filled = {errc::io, "cannot name the checkpoint " + made.string() + ": " + why.message()};
  }
  if (filled.ok()) filled = sync_directory(kind.string());
  if (filled.ok()) filled = remove_oldest(kind);
  if (filled.ok()) return made.string();
  std::ignore = remove_tree(draft); // the next try removes it too
  return filled;
}

status checkpoints::remove_all(const std::string& of) {
  std::lock_guard lock(lock_of(of));
  return remove_tree(fs::path(path_) / of);
}

} // namespace adtrack::storage
