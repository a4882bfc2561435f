// The query strings of questions (analytics, the ads list, an event, a digest, the log, the quarantine, held records), checked; all findings at
// once. Pure.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "http/csv.hpp"
#include "http/options.hpp"
#include "http/problem.hpp"
#include "http/query_string.hpp"
#include "model/analytics.hpp"
#include "model/event.hpp"
#include "model/held_records.hpp"
#include "model/log_page.hpp"
#include "model/quarantined.hpp"
#include "model/shard_digest.hpp"

namespace adtrack::http {

inline constexpr uint32_t page_max = 1'000'000; // times the largest limit it still fits 32 bits
inline constexpr size_t query_ads_max = 1'000;

// False with one entry a parameter in `errors`: unknown, repeated though it may not be, or a bad value. `now_ms` is what a
// trailing window ends at; `format` stays as it is where none is named.
bool read_analytics_query(const std::vector<query_parameter>& parameters, const http_options& options, int64_t now_ms,
                          analytics_query& out, answer_format& format, std::vector<field_error>& errors);

struct page_request {
  uint32_t page = 1;
  uint32_t limit = 10; // 1 ... 100
};
bool read_ads_page(const std::vector<query_parameter>& parameters, page_request& out, std::vector<field_error>& errors);

// What names an event beside its event_id.
struct event_lookup {
  event_type type = event_type::click;
  uint64_t ad_id = 0;
};
bool read_event_lookup(const std::vector<query_parameter>& parameters, event_lookup& out, std::vector<field_error>& errors);

// `what` is set already.
bool read_held_question(const std::vector<query_parameter>& parameters, held_question& out, std::vector<field_error>& errors);
bool read_digest_question(const std::vector<query_parameter>& parameters, const http_options& options, digest_question& out,
                          std::vector<field_error>& errors);

inline constexpr uint32_t log_records_max = 100'000; // an answer, within admin.max_page_bytes
bool read_log_question(const std::vector<query_parameter>& parameters, const http_options& options, log_question& out,
                       std::vector<field_error>& errors);

inline constexpr uint32_t quarantine_max = 1'000; // entries an answer
inline constexpr uint32_t held_max = 1'000;       // likewise
bool read_quarantine_query(const std::vector<query_parameter>& parameters, quarantine_query& out,
                           std::vector<field_error>& errors);

} // namespace adtrack::http
