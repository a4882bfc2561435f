// The messages between actors: atoms, type ids, and how model values are inspected. Model values could be serialised; the
// pointers at the end are local to the process by nature (one of them carries full addresses) and are refused by any serialiser.
#pragma once

#include <caf/all.hpp>

#include <memory>
#include <string>
#include <vector>

#include "actors/in_flight.hpp"
#include "actors/lone_query.hpp"
#include "model/ad.hpp"
#include "model/analytics.hpp"
#include "model/control.hpp"
#include "model/event_fate.hpp"
#include "model/held_records.hpp"
#include "model/log_page.hpp"
#include "model/quarantined.hpp"
#include "model/record_batch.hpp"
#include "model/shard_digest.hpp"
#include "storage/event_log.hpp"
#include "storage/shard_engine.hpp"

namespace adtrack {

template <class I>
typename I::result_type inspect(I& f, identity& x) {
  return f(caf::meta::type_name("identity"), x.high, x.low);
}

template <class I>
typename I::result_type inspect(I& f, shard_record& x) {
  return f(caf::meta::type_name("shard_record"), x.what, x.type, x.progress, x.invalid, x.fields_hash, x.offset, x.log_time_ms,
           x.id, x.ad_id, x.visitor, x.time_s, x.play_time_secs, x.watched_percent, x.index, x.device, x.browser, x.os,
           x.country);
}

template <class I>
typename I::result_type inspect(I& f, control& x) {
  return f(caf::meta::type_name("control"), x.logic, x.dedupe_window_s, x.repeat_click_s, x.second_days, x.minute_days, x.rules,
           x.visitor_key_id, x.erased.visitor, x.erased.alias);
}

template <class I>
typename I::result_type inspect(I& f, skipped_record& x) {
  return f(caf::meta::type_name("skipped_record"), x.offset, x.reason, x.log_time_ms, x.size, x.value);
}

template <class I>
typename I::result_type inspect(I& f, record_mark& x) {
  return f(caf::meta::type_name("record_mark"), x.offset, x.hash);
}

template <class I>
typename I::result_type inspect(I& f, record_batch& x) {
  return f(caf::meta::type_name("record_batch"), x.shard, x.first_offset, x.next_offset, x.last, x.records, x.controls, x.skipped,
           x.names);
}

template <class I>
typename I::result_type inspect(I& f, time_window& x) {
  return f(caf::meta::type_name("time_window"), x.since_s, x.until_s);
}

template <class I>
typename I::result_type inspect(I& f, position& x) {
  return f(caf::meta::type_name("position"), x.shard, x.offset);
}

template <class I>
typename I::result_type inspect(I& f, row_order& x) {
  return f(caf::meta::type_name("row_order"), x.key, x.descending);
}

template <class I>
typename I::result_type inspect(I& f, analytics_query& x) {
  return f(caf::meta::type_name("analytics_query"), x.ad_ids, x.window, x.tz, x.step, x.order, x.page, x.limit, x.max_points,
           x.min_positions, x.timeout_ms, x.explain, x.by);
}

template <class I>
typename I::result_type inspect(I& f, counters& x) {
  return f(caf::meta::type_name("counters"), x.values, x.last_counted_ms);
}

template <class I>
typename I::result_type inspect(I& f, series_point& x) {
  return f(caf::meta::type_name("series_point"), x.start_s, x.count, x.unique_clicks, x.unique_error);
}

template <class I>
typename I::result_type inspect(I& f, analytics_row& x) {
  return f(caf::meta::type_name("analytics_row"), x.ad_id, x.count, x.unique_clicks, x.unique_error, x.series, x.fault_of_series,
           x.group);
}

template <class I>
typename I::result_type inspect(I& f, shard_answer& x) {
  return f(caf::meta::type_name("shard_answer"), x.shard, x.applied, x.lag_ms, x.took_us, x.fault, x.node, x.window, x.finest,
           x.total, x.rows);
}

template <class I>
typename I::result_type inspect(I& f, event_question& x) {
  return f(caf::meta::type_name("event_question"), x.type, x.ad_id, x.id);
}

template <class I>
typename I::result_type inspect(I& f, event_fate& x) {
  return f(caf::meta::type_name("event_fate"), x.verdict, x.reason, x.at, x.time_s, x.duplicates, x.conflicts, x.lag_ms, x.fault);
}

template <class I>
typename I::result_type inspect(I& f, digest_question& x) {
  return f(caf::meta::type_name("digest_question"), x.shard, x.offset, x.timeout_ms);
}

template <class I>
typename I::result_type inspect(I& f, shard_digest& x) {
  return f(caf::meta::type_name("shard_digest"), x.shard, x.offset, x.value);
}

template <class I>
typename I::result_type inspect(I& f, quarantine_query& x) {
  return f(caf::meta::type_name("quarantine_query"), x.source, x.from, x.max);
}

template <class I>
typename I::result_type inspect(I& f, log_question& x) {
  return f(caf::meta::type_name("log_question"), x.shard, x.from, x.max, x.timeout_ms);
}

template <class I>
typename I::result_type inspect(I& f, held_question& x) {
  return f(caf::meta::type_name("held_question"), x.what, x.from, x.max, x.below);
}

template <class I>
typename I::result_type inspect(I& f, ad_fields& x) {
  return f(caf::meta::type_name("ad_fields"), x.title, x.description, x.url, x.advertiser, x.campaign, x.metadata);
}

} // namespace adtrack

