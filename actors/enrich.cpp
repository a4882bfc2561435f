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
  if (rules.invalid_of) out.invalid = rules.invalid_of(from);
  out.rules = rules.rules_version;
  if (rules.addresses == address_policy::mask) out.address = to_string(mask(from.address));
  from.address = {};
  out.event_id = std::move(from.event_id);
  out.agent = std::move(from.agent);
  return out;
}

append_ptr enrich_state::to_records(const ingest_ptr& batch) const {
  auto job = std::make_shared<append_job>();
  job->batch = batch;
  job->records.reserve(batch->items.size());
  for (auto& item : batch->items) {
    const auto ad_id = item.what.ad_id;
    job->records.push_back({shard_of(ad_id, partitions), storage::encode(enrich_event(rules, std::move(item.what)))});
  }
  return job;
}

enrich_actor::behavior_type enrich(enrich_actor::stateful_pointer<enrich_state> self, context_ptr context,
                                   log_writer_actor writer) {
  auto& state = self->state;
  state.rules = {context->parts.key, context->parts.wanted.rules, context->options.addresses, context->parts.invalid_of};
  state.partitions = context->log().partitions();
  state.writer = std::move(writer);
  return {[self](enrich_atom, const ingest_ptr& batch) {
    self->send(self->state.writer, append_atom_v, self->state.to_records(batch));
  }};
}

} // namespace adtrack::actors
