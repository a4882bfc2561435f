// Many events in one body: a JSON array, or one JSON text a line (NDJSON). Finds where each item stands, checks it by the rules
// of one event and keeps what is wrong with it. What is no array appends nothing; a line that is no JSON rejects itself. One a
// worker thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "actors/gateway.hpp"
#include "http/event_parser.hpp"

namespace adtrack::http {

enum class batch_format : uint8_t { json_array, ndjson };

struct batch_limits {
  size_t events_max = 10'000;                        // items, good or bad
  size_t item_bytes_max = 65'536;                    // a larger one is rejected unread
  size_t rejections_max = 1'000;                     // kept; the others are counted
  std::function<bool(uint64_t ad_id)> known_ad = {}; // empty: every ad is taken
};

struct rejection {
  size_t index = 0;                // of the item, from 0; blank lines are no items
  std::vector<field_error> errors; // field "" is the item as a whole
};

struct batch_reading {
  std::vector<actors::ingest_item> items;              // the valid ones, in order; their tickets are not set
  std::vector<rejection> rejections;                   // the first
  size_t not_json = 0, not_valid = 0, unknown_ads = 0; // rejected items, all of them
  size_t rejected() const noexcept { return not_json + not_valid + unknown_ads; }
};

enum class batch_verdict : uint8_t { read, broken, too_many };

class batch_parser {
public:
  explicit batch_parser(batch_limits limits) : limits_(std::move(limits)), events_("item") {}

  // Reads `body`, a part of memory behind which event_padding bytes must be readable. With `broken`, `why` is a sentence.
  batch_verdict parse(batch_format format, std::string_view body, const event_context& context, batch_reading& out,
                      std::string& why);

private:
  batch_verdict parse_lines(std::string_view body, const event_context& context, batch_reading& out);
  batch_verdict parse_array(std::string_view body, const event_context& context, batch_reading& out, std::string& why);
  // False: the item is no JSON.
  bool take(std::string_view item, const event_context& context, batch_reading& out);
  void reject(batch_reading& out);

  const batch_limits limits_;
  event_parser events_;
  size_t index_ = 0; // of the item in work
  std::string syntax_;
  std::vector<field_error> errors_;
};

} // namespace adtrack::http