namespace adtrack::actors {

// Records on their way to the log; `batch` is whose tickets complete with their fate.
struct append_job {
  std::vector<storage::log_record> records;
  ingest_ptr batch;
};
using append_ptr = std::shared_ptr<append_job>;
using view_ptr = std::shared_ptr<const storage::shard_view>;

// What the reader found when it read a shard's last applied record again.
struct log_finding {
  log_fault fault = log_fault::none; // none: the same
  std::string detail;                // for people, of a fault
};

template <class I>
typename I::result_type inspect(I& f, log_finding& x) {
  return f(caf::meta::type_name("log_finding"), x.fault, x.detail);
}

// Why an actor could not answer another.
enum class trouble : uint8_t {
  down = 1,     // the shard's engine is being reopened
  busy,         // a bound is reached
  not_durable,  // the log did not take it
  bad_question, // asked of the wrong shard
  storage,      // reading failed
  not_kept,     // the shard is past that offset
};
std::string to_string(trouble why);

// Found by CAF when a handler returns a trouble as error.
inline caf::error make_error(trouble why) { return {static_cast<uint8_t>(why), caf::atom("adtrack")}; }
inline caf::error make_error(trouble why, const std::string& detail) {
  return {static_cast<uint8_t>(why), caf::atom("adtrack"), caf::make_message(detail)};
}

} // namespace adtrack::actors

CAF_BEGIN_TYPE_ID_BLOCK(adtrack, caf::first_custom_type_id)
CAF_ADD_TYPE_ID(adtrack, (adtrack::record_batch))
CAF_ADD_TYPE_ID(adtrack, (adtrack::record_mark))
CAF_ADD_TYPE_ID(adtrack, (adtrack::control))
CAF_ADD_TYPE_ID(adtrack, (adtrack::analytics_query))
CAF_ADD_TYPE_ID(adtrack, (adtrack::shard_answer))
CAF_ADD_TYPE_ID(adtrack, (adtrack::event_question))
CAF_ADD_TYPE_ID(adtrack, (adtrack::event_fate))
CAF_ADD_TYPE_ID(adtrack, (adtrack::digest_question))
CAF_ADD_TYPE_ID(adtrack, (adtrack::shard_digest))
CAF_ADD_TYPE_ID(adtrack, (adtrack::quarantine_query))
CAF_ADD_TYPE_ID(adtrack, (adtrack::log_question))
CAF_ADD_TYPE_ID(adtrack, (adtrack::held_question))
CAF_ADD_TYPE_ID(adtrack, (adtrack::ad_fields))
CAF_ADD_TYPE_ID(adtrack, (adtrack::actors::log_finding))
CAF_ADD_ATOM(adtrack, adtrack::actors, append_atom, "append")
CAF_ADD_ATOM(adtrack, adtrack::actors, flush_atom, "flush")
CAF_ADD_ATOM(adtrack, adtrack::actors, failed_atom, "failed")
CAF_ADD_ATOM(adtrack, adtrack::actors, done_atom, "done")
CAF_ADD_ATOM(adtrack, adtrack::actors, control_atom, "control")
CAF_ADD_ATOM(adtrack, adtrack::actors, open_atom, "open")
CAF_ADD_ATOM(adtrack, adtrack::actors, poll_atom, "poll")
CAF_ADD_ATOM(adtrack, adtrack::actors, tick_atom, "tick")
CAF_ADD_ATOM(adtrack, adtrack::actors, seek_atom, "seek")
CAF_ADD_ATOM(adtrack, adtrack::actors, credit_atom, "credit")
CAF_ADD_ATOM(adtrack, adtrack::actors, apply_atom, "apply")
CAF_ADD_ATOM(adtrack, adtrack::actors, found_atom, "found")
CAF_ADD_ATOM(adtrack, adtrack::actors, commit_atom, "commit")
CAF_ADD_ATOM(adtrack, adtrack::actors, sync_atom, "sync")
CAF_ADD_ATOM(adtrack, adtrack::actors, expire_atom, "expire")
CAF_ADD_ATOM(adtrack, adtrack::actors, query_atom, "query")
CAF_ADD_ATOM(adtrack, adtrack::actors, list_atom, "list")
CAF_ADD_ATOM(adtrack, adtrack::actors, get_atom, "get")
CAF_ADD_ATOM(adtrack, adtrack::actors, create_atom, "create")
CAF_ADD_ATOM(adtrack, adtrack::actors, update_atom, "update")
CAF_ADD_ATOM(adtrack, adtrack::actors, delete_atom, "delete")
CAF_ADD_ATOM(adtrack, adtrack::actors, copy_atom, "copy")
CAF_ADD_ATOM(adtrack, adtrack::actors, stop_atom, "stop")
CAF_END_TYPE_ID_BLOCK(adtrack)

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(adtrack::actors::ingest_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(adtrack::actors::reply_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(adtrack::actors::lone_query_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(adtrack::actors::append_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(adtrack::actors::view_ptr)
