#include "actors/analytics.hpp"

#include <prometheus/histogram.h>

#include <algorithm>
#include <map>
#include <utility>

#include "actors/shard.hpp"
#include "config/telemetry.hpp"
#include "model/partitioner.hpp"
#include "model/series.hpp"

namespace adtrack::actors {

std::vector<shard_part> parts_of(const analytics_query& query, uint32_t shards) {
  std::map<uint32_t, shard_part> parts;
  if (query.ad_ids.empty()) {
    for (uint32_t shard = 0; shard < shards; ++shard) parts[shard].shard = shard;
  } else {
    for (auto ad_id : query.ad_ids) {
      auto& part = parts[shard_of(ad_id, shards)];
      part.shard = shard_of(ad_id, shards);
      part.ad_ids.push_back(ad_id);
    }
  }
  for (const auto& p : query.min_positions) {
    auto [it, added] = parts.try_emplace(p.shard);
    if (!added) continue;
    it->second.shard = p.shard;
    it->second.rows = false;
    // Any list will do: an empty one would mean all ads. No ad of this list lives there.
    it->second.ad_ids = {query.ad_ids.front()};
  }
  std::vector<shard_part> out;
  out.reserve(parts.size());
  for (auto& [shard, part] : parts) out.push_back(std::move(part));
  return out;
}

time_window union_of_windows(const std::vector<shard_part>& parts, const time_window& asked) {
  auto out = asked;
  for (const auto& part : parts) {
    if (!part.rows || !part.answer) continue;
    out.since_s = std::min(out.since_s, part.answer->window.since_s);
    out.until_s = std::max(out.until_s, part.answer->window.until_s);
  }
  return out;
}

bool windows_agree(const std::vector<shard_part>& parts) {
  const time_window* first = nullptr;
  for (const auto& part : parts) {
    if (!part.rows || !part.answer) continue;
    if (first != nullptr && *first != part.answer->window) return false;
    first = &part.answer->window;
  }
  return true;
}

namespace {

// Fills the series of the rows up to the page's end, of which only the page's are kept.
void take_series(const std::vector<analytics_row*>& rows, const analytics_query& query, analytics_answer& out) {
  time_zone zone;
  if (!time_zone::load(query.tz, zone)) return; // then no shard gave a series either
  const time_grid grid(query.step, zone);
  size_t points = 0;
  for (const auto* row : rows) {
    out.fault_of_series = std::max(out.fault_of_series, row->fault_of_series);
    points += length_of(row->series, out.window, grid, query.max_points);
  }
  if (points > query.max_points) out.fault_of_series = std::max(out.fault_of_series, series_fault::too_many);
  if (out.fault_of_series != series_fault::none) return;
  for (auto* row : rows) fill_gaps(row->series, out.window, grid);
}

// An ad lives in one shard and each gave its own first page * limit rows, so the first of all of these are the first of all rows.
void take_rows(std::vector<shard_part>& parts, const analytics_query& query, analytics_answer& out) {
  std::vector<analytics_row*> rows;
  for (auto& part : parts) {
    if (!part.rows || !part.answer) continue;
    for (auto& row : part.answer->rows) rows.push_back(&row);
  }
  const auto skip = (uint64_t{std::max(query.page, 1u)} - 1) * query.limit;
  const auto end = std::min<uint64_t>(skip + query.limit, rows.size());
  std::partial_sort(rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(end), rows.end(),
                    [&](const auto* a, const auto* b) { return stands_before(*a, *b, query.order); });
  rows.resize(end);
  if (query.step != granularity::none) take_series(rows, query, out);
  for (auto at = skip; at < end; ++at) out.rows.push_back(std::move(*rows[at]));
}

} // namespace

analytics_answer merge(std::vector<shard_part> parts, const analytics_query& query, int64_t now_ms, int64_t real_time_lag_ms) {
  analytics_answer out;
  out.window = union_of_windows(parts, query.window);
  out.step = query.step;
  out.by = query.by;
  out.tz = query.tz;
  out.generated_at_ms = now_ms;
  out.shards_total = static_cast<uint32_t>(parts.size());
  // Windows that still differ mean that a part lacks what another holds: that is not a complete answer.
  out.complete = windows_agree(parts);
  take_rows(parts, query, out);
  for (auto& part : parts) {
    const auto fault = part.answer ? part.answer->fault : part.known_fault;
    if (fault != log_fault::none) {
      out.complete = false;
      out.log_faults.push_back({part.shard, fault});
    }
    if (!part.answer) {
      out.complete = false;
      out.lag_ms = -1;
      continue;
    }
    ++out.shards_answered;
    const auto lag = part.answer->lag_ms;
    out.lag_ms = lag < 0 || out.lag_ms < 0 ? -1 : std::max(out.lag_ms, lag);
    if (part.rows) {
      out.total += part.answer->total;
      out.finest = std::max({out.finest, part.finest, part.answer->finest});
    }
    part.answer->rows.clear();
    out.shards.push_back(std::move(*part.answer));
  }
  out.real_time = out.complete && out.lag_ms >= 0 && out.lag_ms < real_time_lag_ms;
  return out;
}

namespace {

std::string why_no_series(series_fault why, const analytics_query& query) {
  if (why == series_fault::not_kept)
    return "is finer than what is kept of this window: ask for a coarser one, or for later times";
  return "gives more than " + std::to_string(query.max_points) +
         " points, those of earlier pages included: ask for a coarser one, a shorter window or fewer ads";
}

void observe(const node_context& context, steady_clock::time_point started) {
  context.metrics().query().Observe(std::chrono::duration<double>(steady_clock::now() - started).count());
}

} // namespace

void complete_query(const node_context& context, const analytics_query& query, std::vector<shard_part> parts,
                    steady_clock::time_point started, const reply_ptr& reply) {
  observe(context, started);
  auto answer = merge(std::move(parts), query, context.parts.now_ms(), context.options.real_time_lag_ms);
  if (answer.fault_of_series != series_fault::none)
    return reply->fail(failure::no_series, why_no_series(answer.fault_of_series, query));
  // Records that nobody read before they were gone leave no other trace.
  answer.log_changed = !context.log().health().ok();
  if (answer.log_changed) answer.complete = answer.real_time = false;
  if (context.log().waiting() > 0) answer.real_time = false; // acknowledged, but nobody can have counted them yet
  reply->complete(std::make_shared<const analytics_answer>(std::move(answer)));
}

void analytics_state::init(pointer self, context_ptr context, std::vector<shard_actor> shards) {
  self_ = self;
  context_ = std::move(context);
  shards_ = std::move(shards);
}

void analytics_state::query(analytics_query q, reply_ptr reply) {
  for (const auto& p : q.min_positions)
    if (p.shard >= shards_.size())
      return reply->fail(failure::no_such_shard, "names shard " + std::to_string(p.shard) + "; there are shards 0 to " +
                                                     std::to_string(shards_.size() - 1));
  auto g = std::make_shared<gather>();
  g->wide = is_wide(q);
  if (g->wide && wide_in_flight_ >= context_->options.max_wide_queries)
    return reply->fail(failure::overloaded, "too many queries over many ads are being answered");
  wide_in_flight_ += g->wide ? 1 : 0;
  q.timeout_ms = std::clamp(q.timeout_ms, 1u, context_->options.query_timeout_ms);
  g->started = steady_clock::now();
  g->deadline = self_->clock().now() + std::chrono::milliseconds(q.timeout_ms);
  g->parts = parts_of(q, static_cast<uint32_t>(shards_.size()));
  g->query = std::move(q);
  g->reply = std::move(reply);
  ask(g);
}

void analytics_state::ask(const gather_ptr& g) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(g->deadline - self_->clock().now());
  const auto timeout = std::max(left, std::chrono::milliseconds(1));
  // All are counted before the first is asked, as an answer could be there at once.
  std::vector<size_t> asked;
  for (size_t i = 0; i < g->parts.size(); ++i)
    if (g->round == 1 || (g->parts[i].rows && g->parts[i].answer)) asked.push_back(i);
  g->waiting = asked.size();
  const auto window = union_of_windows(g->parts, g->query.window);
  for (auto i : asked) {
    auto& part = g->parts[i];
    auto q = g->query;
    q.ad_ids = part.ad_ids;
    q.window = window;
    q.timeout_ms = static_cast<uint32_t>(timeout.count());
    if (g->round > 1) q.min_positions.clear(); // reached in the first round
    if (part.answer) part.finest = std::max(part.finest, part.answer->finest);
    part.answer.reset();
    self_->request(shards_[part.shard], timeout, query_atom_v, std::move(q))
        .then(
            [self = self_, g, i](shard_answer& answer) {
              g->parts[i].answer = std::move(answer);
              self->state.arrived(g);
            },
            [self = self_, g, i](const caf::error& why) { self->state.missed(g, i, why); });
  }
}

