// A body that claims to be an event: checked against every rule of the contract, all findings at once. One parser a loop.
// Never guesses: a value of the wrong type is an error, not a conversion.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "http/buffers.hpp"
#include "http/problem.hpp"
#include "http/strict_json.hpp"
#include "model/event.hpp"

namespace adtrack::http {

inline constexpr size_t agent_bytes_max = 1024;
inline constexpr size_t event_id_chars_max = 128;
inline constexpr size_t event_padding = spare_bytes; // behind an item, see parse_item

// What the request says besides its body.
struct event_context {
  ip_address peer;             // the client as far as it is known
  std::string_view user_agent; // the header as sent
  std::string_view trace;      // as trace_parent() gives it; empty: none
  bool agent_is_clean = false; // it went through header_agent() already
  bool prefetch = false;
  int64_t now_s = 0; // the server's clock, unix seconds
  int64_t max_future_skew_secs = 300;
};

inline constexpr const char* event_id_rule = "must be a string of 1 to 128 characters from 0x21 to 0x7E";
bool valid_event_id(std::string_view text) noexcept;

// The fields that name a visitor, wherever they stand; false, with what is wrong in `errors`.
bool read_user_ip(simdjson::dom::element value, ip_address& out, std::vector<field_error>& errors);
bool read_agent(simdjson::dom::element value, std::string& out, std::vector<field_error>& errors);

// Address, agent, time and prefetch as the request itself says them.
void take_from_request(const event_context& context, submission& out);
// What an event without an agent gets of the User-Agent header: valid UTF-8 of at most agent_bytes_max.
std::string header_agent(std::string_view header);

enum class item_verdict : uint8_t { good, not_json, refused };

class event_parser {
public:
  // `noun` is what messages call an event's text.
  explicit event_parser(std::string_view noun = "body");
  ~event_parser();
  // Fills `out`. On false either `syntax` is a sentence about the whole body, or `errors` holds one entry a field.
  bool parse(event_type type, std::string_view body, const event_context& context, submission& out, std::string& syntax,
             std::vector<field_error>& errors);
  // The same of an object that names its type itself: "type": "click", "impression" or "playback".
  bool parse_typed(std::string_view body, const event_context& context, submission& out, std::string& syntax,
                   std::vector<field_error>& errors);
  // The same of a part of a larger text, read where it is: event_padding bytes behind it must be readable. Tells apart what is no
  // JSON at all.
  item_verdict parse_item(std::string_view item, const event_context& context, submission& out, std::string& syntax,
                          std::vector<field_error>& errors);

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace adtrack::http
