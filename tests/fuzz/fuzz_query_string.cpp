// Query strings and paths: what is accepted is inside its bounds.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "http/analytics_request.hpp"
#include "http/query_string.hpp"
#include "http/route_table.hpp"
#include "http/utf8.hpp"
#include "model/event.hpp"
#include "model/time_zone.hpp"

using namespace adtrack;
using namespace adtrack::http;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 8'192) return 0;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  auto where = match_route(text);
  require(where.where != route::ad || (where.ad_id >= 1 && where.ad_id <= max_ad_id));
  std::vector<query_parameter> parameters;
  std::string error;
  if (!parse_query_string(text, parameters, error)) {
    require(!error.empty());
    return 0;
  }
  for (const auto& p : parameters) require(!p.name.empty() && valid_utf8(p.name) && valid_utf8(p.value));
  static const http_options options;
  constexpr int64_t now_ms = 1'754'898'558'342;
  analytics_query query;
  std::vector<field_error> errors;
  auto format = answer_format::unsaid;
  if (read_analytics_query(parameters, options, now_ms, query, format, errors)) {
    require(errors.empty() && query.window.since_s < query.window.until_s);
    require(is_time_zone(query.tz) && uint64_t{query.page} * query.limit <= options.query_rows_max);
    require(query.limit >= 1 && query.limit <= 1'000 && query.page >= 1 && query.page <= page_max && query.timeout_ms >= 1);
    for (auto id : query.ad_ids) require(id >= 1 && id <= max_ad_id);
  } else {
    require(!errors.empty());
  }
  preferred_format(text);
  page_request page;
  if (read_ads_page(parameters, page, errors)) require(page.limit >= 1 && page.limit <= 100 && page.page >= 1);
  return 0;
}
