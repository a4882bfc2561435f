// Reads the texts that agent rules are made of: uap-core's regexes.yaml, and an operator's list of expressions for crawlers.
// Plain functions over text in memory; any thread may call them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "model/agent_rules.hpp"
#include "storage/status.hpp"

namespace adtrack::storage {

// Fills browsers, systems and devices of `out`. errc::corrupt: `name`, which stands in the message, is not such a file.
status parse_uap_core(const std::string& name, std::string_view yaml, agent_patterns& out);

// Adds to `out` one expression a line, without the blanks around it. Empty lines and those that begin with `#` are comments.
void parse_bot_list(std::string_view text, std::vector<std::string>& out);

} // namespace adtrack::storage
