#include "actors/catalogue.hpp"

#include <utility>

#include "config/telemetry.hpp"
#include "storage/checkpoints.hpp"

namespace adtrack::actors {

namespace {

constexpr const char* trouble_name = "catalogue";

std::string no_such_ad(uint64_t id) { return "there is no ad " + std::to_string(id); }

} // namespace

void catalogue_state::init(pointer self, context_ptr context) {
  self_ = self;
  context_ = std::move(context);
}

void catalogue_state::open() {
  if (ads_) return;
  auto made = context_->parts.open_catalogue();
  auto status = made.ok() ? (*made)->load() : made.why;
  if (!status.ok()) {
    if (context_->status->set_trouble(trouble_name, status.message))
      config::log(config::log_level::error, "catalogue", "load_failed", status.message);
    self_->delayed_send(self_, std::chrono::milliseconds(context_->options.retry_ms), open_atom_v);
    return;
  }
  ads_ = std::move(*made);
  show(0);
  context_->status->set_trouble(trouble_name, "");
  context_->status->set_catalogue_loaded(true);
  config::log(config::log_level::info, "catalogue", "loaded", "the catalogue of ads is loaded",
              {{"ads", ads_->size()}, {"skipped", ads_->skipped()}});
}

bool catalogue_state::loaded(const reply_ptr& reply) const {
  if (ads_) return true;
  reply->fail(failure::overloaded, "the catalogue of ads is being loaded");
  return false;
}

// Brings what others see of this ad, or of all when the stream was read again, up to date.
void catalogue_state::show(uint64_t id) {
  if (shown_loads_ != ads_->loads()) {
    std::vector<std::pair<uint64_t, std::string>> urls;
    ads_->each([&urls](const ad& one) { urls.emplace_back(one.id, one.fields.url); });
    context_->ads->load(urls);
    shown_loads_ = ads_->loads();
  } else if (const auto* now = ads_->find(id)) {
    context_->ads->put(id, now->fields.url);
  } else {
    context_->ads->remove(id);
  }
}

void catalogue_state::list(uint32_t page, uint32_t limit, const reply_ptr& reply) {
  if (!loaded(reply)) return;
  auto slice = ads_->page(page, limit);
  reply->complete(ads_page{std::move(slice.ads), slice.total});
}

void catalogue_state::get(uint64_t id, const reply_ptr& reply) {
  if (!loaded(reply)) return;
  const auto* found = ads_->find(id);
  if (found == nullptr) return reply->fail(failure::not_found, no_such_ad(id));
  reply->complete(*found);
}

void catalogue_state::create(ad_fields fields, const reply_ptr& reply) {
  if (!loaded(reply)) return;
  auto made = ads_->create(std::move(fields));
  show(made.ok() ? made->id : 0);
  if (!made.ok()) return not_written(made.why, reply);
  written(std::move(*made), reply);
}

void catalogue_state::update(uint64_t id, ad_fields fields, const std::string& if_match, const reply_ptr& reply) {
  if (!loaded(reply)) return;
  auto change = ads_->update(id, std::move(fields), if_match);
  show(id);
  changed(std::move(change), id, reply);
}

void catalogue_state::remove(uint64_t id, const std::string& if_match, const reply_ptr& reply) {
  if (!loaded(reply)) return;
  auto change = ads_->remove(id, if_match);
  show(id);
  changed(std::move(change), id, reply);
}

// Here, as nobody else may touch the catalogue: whoever lists or changes ads meanwhile waits for the flush of what the log has in
// memory.
void catalogue_state::copy(const reply_ptr& reply) {
  if (!loaded(reply)) return;
  if (!context_->parts.checkpoints) return reply->fail(failure::cannot, "this node makes no checkpoints");
  auto& log = context_->log();
  log_checkpoint out;
  for (uint32_t shard = 0; shard < log.partitions(); ++shard) out.ends.push_back(log.end(shard).offset);
  auto made = context_->parts.checkpoints->make("log", context_->parts.now_ms(), [&](const std::string& directory) {
    auto why = log.checkpoint(directory + "/log");
    return why.ok() ? ads_->checkpoint(directory + "/ads") : why;
  });
  if (made.ok()) {
    out.path = std::move(*made);
    return reply->complete(std::move(out));
  }
  if (made.why.code == storage::errc::cannot) return reply->fail(failure::cannot, made.why.message);
  config::log(config::log_level::error, "catalogue", "checkpoint_failed", made.why.message);
  reply->fail(failure::overloaded, made.why.message);
}

void catalogue_state::changed(storage::ads_catalogue::change change, uint64_t id, const reply_ptr& reply) {
  using verdict = storage::ads_catalogue::verdict;
  switch (change.what) {
  case verdict::done: return written(std::move(change.value), reply);
  case verdict::not_found: return reply->fail(failure::not_found, no_such_ad(id));
  case verdict::precondition_failed: return reply->fail(failure::precondition_failed, "the ad was changed since that version");
  case verdict::failed: return not_written(change.why, reply);
  }
}

void catalogue_state::written(ad value, const reply_ptr& reply) {
  context_->status->set_trouble(trouble_name, "");
  reply->complete(ad_written{std::move(value)});
}

void catalogue_state::not_written(const storage::status& why, const reply_ptr& reply) {
  if (context_->status->set_trouble(trouble_name, why.message))
    config::log(config::log_level::error, "catalogue", "write_failed", why.message);
  reply->fail(failure::not_durable, "the catalogue could not be written");
}

catalogue_actor::behavior_type catalogue(catalogue_state::pointer self, context_ptr context) {
  self->state.init(self, std::move(context));
  return {
      [self](open_atom) { self->state.open(); },
      [self](copy_atom, const reply_ptr& reply) { self->state.copy(reply); },
      [self](list_atom, uint32_t page, uint32_t limit, const reply_ptr& reply) { self->state.list(page, limit, reply); },
      [self](get_atom, uint64_t id, const reply_ptr& reply) { self->state.get(id, reply); },
      [self](create_atom, ad_fields& fields, const reply_ptr& reply) { self->state.create(std::move(fields), reply); },
      [self](update_atom, uint64_t id, ad_fields& fields, const std::string& if_match, const reply_ptr& reply) {
        self->state.update(id, std::move(fields), if_match, reply);
      },
      [self](delete_atom, uint64_t id, const std::string& if_match, const reply_ptr& reply) {
        self->state.remove(id, if_match, reply);
      },
  };
}

} // namespace adtrack::actors
