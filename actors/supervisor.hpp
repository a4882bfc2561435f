// Watches the actors of the node: one that dies unexpectedly ends the process rather than leave it limping. Completes what is
// past its deadline, publishes how far each shard is behind and what the log says of itself. Detached, so that nothing that hangs
// can hang it. Applies nothing.
#pragma once

#include <vector>

#include "actors/context.hpp"
#include "actors/interfaces.hpp"
#include "actors/lag.hpp"

namespace prometheus {
class Gauge;
} // namespace prometheus

namespace adtrack::actors {

class supervisor_state {
public:
  static constexpr const char* name = "supervisor";
  using pointer = supervisor_actor::stateful_pointer<supervisor_state>;

  void init(pointer self, context_ptr context);
  void sweep();
  void measure();
  void died(const caf::down_msg& down);

private:
  struct meter {
    lag_meter lag;
    prometheus::Gauge* records = nullptr;
    prometheus::Gauge* seconds = nullptr;
    bool troubled = false;
  };

  pointer self_ = nullptr;
  context_ptr context_;
  std::vector<meter> meters_;
};

supervisor_actor::behavior_type supervisor(supervisor_state::pointer self, context_ptr context,
                                           const std::vector<caf::strong_actor_ptr>& watched);

} // namespace adtrack::actors
