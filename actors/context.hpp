// What the actors of one node share: options, parts, status and what is in flight. Made once by the node, never changed.
// CAF-free.
#pragma once

#include <memory>

#include "actors/ad_directory.hpp"
#include "actors/in_flight.hpp"
#include "actors/lag.hpp"
#include "actors/lone_query.hpp"
#include "actors/node.hpp"
#include "actors/node_status.hpp"

namespace adtrack::actors {

struct node_context {
  node_options options;
  node_parts parts;
  std::shared_ptr<in_flight> flights;
  std::shared_ptr<node_status> status;
  std::shared_ptr<handed_batches> handed;
  std::shared_ptr<lone_queries> lone;
  std::shared_ptr<ad_directory> ads;

  storage::event_log& log() const { return *parts.log; }
  config::metrics& metrics() const { return *parts.metrics; }
};
using context_ptr = std::shared_ptr<const node_context>;

// Checks the parts, fills defaults and makes what is shared. Null with a sentence in `error` when something is missing.
context_ptr make_context(const node_options& options, node_parts parts, std::string& error);

} // namespace adtrack::actors
