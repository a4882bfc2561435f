#include "storage/traffic_rules.hpp"

#include <algorithm>
#include <utility>

#include <xxhash.h>

#include "config/telemetry.hpp"
#include "storage/address_file.hpp"
#include "storage/agent_cache.hpp"
#include "storage/agents_file.hpp"
#include "storage/country_database.hpp"

namespace adtrack::storage {
namespace {

constexpr size_t agents_bytes_max = 8u << 20;
constexpr size_t addresses_bytes_max = 128u << 20;
constexpr size_t countries_bytes_max = 1u << 30;
constexpr const char* list_names[traffic_files::list_count] = {"agents", "datacenters", "countries"};
constexpr const char* file_names[traffic_files::list_count] = {"file of agents", "list of data centers", "country database"};
constexpr size_t bytes_max[traffic_files::list_count] = {agents_bytes_max, addresses_bytes_max, countries_bytes_max};

// Nothing that can be seen: an agent of blanks names nobody either.
bool is_blank(std::string_view agent) { return agent.find_first_not_of(" \t") == agent.npos; }

uint64_t digest_of(const std::vector<std::string>& texts) {
  uint64_t digest = texts.size();
  for (const auto& text : texts) digest = XXH3_64bits_withSeed(text.data(), text.size(), digest);
  return digest;
}

// Nodes of the same files and the same code agree, whatever the machine.
uint32_t version_of(const std::array<uint64_t, traffic_files::list_count>& digests) {
  std::string content = "code " + std::to_string(traffic_rules_code);
  for (const auto digest : digests) content += ' ' + std::to_string(digest);
  const auto version = static_cast<uint32_t>(XXH3_64bits(content.data(), content.size()));
  return version == 0 ? 1 : version; // 0 is no rules
}

} // namespace

traffic_stamp traffic_rules::judge(const submission& from) const {
  traffic_stamp out;
  out.rules = version_;
  const bool blank = is_blank(from.agent);
  if (!blank) {
    const auto agent = lists_.agents->find(from.agent);
    if (agent->bot) out.invalid = invalid_reason::bot;
    out.device = agent->device;
    out.browser = agent->browser;
    out.os = agent->os;
  }
  if (out.invalid == invalid_reason::none) {
    if (blank)
      out.invalid = invalid_reason::no_agent;
    else if (lists_.datacenters->contains(from.address))
      out.invalid = invalid_reason::datacenter;
    else if (from.prefetch)
      out.invalid = invalid_reason::prefetch;
  }
  if (lists_.countries) out.country = lists_.countries->code_of(from.address);
  return out;
}

traffic_files::traffic_files(traffic_options options) : options_(std::move(options)) {
  if (!options_.agents_file.empty()) sources_[0].paths.push_back(options_.agents_file);
  if (!options_.bots_file.empty()) sources_[0].paths.push_back(options_.bots_file);
  sources_[0].load = &traffic_files::load_agents;
  sources_[1].paths = options_.datacenters_files;
  sources_[1].load = &traffic_files::load_datacenters;
  if (!options_.country_file.empty()) sources_[2].paths.push_back(options_.country_file);
  sources_[2].load = &traffic_files::load_countries;
  for (size_t i = 0; i < list_count; ++i) states_[i].name = list_names[i];
}

status traffic_files::load_agents(const std::vector<std::string>& texts, traffic_lists& out) const {
  agent_patterns patterns;
  size_t next = 0;
  if (!options_.agents_file.empty())
    if (auto read = parse_uap_core(options_.agents_file, texts[next++], patterns); !read.ok()) return read;
  if (!options_.bots_file.empty()) parse_bot_list(texts[next], patterns.bots);
  std::string error;
  if (std::shared_ptr<const agent_rules> made = agent_rules::make(patterns, error)) {
    out.agents = std::make_shared<agent_cache>(std::move(made), options_.cached_agents);
    return {};
  }
  std::string files;
  for (const auto& path : sources_[0].paths) files += (files.empty() ? "" : " or ") + path;
  return {errc::corrupt, files + ": " + error};
}

status traffic_files::load_datacenters(const std::vector<std::string>& texts, traffic_lists& out) const {
  auto trie = std::make_shared<address_trie>();
  for (size_t i = 0; i < texts.size(); ++i)
    if (auto read = parse_address_list(options_.datacenters_files[i], texts[i], *trie); !read.ok()) return read;
  out.datacenters = std::move(trie);
  return {};
}

status traffic_files::load_countries(const std::vector<std::string>& texts, traffic_lists& out) const {
  if (texts.empty()) return {};
  auto opened = country_database::open(options_.country_file, texts.front());
  if (!opened.ok()) return opened.why;
  out.countries = std::move(*opened);
  return {};
}

// Reads the list again if its files may have changed; `changed`: another one is in lists_.
status traffic_files::refresh(source& from, bool& changed) {
  const auto which = static_cast<size_t>(&from - sources_.data());
  std::vector<file_stamp> stamps;
  for (const auto& path : from.paths) stamps.push_back(stamp_of(path));
  // Before it is read: a change meanwhile is another stamp at the next look.
  from.seen = std::any_of(stamps.begin(), stamps.end(), is_fresh) ? std::vector<file_stamp>{} : stamps;
  std::vector<std::string> texts;
  for (const auto& path : from.paths) {
    auto text = read_rule_file(file_names[which], path, bytes_max[which]);
    if (!text.ok()) {
      from.seen.clear(); // that need not show in its stamp: it is tried again at the next look
      return text.why;
    }
    texts.push_back(std::move(*text));
  }
  const auto digest = digest_of(texts);
  if (digest == from.digest) return {};
  traffic_lists made = lists_;
  if (auto loaded = (this->*from.load)(texts, made); !loaded.ok()) return loaded;
  lists_ = std::move(made);
  from.digest = digest;
  changed = true;
  return {};
}

void traffic_files::swap() {
  std::array<uint64_t, list_count> digests{};
  for (size_t i = 0; i < list_count; ++i) digests[i] = sources_[i].digest.value_or(0);
  auto made = std::make_shared<const traffic_rules>(lists_, version_of(digests));
  const std::lock_guard lock(mutex_);
  rules_ = std::move(made);
}

status traffic_files::open() {
  bool changed = false;
  for (auto& from : sources_)
    if (auto read = refresh(from, changed); !read.ok()) return read;
  swap();
  return {};
}

void traffic_files::look() {
  for (size_t i = 0; i < list_count; ++i) {
    auto& from = sources_[i];
    std::vector<file_stamp> stamps;
    for (const auto& path : from.paths) stamps.push_back(stamp_of(path));
    if (stamps == from.seen) continue;
    bool changed = false;
    const auto read = refresh(from, changed);
    const std::string trouble = read.ok() ? "" : read.message + "; the list before it stays in force";
    std::string before;
    {
      const std::lock_guard lock(mutex_);
      before = std::exchange(states_[i].trouble, trouble);
    }
    if (changed) {
      swap();
      config::log(config::log_level::info, "rules", "list_loaded", "a list of the traffic rules changed and is in force",
                  {{"list", list_names[i]}, {"rules", rules()->version()}});
    } else if (trouble.empty() && !before.empty()) {
      config::log(config::log_level::info, "rules", "list_usable", "the list in force stands in its files again",
                  {{"list", list_names[i]}});
    }
    if (!trouble.empty() && trouble != before)
      config::log(config::log_level::error, "rules", "list_not_loaded", trouble, {{"list", list_names[i]}});
  }
}

std::shared_ptr<const traffic_rules> traffic_files::rules() const {
  const std::lock_guard lock(mutex_);
  return rules_;
}

std::array<traffic_files::list_state, traffic_files::list_count> traffic_files::states() const {
  const std::lock_guard lock(mutex_);
  return states_;
}

} // namespace adtrack::storage
