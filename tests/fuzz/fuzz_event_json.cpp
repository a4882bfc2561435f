// Event and ad bodies: what is accepted keeps every rule, what is refused says why.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "http/ads_request.hpp"
#include "http/event_parser.hpp"
#include "http/utf8.hpp"

using namespace adtrack;
using namespace adtrack::http;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

constexpr int64_t now_s = 1'753'200'972;

void check(const submission& e) {
  require(e.ad_id >= 1 && e.ad_id <= max_ad_id);
  require(!e.event_id.empty() && e.event_id.size() <= event_id_chars_max);
  require(std::all_of(e.event_id.begin(), e.event_id.end(), [](char c) { return c >= 0x21 && c <= 0x7e; }));
  require(e.agent.size() <= agent_bytes_max && valid_utf8(e.agent));
  require(e.time_s > 0 && e.time_s <= now_s + 300);
  require(e.play_time_secs >= absent && e.play_time_secs <= 86'400);
  require(e.watched_percent >= absent && e.watched_percent <= 100);
  require((e.type == event_type::playback) == (e.progress != playback_progress::none));
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static event_parser events;
  static ads_reader ads;
  if (size == 0 || size > 65'536) return 0;
  std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
  event_context context;
  context.now_s = now_s;
  context.user_agent = body.substr(0, 2'000);
  submission event;
  std::string syntax;
  std::vector<field_error> errors;
  if (events.parse(static_cast<event_type>(data[0] % event_type_count), body, context, event, syntax, errors))
    check(event);
  else
    require(syntax.empty() != errors.empty());
  ad_fields fields;
  if (ads.read(body, fields, syntax, errors)) {
    require(valid_ad_url(fields.url) && !fields.title.empty() && fields.title.size() <= 800 && valid_utf8(fields.title));
    require(fields.metadata.size() <= 4'096);
  } else {
    require(syntax.empty() != errors.empty());
  }
  (void)valid_if_match(body);
  (void)matches_any(body, "\"17\"");
  return 0;
}
