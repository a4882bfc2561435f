// What an agent costs: classified, and found in the cache.
//   bench_agents --expressions /usr/share/uap-core/regexes.yaml --agents FILE (one a line)
#include <chrono>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "storage/agent_cache.hpp"
#include "storage/agents_file.hpp"

namespace {

using namespace adtrack;
using clock = std::chrono::steady_clock;

double since_us(clock::time_point start) { return std::chrono::duration<double, std::micro>(clock::now() - start).count(); }

int fail(const std::string& why) {
  std::fprintf(stderr, "bench_agents: %s\n", why.c_str());
  return 1;
}

// VmRSS in MiB.
double resident_mib() {
  std::ifstream in("/proc/self/statm");
  size_t total = 0, resident = 0;
  in >> total >> resident;
  return static_cast<double>(resident) * 4'096 / (1 << 20);
}

int run(const std::string& expressions, const std::string& agents) {
  std::ostringstream yaml;
  yaml << std::ifstream(expressions).rdbuf();
  std::vector<std::string> lines;
  std::ifstream in(agents);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  if (lines.empty()) return fail("no agents in " + agents);

  auto start = clock::now();
  agent_patterns patterns;
  if (auto read = storage::parse_uap_core(expressions, yaml.str(), patterns); !read.ok()) return fail(read.message);
  std::string error;
  std::shared_ptr<const agent_rules> rules = agent_rules::make(patterns, error);
  if (!rules) return fail(error);
  std::printf("made in %.0f ms, %.0f MiB resident\n", since_us(start) / 1e3, resident_mib());

  size_t bots = 0;
  start = clock::now();
  for (const auto& line : lines) bots += rules->classify(line).bot;
  std::printf("classified %zu agents, %.1f us each, %.2f %% bots, %.0f MiB resident\n", lines.size(),
              since_us(start) / static_cast<double>(lines.size()),
              100.0 * static_cast<double>(bots) / static_cast<double>(lines.size()), resident_mib());

  storage::agent_cache cache(rules, 2 * lines.size() + 1'000);
  for (const auto& line : lines) cache.find(line);
  constexpr size_t lookups = 5'000'000;
  start = clock::now();
  for (size_t i = 0; i < lookups; ++i) bots += cache.find(lines[i % lines.size()])->bot;
  std::printf("found in the cache, %.3f us each (%zu)\n", since_us(start) / lookups, bots);
  return 0;
}

} // namespace

int main(int argc, char** argv) {
  std::string expressions = "/usr/share/uap-core/regexes.yaml", agents;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::string_view(argv[i]) == "--expressions") expressions = argv[i + 1];
    if (std::string_view(argv[i]) == "--agents") agents = argv[i + 1];
  }
  return agents.empty() ? fail("--agents FILE is missing") : run(expressions, agents);
}
