#include "storage/record_codec.hpp"

#include <charconv>
#include <iterator>
#include <limits>
#include <new>
#include <string_view>

#include <absl/container/flat_hash_map.h>
#include <nlohmann/json.hpp>
#include <simdjson.h>
#include <xxhash.h>

#include "model/partitioner.hpp"

namespace adtrack::storage {
namespace {

constexpr std::string_view hex_digits = "0123456789abcdef";

// --- writing ---

// Bytes of JSON strings that need an escape: control characters, the quote and the backslash.
constexpr bool needs_escape(char c) noexcept { return static_cast<uint8_t>(c) < 0x20 || c == '"' || c == '\\'; }

void put_escaped(std::string& out, std::string_view text) {
  size_t plain = 0; // start of what is not copied yet
  for (size_t i = 0; i < text.size(); ++i) {
    if (!needs_escape(text[i])) continue;
    out.append(text, plain, i - plain);
    plain = i + 1;
    out += '\\';
    switch (text[i]) {
    case '"': out += '"'; break;
    case '\\': out += '\\'; break;
    case '\n': out += 'n'; break;
    case '\r': out += 'r'; break;
    case '\t': out += 't'; break;
    default:
      out += "u00";
      out += hex_digits[static_cast<uint8_t>(text[i]) >> 4];
      out += hex_digits[static_cast<uint8_t>(text[i]) & 15];
    }
  }
  out.append(text, plain);
}

// Every byte that is not ASCII becomes U+FFFD.
std::string only_ascii(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (static_cast<uint8_t>(c) < 0x80)
      out += c;
    else
      out += "\xef\xbf\xbd";
  }
  return out;
}

std::string hex_of(uint64_t value, int digits) {
  std::string text(static_cast<size_t>(digits), '0');
  for (auto at = text.rbegin(); at != text.rend(); ++at, value >>= 4) *at = hex_digits[value & 15];
  return text;
}

// Appends the fields of one flat object. Names and names of enumerators need no escaping.
class object_writer {
public:
  explicit object_writer(std::string& out) : out_(out) { out_ += "{\"schema\":1"; }

  void number(std::string_view name, int64_t value) {
    key(name);
    char text[20];
    out_.append(text, std::to_chars(text, text + sizeof text, value).ptr);
  }
  void word(std::string_view name, std::string_view value) {
    key(name);
    out_ += '"';
    out_ += value;
    out_ += '"';
  }
  // Invalid UTF-8 would make the whole record unreadable, and an accepted event must not be lost for its agent.
  void text(std::string_view name, std::string_view value) {
    key(name);
    out_ += '"';
    if (simdjson::validate_utf8(value.data(), value.size()))
      put_escaped(out_, value);
    else
      put_escaped(out_, only_ascii(value));
    out_ += '"';
  }
  void hex(std::string_view name, uint64_t value, int digits) { word(name, hex_of(value, digits)); }
  void close() { out_ += '}'; }

private:
  void key(std::string_view name) {
    out_ += ",\"";
    out_ += name;
    out_ += "\":";
  }

