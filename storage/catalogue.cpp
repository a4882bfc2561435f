#include "storage/catalogue.hpp"

#include <algorithm>
#include <random>

#include <nlohmann/json.hpp>

namespace adtrack::storage {
namespace {

using json = nlohmann::json;

constexpr int catalogue_schema = 1;

// {"schema":1,"id":7,"created_ms":...,"updated_ms":...,"title":"...",...}; a creation record cannot know its id and leaves it
// out.
std::string encode(const ad& a) {
  json value = {{"schema", catalogue_schema},        {"created_ms", a.created_ms},          {"updated_ms", a.updated_ms},
                {"title", a.fields.title},           {"description", a.fields.description}, {"url", a.fields.url},
                {"advertiser", a.fields.advertiser}, {"campaign", a.fields.campaign},       {"metadata", a.fields.metadata}};
  if (a.id != 0) value["id"] = a.id;
  return value.dump(); // throws on text that is not UTF-8
}

bool read_text(const json& value, const char* name, std::string& out) {
  const auto at = value.find(name);
  if (at == value.end()) return true;
  if (!at->is_string()) return false;
  out = at->get<std::string>();
  return true;
}

bool read_time(const json& value, const char* name, int64_t& out) {
  const auto at = value.find(name);
  if (at == value.end() || !at->is_number_integer()) return false;
  out = at->get<int64_t>();
  return true;
}

bool decode(const compacted_stream::entry& stored, ad& out) {
  const auto value = json::parse(stored.value, nullptr, false);
  if (!value.is_object()) return false;
  const auto schema = value.find("schema");
  if (schema == value.end() || *schema != catalogue_schema) return false;
  out.id = static_cast<uint64_t>(stored.offset) + 1;
  if (const auto id = value.find("id"); id != value.end()) {
    if (!id->is_number_unsigned()) return false;
    out.id = id->get<uint64_t>();
    // An ad is older than, or as old as, its newest record.
    if (out.id == 0 || out.id > static_cast<uint64_t>(stored.offset) + 1) return false;
  }
  out.version = stored.offset;
  return read_time(value, "created_ms", out.created_ms) && read_time(value, "updated_ms", out.updated_ms) &&
         read_text(value, "title", out.fields.title) && read_text(value, "description", out.fields.description) &&
         read_text(value, "url", out.fields.url) && read_text(value, "advertiser", out.fields.advertiser) &&
         read_text(value, "campaign", out.fields.campaign) && read_text(value, "metadata", out.fields.metadata);
}

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

// RFC 9110, 13.1.1: strong comparison, so a weak tag never matches.
bool matches(int64_t version, std::string_view if_match) {
  if (trimmed(if_match).empty() || trimmed(if_match) == "*") return true;
  const std::string number = std::to_string(version), tag = '"' + number + '"';
  while (true) {
    const auto comma = if_match.find(',');
    const auto candidate = trimmed(if_match.substr(0, comma));
    if (candidate == tag || candidate == number) return true;
    if (comma == std::string_view::npos) return false;
    if_match.remove_prefix(comma + 1);
  }
}

} // namespace

std::string random_token() {
  std::random_device device; // the operating system's generator
  std::string token;
  for (int word = 0; word < 4; ++word) {
    const uint32_t bits = device();
    for (int shift = 28; shift >= 0; shift -= 4) token.push_back("0123456789abcdef"[bits >> shift & 15]);
  }
  return token;
}

ads_catalogue::ads_catalogue(std::unique_ptr<compacted_stream> stream, std::function<std::string()> tokens,
                             std::function<int64_t()> now_ms)
    : stream_(std::move(stream)), tokens_(std::move(tokens)), now_ms_(std::move(now_ms)) {}

status ads_catalogue::load() {
  entries loaded;
  std::unordered_map<std::string, uint64_t> id_of; // by token: a later entry of a key replaces the earlier one
  uint64_t skipped = 0;
  auto s = stream_->read_all([&](const compacted_stream::entry& stored) {
    const auto known = id_of.find(stored.key);
    if (stored.value.empty()) {
      if (known == id_of.end()) return;
      loaded.erase(known->second);
      id_of.erase(known);
      return;
    }
    ad value;
    if (!decode(stored, value) || (known != id_of.end() && known->second != value.id) ||
        (known == id_of.end() && loaded.contains(value.id))) {
      ++skipped;
      return;
    }
    const auto id = value.id;
    id_of[stored.key] = id;
    loaded[id] = {stored.key, std::move(value)};
  });
  if (!s.ok()) return s;
  entries_ = std::move(loaded);
  ids_.clear();
  for (const auto& [id, kept] : entries_) ids_.push_back(id);
  std::sort(ids_.begin(), ids_.end());
  skipped_ = skipped;
  ++loads_;
  return {};
}

status ads_catalogue::recover() {
  if (!stale_) return {};
  if (auto s = stream_->reopen(); !s.ok()) return s;
  if (auto s = load(); !s.ok()) return s;
  stale_ = false;
  return {};
}

result<ad> ads_catalogue::create(ad_fields fields) {
  if (auto s = recover(); !s.ok()) return s;
  entry made{tokens_(), {}};
  made.value.fields = std::move(fields);
  made.value.created_ms = made.value.updated_ms = now_ms_();
  std::string text;
  try {
    text = encode(made.value);
  } catch (const json::exception&) {
    return status{errc::mismatch, "an ad's texts must be valid UTF-8"};
  }
  auto offset = stream_->append(made.token, text);
  if (!offset.ok()) {
    stale_ = true;
    return offset.why;
  }
  made.value.id = static_cast<uint64_t>(*offset) + 1;
  made.value.version = *offset;
  ids_.push_back(made.value.id); // the greatest so far, as offsets only grow
  return entries_.emplace(made.value.id, std::move(made)).first->second.value;
}

ads_catalogue::change ads_catalogue::check(uint64_t id, std::string_view if_match) {
  if (auto s = recover(); !s.ok()) return {verdict::failed, {}, std::move(s)};
  const auto at = entries_.find(id);
  if (at == entries_.end()) return {verdict::not_found, {}, {}};
  if (!matches(at->second.value.version, if_match)) return {verdict::precondition_failed, {}, {}};
  return {verdict::done, at->second.value, {}};
}

ads_catalogue::change ads_catalogue::update(uint64_t id, ad_fields fields, std::string_view if_match) {
  auto changed = check(id, if_match);
  if (changed.what != verdict::done) return changed;
  changed.value.fields = std::move(fields);
  changed.value.updated_ms = now_ms_();
  std::string text;
  try {
    text = encode(changed.value);
  } catch (const json::exception&) {
    return {verdict::failed, {}, {errc::mismatch, "an ad's texts must be valid UTF-8"}};
  }
  auto& kept = entries_.at(id);
  auto offset = stream_->append(kept.token, text);
  if (!offset.ok()) {
    stale_ = true;
    return {verdict::failed, {}, std::move(offset.why)};
  }
  changed.value.version = *offset;
  kept.value = changed.value;
  return changed;
}

ads_catalogue::change ads_catalogue::remove(uint64_t id, std::string_view if_match) {
  auto changed = check(id, if_match);
  if (changed.what != verdict::done) return changed;
  auto offset = stream_->append(entries_.at(id).token, {});
  if (!offset.ok()) {
    stale_ = true;
    return {verdict::failed, {}, std::move(offset.why)};
  }
  entries_.erase(id);
  ids_.erase(std::lower_bound(ids_.begin(), ids_.end(), id));
  return changed;
}

const ad* ads_catalogue::find(uint64_t id) const {
  const auto at = entries_.find(id);
  return at == entries_.end() ? nullptr : &at->second.value;
}

void ads_catalogue::each(const std::function<void(const ad&)>& visit) const {
  for (const auto id : ids_) visit(entries_.at(id).value);
}

ads_catalogue::slice ads_catalogue::page(uint32_t page, uint32_t limit) const {
  slice out;
  out.total = ids_.size();
  if (page == 0) return out;
  const uint64_t first = uint64_t{page - 1} * limit;
  for (uint64_t at = first; at < ids_.size() && at < first + limit; ++at) out.ads.push_back(entries_.at(ids_[at]).value);
  return out;
}

} // namespace adtrack::storage
