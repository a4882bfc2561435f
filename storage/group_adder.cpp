#include "storage/group_adder.hpp"

#include <algorithm>
#include <span>

namespace adtrack::storage {

namespace {

constexpr size_t names_kept = 1'024;                         // fewer are not worth forgetting
constexpr size_t cells_at_first = group_dimension_count - 1; // of an hour's first event, at most

std::string_view or_unknown(std::string_view name) noexcept { return name.empty() ? group_unknown : name; }

} // namespace

void group_adder::use_names(const std::vector<std::string>& batch_names, bool idle) {
  if (idle && names_.size() > names_kept) {
    names_.resize(1);
    numbers_.clear();
    ++epoch_;
    for (auto& cells : known_) std::vector<known_cell>().swap(cells);
  }
  of_batch_.clear();
  for (const auto& name : batch_names) {
    if (name.empty()) {
      of_batch_.push_back(0);
      continue;
    }
    auto [it, made] = numbers_.try_emplace(name, static_cast<uint32_t>(names_.size()));
    if (made) names_.push_back(name);
    of_batch_.push_back(it->second);
  }
}

void group_adder::take(shard_record& r) const noexcept {
  for (auto* number : {&r.browser, &r.os, &r.country}) *number = *number < of_batch_.size() ? of_batch_[*number] : 0;
}

void group_adder::begin(bucket_row& row, bool note_added) {
  groups_ = &row.groups;
  tags_ = &row.tags.of_cell;
  if (row.tags.epoch != epoch_) tags_->clear();
  row.tags.epoch = epoch_;
  note_added_ = note_added;
  visits_.clear();
  if (groups_->cells.empty()) groups_->cells.reserve(cells_at_first);
  if (++run_ != 0) return;
  run_ = 1; // went round: no cell may look as if it were of this run
  for (auto& known : known_) known.clear();
}

// Names are read only where no tag says which cell it is: they lie far apart.
size_t group_adder::find_cell(group_dimension d, uint32_t value, std::string_view name) {
  const auto tag = value << 3 | static_cast<uint32_t>(d);
  const auto found = std::find(tags_->begin(), tags_->end(), tag);
  if (found != tags_->end()) return static_cast<size_t>(found - tags_->begin());
  const auto at = cell_of(groups_->cells, d, name);
  if (tags_->size() < groups_->cells.size()) tags_->resize(groups_->cells.size());
  (*tags_)[at] = tag; // of `other`'s cell, the newest value that it took
  return at;
}

uint32_t group_adder::cell_for(group_dimension d, uint32_t value, std::string_view name) {
  auto& known = known_[static_cast<size_t>(d)];
  if (known.size() <= value) known.resize(value + 1);
  auto& at = known[value];
  if (at.run != run_) at = {run_, static_cast<uint32_t>(find_cell(d, value, name))};
  return at.cell;
}

void group_adder::add(const shard_record& r) {
  group_visit visit{r.visitor};
  const auto count = [&](group_dimension d, uint32_t value, std::string_view name) {
    const auto at = cell_for(d, value, name);
    auto& cell = groups_->cells[at];
    cell.count.add(r, r.invalid);
    cell.changed = true;
    if (keeps_visitors(d)) visit.set_cell(d, at);
  };
  count(group_dimension::device, static_cast<uint32_t>(r.device), to_string(r.device));
  count(group_dimension::browser, r.browser, or_unknown(names_[r.browser]));
  count(group_dimension::os, r.os, or_unknown(names_[r.os]));
  count(group_dimension::country, r.country, or_unknown(names_[r.country]));
  count(group_dimension::invalid_reason, static_cast<uint32_t>(r.invalid),
        r.invalid == invalid_reason::none ? group_valid : to_string(r.invalid));
  if (r.type == event_type::playback)
    count(group_dimension::progress, static_cast<uint32_t>(r.progress),
          r.progress == playback_progress::none ? group_unknown : to_string(r.progress));
  if (r.type == event_type::click && r.invalid == invalid_reason::none) visits_.push_back(visit);
}

void group_adder::finish() {
  const auto fresh = std::span(visits_).first(groups_->visitors.add_all(visits_, groups_->cells));
  if (note_added_) groups_->added.add_all(fresh, groups_->cells);
  groups_ = nullptr;
  tags_ = nullptr;
}

} // namespace adtrack::storage