  std::string& out_;
};

// --- reading ---

enum class verdict : uint8_t { ok, syntax, schema, stamps, partition };

std::string_view reason_of(verdict v) noexcept {
  switch (v) {
  case verdict::ok: return {};
  case verdict::syntax: return "syntax";
  case verdict::schema: return "schema";
  case verdict::stamps: return "stamps";
  case verdict::partition: return "partition";
  }
  return {};
}

using json = simdjson::dom::element;

bool read(const json& from, std::string_view& out) noexcept { return from.get(out) == simdjson::SUCCESS; }

// An integer (never 1.0 or "1") of [low, high].
template <class Number>
bool read(const json& from, int64_t low, int64_t high, Number& out) noexcept {
  int64_t value = 0;
  if (from.get(value) != simdjson::SUCCESS || value < low || value > high) return false;
  out = static_cast<Number>(value);
  return true;
}

// Exactly `digits` lower-case hexadecimal digits.
template <class Number>
bool read_hex(const json& from, size_t digits, Number& out) noexcept {
  std::string_view text;
  if (!read(from, text) || text.size() != digits) return false;
  uint64_t value = 0;
  for (const char c : text) {
    if (c >= '0' && c <= '9')
      value = value << 4 | static_cast<uint64_t>(c - '0');
    else if (c >= 'a' && c <= 'f')
      value = value << 4 | static_cast<uint64_t>(c - 'a' + 10);
    else
      return false;
  }
  out = static_cast<Number>(value);
  return true;
}

template <class Enum>
bool read_name(const json& from, Enum& out) noexcept {
  std::string_view text;
  return read(from, text) && parse(text, out);
}

enum class field : uint8_t {
  schema,
  kind,
  type,
  ad_id,
  event_id,
  timestamp,
  user_ip,
  agent,
  play_time_secs,
  watched_percent,
  progress,
  visitor,
  fields,
  invalid,
  rules,
  device,
  browser,
  os,
  country,
  logic,
  dedupe_window_secs,
  repeat_click_secs,
  second_days,
  minute_days,
  visitor_key,
  erase,
  as,
  unknown
};

constexpr std::string_view field_names[] = {"schema",
                                            "kind",
                                            "type",
                                            "ad_id",
                                            "event_id",
                                            "timestamp",
                                            "user_ip",
                                            "agent",
                                            "play_time_secs",
                                            "watched_percent",
                                            "progress",
                                            "visitor",
                                            "fields",
                                            "invalid",
                                            "rules",
                                            "device",
                                            "browser",
                                            "os",
                                            "country",
                                            "logic",
                                            "dedupe_window_secs",
                                            "repeat_click_secs",
                                            "second_days",
                                            "minute_days",
                                            "visitor_key",
                                            "erase",
                                            "as"};

constexpr size_t known_fields = std::size(field_names);
static_assert(known_fields == static_cast<size_t>(field::unknown));

// The fields of one record that this build knows, by name.
class field_table {
public:
  // False when a known field stands there twice: two readers could then understand two different records.
  bool fill(const simdjson::dom::object& object) noexcept {
    seen_ = 0;
    size_t expected = 0; // our own writer keeps the order of field_names
    for (const auto [name, value] : object) {
      const size_t i = find(name, expected);
      if (i == known_fields) continue;
      if ((seen_ >> i & 1) != 0) return false;
      seen_ |= uint32_t{1} << i;
      values_[i] = value;
      expected = i + 1;
    }
    return true;
  }
  bool has(field f) const noexcept { return (seen_ >> static_cast<size_t>(f) & 1) != 0; }
  const json& operator[](field f) const noexcept { return values_[static_cast<size_t>(f)]; }

  // An integer of [low, high] that must be there.
  template <class Number>
  bool number(field f, int64_t low, int64_t high, Number& out) const noexcept {
    return has(f) && read((*this)[f], low, high, out);
  }

private:
  static size_t find(std::string_view name, size_t expected) noexcept {
    for (size_t step = 0; step < known_fields; ++step) {
      const size_t i = expected + step < known_fields ? expected + step : expected + step - known_fields;
      if (name == field_names[i]) return i;
    }
    return known_fields;
  }

  uint32_t seen_ = 0;
  json values_[known_fields];
};

// Numbers the names of one batch; no name is 0. One longer than any that is stamped is nobody's.
class name_table {
public:
  explicit name_table(std::vector<std::string>& names) : names_(names) { names_.emplace_back(); }

