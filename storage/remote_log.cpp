#include "storage/remote_log.hpp"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include <absl/strings/escaping.h>
#include <httplib.h>
#include <simdjson.h>

#include "config/telemetry.hpp"
#include "model/timestamp.hpp"
#include "storage/append_marks.hpp"
#include "storage/secret_file.hpp"

namespace adtrack::storage {

namespace {

int64_t monotonic_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

int64_t wall_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

struct page {
  int64_t begin = 0, end = 0;
  uint32_t shards = 0;
  std::vector<stored_record> records;
};

bool header_number(const httplib::Response& answer, const char* name, int64_t& out) {
  const auto text = answer.get_header_value(name);
  auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), out);
  return code == std::errc() && end == text.data() + text.size();
}

// A line as http/log_lines.hpp writes it. The record's own bytes are kept as they are: its hash is part of what a shard
// remembers.
bool read_line(simdjson::dom::parser& parser, std::string_view line, stored_record& out) {
  simdjson::dom::object object;
  std::string_view time, packed;
  int64_t unix_us = 0;
  if (parser.parse(line.data(), line.size()).get(object) != simdjson::SUCCESS) return false;
  if (object["offset"].get(out.offset) != simdjson::SUCCESS || object["time"].get(time) != simdjson::SUCCESS) return false;
  if (!parse_rfc3339(time, "", unix_us)) return false;
  out.time_ms = unix_us / 1'000;
  if (object["base64"].get(packed) == simdjson::SUCCESS)
    return absl::Base64Unescape(absl::string_view(packed.data(), packed.size()), &out.value);
  constexpr std::string_view name = ",\"record\":";
  const auto at = line.find(name); // the first one: what stands before it are a number and a time
  if (at == std::string_view::npos) return false;
  out.value = line.substr(at + name.size(), line.size() - 1 - at - name.size());
  return true;
}

bool read_lines(std::string_view text, std::vector<stored_record>& out) {
  simdjson::dom::parser parser;
  while (!text.empty()) {
    const auto end = text.find('\n');
    if (end == std::string_view::npos) return false; // cut off
    if (!read_line(parser, text.substr(0, end), out.emplace_back())) return false;
    text.remove_prefix(end + 1);
  }
  return true;
}

// A connection of one thread at a time.
class caller {
public:
  caller(const remote_log_options& o, const std::string& key) : client_(o.url) {
    client_.set_keep_alive(true);
    client_.set_tcp_nodelay(true);
    const auto wait = std::chrono::milliseconds(o.timeout_ms);
    client_.set_connection_timeout(wait);
    client_.set_read_timeout(wait + wait); // the other node may itself wait for its log
    client_.set_write_timeout(wait);
    if (!key.empty()) client_.set_bearer_token_auth(key);
  }

  // errc::io: try again; errc::out_of_range: no such offset; errc::mismatch: it will not answer; errc::corrupt.
  result<page> ask(uint32_t partition, const std::string& query) {
    std::lock_guard lock(mutex_);
    const auto path = "/admin/v1/log/" + std::to_string(partition) + query;
    const auto got = client_.Get(path);
    if (!got) return status{errc::io, "no answer from the log's node: " + httplib::to_string(got.error())};
    if (got->status == 409) return status{errc::out_of_range, "the log's node does not hold what was asked for: " + path};
    const auto said = path + ": " + std::to_string(got->status) + " " + got->body.substr(0, 300);
    if (got->status == 401 || got->status == 403 || got->status == 404) return status{errc::mismatch, said};
    if (got->status != 200) return status{errc::io, said};
    page out;
    int64_t shards = 0;
    if (!header_number(*got, "Adtrack-Log-Begin", out.begin) || !header_number(*got, "Adtrack-Log-End", out.end) ||
        !header_number(*got, "Adtrack-Log-Shards", shards) || !read_lines(got->body, out.records))
      return status{errc::corrupt, path + " is not answered as a log is"};
    out.shards = static_cast<uint32_t>(shards);
    return out;
  }

private:
  std::mutex mutex_;
  httplib::Client client_;
};

class remote_log final : public event_log {
public:
  remote_log(remote_log_options options, const std::string& key)
      : options_(std::move(options)), readers_(options_, key), watcher_calls_(options_, key), parts_(options_.partitions) {}
  ~remote_log() override {
    {
      std::lock_guard lock(mutex_);
      stop_ = true;
    }
    changed_.notify_all();
    if (watcher_.joinable()) watcher_.join();
  }

  status start();

