#include "actors/node.hpp"

#include <utility>

#include "actors/analytics.hpp"
#include "actors/catalogue.hpp"
#include "actors/context.hpp"
#include "actors/enrich.hpp"
#include "actors/eraser.hpp"
#include "actors/front_door.hpp"
#include "actors/inbox.hpp"
#include "actors/interfaces.hpp"
#include "actors/log_reader.hpp"
#include "actors/log_writer.hpp"
#include "actors/query_worker.hpp"
#include "actors/shard.hpp"
#include "actors/supervisor.hpp"
#include "config/telemetry.hpp"
#include "model/partitioner.hpp"

namespace adtrack::actors {

namespace {

// Shards block while they commit, so each has a thread of its own; beyond this many they share the pool.
constexpr uint32_t max_detached_shards = 64;

// CAF's own command line and configuration file are never read: the settings table is the only door.
struct system_config : caf::actor_system_config {
  explicit system_config(size_t threads) {
    add_message_types<caf::id_block::adtrack>();
    add_error_category(caf::atom("adtrack"), [](uint8_t code, caf::atom_value, const caf::message& detail) {
      return to_string(static_cast<trouble>(code)) + (detail.empty() ? "" : " " + caf::to_string(detail));
    });
    set("scheduler.policy", caf::atom("sharing")); // stealing costs a quarter of a core idle
    set("scheduler.max-threads", threads);
  }
};

using handles = std::vector<caf::actor>;

template <class T>
caf::actor plain(const T& handle) {
  return caf::actor_cast<caf::actor>(handle);
}

template <class T>
handles plain_all(const std::vector<T>& typed) {
  handles out;
  for (const auto& one : typed) out.push_back(plain(one));
  return out;
}

} // namespace

struct node::impl {
  explicit impl(context_ptr c) : context(std::move(c)), enrich(*context), config(context->options.threads) {}

  void spawn();
  front_door_ports ports();
  bool end(const handles& actors, bool gently, steady_clock::time_point deadline) const;
  bool end_all(steady_clock::time_point deadline) const;
  bool stop(steady_clock::time_point deadline);

