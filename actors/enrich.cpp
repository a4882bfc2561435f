#include "actors/enrich.hpp"

#include <utility>

#include "model/ip_address.hpp"
#include "model/partitioner.hpp"
#include "storage/record_codec.hpp"

namespace adtrack::actors {

event enrich_event(const enrich_rules& rules, submission&& from) {
  event out;
  out.type = from.type;
  out.progress = from.progress;
  out.ad_id = from.ad_id;
  out.time_s = from.time_s;
  out.play_time_secs = from.play_time_secs;
  out.watched_percent = from.watched_percent;
  // All hashes and rules see the full address; after this line only its masked form exists.
  out.visitor = visitor_of(rules.key, from.address, from.agent);
  out.fields_hash = fields_hash_of(rules.key, from);
  if (rules.judge) out.traffic = rules.judge(from);
  if (rules.addresses == address_policy::mask) out.address = to_string(mask(from.address));
  from.address = {};
  out.event_id = std::move(from.event_id);
  out.agent = std::move(from.agent);
  out.trace = std::move(from.trace);
  return out;
}

enricher::enricher(const node_context& context)
    : rules_{context.parts.key, context.options.addresses, context.parts.judge}, partitions_(context.log().partitions()) {}

append_ptr enricher::to_records(ingest_ptr batch) const {
  auto job = std::make_shared<append_job>();
  job->records.reserve(batch->items.size());
  for (auto& item : batch->items) {
    const auto ad_id = item.what.ad_id;
    job->records.push_back({shard_of(ad_id, partitions_), storage::encode(enrich_event(rules_, std::move(item.what)))});
  }
  job->batch = std::move(batch);
  return job;
}

uint64_t enricher::visitor(const visitor_question& q) const {
  return q.visitor != 0 ? q.visitor : visitor_of(rules_.key, q.address, q.agent);
}

} // namespace adtrack::actors
