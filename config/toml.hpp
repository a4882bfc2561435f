// Reads the part of TOML that a settings file needs: [sections], dotted keys, comments, and one-line strings, integers and
// booleans. Pure: text in, flat dotted names out. What is beyond that part is an error with its line, never a guess.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace adtrack::config {

enum class toml_kind : uint8_t { text, integer, boolean };

struct toml_item {
  std::string name;  // "http.port"
  std::string value; // unescaped; an integer without its underscores
  toml_kind kind = toml_kind::text;
  int line = 0; // from 1
};

struct toml_file {
  std::vector<toml_item> items; // in the file's order, names unique
  std::string error;            // "" or "line 3: ..."
};

toml_file parse_toml(std::string_view text);

} // namespace adtrack::config
