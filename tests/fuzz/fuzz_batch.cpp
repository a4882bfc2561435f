// Batches: every item is accepted or rejected once, by the verdict that it gets alone; what is accepted keeps every rule; nothing
// behind the body is looked at, and what stands there decides nothing.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "http/batch_parser.hpp"
#include "http/utf8.hpp"

using namespace adtrack;
using namespace adtrack::http;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

constexpr int64_t now_s = 1'753'200'972;
const batch_limits limits{50, 1'000, 10};

event_context context() {
  event_context out;
  out.now_s = now_s;
  out.agent_is_clean = true;
  return out;
}

struct result {
  batch_verdict verdict{};
  batch_reading reading;
  std::string why;
};

result run(batch_format format, std::string_view body, char behind) {
  static batch_parser parser(limits);
  const auto memory = std::make_unique<char[]>(body.size() + event_padding);
  std::copy(body.begin(), body.end(), memory.get());
  std::fill_n(memory.get() + body.size(), event_padding, behind);
  result r;
  r.verdict = parser.parse(format, {memory.get(), body.size()}, context(), r.reading, r.why);
  return r;
}

void check(const submission& e) {
  require(e.ad_id >= 1 && e.ad_id <= max_ad_id && e.time_s > 0 && e.time_s <= now_s + 300);
  require(!e.event_id.empty() && e.event_id.size() <= event_id_chars_max);
  require(e.agent.size() <= agent_bytes_max && valid_utf8(e.agent));
  require((e.type == event_type::playback) == (e.progress != playback_progress::none));
}

// The lines by themselves.
void compare_lines(std::string_view body, const result& whole) {
  static event_parser alone("item");
  size_t index = 0, accepted = 0, listed = 0;
  for (size_t at = 0; at < body.size();) {
    const size_t end = std::min(body.find('\n', at), body.size());
    const auto line = body.substr(at, end - at);
    at = end + 1;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    submission event;
    std::string syntax;
    std::vector<field_error> errors;
    const bool good = line.size() <= limits.item_bytes_max && alone.parse_typed(line, context(), event, syntax, errors);
    if (good) {
      require(accepted < whole.reading.items.size() && whole.reading.items[accepted].what.event_id == event.event_id);
      ++accepted;
    } else if (listed < limits.rejections_max) {
      require(listed < whole.reading.rejections.size() && whole.reading.rejections[listed].index == index);
      ++listed;
    }
    ++index;
  }
  require(accepted == whole.reading.items.size() && listed == whole.reading.rejections.size());
  require(index == accepted + whole.reading.not_json + whole.reading.not_valid);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0 || size > 16'384) return 0;
  const std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto format = data[0] % 2 == 0 ? batch_format::json_array : batch_format::ndjson;
  const auto r = run(format, body, '"');
  const auto other = run(format, body, ']');
  require(r.verdict == other.verdict && r.why == other.why && r.reading.items.size() == other.reading.items.size());
  require(r.reading.not_json == other.reading.not_json && r.reading.not_valid == other.reading.not_valid);
  require((r.verdict == batch_verdict::broken) == !r.why.empty());
  require(r.reading.rejections.size() <= limits.rejections_max);
  require(r.reading.items.size() + r.reading.not_json + r.reading.not_valid <= limits.events_max);
  for (const auto& item : r.reading.items) check(item.what);
  for (const auto& [index, errors] : r.reading.rejections) require(index < limits.events_max && !errors.empty());
  if (format == batch_format::json_array) require(r.verdict != batch_verdict::read || r.reading.not_json == 0);
  if (r.verdict != batch_verdict::read) {
    require(r.reading.items.empty() && r.reading.rejections.empty());
    return 0;
  }
  if (format == batch_format::ndjson) compare_lines(body, r);
  return 0;
}
