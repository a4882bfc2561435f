// The rules that are stamped on an event at ingest: whether it is valid traffic (bot, no_agent, datacenter, prefetch; the first
// that applies), and what agent and address say of the visitor. `traffic_rules` is one set of lists, never changed: any thread
// may ask. `traffic_files` reads the lists, looks at the files again, and puts a new set in the place of the old one as a whole.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "model/address_trie.hpp"
#include "model/event.hpp"
#include "storage/rule_file.hpp"
#include "storage/status.hpp"

namespace adtrack::storage {

class agent_cache;
class country_database;

// Which rules this build has, beside the lists: raise it whenever they judge an event otherwise. Part of every version.
inline constexpr uint32_t traffic_rules_code = 1;

struct traffic_lists {
  std::shared_ptr<agent_cache> agents; // never null
  std::shared_ptr<const address_trie> datacenters;
  std::shared_ptr<const country_database> countries; // null: countries are not known
};

class traffic_rules {
public:
  traffic_rules(traffic_lists lists, uint32_t version) : lists_(std::move(lists)), version_(version) {}
  traffic_stamp judge(const submission& from) const; // the full address
  // A hash of what the lists hold and of the code; never 0.
  uint32_t version() const noexcept { return version_; }

private:
  const traffic_lists lists_;
  const uint32_t version_;
};

struct traffic_options {
  std::string agents_file;                    // uap-core's regexes.yaml; "": what is built in alone
  std::string bots_file;                      // "": none
  std::vector<std::string> datacenters_files; // none: no address is a data center's
  std::string country_file;                   // "": none
  size_t cached_agents = 20'000;
};

class traffic_files {
public:
  static constexpr size_t list_count = 3;
  struct list_state {
    const char* name = ""; // agents, datacenters, countries
    std::string trouble;   // why what stands in the files now is not in force; empty: it is
  };

  explicit traffic_files(traffic_options options);

  // Reads all files for the first time; every one must be usable.
  status open();
  // Reads again what changed. A list that cannot be used leaves the one before in force and is logged. One thread at a time.
  void look();

  std::shared_ptr<const traffic_rules> rules() const; // null before open()
  std::array<list_state, list_count> states() const;

private:
  // Some files that make one list.
  struct source {
    std::vector<std::string> paths;
    std::vector<file_stamp> seen;
    std::optional<uint64_t> digest; // of the files' content that is in force
    status (traffic_files::*load)(const std::vector<std::string>& texts, traffic_lists& out) const = nullptr;
  };

  status load_agents(const std::vector<std::string>& texts, traffic_lists& out) const;
  status load_datacenters(const std::vector<std::string>& texts, traffic_lists& out) const;
  status load_countries(const std::vector<std::string>& texts, traffic_lists& out) const;
  status refresh(source& from, bool& changed);
  void swap();

  const traffic_options options_;
  std::array<source, list_count> sources_;
  traffic_lists lists_; // in force
  mutable std::mutex mutex_;
  std::shared_ptr<const traffic_rules> rules_;
  std::array<list_state, list_count> states_;
};

} // namespace adtrack::storage