  context_ptr context;
  const enricher enrich;
  system_config config;
  std::unique_ptr<caf::actor_system> system;
  std::shared_ptr<log_wake> wake = std::make_shared<log_wake>();
  log_writer_actor writer;
  log_reader_actor reader;
  std::vector<query_worker_actor> workers;
  std::vector<shard_actor> shards;
  analytics_actor analyst;
  catalogue_actor librarian;
  inbox_actor intake; // null: there is no inbox
  supervisor_actor watch;
  eraser_actor forgetter;
  std::unique_ptr<front_door> door;
  bool stopped = false;
};

void node::impl::spawn() {
  system = std::make_unique<caf::actor_system>(config);
  auto& log = context->log();
  writer = system->spawn<caf::detached>(log_writer, context);
  reader = system->spawn<caf::detached>(log_reader, context, wake);
  for (size_t i = 0; i < context->options.query_workers; ++i)
    workers.push_back(system->spawn<caf::detached>(query_worker, context));
  forgetter = system->spawn<caf::detached>(eraser, context, writer);
  const shard_peers peers{reader, writer, forgetter, workers};
  for (uint32_t i = 0; i < log.partitions(); ++i)
    shards.push_back(log.partitions() <= max_detached_shards ? system->spawn<caf::detached>(shard, context, i, peers)
                                                             : system->spawn(shard, context, i, peers));
  analyst = system->spawn<caf::detached>(analytics, context, shards);
  librarian = system->spawn<caf::detached>(catalogue, context);
  std::vector<caf::strong_actor_ptr> watched;
  const auto keep = [&watched](const auto& handle) { watched.push_back(caf::actor_cast<caf::strong_actor_ptr>(handle)); };
  keep(writer);
  keep(reader);
  keep(analyst);
  keep(librarian);
  keep(forgetter);
  for (const auto& one : workers) keep(one);
  for (const auto& one : shards) keep(one);
  if (context->parts.open_inbox) {
    intake = system->spawn<caf::detached>(
        inbox, context, [this](ingest_ptr batch) { caf::anon_send(writer, append_atom_v, enrich.to_records(std::move(batch))); });
    keep(intake);
  }
  watch = system->spawn<caf::detached>(supervisor, context, std::move(watched));
  wake->attach(reader);
  log.on_appended([w = wake] { w->ring(); });
  for (const auto& one : shards) caf::anon_send(one, open_atom_v);
  caf::anon_send(librarian, open_atom_v);
  door = std::make_unique<front_door>(context, ports());
}

front_door_ports node::impl::ports() {
  front_door_ports out;
  out.ingest = [this](ingest_ptr batch) { caf::anon_send(writer, append_atom_v, enrich.to_records(std::move(batch))); };
  out.query = [this](analytics_query q, reply_ptr reply) {
    const auto count = static_cast<uint32_t>(shards.size());
    if (!lone_query::suits(q, count)) return caf::anon_send(analyst, query_atom_v, std::move(q), std::move(reply));
    const auto shard = shard_of(q.ad_ids.front(), count);
    lone_query_ptr lone = std::make_shared<lone_query>(context, shard, std::move(q), std::move(reply));
    context->lone->add(lone);
    caf::anon_send(shards[shard], query_atom_v, std::move(lone));
  };
  out.find_event = [this](const event_question& q, reply_ptr reply) { caf::anon_send(analyst, get_atom_v, q, std::move(reply)); };
  out.digest = [this](const digest_question& q, reply_ptr reply) { caf::anon_send(analyst, get_atom_v, q, std::move(reply)); };
  out.quarantine = [this](const quarantine_query& q, reply_ptr reply) {
    caf::anon_send(workers.front(), list_atom_v, q, std::move(reply));
  };
  out.read_log = [this](const log_question& q, reply_ptr reply) {
    caf::anon_send(workers.back(), list_atom_v, q, std::move(reply));
  };
  out.erase = [this](const visitor_question& q, reply_ptr reply) {
    caf::anon_send(forgetter, delete_atom_v, enrich.visitor(q), std::move(reply));
  };
  out.held = [this](const held_question& q, reply_ptr reply) {
    caf::anon_send(workers.front(), list_atom_v, q, std::move(reply));
  };
  out.checkpoint_shard = [this](uint32_t shard, reply_ptr reply) {
    if (shard >= shards.size())
      return reply->fail(failure::not_found, "the log has shards 0 to " + std::to_string(shards.size() - 1));
    caf::anon_send(shards[shard], copy_atom_v, std::move(reply));
  };
  out.checkpoint_log = [this](reply_ptr reply) { caf::anon_send(librarian, copy_atom_v, std::move(reply)); };
  out.list_ads = [this](uint32_t page, uint32_t limit, reply_ptr reply) {
    caf::anon_send(librarian, list_atom_v, page, limit, std::move(reply));
  };
  out.get_ad = [this](uint64_t id, reply_ptr reply) { caf::anon_send(librarian, get_atom_v, id, std::move(reply)); };
  out.create_ad = [this](ad_fields fields, reply_ptr reply) {
    caf::anon_send(librarian, create_atom_v, std::move(fields), std::move(reply));
  };
  out.update_ad = [this](uint64_t id, ad_fields fields, std::string if_match, reply_ptr reply) {
    caf::anon_send(librarian, update_atom_v, id, std::move(fields), std::move(if_match), std::move(reply));
  };
  out.delete_ad = [this](uint64_t id, std::string if_match, reply_ptr reply) {
    caf::anon_send(librarian, delete_atom_v, id, std::move(if_match), std::move(reply));
  };
  return out;
}

// Ends actors and waits for them: gently with a stop message behind what is in the mailbox, else with an exit signal.
bool node::impl::end(const handles& actors, bool gently, steady_clock::time_point deadline) const {
  caf::scoped_actor self{*system};
  for (const auto& one : actors) self->monitor(one);
  for (const auto& one : actors) {
    if (gently)
      caf::anon_send(one, stop_atom_v);
    else
      caf::anon_send_exit(one, caf::exit_reason::user_shutdown);
  }
  for (size_t left = actors.size(); left > 0;) {
    const auto wait = deadline - steady_clock::now();
    bool ended = false;
    self->receive([&ended](const caf::down_msg&) { ended = true; },
                  caf::after(std::max<steady_clock::duration>(wait, std::chrono::milliseconds(1))) >> [] {});
    if (!ended) return false;
    --left;
  }
  return true;
}

// From the door inwards: whoever is ended has nobody left who asks it. The shards keep what is applied. No handle may be left
// when this returns: a detached thread ends only when its actor has no owner.
bool node::impl::end_all(steady_clock::time_point deadline) const {
  handles first = {plain(analyst), plain(librarian), plain(forgetter)};
  if (intake) first.push_back(plain(intake));
  return end(first, false, deadline) && end({plain(writer), plain(reader)}, false, deadline) &&
         end(plain_all(shards), true, deadline) && end(plain_all(workers), false, deadline) &&
         end({plain(watch)}, false, deadline);
}

bool node::impl::stop(steady_clock::time_point deadline) {
  if (stopped) return system == nullptr;
  stopped = true;
  door->close();
  context->status->set_stopping(); // from here on actors end because they are told to
  // A quarter of the time is for a batch of the inbox.
  if (intake) static_cast<void>(end({plain(intake)}, true, steady_clock::now() + (deadline - steady_clock::now()) / 4));
  // Half of what is left is for what is in flight, the rest for committing and ending.
  const bool idle = context->flights->wait_idle(steady_clock::now() + (deadline - steady_clock::now()) / 2);
  if (!idle) context->flights->abandon(failure::stopping, "the node is stopping and the log did not answer in time");
  context->log().on_appended([] {});
  wake->close();
  const bool clean = end_all(deadline);
  context->flights->abandon(failure::stopping, "the node is stopping");
  if (!clean) {
    config::log(config::log_level::error, "node", "stop_incomplete",
                "something did not end in time; what is acknowledged is in the log and is applied at the next start");
    return false;
  }
  writer = nullptr;
  reader = nullptr;
  workers.clear();
  shards.clear();
  analyst = nullptr;
  librarian = nullptr;
  forgetter = nullptr;
  intake = nullptr;
  watch = nullptr;
  system.reset();
  return true;
}

node::node(std::unique_ptr<impl> i) : impl_(std::move(i)) {}

std::unique_ptr<node> node::start(const node_options& options, node_parts parts, std::string& error) {
  auto context = make_context(options, std::move(parts), error);
  if (!context) return nullptr;
  auto i = std::make_unique<impl>(std::move(context));
  i->spawn();
  return std::unique_ptr<node>(new node(std::move(i)));
}

node::~node() {
  if (!impl_) return;
  impl_->stop(steady_clock::now() + std::chrono::seconds(10));
  // An actor that hangs in a system call would hold the destructor of the actor system for ever, and what it uses must stay.
  if (impl_->system) static_cast<void>(impl_.release());
}

gateway& node::door() { return *impl_->door; }

bool node::stop(std::chrono::steady_clock::time_point deadline) { return impl_->stop(deadline); }

} // namespace adtrack::actors
