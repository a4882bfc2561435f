#include "storage/record_codec.hpp"

#include <boost/test/unit_test.hpp>
#include <xxhash.h>

#include "model/partitioner.hpp"
#include "tests/support/seeded.hpp"

using namespace adtrack;
using namespace adtrack::storage;

namespace {

// Valid UTF-8 of every kind: escapes, controls, NUL, DEL, two to four bytes, U+2028, U+FFFF, U+10FFFF.
constexpr std::string_view pieces[] = {"a",
                                       "Z",
                                       " ",
                                       "\"",
                                       "\\",
                                       "/",
                                       "\n",
                                       "\r",
                                       "\t",
                                       "\b",
                                       "\f",
                                       "\x01",
                                       "\x1f",
                                       {"\0", 1},
                                       "\x7f",
                                       "\xc3\xa9",
                                       "\xe2\x80\xa8",
                                       "\xe2\x80\xa9",
                                       "\xef\xbf\xbf",
                                       "\xed\x9f\xbf",
                                       "\xf0\x9f\x98\x80",
                                       "\xf4\x8f\xbf\xbf",
                                       "\\u0041",
                                       "{",
                                       "}",
                                       "Mozilla/5.0"};

event random_event(std::mt19937_64& random) {
  event e;
  e.type = static_cast<event_type>(random() % 3);
  if (e.type == event_type::playback) e.progress = static_cast<playback_progress>(1 + random() % 5);
  e.traffic.invalid = static_cast<invalid_reason>(random() % 5); // never `repeat`
  e.ad_id = 1 + (random() & (max_ad_id >> 1)) % (max_ad_id >> random() % 53);
  for (size_t size = 1 + random() % 128; size > 0; --size) e.event_id += static_cast<char>(0x21 + random() % 94);
  e.time_s = 1 + static_cast<int64_t>(random() % 4'294'967'295);
  if (random() % 4 != 0) e.address = random() % 2 == 0 ? "192.168.1.0" : "2001:db8:1::";
  for (size_t size = random() % 40; size > 0; --size) e.agent += pieces[random() % std::size(pieces)];
  if (random() % 2 == 0) e.play_time_secs = static_cast<int32_t>(random() % 86'401);
  if (random() % 2 == 0) e.watched_percent = static_cast<int32_t>(random() % 101);
  e.visitor = random();
  e.fields_hash = static_cast<uint32_t>(random());
  e.traffic.rules = static_cast<uint32_t>(random());
  e.traffic.device = static_cast<device_class>(random() % 7);
  for (size_t size = random() % 4; size > 0; --size) e.traffic.browser += pieces[random() % std::size(pieces)];
  for (size_t size = random() % 4; size > 0; --size) e.traffic.os += pieces[random() % std::size(pieces)];
  if (random() % 2 == 0) e.traffic.country = "FR";
  return e;
}

event sample_event() {
  event e;
  e.ad_id = 32;
  e.event_id = "e-1";
  e.time_s = 1'753'200'972;
  e.address = "192.168.1.0";
  e.agent = "Mozilla/5.0";
  e.play_time_secs = 30;
  e.watched_percent = 80;
  e.visitor = 0x0123456789abcdefu;
  e.fields_hash = 0xdeadbeefu;
  e.traffic.rules = 1;
  return e;
}

constexpr std::string_view sample_text =
    R"({"schema":1,"kind":"event","type":"click","ad_id":32,"event_id":"e-1","timestamp":1753200972,"user_ip":"192.168.1.0",)"
    R"("agent":"Mozilla/5.0","play_time_secs":30,"watched_percent":80,"visitor":"0123456789abcdef","fields":"deadbeef","rules":1})";

record_batch decode_one(std::string value, uint32_t partition = 0, uint32_t partitions = 1) {
  record_decoder decoder;
  const stored_record stored{7, 1'000, std::move(value)};
  return decoder.decode(partition, partitions, 7, {&stored, 1});
}

// What the record was skipped for; empty when it was not.
std::string skipped_for(std::string_view value) {
  const auto batch = decode_one(std::string(value));
  return batch.skipped.empty() ? "" : batch.skipped[0].reason;
}

// The sample with one piece of its text replaced.
std::string sample_with(std::string_view from, std::string_view to) {
  std::string text(sample_text);
  const auto at = text.find(from);
  BOOST_REQUIRE_MESSAGE(at != std::string::npos, from);
  return text.replace(at, from.size(), to);
}

control sample_control() {
  control c;
  c.logic = 1;
  c.dedupe_window_s = 604'800;
  c.repeat_click_s = 2;
  c.second_days = 2;
  c.minute_days = 90;
  c.rules = 1;
  c.visitor_key_id = "0badcafe";
  return c;
}

} // namespace

BOOST_AUTO_TEST_SUITE(record_codec)

BOOST_AUTO_TEST_CASE(an_event_is_written_as_documented) {
  BOOST_TEST(encode(sample_event()) == sample_text);
  event e = sample_event();
  e.type = event_type::playback;
  e.progress = playback_progress::midpoint;
  e.traffic.invalid = invalid_reason::bot;
  e.address.clear();
  e.agent.clear();
  e.play_time_secs = e.watched_percent = absent;
  BOOST_TEST(encode(e) == R"({"schema":1,"kind":"event","type":"playback","ad_id":32,"event_id":"e-1","timestamp":1753200972,)"
                          R"("progress":"midpoint","visitor":"0123456789abcdef","fields":"deadbeef","invalid":"bot","rules":1})");
}

BOOST_AUTO_TEST_CASE(what_is_known_of_the_visitor_is_written_behind_the_rules_that_say_so) {
  event e = sample_event();
  e.traffic.device = device_class::phone;
  e.traffic.browser = "Chrome \"Mobile\"";
  e.traffic.os = "Android";
  e.traffic.country = "FR";
  const auto expected =
      sample_with("\"rules\":1}", R"("rules":1,"device":"phone","browser":"Chrome \"Mobile\"","os":"Android","country":"FR"})");
  BOOST_TEST(encode(e) == expected);
  BOOST_TEST(skipped_for(expected) == "");
}

BOOST_AUTO_TEST_CASE(a_control_record_is_written_as_documented) {
  BOOST_TEST(encode(sample_control()) ==
             R"({"schema":1,"kind":"control","logic":1,"dedupe_window_secs":604800,"repeat_click_secs":2,)"
             R"("second_days":2,"minute_days":90,"rules":1,"visitor_key":"0badcafe"})");
}

BOOST_AUTO_TEST_CASE(an_erasure_stands_in_a_control_record_and_is_read_back) {
  auto c = sample_control();
  c.erased = {0xfeed, 0xbeef};
  BOOST_TEST(encode(c).find(R"("erase":"000000000000feed","as":"000000000000beef"})") != std::string::npos);
  auto batch = decode_one(encode(c));
  BOOST_REQUIRE_EQUAL(batch.controls.size(), 1u);
  BOOST_TEST((batch.controls[0] == c));
  const auto done = without(c.erased, encode(c));
  BOOST_REQUIRE(done);
  batch = decode_one(*done);
  BOOST_REQUIRE_EQUAL(batch.controls.size(), 1u);
  BOOST_TEST((batch.controls[0].erased == erasure{0, 0xbeef}));
  BOOST_TEST(!without(c.erased, *done));
  for (auto bad : {R"("erase":"000000000000feed"})", R"("as":"feed"})", R"("as":7})"}) {
    auto text = encode(sample_control());
    text.back() = ',';
    BOOST_TEST(decode_one(text + bad).skipped.size() == 1u);
  }
}

BOOST_AUTO_TEST_CASE(an_event_without_its_erased_visitor_counts_as_before_and_says_nobody) {
  auto random = test::seeded();
  for (int i = 0; i < 2'000; ++i) {
    auto e = random_event(random);
    e.agent += "Agent of somebody";
    e.address = "203.0.113.0";
    const erasure erased{e.visitor, 0xbeef};
    BOOST_TEST(!without({e.visitor + 1, 0xbeef}, encode(e)));
    const auto value = without(erased, encode(e));
    BOOST_REQUIRE(value);
    for (auto left : {"somebody", "203.0.113", "user_ip", "\"agent\""}) BOOST_TEST(value->find(left) == std::string::npos);
    auto before = decode_one(encode(e)), after = decode_one(*value);
    BOOST_REQUIRE_EQUAL(after.records.size(), 1u);
    auto wanted = before.records[0];
    wanted.visitor = 0xbeef;
    BOOST_TEST((after.records[0].id == wanted.id));
    BOOST_TEST(after.records[0].visitor == wanted.visitor);
    BOOST_TEST(after.records[0].fields_hash == wanted.fields_hash);
    BOOST_TEST((after.records[0].invalid == wanted.invalid));
    BOOST_TEST(after.names == before.names);
  }
  BOOST_TEST(!without({0xfeed, 1}, "no JSON, though it says 000000000000feed"));
  BOOST_TEST(!without({0xfeed, 1}, R"({"event_id":"000000000000feed","visitor":"0000000000000001"})"));
}

BOOST_AUTO_TEST_CASE(texts_are_escaped_where_json_asks_for_it_and_nowhere_else) {
  event e = sample_event();
  e.agent = "\"\\/\n\r\t\b\f\x01\x1f\x7f\xe2\x80\xa8\xf0\x9f\x98\x80";
  const std::string expected = "\"agent\":\"\\\"\\\\/\\n\\r\\t\\u0008\\u000c\\u0001\\u001f\x7f\xe2\x80\xa8\xf0\x9f\x98\x80\",";
  BOOST_TEST(encode(e).find(expected) != std::string::npos, encode(e));
}

BOOST_AUTO_TEST_CASE(an_agent_that_is_not_utf8_does_not_cost_the_event) {
  for (const std::string_view agent : {"\xff\"", "\xc3", "\xed\xa0\x80", "\xc0\xaf", "\xf4\x90\x80\x80"}) {
    event e = sample_event();
    e.agent = agent;
    BOOST_TEST(skipped_for(encode(e)) == "");
    BOOST_TEST(encode(e).find("\xef\xbf\xbd") != std::string::npos);
  }
}

BOOST_AUTO_TEST_CASE(random_events_are_read_back) {
  auto random = test::seeded();
  std::vector<event> events;
  std::vector<stored_record> stored;
  constexpr uint32_t partitions = 5;
  while (events.size() < 5'000) {
    event e = random_event(random);
    if (shard_of(e.ad_id, partitions) != 3) continue;
    stored.push_back({static_cast<int64_t>(events.size()) * 3, static_cast<int64_t>(random() >> 20), encode(e)});
    events.push_back(std::move(e));
  }
  record_decoder decoder;
  const auto batch = decoder.decode(3, partitions, 0, stored);
  BOOST_REQUIRE(batch.records.size() == events.size());
  BOOST_REQUIRE(batch.skipped.empty());
  for (size_t i = 0; i < events.size(); ++i) {
    const event& e = events[i];
    const shard_record& r = batch.records[i];
    const bool same = r.what == shard_record::kind::event && r.type == e.type && r.progress == e.progress &&
                      r.invalid == e.traffic.invalid && r.fields_hash == e.fields_hash && r.offset == stored[i].offset &&
                      r.log_time_ms == stored[i].time_ms && r.id == identity_of(e.type, e.ad_id, e.event_id) &&
                      r.ad_id == e.ad_id && r.visitor == e.visitor && r.time_s == e.time_s &&
                      r.play_time_secs == e.play_time_secs && r.watched_percent == e.watched_percent;
    BOOST_REQUIRE_MESSAGE(same, stored[i].value);
  }
}

BOOST_AUTO_TEST_CASE(a_batch_names_what_its_events_are_grouped_by_once) {
  const std::string longest(family_bytes_max, 'x'), too_long(family_bytes_max + 1, 'x');
  const auto stored = [](int64_t offset, std::string_view device, std::string_view browser, std::string_view country) {
    std::string more = "\"rules\":1";
    for (auto [name, value] : {std::pair("device", device), std::pair("browser", browser), std::pair("country", country)})
      if (!value.empty()) more.append(",\"").append(name).append("\":\"").append(value).append("\"");
    return stored_record{offset, 1, sample_with("\"rules\":1", more)};
  };
  record_decoder decoder;
  for (int again = 0; again < 2; ++again) { // a decoder's next batch starts anew
    const auto batch =
        decoder.decode(0, 1, 0,
                       std::vector<stored_record>{stored(0, "phone", "Safari", "FR"), stored(1, "", "", ""),
                                                  stored(2, "hologram", "FR", "FR"), stored(3, "tv", longest, too_long)});
    BOOST_REQUIRE(batch.records.size() == 4u && batch.skipped.empty());
    BOOST_TEST(batch.names == (std::vector<std::string>{"", "Safari", "FR", longest}), boost::test_tools::per_element());
    const uint32_t browsers[] = {1, 0, 2, 3}, countries[] = {2, 0, 2, 0};
    const device_class devices[] = {device_class::phone, device_class::unknown, device_class::unknown, device_class::tv};
    for (size_t i = 0; i < 4; ++i) {
      const auto& r = batch.records[i];
      BOOST_TEST(r.browser == browsers[i]);
      BOOST_TEST(r.country == countries[i]);
      BOOST_TEST(r.os == 0u);
      BOOST_TEST((r.device == devices[i]));
    }
  }
}

BOOST_AUTO_TEST_CASE(a_batch_says_where_it_stands) {
  record_decoder decoder;
  const auto none = decoder.decode(4, 8, 100, {});
  BOOST_TEST(none.shard == 4u);
  BOOST_TEST(none.first_offset == 100);
  BOOST_TEST(none.next_offset == 100);
  BOOST_TEST(none.records.empty());
  BOOST_TEST(none.last.offset == -1);
  const std::vector<stored_record> stored = {{102, 1, "broken"},
                                             {103, 2, encode(sample_control())},
                                             {107, 3, std::string(sample_text)},
                                             {109, 4, ""},
                                             {120, 5, encode(sample_control())}};
  const auto batch = decoder.decode(0, 1, 100, stored);
  BOOST_TEST(batch.first_offset == 100);
  BOOST_TEST(batch.next_offset == 121);
  BOOST_TEST(batch.last.offset == stored[4].offset);
  BOOST_TEST(batch.last.hash == XXH3_64bits(stored[4].value.data(), stored[4].value.size()));
  BOOST_REQUIRE(batch.records.size() == 5u);
  using kind = shard_record::kind;
  const kind kinds[] = {kind::skipped, kind::control, kind::event, kind::skipped, kind::control};
  const uint32_t indexes[] = {0, 0, 0, 1, 1};
  for (size_t i = 0; i < 5; ++i) {
    BOOST_TEST((batch.records[i].what == kinds[i]), i);
    BOOST_TEST(batch.records[i].index == indexes[i]);
    BOOST_TEST(batch.records[i].offset == stored[i].offset);
    BOOST_TEST(batch.records[i].log_time_ms == stored[i].time_ms);
  }
  BOOST_REQUIRE(batch.skipped.size() == 2u);
  BOOST_TEST(batch.skipped[0].offset == 102);
  BOOST_TEST(batch.skipped[1].offset == 109);
  BOOST_TEST(batch.controls.size() == 2u);
}

BOOST_AUTO_TEST_CASE(a_skipped_record_carries_its_time_its_size_and_the_beginning_of_its_value) {
  const std::string value = "x" + std::string(3'000, '\xff');
  const auto batch = decode_one(value);
  BOOST_REQUIRE(batch.skipped.size() == 1u);
  BOOST_TEST(batch.skipped[0].offset == 7);
  BOOST_TEST(batch.skipped[0].log_time_ms == 1'000);
  BOOST_TEST(batch.skipped[0].size == 3'001u);
  BOOST_TEST(batch.skipped[0].value == value.substr(0, 1'024));
  BOOST_TEST(decode_one("{}").skipped.at(0).value == "{}");
}

BOOST_AUTO_TEST_CASE(what_is_not_json_is_skipped_as_syntax) {
  using namespace std::string_view_literals;
  for (const auto text :
       {""sv, " "sv, "broken"sv, "{"sv, "{}}"sv, "{\"schema\":1,}"sv, "{\"a\":01}"sv, "{'a':1}"sv, "\xef\xbb\xbf{}"sv, "{}\0"sv,
        "{\"a\":\"\xff\"}"sv, "{\"a\":\"\xed\xa0\x80\"}"sv, "{\"a\":\"\x01\"}"sv, "{\"a\":tru}"sv, "nan"sv}) {
    BOOST_TEST(skipped_for(text) == "syntax", text);
  }
  BOOST_TEST(skipped_for(std::string(sample_text) + "x") == "syntax");
  BOOST_TEST(skipped_for(sample_text.substr(0, sample_text.size() - 1)) == "syntax");
  BOOST_TEST(skipped_for(sample_with("\"rules\"", "\"other\":nul,\"rules\"")) == "syntax"); // in a field that nobody reads, too
  BOOST_TEST(skipped_for(sample_with("Mozilla", "\xc3\x28")) == "syntax");
  BOOST_TEST(skipped_for(std::string(5'000, '[') + std::string(5'000, ']')) == "syntax");
}

BOOST_AUTO_TEST_CASE(what_is_not_of_this_schema_is_skipped_as_schema) {
  for (const char* text :
       {"{}", "[]", "1", "\"schema\"", "null", R"({"schema":1})", R"({"kind":"event"})", R"({"schema":1,"kind":"other"})"}) {
    BOOST_TEST(skipped_for(text) == "schema", text);
  }
  const std::pair<const char*, const char*> changes[] = {
      {"\"schema\":1", "\"schema\":2"},
      {"\"schema\":1", "\"schema\":0"},
      {"\"schema\":1", "\"schema\":\"1\""},
      {"\"schema\":1", "\"schema\":1.0"},
      {"\"kind\":\"event\"", "\"kind\":1"},
      {"\"click\"", "\"klick\""},
      {"\"click\"", "0"},
      {"\"type\":\"click\",", ""},
      {"\"ad_id\":32", "\"ad_id\":0"},
      {"\"ad_id\":32", "\"ad_id\":-1"},
      {"\"ad_id\":32", "\"ad_id\":9007199254740992"},
      {"\"ad_id\":32", "\"ad_id\":18446744073709551615"},
      {"\"ad_id\":32", "\"ad_id\":32.0"},
      {"\"ad_id\":32", "\"ad_id\":\"32\""},
      {"\"ad_id\":32", "\"ad_id\":null"},
      {"\"ad_id\":32,", ""},
      {"\"event_id\":\"e-1\"", "\"event_id\":\"\""},
      {"\"event_id\":\"e-1\"", "\"event_id\":1"},
      {"\"event_id\":\"e-1\",", ""},
      {"1753200972", "0"},
      {"1753200972", "-5"},
      {"1753200972", "4294967296"},
      {"1753200972", "1753200972.5"},
      {"1753200972", "true"},
      {"\"timestamp\":1753200972,", ""},
      {"\"192.168.1.0\"", "5"},
      {"\"Mozilla/5.0\"", "{}"},
      {"_secs\":30", "_secs\":-1"},
      {"_secs\":30", "_secs\":2147483648"},
      {"_secs\":30", "_secs\":\"30\""},
      {"_secs\":30", "_secs\":null"},
      {"percent\":80", "percent\":-1"},
      {"percent\":80", "percent\":8e1"},
      {"\"rules\":1", "\"rules\":-1"},
      {"\"rules\":1", "\"rules\":4294967296"},
      {"\"rules\":1", "\"rules\":1,\"browser\":7"},
      {"\"rules\":1", "\"rules\":\"1\""},
      {"\"rules\":1", "\"invalid\":\"repeat\""},
      {"\"rules\":1", "\"invalid\":\"none\""},
      {"\"rules\":1", "\"invalid\":1"},
      {"\"rules\":1", "\"progress\":\"half\""},
      {"0123456789abcdef", "0123456789abcde"},
      {"0123456789abcdef", "0123456789abcdef0"},
      {"0123456789abcdef", "0123456789ABCDEF"},
      {"0123456789abcdef", "0123456789abcdeg"},
      {"\"deadbeef\"", "3735928559"},
      {"deadbeef", "deadbee"},
      {"\"rules\":1", "\"ad_id\":32"},
      {"\"rules\":1", "\"schema\":1"}, // twice the same field
  };
  for (const auto& [from, to] : changes) BOOST_TEST(skipped_for(sample_with(from, to)) == "schema", from << " -> " << to);
}

BOOST_AUTO_TEST_CASE(a_record_without_its_stamps_is_skipped_as_stamps) {
  BOOST_TEST(skipped_for(sample_with("\"visitor\":\"0123456789abcdef\",", "")) == "stamps");
  BOOST_TEST(skipped_for(sample_with("\"fields\":\"deadbeef\",", "")) == "stamps");
}

BOOST_AUTO_TEST_CASE(a_record_in_a_foreign_partition_is_skipped_as_partition) {
  const uint32_t home = shard_of(32, 16);
  for (uint32_t partition = 0; partition < 16; ++partition) {
    const auto batch = decode_one(std::string(sample_text), partition, 16);
    if (partition == home) {
      BOOST_TEST(batch.skipped.empty());
    } else {
      BOOST_REQUIRE(batch.skipped.size() == 1u);
      BOOST_TEST(batch.skipped[0].reason == "partition");
    }
  }
}

BOOST_AUTO_TEST_CASE(order_spaces_escapes_and_unknown_fields_do_not_matter) {
  const auto plain = decode_one(std::string(sample_text)).records.at(0);
  for (
      const std::string& text :
      {sample_with("\"e-1\"", "\"\\u0065-\\u0031\""), sample_with("\"type\":\"click\",", " \"type\" :\t\"\\u0063lick\" ,\n"),
       sample_with("\"rules\":1", "\"rules\":1,\"later\":{\"a\":[1,2.5,null,\"x\"]},\"country\":\"FR\""),
       sample_with("\"rules\":1", "\"rules\":1,\"x\":1,\"x\":2"),
       std::string(
           R"({"rules":1,"fields":"deadbeef","visitor":"0123456789abcdef","watched_percent":80,"play_time_secs":30,"timestamp":1753200972,)"
           R"("event_id":"e-1","ad_id":32,"type":"click","kind":"event","schema":1})")}) {
    const auto batch = decode_one(text);
    BOOST_REQUIRE_MESSAGE(batch.skipped.empty(), text);
    const auto& r = batch.records[0];
    BOOST_TEST((r.id == plain.id), text);
    BOOST_TEST(r.visitor == plain.visitor);
    BOOST_TEST(r.time_s == plain.time_s);
    BOOST_TEST(r.play_time_secs == plain.play_time_secs);
  }
}

BOOST_AUTO_TEST_CASE(nothing_of_one_record_shows_in_the_next) {
  record_decoder decoder;
  const std::vector<stored_record> stored = {{0, 1, std::string(sample_text)},
                                             {1, 1, sample_with(R"("play_time_secs":30,"watched_percent":80,)", "")},
                                             {2, 1, sample_with("\"visitor\":\"0123456789abcdef\",", "")}};
  const auto batch = decoder.decode(0, 1, 0, stored);
  BOOST_TEST(batch.records[0].play_time_secs == 30);
  BOOST_TEST(batch.records[1].play_time_secs == absent);
  BOOST_TEST(batch.records[1].watched_percent == absent);
  BOOST_REQUIRE(batch.skipped.size() == 1u);
  BOOST_TEST(batch.skipped[0].reason == "stamps");
}

BOOST_AUTO_TEST_CASE(control_records_are_read_back_in_any_partition) {
  auto random = test::seeded();
  for (int i = 0; i < 200; ++i) {
    control c;
    c.dedupe_window_s = static_cast<int64_t>(random() >> 1);
    c.repeat_click_s = static_cast<int64_t>(random() % 100);
    c.second_days = static_cast<int64_t>(random() % 100);
    c.minute_days = static_cast<int64_t>(random() % 1'000);
    c.rules = static_cast<uint32_t>(random());
    c.visitor_key_id = pieces[random() % std::size(pieces)];
    const auto batch = decode_one(encode(c), static_cast<uint32_t>(i % 16), 16);
    BOOST_REQUIRE(batch.controls.size() == 1u);
    BOOST_REQUIRE((batch.controls[0] == c));
    BOOST_REQUIRE((batch.records.at(0).what == shard_record::kind::control));
  }
}

BOOST_AUTO_TEST_CASE(a_control_record_of_a_later_logic_still_reaches_the_shard) {
  control c = sample_control();
  c.logic = logic_version + 5;
  BOOST_TEST((decode_one(encode(c)).controls.at(0) == c));
  const auto batch = decode_one(R"({"schema":1,"kind":"control","logic":9,"dedupe_window_secs":"a week"})");
  BOOST_REQUIRE(batch.controls.size() == 1u);
  BOOST_TEST(batch.controls[0].logic == 9u);
}

BOOST_AUTO_TEST_CASE(a_control_record_that_lacks_a_value_is_skipped) {
  const std::string whole = encode(sample_control());
  for (const std::string_view part :
       {"\"logic\":1,", "\"dedupe_window_secs\":604800,", "\"repeat_click_secs\":2,", "\"second_days\":2,", "\"minute_days\":90,",
        "\"rules\":1,", ",\"visitor_key\":\"0badcafe\""}) {
    std::string text = whole;
    text.erase(text.find(part), part.size());
    BOOST_TEST(skipped_for(text) == "schema", text);
  }
  std::string negative = whole;
  negative.replace(negative.find(":604800"), 7, ":-1");
  BOOST_TEST(skipped_for(negative) == "schema");
}

BOOST_AUTO_TEST_CASE(damaged_records_never_do_harm) {
  auto random = test::seeded();
  record_decoder decoder;
  std::vector<stored_record> stored;
  for (int i = 0; i < 20'000; ++i) {
    std::string text = encode(random_event(random));
    for (size_t damage = random() % 4; damage > 0; --damage) text[random() % text.size()] = static_cast<char>(random());
    if (random() % 8 == 0) text.resize(random() % text.size());
    stored.push_back({i, 1, std::move(text)});
  }
  const auto batch = decoder.decode(0, 1, 0, stored);
  BOOST_TEST(batch.records.size() == stored.size());
  size_t skipped = 0;
  for (const auto& r : batch.records) skipped += r.what == shard_record::kind::skipped;
  BOOST_TEST(skipped == batch.skipped.size());
  BOOST_TEST(skipped > 1'000u);
}

BOOST_AUTO_TEST_CASE(a_trace_is_in_the_record_until_its_visitor_is_erased) {
  event e;
  e.ad_id = 7;
  e.event_id = "a";
  e.time_s = 1'700'000'000;
  e.visitor = 5;
  BOOST_TEST(encode(e).find("traceparent") == std::string::npos);
  e.trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  const auto value = encode(e);
  BOOST_TEST(value.find("\"traceparent\":\"" + e.trace + '"') != std::string::npos);
  const auto erased = without({5, 6}, value);
  BOOST_REQUIRE(erased.has_value());
  BOOST_TEST(erased->find("traceparent") == std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()
