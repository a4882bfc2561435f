// A log's records as they would be if other rules had been in force from its beginning: each event judged again by its agent and
// its masked address, each control record with other values. For a node that shows what a change of rules would do to the
// numbers.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "model/control.hpp"
#include "storage/traffic_rules.hpp"

namespace adtrack::storage {

// Rewrites a record's value in place; one that is neither an event nor a control record stays. What only the request knew stays
// as it was stamped: that it was a prefetch; and the country, where `rules` know none. Whoever made the visitors' hashes stays
// named. Thread-safe.
std::function<void(std::string& value)> make_restatement(std::shared_ptr<const traffic_rules> rules, control wanted);

} // namespace adtrack::storage
