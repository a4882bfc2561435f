#include "http/key_doors.hpp"

namespace adtrack::http {

key_doors::key_doors(const http_options& options, config::metrics& metrics) : metrics_(metrics) {
  watch(door::admin, "admin", options.admin_key_file);
  watch(door::ingest, "ingest", options.ingest_key_file);
  watch(door::read, "read", options.read_key_file);
}

void key_doors::watch(door which, const char* name, const std::string& path) {
  auto& f = files_[static_cast<size_t>(which)];
  f.watched = std::make_unique<config::watched_files>(
      "keys", "the keys before it stay in force", std::vector<config::watched_files::part>{{"key file", path}},
      [this, &f, name, path](const auto& texts, std::string& error) { return take(f, name, path, texts[0], error); });
}

bool key_doors::take(file& f, const char* name, const std::string& path, const std::string& text, std::string& error) {
  auto list = config::parse_keys(path, text);
  if (!list.error.empty()) return error = std::move(list.error), false;

  std::map<std::string, std::shared_ptr<token_bucket>> buckets;
  std::vector<key> made;
  for (auto& k : list.keys) {
    auto& bucket = buckets[k.name];
    if (auto known = f.buckets.find(k.name); known != f.buckets.end()) bucket = known->second;
    if (bucket == nullptr) bucket = std::make_shared<token_bucket>();
    made.push_back({k.name, k.digest, &metrics_.key_requests(name, k.name), bucket});
  }
  f.buckets = std::move(buckets);
  const std::lock_guard lock(mutex_);
  f.ring = std::make_shared<const key_ring>(std::move(made));
  version_.fetch_add(1, std::memory_order_release);
  return true;
}

std::vector<config::watched_files*> key_doors::files() {
  std::vector<config::watched_files*> out;
  for (auto& f : files_) out.push_back(f.watched.get());
  return out;
}

key_rings key_doors::rings() const {
  const std::lock_guard lock(mutex_);
  return {files_[0].ring, files_[1].ring, files_[2].ring};
}

} // namespace adtrack::http
