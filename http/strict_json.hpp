// JSON as the contract reads it: simdjson's parse, and on top of it what simdjson lets pass: duplicate keys (after unescaping, at
// any level), a nesting deeper than 8, a byte order mark. One parser a thread; a document is valid until the next parse.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <simdjson.h>

namespace adtrack::http {

inline constexpr size_t json_depth_max = 8;

// What becomes of a well-formed number that no 64 bits hold, such as 10^40: valid JSON, which simdjson cannot represent.
enum class huge_numbers : uint8_t {
  refuse,
  make_fraction, // reads as 0.5: valid where any value is, and wrong where an integer must stand
};

class strict_json {
public:
  // The root object of `text`; on false `error` is a sentence for people.
  bool parse_object(std::string_view text, simdjson::dom::object& out, std::string& error,
                    huge_numbers huge = huge_numbers::refuse);

private:
  bool check(simdjson::dom::element value, size_t depth, std::string& error);
  bool check_object(simdjson::dom::object object, size_t depth, std::string& error);

  simdjson::error_code parse(std::string_view text, simdjson::dom::element& root);

  simdjson::dom::parser parser_;
  std::string padded_;
};

} // namespace adtrack::http
