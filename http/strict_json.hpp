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

// Readable bytes that must stand behind a text that is parsed where it is.
inline constexpr size_t json_padding = simdjson::SIMDJSON_PADDING;

enum class json_fault : uint8_t {
  none,
  not_json,
  not_allowed, // JSON as far as it was read, but no object, nested too deep or with a duplicate key
};

class strict_json {
public:
  // `noun` is what messages call the text.
  explicit strict_json(std::string_view noun = "body") : the_text_("the " + std::string(noun)) {}

  // The root object of `text`; on false `error` is a sentence for people.
  bool parse_object(std::string_view text, simdjson::dom::object& out, std::string& error,
                    huge_numbers huge = huge_numbers::refuse);
  // The same without a copy of `text`, behind which json_padding bytes must be readable, whatever they are.
  json_fault parse_object_in_place(std::string_view text, simdjson::dom::object& out, std::string& error, huge_numbers huge);

private:
  bool check(simdjson::dom::element value, size_t depth, std::string& error);
  bool check_object(simdjson::dom::object object, size_t depth, std::string& error);

  std::string_view padded(std::string_view text);
  simdjson::error_code parse(std::string_view text, simdjson::dom::element& root);
  std::string describe(simdjson::error_code code) const;

  const std::string the_text_;
  simdjson::dom::parser parser_;
  std::string padded_;
};

} // namespace adtrack::http