void analytics_state::missed(const gather_ptr& g, size_t part, const caf::error& why) {
  const auto shard = g->parts[part].shard;
  g->parts[part].known_fault = context_->status->fault(shard);
  if (why == caf::sec::request_timeout) {
    for (const auto& p : g->query.min_positions) {
      if (p.shard != shard || context_->status->applied(shard) > p.offset) continue;
      g->late = true;
      g->late_detail = "position " + to_string(p) + " is not applied yet";
    }
  }
  arrived(g);
}

void analytics_state::arrived(const gather_ptr& g) {
  if (--g->waiting != 0) return;
  if (!g->late && g->round < max_rounds && !windows_agree(g->parts) && self_->clock().now() < g->deadline) {
    ++g->round;
    return ask(g);
  }
  finish(g);
}

void analytics_state::finish(const gather_ptr& g) {
  wide_in_flight_ -= g->wide ? 1 : 0;
  if (!g->late) return complete_query(*context_, g->query, std::move(g->parts), g->started, g->reply);
  observe(*context_, g->started);
  g->reply->fail(failure::position_not_reached, g->late_detail);
}

void analytics_state::fate_of(const event_question& q, const reply_ptr& reply) {
  const auto shard = shard_of(q.ad_id, static_cast<uint32_t>(shards_.size()));
  self_->request(shards_[shard], std::chrono::milliseconds(context_->options.query_timeout_ms), get_atom_v, q)
      .then(
          [self = self_, reply](event_fate& fate) {
            // Acknowledged, but on its way to the log still: it may be that one.
            if (fate.verdict == event_verdict::unknown && self->state.context_->log().waiting() > 0)
              fate.verdict = event_verdict::pending;
            reply->complete(fate);
          },
          [reply, shard](const caf::error&) {
            reply->fail(failure::timed_out, "shard " + std::to_string(shard) + ", which holds this ad, gave no answer");
          });
}

