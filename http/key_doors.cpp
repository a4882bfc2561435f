#include "http/key_doors.hpp"

#include "config/small_file.hpp"

namespace adtrack::http {

key_doors::key_doors(const http_options& options, config::metrics& metrics) : metrics_(metrics) {
  files_[static_cast<size_t>(door::admin)] = {"admin", options.admin_key_file, {}, {}, {}, {}};
  files_[static_cast<size_t>(door::ingest)] = {"ingest", options.ingest_key_file, {}, {}, {}, {}};
  files_[static_cast<size_t>(door::read)] = {"read", options.read_key_file, {}, {}, {}, {}};
}

// True: there is a new ring, of `keys` keys. False: nothing changed (`error` is empty), or what is there now cannot be used.
bool key_doors::read(file& f, std::string& error, size_t& keys) {
  std::string text;
  config::read_small_file("key file", f.path, text, error);
  auto seen = sha256(error.empty() ? "text " + text : error);
  if (seen == f.seen) return error.clear(), false;
  f.seen = seen;
  if (!error.empty()) return false;
  auto list = config::parse_keys(f.path, text);
  if (!list.error.empty()) return error = std::move(list.error), false;

  std::map<std::string, std::shared_ptr<token_bucket>> buckets;
  std::vector<key> made;
  for (auto& k : list.keys) {
    auto& bucket = buckets[k.name];
    if (auto known = f.buckets.find(k.name); known != f.buckets.end()) bucket = known->second;
    if (bucket == nullptr) bucket = std::make_shared<token_bucket>();
    made.push_back({k.name, k.digest, &metrics_.key_requests(f.name, k.name), bucket});
  }
  keys = made.size();
  f.buckets = std::move(buckets);
  std::lock_guard lock(mutex_);
  f.ring = std::make_shared<const key_ring>(std::move(made));
  f.trouble.clear();
  version_.fetch_add(1, std::memory_order_release);
  return true;
}

bool key_doors::open(std::string& error) {
  size_t keys = 0;
  for (auto& f : files_)
    if (!f.path.empty() && !read(f, error, keys)) return false;
  return true;
}

void key_doors::look() {
  for (auto& f : files_) {
    if (f.path.empty()) continue;
    std::string error;
    size_t keys = 0;
    if (read(f, error, keys)) {
      config::log(config::log_level::info, "http", "keys_loaded", "a key file changed and is in force",
                  {{"door", f.name}, {"keys", keys}});
    } else if (!error.empty()) {
      error += "; the keys before it stay in force";
      config::log(config::log_level::error, "http", "keys_not_loaded", error, {{"door", f.name}});
      std::lock_guard lock(mutex_);
      f.trouble = std::move(error);
    }
  }
}

key_rings key_doors::rings() const {
  std::lock_guard lock(mutex_);
  return {files_[0].ring, files_[1].ring, files_[2].ring};
}

std::vector<std::string> key_doors::troubles() const {
  std::vector<std::string> out;
  std::lock_guard lock(mutex_);
  for (const auto& f : files_)
    if (!f.trouble.empty()) out.push_back(f.trouble);
  return out;
}

} // namespace adtrack::http