  uint32_t number_of(std::string_view name) {
    if (name.empty() || name.size() > family_bytes_max) return 0;
    const auto found = numbers_.find(absl::string_view(name.data(), name.size()));
    if (found != numbers_.end()) return found->second;
    const auto number = static_cast<uint32_t>(names_.size());
    numbers_.emplace(name, number);
    names_.emplace_back(name);
    return number;
  }

private:
  std::vector<std::string>& names_;
  absl::flat_hash_map<std::string, uint32_t> numbers_;
};

constexpr int64_t int32_top = std::numeric_limits<int32_t>::max();
constexpr int64_t uint32_top = std::numeric_limits<uint32_t>::max();
constexpr int64_t int64_top = std::numeric_limits<int64_t>::max();
constexpr int64_t time_top_s = uint32_top; // stored rows hold event times in 32 bits: to the year 2106

// The contract's limits on what clients send are http's to keep, and an operator may change them: here stands only what a shard
// could not live with.
verdict read_event(const field_table& in, uint32_t partition, uint32_t partitions, name_table& names, shard_record& out) {
  std::string_view event_id, ignored, device, browser, os, country;
  uint32_t rules = 0;
  const auto text_or_absent = [&](field f, std::string_view& to) { return !in.has(f) || read(in[f], to); };
  const auto number_or_absent = [&](field f, int32_t& to) { return !in.has(f) || read(in[f], 0, int32_top, to); };
  const bool readable =
      in.has(field::type) && read_name(in[field::type], out.type) && in.number(field::ad_id, 1, max_ad_id, out.ad_id) &&
      in.has(field::event_id) && read(in[field::event_id], event_id) && !event_id.empty() &&
      in.number(field::timestamp, 1, time_top_s, out.time_s) && text_or_absent(field::user_ip, ignored) &&
      text_or_absent(field::agent, ignored) && number_or_absent(field::play_time_secs, out.play_time_secs) &&
      number_or_absent(field::watched_percent, out.watched_percent) &&
      (!in.has(field::progress) || read_name(in[field::progress], out.progress)) &&
      (!in.has(field::invalid) || (read_name(in[field::invalid], out.invalid) && out.invalid != invalid_reason::repeat)) &&
      (!in.has(field::rules) || read(in[field::rules], 0, uint32_top, rules)) && text_or_absent(field::device, device) &&
      text_or_absent(field::browser, browser) && text_or_absent(field::os, os) && text_or_absent(field::country, country) &&
      (!in.has(field::visitor) || read_hex(in[field::visitor], 16, out.visitor)) &&
      (!in.has(field::fields) || read_hex(in[field::fields], 8, out.fields_hash));
  if (!readable) return verdict::schema;
  if (!in.has(field::visitor) || !in.has(field::fields)) return verdict::stamps;
  if (shard_of(out.ad_id, partitions) != partition) return verdict::partition;
  out.id = identity_of(out.type, out.ad_id, event_id);
  parse(device, out.device); // one that this build has no name for is unknown
  out.browser = names.number_of(browser);
  out.os = names.number_of(os);
  out.country = names.number_of(country);
  return verdict::ok;
}

// The values of a logic that this build does not know may have other types and meanings: the shard stops before such a record
// anyway, so what can be read of it is enough.
verdict read_control(const field_table& in, control& out) {
  std::string_view visitor_key;
  if (!in.number(field::logic, 0, uint32_top, out.logic)) return verdict::schema;
  const bool whole = in.number(field::dedupe_window_secs, 0, int64_top, out.dedupe_window_s) &&
                     in.number(field::repeat_click_secs, 0, int64_top, out.repeat_click_s) &&
                     in.number(field::second_days, 0, int64_top, out.second_days) &&
                     in.number(field::minute_days, 0, int64_top, out.minute_days) &&
                     in.number(field::rules, 0, uint32_top, out.rules) && in.has(field::visitor_key) &&
                     read(in[field::visitor_key], visitor_key);
  const bool erases = (!in.has(field::as) || read_hex(in[field::as], 16, out.erased.alias)) &&
                      (!in.has(field::erase) || (in.has(field::as) && read_hex(in[field::erase], 16, out.erased.visitor)));
  if (!(whole && erases) && out.logic <= logic_version) return verdict::schema;
  out.visitor_key_id = visitor_key;
  return verdict::ok;
}

} // namespace

std::string encode(const event& e) {
  std::string out;
  out.reserve(400 + e.event_id.size() + e.agent.size());
  object_writer w(out);
  w.word("kind", "event");
  w.word("type", to_string(e.type));
  w.number("ad_id", static_cast<int64_t>(e.ad_id));
  w.text("event_id", e.event_id);
  w.number("timestamp", e.time_s);
  if (!e.address.empty()) w.text("user_ip", e.address);
  if (!e.agent.empty()) w.text("agent", e.agent);
  if (e.play_time_secs != absent) w.number("play_time_secs", e.play_time_secs);
  if (e.watched_percent != absent) w.number("watched_percent", e.watched_percent);
  if (e.progress != playback_progress::none) w.word("progress", to_string(e.progress));
  w.hex("visitor", e.visitor, 16);
  w.hex("fields", e.fields_hash, 8);
  const auto& t = e.traffic;
  if (t.invalid != invalid_reason::none) w.word("invalid", to_string(t.invalid));
  w.number("rules", t.rules);
  if (t.device != device_class::unknown) w.word("device", to_string(t.device));
  if (!t.browser.empty()) w.text("browser", t.browser);
  if (!t.os.empty()) w.text("os", t.os);
  if (!t.country.empty()) w.text("country", t.country);
  if (!e.trace.empty()) w.text("traceparent", e.trace); // for who reads the log; shards pass over it
  w.close();
  return out;
}

