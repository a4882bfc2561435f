// Small files that an operator may replace while the server runs, such as keys or a certificate: read at start, looked at again
// and again, and taken only as a whole and only when they fit together. What was read is remembered by its hash alone, so that no
// second copy of a secret stays in memory.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace adtrack::config {

class watched_files {
public:
  struct part {
    const char* what; // for sentences
    std::string path; // "": there is none, and its text is empty
  };
  // Puts what the texts say, one a part, in force. False: `error` says why they cannot be used, and nothing changed.
  using taker = std::function<bool(const std::vector<std::string>& texts, std::string& error)>;

  // `name` begins the names of the log's events, `kept` ends the sentence about what cannot be used. Without a path in the first
  // part there is nothing to watch.
  watched_files(std::string name, std::string kept, std::vector<part> parts, taker take);

  bool active() const noexcept { return !parts_.front().path.empty(); }

  // Reads them for the first time. False: `error` says what cannot be used.
  bool open(std::string& error);
  // Reads them again, and takes what changed; what cannot be used is logged and changes nothing. One thread at a time.
  void look();
  std::string trouble() const; // a sentence about what stands there now and cannot be used, or ""

private:
  using hash = std::pair<uint64_t, uint64_t>;
  bool read(std::string& error);

  const std::string name_, kept_;
  const std::vector<part> parts_;
  const taker take_;
  hash seen_{};
  mutable std::mutex mutex_; // guards the next one
  std::string trouble_;
};

} // namespace adtrack::config
