// Owns the ads catalogue and answers the gateway's questions about it. Detached: a write blocks until it is durable. Reading goes
// on after a failed write; the next write first brings the catalogue back.
#pragma once

#include "actors/context.hpp"
#include "actors/interfaces.hpp"
#include "storage/catalogue.hpp"

namespace adtrack::actors {

class catalogue_state {
public:
  static constexpr const char* name = "catalogue";
  using pointer = catalogue_actor::stateful_pointer<catalogue_state>;

  void init(pointer self, context_ptr context);
  void open(); // tries again every second until it is loaded
  void copy(const reply_ptr& reply);
  void list(uint32_t page, uint32_t limit, const reply_ptr& reply);
  void get(uint64_t id, const reply_ptr& reply);
  void create(ad_fields fields, const reply_ptr& reply);
  void update(uint64_t id, ad_fields fields, const std::string& if_match, const reply_ptr& reply);
  void remove(uint64_t id, const std::string& if_match, const reply_ptr& reply);

private:
  void show(uint64_t id);
  bool loaded(const reply_ptr& reply) const; // false: the reply was refused
  void not_written(const storage::status& why, const reply_ptr& reply);
  void written(ad value, const reply_ptr& reply);
  void changed(storage::ads_catalogue::change change, uint64_t id, const reply_ptr& reply);

  pointer self_ = nullptr;
  context_ptr context_;
  std::unique_ptr<storage::ads_catalogue> ads_; // null until loaded
  uint64_t shown_loads_ = 0;
};

catalogue_actor::behavior_type catalogue(catalogue_state::pointer self, context_ptr context);

} // namespace adtrack::actors