void analytics_state::digest(digest_question q, const reply_ptr& reply) {
  if (q.shard >= shards_.size())
    return reply->fail(failure::not_found, "there are shards 0 to " + std::to_string(shards_.size() - 1));
  q.timeout_ms = std::clamp(q.timeout_ms, 1u, context_->options.query_timeout_ms);
  self_->request(shards_[q.shard], std::chrono::milliseconds(q.timeout_ms), get_atom_v, q)
      .then([reply](shard_digest& digest) { reply->complete(std::move(digest)); },
            [self = self_, reply, q](const caf::error& why) {
              const auto applied = self->state.context_->status->applied(q.shard);
              if (why == make_error(trouble::not_kept))
                reply->fail(failure::not_kept, "the shard stands at " + std::to_string(applied) +
                                                   " and keeps digests of the last multiples of 65536 below that only");
              else if (applied < q.offset)
                reply->fail(failure::position_not_reached, "the shard stands at " + std::to_string(applied));
              else
                reply->fail(failure::timed_out, "the shard gave no answer");
            });
}

analytics_actor::behavior_type analytics(analytics_state::pointer self, context_ptr context, std::vector<shard_actor> shards) {
  self->state.init(self, std::move(context), std::move(shards));
  return {
      [self](query_atom, analytics_query& q, const reply_ptr& reply) { self->state.query(std::move(q), reply); },
      [self](get_atom, const event_question& q, const reply_ptr& reply) { self->state.fate_of(q, reply); },
      [self](get_atom, const digest_question& q, const reply_ptr& reply) { self->state.digest(q, reply); },
  };
}

} // namespace adtrack::actors
