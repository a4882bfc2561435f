// Remembers what agent rules said of an agent, as few agents send most events. Bounded: each part keeps the agents that were
// asked for lately, and forgets them in two generations (when the newer one is full it becomes the older one, whose agents are
// forgotten unless they are asked for). Thread-safe; a lookup holds the lock of one part of sixteen, and rules are asked outside
// of it.
#pragma once

#include <array>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include <absl/container/flat_hash_map.h>
#include <absl/strings/string_view.h>

#include "model/agent_rules.hpp"

namespace adtrack::storage {

class agent_cache {
public:
  // At most `agents` are remembered, about: at least two a part.
  agent_cache(std::shared_ptr<const agent_rules> rules, size_t agents)
      : rules_(std::move(rules)), generation_max_(agents / parts / 2 + 1) {}

  std::shared_ptr<const agent_class> find(std::string_view what) {
    const absl::string_view agent(what.data(), what.size());
    auto& part = parts_[absl::HashOf(agent) % parts];
    {
      const std::lock_guard lock(part.mutex);
      if (const auto it = part.newer.find(agent); it != part.newer.end()) return it->second;
      if (const auto it = part.older.find(agent); it != part.older.end()) return keep(part, agent, it->second);
    }
    auto made = std::make_shared<const agent_class>(rules_->classify(what));
    const std::lock_guard lock(part.mutex);
    return keep(part, agent, std::move(made));
  }

  size_t size() const {
    size_t sum = 0;
    for (const auto& part : parts_) {
      const std::lock_guard lock(part.mutex);
      sum += part.newer.size() + part.older.size();
    }
    return sum;
  }

private:
  static constexpr size_t parts = 16;
  using known = absl::flat_hash_map<std::string, std::shared_ptr<const agent_class>>;
  struct alignas(64) locked_part {
    mutable std::mutex mutex;
    known newer, older;
  };

  // `what` by value: it may stand in the generation that is given up here.
  std::shared_ptr<const agent_class> keep(locked_part& part, absl::string_view agent, std::shared_ptr<const agent_class> what) {
    if (part.newer.size() >= generation_max_) {
      part.older = std::move(part.newer);
      part.newer = known{};
    }
    part.newer.insert_or_assign(agent, what);
    return what;
  }

  const std::shared_ptr<const agent_rules> rules_;
  const size_t generation_max_;
  std::array<locked_part, parts> parts_;
};

} // namespace adtrack::storage
