// Answers as the contract writes them: field names, order and shapes. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "actors/gateway.hpp"
#include "http/analytics_request.hpp"
#include "http/batch_parser.hpp"
#include "model/ad.hpp"
#include "model/analytics.hpp"
#include "model/quarantined.hpp"

namespace adtrack::http {

void render_ingested(std::string& out, std::string_view event_id, const actors::ingested& what);
void render_rejections(std::string& out, const std::vector<rejection>& rejections);
// `rejected` as render_rejections() wrote it.
void render_batch(std::string& out, const actors::batch_ingested& what, std::string_view rejected, size_t rejected_count);
void render_analytics(std::string& out, const analytics_answer& answer, bool explain);
void render_event_fate(std::string& out, std::string_view event_id, const event_lookup& asked, const event_fate& fate);
void render_held(std::string& out, const held_page& page);
void render_shard_checkpoint(std::string& out, const shard_checkpoint& made);
void render_log_checkpoint(std::string& out, const log_checkpoint& made);
void render_digest(std::string& out, const shard_digest& digest);
void render_erasure(std::string& out, const visitor_erased& done);
void render_quarantine(std::string& out, const quarantine_page& page);
void render_ad(std::string& out, const ad& value);
void render_ads_page(std::string& out, const actors::ads_page& page, uint32_t number, uint32_t limit);

// A strong entity tag of an ad's version, with its quotes.
std::string entity_tag(const ad& value);
// Of what an answer was made of, with its quotes: positions, window, faults and the rows' own state. To be used as a weak one.
std::string entity_tag(const analytics_answer& answer, bool csv);

} // namespace adtrack::http