  uint32_t partitions() const noexcept override { return options_.partitions; }
  bool takes_records() const noexcept override { return false; }
  void append(std::vector<log_record> records, append_done done) override {
    done(std::vector<append_outcome>(records.size(), {append_fate::refused, -1}));
  }
  result<std::vector<stored_record>> read(uint32_t partition, int64_t from, size_t max_records, size_t max_bytes) override;
  int64_t begin(uint32_t partition) override { return partition < parts_.size() ? parts_[partition].begin.load() : 0; }
  log_end end(uint32_t partition) override {
    if (partition >= parts_.size()) return {0, -1};
    return {parts_[partition].end, parts_[partition].confirmed_ms};
  }
  status trim(uint32_t, int64_t) override { return {errc::read_only, "another node's log is not trimmed from here"}; }
  status reopen() override { return {errc::read_only, "another node's log takes no records from here"}; }
  bool writable() const noexcept override { return false; }
  std::optional<int64_t> appended_ms(uint32_t partition, int64_t offset) override {
    if (partition >= parts_.size()) return {};
    std::lock_guard lock(mutex_);
    return parts_[partition].marks.appended_ms(offset);
  }
  void on_appended(std::function<void()> callback) override {
    std::lock_guard lock(mutex_);
    appended_ = std::move(callback);
  }
  uint64_t generation(uint32_t partition) override { return partition < parts_.size() ? parts_[partition].generation.load() : 0; }
  status health() override {
    std::lock_guard lock(mutex_);
    return trouble_.code == errc::mismatch ? trouble_ : status::success(); // being away is a lag that is not known
  }

private:
  struct part {
    std::atomic<int64_t> begin{0}, end{0}, confirmed_ms{-1};
    std::atomic<uint64_t> generation{0};
    append_marks marks; // under mutex_
  };

  void take_bounds(part& of, const page& seen, int64_t asked_ms, int64_t wall_ms);
  status look();
  void watch();

  const remote_log_options options_;
  caller readers_, watcher_calls_;
  std::deque<part> parts_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stop_ = false;
  status trouble_;
  std::function<void()> appended_;
  std::thread watcher_;
};

status remote_log::start() {
  if (auto seen = look(); !seen.ok()) return seen;
  watcher_ = std::thread([this] { watch(); });
  return {};
}

// An end that is before what was known is another log's: what was read has to be compared again.
void remote_log::take_bounds(part& of, const page& seen, int64_t asked_ms, int64_t wall_ms) {
  std::lock_guard lock(mutex_);
  if (seen.end < of.end) {
    ++of.generation;
    of.marks.clear();
  }
  of.marks.add(seen.end, wall_ms);
  of.begin = seen.begin;
  of.end = seen.end;
  of.confirmed_ms = asked_ms;
}

status remote_log::look() {
  for (uint32_t p = 0; p < options_.partitions; ++p) {
    const auto asked_ms = monotonic_ms(), wall = wall_ms();
    auto seen = watcher_calls_.ask(p, "?max=0");
    if (!seen.ok()) return seen.why;
    if (seen->shards != options_.partitions)
      return {errc::mismatch, options_.url + " has a log of " + std::to_string(seen->shards) + " shards; log.shards is " +
                                  std::to_string(options_.partitions)};
    take_bounds(parts_[p], *seen, asked_ms, wall);
  }
  return {};
}

void remote_log::watch() {
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, std::chrono::milliseconds(options_.poll_ms), [this] { return stop_; })) {
    lock.unlock();
    auto seen = look();
    lock.lock();
    if (seen.ok() != trouble_.ok())
      config::log(seen.ok() ? config::log_level::info : config::log_level::warning, "remote_log", seen.ok() ? "back" : "away",
                  seen.ok() ? "the log's node answers again" : seen.message);
    trouble_ = std::move(seen);
    const auto appended = appended_;
    lock.unlock();
    if (appended) appended(); // a look costs less than finding out whether there is something
    lock.lock();
  }
}

result<std::vector<stored_record>> remote_log::read(uint32_t partition, int64_t from, size_t max_records, size_t max_bytes) {
  if (partition >= parts_.size()) return status{errc::out_of_range, "the log has no partition " + std::to_string(partition)};
  auto& of = parts_[partition];
  if (max_records == 0 || from == of.end) return std::vector<stored_record>();
  auto got = readers_.ask(partition, "?from=" + std::to_string(from) + "&max=" + std::to_string(max_records));
  if (!got.ok()) return got.why;
  auto& records = got->records;
  size_t bytes = 0, taken = 0;
  while (taken < records.size() && (taken == 0 || bytes + records[taken].value.size() <= max_bytes))
    bytes += records[taken++].value.size();
  records.resize(taken);
  if (options_.rewrite)
    for (auto& record : records) options_.rewrite(record.value);
  return std::move(records);
}

} // namespace

result<std::unique_ptr<event_log>> open_remote_log(remote_log_options options) {
  std::string key;
  if (!options.key_file.empty()) {
    auto read = read_secret(options.key_file, "remote.key_file");
    if (!read.ok()) return read.why;
    key = std::move(*read);
  }
  auto log = std::make_unique<remote_log>(std::move(options), key);
  if (auto started = log->start(); !started.ok()) return started;
  return std::unique_ptr<event_log>(std::move(log));
}

} // namespace adtrack::storage
