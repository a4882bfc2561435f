// Reads a list of networks, such as those of data centers, from text in memory. A line holds one of
//   192.0.2.0/24    2001:db8::/32    192.0.2.7    192.0.2.0-192.0.2.99    192.0.2.0,192.0.2.99,anything
// A comment begins with `#` or `;` and ends with its line. A plain function; any thread may call it.
#pragma once

#include <string>
#include <string_view>

#include "model/address_trie.hpp"
#include "storage/status.hpp"

namespace adtrack::storage {

// Of all lists together; a quarter of a gigabyte.
inline constexpr size_t networks_max = 2'000'000;

// Adds the networks of `text` to `out`. errc::corrupt: the message names `name` and the line that cannot be read.
status parse_address_list(const std::string& name, std::string_view text, address_trie& out);

} // namespace adtrack::storage