std::string encode(const control& c) {
  std::string out;
  object_writer w(out);
  w.word("kind", "control");
  w.number("logic", c.logic);
  w.number("dedupe_window_secs", c.dedupe_window_s);
  w.number("repeat_click_secs", c.repeat_click_s);
  w.number("second_days", c.second_days);
  w.number("minute_days", c.minute_days);
  w.number("rules", c.rules);
  w.text("visitor_key", c.visitor_key_id);
  if (c.erased.visitor != 0) w.hex("erase", c.erased.visitor, 16);
  if (c.erased.alias != 0) w.hex("as", c.erased.alias, 16);
  w.close();
  return out;
}

std::optional<std::string> without(const erasure& erased, std::string_view value) {
  const auto visitor = hex_of(erased.visitor, 16);
  if (value.find(visitor) == std::string_view::npos) return {};
  auto record = nlohmann::ordered_json::parse(value, nullptr, false);
  if (!record.is_object()) return {};
  const auto says = [&](const char* name) { return record.contains(name) && record[name] == visitor; };
  if (says("erase")) {
    record.erase("erase");
  } else if (says("visitor")) {
    record["visitor"] = hex_of(erased.alias, 16);
    record.erase("user_ip");
    record.erase("agent");
    record.erase("traceparent"); // the sender's traces may know whom it was about
  } else {
    return {};
  }
  return record.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

uint64_t hash_of_value(std::string_view value) noexcept { return XXH3_64bits(value.data(), value.size()); }

struct record_decoder::impl {
  simdjson::dom::parser parser;
  std::string padded; // the record with the bytes behind it that simdjson may look at
  field_table fields;

  verdict decode(std::string_view value, uint32_t partition, uint32_t partitions, shard_record& out, name_table& names,
                 std::vector<control>& controls) {
    padded.reserve(value.size() + simdjson::SIMDJSON_PADDING);
    padded = value;
    simdjson::dom::element root;
    const auto error = parser.parse(padded.data(), padded.size(), false).get(root);
    if (error == simdjson::MEMALLOC) throw std::bad_alloc(); // says nothing about the record
    if (error != simdjson::SUCCESS) return verdict::syntax;
    simdjson::dom::object object;
    std::string_view kind;
    int schema = 0;
    if (root.get(object) != simdjson::SUCCESS || !fields.fill(object) ||
        !fields.number(field::schema, 1, record_schema, schema) || !fields.has(field::kind) || !read(fields[field::kind], kind)) {
      return verdict::schema;
    }
    if (kind == "event") return read_event(fields, partition, partitions, names, out);
    if (kind != "control") return verdict::schema;
    control c;
    const verdict v = read_control(fields, c);
    if (v != verdict::ok) return v;
    out.what = shard_record::kind::control;
    out.index = static_cast<uint32_t>(controls.size());
    controls.push_back(std::move(c));
    return v;
  }
};

record_decoder::record_decoder() : impl_(std::make_unique<impl>()) {}
record_decoder::~record_decoder() = default;
record_decoder::record_decoder(record_decoder&&) noexcept = default;

record_batch record_decoder::decode(uint32_t partition, uint32_t partitions, int64_t from,
                                    std::span<const stored_record> records) {
  record_batch batch;
  batch.shard = partition;
  batch.first_offset = from;
  batch.next_offset = records.empty() ? from : records.back().offset + 1;
  if (!records.empty()) batch.last = {records.back().offset, hash_of_value(records.back().value)};
  batch.records.reserve(records.size());
  name_table names(batch.names);
  for (const stored_record& stored : records) {
    shard_record r;
    const verdict v = impl_->decode(stored.value, partition, partitions, r, names, batch.controls);
    if (v != verdict::ok) {
      r = {};
      r.what = shard_record::kind::skipped;
      r.index = static_cast<uint32_t>(batch.skipped.size());
      batch.skipped.push_back({stored.offset, std::string(reason_of(v)), stored.time_ms, stored.value.size(),
                               stored.value.substr(0, skipped_record::value_bytes_max)});
    }
    r.offset = stored.offset;
    r.log_time_ms = stored.time_ms;
    batch.records.push_back(r);
  }
  return batch;
}

} // namespace adtrack::storage
