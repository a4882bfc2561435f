// Every actor's interface, with a comment a signature. All requests between them have finite time-outs; all mailboxes are bounded
// by what is in flight (gateway), by credit (log reader to shard) or by the bound on waiting queries.
#pragma once

#include "actors/messages.hpp"
#include "storage/shard_engine.hpp"

namespace adtrack::actors {

// The one that appends to the log. Detached: an append blocks until the fsync is done.
using log_writer_actor = caf::typed_actor<
    // Records of one submit call. Their tickets complete when the log has spoken.
    caf::reacts_to<append_atom, append_ptr>,
    // A control record for one partition; replies with its offset (-1: not known), or with an error when it is not durable.
    caf::replies_to<control_atom, uint32_t, control>::with<int64_t>,
    // From itself: append what has arrived meanwhile.
    caf::reacts_to<flush_atom>,
    // From an append: a control record's id and its offset, or -2 when it is not durable.
    caf::reacts_to<done_atom, uint64_t, int64_t>,
    // From an append: a record was not made durable, so the log must be reopened.
    caf::reacts_to<failed_atom>,
    // From itself: try to reopen the log.
    caf::reacts_to<open_atom>>;

// Reads all local partitions and hands batches to the shards. Detached: a read may block.
using log_reader_actor = caf::typed_actor<
    // Sent by a shard: start over at this offset, in this epoch, behind this record. Batches and credit of earlier epochs are
    // void.
    caf::reacts_to<seek_atom, uint32_t, uint64_t, int64_t, record_mark>,
    // Sent by a shard: one batch of this epoch is applied.
    caf::reacts_to<credit_atom, uint32_t, uint64_t>,
    // There may be something new to read; coalesced by log_wake.
    caf::reacts_to<poll_atom>,
    // From itself: the wait between two looks is over.
    caf::reacts_to<flush_atom>,
    // From itself, re-armed: look even if nobody woke it.
    caf::reacts_to<tick_atom>>;

// Owns one shard's engine and answers for it. Detached: commits and fsyncs block.
using shard_actor = caf::typed_actor<
    // From the node and from itself: open the engine (again).
    caf::reacts_to<open_atom>,
    // A run of records in an epoch; returns credit to the reader.
    caf::reacts_to<apply_atom, uint64_t, record_batch>,
    // From the reader, in an epoch: whether the log still holds the last record that was taken from it. Sent once after a seek,
    // and whenever it has changed; while it is a fault no batches come.
    caf::reacts_to<found_atom, uint64_t, log_finding>,
    // From itself: commit what is dirty; make commits survive a power loss.
    caf::reacts_to<commit_atom>, caf::reacts_to<sync_atom>,
    // From itself: try again to append the control record.
    caf::reacts_to<control_atom>,
    // From itself: fail the queries that waited too long for a position.
    caf::reacts_to<expire_atom>,
    // This shard's part of a query, after every min_position of this shard is applied.
    caf::replies_to<query_atom, analytics_query>::with<shard_answer>,
    // A question for this shard alone, which it completes.
    caf::reacts_to<query_atom, lone_query_ptr>,
    // What became of one event of this shard: unknown or pending when it is not seen.
    caf::replies_to<get_atom, event_question>::with<event_fate>,
    // Its digest at an offset, once it stands there.
    caf::replies_to<get_atom, digest_question>::with<shard_digest>,
    // Copies its store -> shard_checkpoint or failed.
    caf::reacts_to<copy_atom, reply_ptr>,
    // From the eraser: nothing in the log, or in the store (true), knows the visitor of the erasure at that offset any more.
    caf::reacts_to<done_atom, int64_t, bool>,
    // Commit, sync, quit.
    caf::reacts_to<stop_atom>>;

// What a shard hands over of an erasure that it has applied: its log first; once that is done, its store.
struct erasure_job {
  uint32_t shard_number = 0;
  storage::pending_erasure what;
  std::weak_ptr<storage::shard_engine> engine;
  shard_actor shard;
  bool of_log() const noexcept { return what.what.visitor != 0; }
};
using erasure_job_ptr = std::shared_ptr<const erasure_job>;

// Erases visitors. Detached: reads, writes and compactions block.
using eraser_actor = caf::typed_actor<
    // Visitor -> visitor_erased or failed.
    caf::reacts_to<delete_atom, uint64_t, reply_ptr>,
    // From a shard: what is left to do of an erasure.
    caf::reacts_to<done_atom, erasure_job_ptr>,
    // From itself: go on.
    caf::reacts_to<tick_atom>>;

// Answers wide questions from a frozen state, so that applying never waits, lists the quarantine and what the spool holds, and reads the log for others.
// Detached.
using query_worker_actor = caf::typed_actor<
    // The view's answer; an error when its store cannot be read.
    caf::replies_to<query_atom, view_ptr, analytics_query>::with<shard_answer>,
    // -> quarantine_page or failed.
    caf::reacts_to<list_atom, quarantine_query, reply_ptr>,
    // -> held_page or failed.
    caf::reacts_to<list_atom, held_question, reply_ptr>,
    // -> log_page or failed. Sent to itself again while the log has records that it cannot give yet.
    caf::reacts_to<list_atom, log_question, reply_ptr>>;

// Asks the shards that a question concerns, gathers, merges, completes.
using analytics_actor = caf::typed_actor<
    // -> analytics_result or failed.
    caf::reacts_to<query_atom, analytics_query, reply_ptr>,
    // -> event_fate or failed.
    caf::reacts_to<get_atom, event_question, reply_ptr>,
    // -> shard_digest or failed.
    caf::reacts_to<get_atom, digest_question, reply_ptr>>;

// Takes what other producers wrote to the inbox into the log. Detached: reading, committing and fsyncs block.
using inbox_actor = caf::typed_actor<
    // From itself, re-armed, with the number of the turn: what there is to do now.
    caf::reacts_to<tick_atom, uint64_t>,
    // From who completes events: every event of this attempt has its outcome.
    caf::reacts_to<done_atom, uint32_t>,
    // Wait for what is on its way to the log, quit.
    caf::reacts_to<stop_atom>>;

// Owns the ads catalogue. Detached: writes block until they are durable.
using catalogue_actor = caf::typed_actor<
    // From the node and from itself: make and load the catalogue, or bring its stream back.
    caf::reacts_to<open_atom>,
    // Copies the log and the catalogue -> log_checkpoint or failed.
    caf::reacts_to<copy_atom, reply_ptr>,
    // Page from 1, limit -> ads_page.
    caf::reacts_to<list_atom, uint32_t, uint32_t, reply_ptr>,
    // Id -> ad or not_found.
    caf::reacts_to<get_atom, uint64_t, reply_ptr>,
    // Fields -> ad_written or failed.
    caf::reacts_to<create_atom, ad_fields, reply_ptr>,
    // Id, fields, If-Match ("" for none) -> ad_written or failed.
    caf::reacts_to<update_atom, uint64_t, ad_fields, std::string, reply_ptr>,
    // Id, If-Match -> ad_written (what was removed) or failed.
    caf::reacts_to<delete_atom, uint64_t, std::string, reply_ptr>>;

// Watches the others, sweeps deadlines, publishes lag. Detached.
using supervisor_actor = caf::typed_actor<
    // From itself, re-armed: deadlines of what is in flight.
    caf::reacts_to<tick_atom>,
    // From itself, re-armed: lag of every shard, gauges, degraded reasons.
    caf::reacts_to<poll_atom>>;

} // namespace adtrack::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(adtrack::actors::erasure_job_ptr)
