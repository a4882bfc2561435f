// Section 3 of the contract, rule by rule.
#include "http/event_parser.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <string>

using namespace adtrack;
using namespace adtrack::http;

namespace {

constexpr int64_t now_s = 1'753'200'972;

struct parsed {
  bool ok = false;
  submission event;
  std::string syntax;
  std::vector<field_error> errors;
  std::string message(std::string_view field) const {
    auto at = std::find_if(errors.begin(), errors.end(), [&](const auto& e) { return e.field == field; });
    return at == errors.end() ? std::string() : at->message;
  }
};

parsed parse_event(std::string_view body, event_type type = event_type::click, std::string_view agent = "Header/1") {
  static event_parser parser;
  event_context context;
  context.peer = parse_ip_address("203.0.113.9");
  context.user_agent = agent;
  context.now_s = now_s;
  parsed p;
  p.ok = parser.parse(type, body, context, p.event, p.syntax, p.errors);
  return p;
}

// A click with one more field.
parsed with(std::string_view field) { return parse_event(R"({"event_id":"e","ad_id":1,)" + std::string(field) + "}"); }
bool refused(std::string_view field, std::string_view value) {
  auto p = with("\"" + std::string(field) + "\":" + std::string(value));
  return !p.ok && p.syntax.empty() && p.errors.size() == 1 && p.errors[0].field == field;
}
bool ad_id_refused(std::string_view value) {
  auto p = parse_event(R"({"event_id":"e","ad_id":)" + std::string(value) + "}");
  return !p.ok && p.syntax.empty() && p.message("ad_id") == "must be an integer from 1 to 9007199254740991";
}
bool broken(std::string_view body) {
  auto p = parse_event(body);
  return !p.ok && !p.syntax.empty() && p.errors.empty();
}

} // namespace

BOOST_AUTO_TEST_SUITE(http_event_parser)

BOOST_AUTO_TEST_CASE(the_seven_fields_of_the_original_api_are_taken) {
  auto p = parse_event(
      R"({"event_id":"550e8400-e29b-41d4-a716-446655440000","ad_id":32,"user_ip":"192.168.1.7","agent":"Mozilla/5.0 é",
                           "play_time_secs":30,"watched_percent":80,"timestamp":1753200972})");
  BOOST_REQUIRE(p.ok);
  BOOST_TEST(p.event.event_id == "550e8400-e29b-41d4-a716-446655440000");
  BOOST_TEST(p.event.ad_id == 32u);
  BOOST_TEST(to_string(p.event.address) == "192.168.1.7");
  BOOST_TEST(p.event.agent == "Mozilla/5.0 é");
  BOOST_TEST(p.event.play_time_secs == 30);
  BOOST_TEST(p.event.watched_percent == 80);
  BOOST_TEST(p.event.time_s == 1'753'200'972);
  BOOST_TEST((p.event.address_given && p.event.agent_given && p.event.time_given));
}

BOOST_AUTO_TEST_CASE(absent_fields_take_their_defaults_and_absent_is_not_zero) {
  auto p = parse_event(R"({"event_id":"e","ad_id":1})");
  BOOST_REQUIRE(p.ok);
  BOOST_TEST(to_string(p.event.address) == "203.0.113.9");
  BOOST_TEST(p.event.agent == "Header/1");
  BOOST_TEST(p.event.time_s == now_s);
  BOOST_TEST(p.event.play_time_secs == absent);
  BOOST_TEST(p.event.watched_percent == absent);
  BOOST_TEST((!p.event.address_given && !p.event.agent_given && !p.event.time_given));
  BOOST_TEST(with(R"("play_time_secs":0,"watched_percent":0)").event.play_time_secs == 0);
}

BOOST_AUTO_TEST_CASE(an_event_id_is_1_to_128_visible_ascii_characters) {
  auto id = [](std::string_view json) { return parse_event(R"({"ad_id":1,"event_id":)" + std::string(json) + "}"); };
  BOOST_TEST(id("\"" + std::string(128, 'a') + "\"").ok);
  BOOST_TEST(id(R"("!~")").ok);
  BOOST_TEST(id("\"a\\u0041\"").event.event_id == "aA");
  for (auto bad : {R"("")", R"("a b")", R"("é")", R"("a\u0000b")", R"("a\tb")", R"("\u007f")", "1", "true", "null", "[]", "{}"})
    BOOST_TEST_CONTEXT(bad) BOOST_TEST(!id(bad).message("event_id").empty());
  BOOST_TEST(!id("\"" + std::string(129, 'a') + "\"").ok);
}

BOOST_AUTO_TEST_CASE(an_ad_id_is_an_integer_from_1_to_2_to_the_53_less_1) {
  for (auto bad : {"0",
                   "-1",
                   "-0",
                   "1.0",
                   "1e3",
                   "1E0",
                   "\"11\"",
                   "true",
                   "false",
                   "null",
                   "[1]",
                   "{}",
                   "9007199254740992",
                   "9223372036854775807",
                   "9223372036854775808",
                   "18446744073709551615",
                   "18446744073709551616",
                   "18446744073709551617",
                   "-9223372036854775809",
                   "10000000000000000000000000000000000000000",
                   "1e400",
                   "-1.5e999"})
    BOOST_TEST_CONTEXT(bad) BOOST_TEST(ad_id_refused(bad));
  BOOST_TEST(parse_event(R"({"event_id":"e","ad_id":9007199254740991})").event.ad_id == 9'007'199'254'740'991u);
  for (auto bad : {"01", "+1", "0x1", ".5", "1.", "NaN", "018446744073709551616", "18446744073709551616x", "1e400e1", "-"})
    BOOST_TEST_CONTEXT(bad) BOOST_TEST(broken(R"({"event_id":"e","ad_id":)" + std::string(bad) + "}"));
}

BOOST_AUTO_TEST_CASE(a_number_beyond_64_bits_is_its_own_fields_error_and_no_error_in_an_unknown_field) {
  for (auto big : {"18446744073709551616", "-9223372036854775809", "10000000000000000000000000000000000000000", "1e400"}) {
    BOOST_TEST_CONTEXT(big) {
      for (auto field : {"play_time_secs", "watched_percent", "timestamp", "user_ip", "agent"}) BOOST_TEST(refused(field, big));
      auto other = with("\"other\":[{\"x\":" + std::string(big) + "}],\"text\":\"\\\"1e400 " + big + "\"");
      BOOST_TEST(other.ok);
      auto agent = with("\"other\":" + std::string(big) + ",\"agent\":\"" + big + ",\\\\\"");
      BOOST_TEST(agent.event.agent == std::string(big) + ",\\");
      BOOST_TEST(broken("{\"event_id\":\"e\",\"ad_id\":1,\"a\":" + std::string(big) + ",\"a\":1}"));
      BOOST_TEST(broken("{\"event_id\":\"e\",\"ad_id\":1,\"a\":" + std::string(big)));
    }
  }
}

BOOST_AUTO_TEST_CASE(required_fields_are_required) {
  auto p = parse_event("{}");
  BOOST_TEST(p.message("event_id") == "is required");
  BOOST_TEST(p.message("ad_id") == "is required");
}

BOOST_AUTO_TEST_CASE(play_time_is_an_integer_from_0_to_86400) {
  BOOST_TEST(with("\"play_time_secs\":86400").ok);
  for (auto bad : {"86401", "-1", "1.0", "1e3", "\"1\"", "true", "null"})
    BOOST_TEST_CONTEXT(bad) BOOST_TEST(refused("play_time_secs", bad));
}

BOOST_AUTO_TEST_CASE(watched_percent_is_an_integer_from_0_to_100) {
  BOOST_TEST(with("\"watched_percent\":100").ok);
  for (auto bad : {"101", "-1", "1.0", "1e1", "\"1\"", "true", "null"})
    BOOST_TEST_CONTEXT(bad) BOOST_TEST(refused("watched_percent", bad));
}

BOOST_AUTO_TEST_CASE(a_timestamp_is_unix_seconds_not_more_than_300_s_ahead) {
  BOOST_TEST(with("\"timestamp\":1").ok);
  BOOST_TEST(with("\"timestamp\":" + std::to_string(now_s + 300)).ok);
  for (auto bad : {"0", "-1", "1.0", "1e9", "\"1\"", "true", "null"})
    BOOST_TEST_CONTEXT(bad) BOOST_TEST(refused("timestamp", bad));
  BOOST_TEST(with("\"timestamp\":" + std::to_string(now_s + 301)).message("timestamp") ==
             "must be at most 300 seconds ahead of the server's clock");
}

BOOST_AUTO_TEST_CASE(milliseconds_are_named) {
  for (auto ms : {"1753200972000", "1753200972123", "9007199254740991"})
    BOOST_TEST(with("\"timestamp\":" + std::string(ms)).message("timestamp") == "looks like milliseconds; must be unix seconds");
}

BOOST_AUTO_TEST_CASE(a_user_ip_is_an_address) {
  BOOST_TEST(to_string(with(R"("user_ip":"2001:DB8::1")").event.address) == "2001:db8::1");
  BOOST_TEST(to_string(with(R"("user_ip":"::ffff:1.2.3.4")").event.address) == "1.2.3.4");
  for (auto bad : {R"("")", R"("1.2.3")", R"("1.2.3.256")", R"("localhost")", R"("1.2.3.4 ")", "1", "null", "true", "[]"})
    BOOST_TEST_CONTEXT(bad) BOOST_TEST(refused("user_ip", bad));
}

BOOST_AUTO_TEST_CASE(an_agent_in_the_body_is_at_most_1024_bytes) {
  BOOST_TEST(with("\"agent\":\"" + std::string(1'024, 'a') + "\"").event.agent.size() == 1'024u);
  BOOST_TEST(refused("agent", "\"" + std::string(1'025, 'a') + "\""));
  std::string wide;
  for (int i = 0; i < 513; ++i) wide += "é"; // 1,026 bytes
  BOOST_TEST(refused("agent", "\"" + wide + "\""));
  for (auto bad : {"1", "null", "true", R"("a\u0000b")"}) BOOST_TEST_CONTEXT(bad) BOOST_TEST(refused("agent", bad));
  auto empty = with(R"("agent":"")");
  BOOST_TEST((empty.ok && empty.event.agent_given && empty.event.agent.empty()));
}

BOOST_AUTO_TEST_CASE(an_agent_of_the_header_is_cut_between_characters_and_made_valid) {
  const char* body = R"({"event_id":"e","ad_id":1})";
  BOOST_TEST(parse_event(body, event_type::click, std::string(2'000, 'a')).event.agent.size() == 1'024u);
  std::string odd = "a";
  for (int i = 0; i < 1'000; ++i) odd += "é";
  BOOST_TEST(parse_event(body, event_type::click, odd).event.agent.size() == 1'023u);
  BOOST_TEST(parse_event(body, event_type::click, "a\xff\xc3(z").event.agent == std::string("a??") + "(z");
}

BOOST_AUTO_TEST_CASE(all_findings_are_reported_at_once) {
  auto p =
      parse_event(R"({"event_id":"","ad_id":0,"user_ip":"x","agent":1,"play_time_secs":-1,"watched_percent":101,"timestamp":0})");
  BOOST_TEST(p.errors.size() == 7u);
}

BOOST_AUTO_TEST_CASE(unknown_fields_are_ignored_and_an_impression_has_no_play_fields) {
  BOOST_TEST(with(R"("other":{"a":[1,{"b":null}]},"Ad_id":"x")").ok);
  auto p = parse_event(R"({"event_id":"e","ad_id":1,"play_time_secs":"x","watched_percent":7})", event_type::impression);
  BOOST_REQUIRE(p.ok);
  BOOST_TEST(p.event.watched_percent == absent);
}

BOOST_AUTO_TEST_CASE(a_duplicate_key_is_an_error_at_any_level_and_after_unescaping) {
  BOOST_TEST(broken(R"({"event_id":"e","ad_id":1,"ad_id":1})"));
  BOOST_TEST(broken(R"({"event_id":"e","ad_id":1,"ad\u005fid":2})"));
  BOOST_TEST(broken(R"({"event_id":"e","ad_id":1,"x":1,"x":2})"));
  BOOST_TEST(broken(R"({"event_id":"e","ad_id":1,"x":[{"y":1,"y":2}]})"));
  std::string many = R"({"event_id":"e","ad_id":1)";
  for (int i = 0; i < 100; ++i) many += ",\"k" + std::to_string(i) + "\":1";
  BOOST_TEST(parse_event(many + "}").ok);
  BOOST_TEST(broken(many + ",\"k7\":1}"));
}

BOOST_AUTO_TEST_CASE(a_nesting_of_8_passes_and_of_9_does_not) {
  auto nested = [](size_t arrays) {
    return R"({"event_id":"e","ad_id":1,"x":)" + std::string(arrays, '[') + std::string(arrays, ']') + "}";
  };
  BOOST_TEST(parse_event(nested(7)).ok);
  BOOST_TEST(broken(nested(8)));
  BOOST_TEST(broken(nested(1'000)));
  BOOST_TEST(broken(std::string(60'000, '[')));
}

BOOST_AUTO_TEST_CASE(what_is_not_exactly_one_json_object_is_refused) {
  const std::string good = R"({"event_id":"e","ad_id":1})";
  BOOST_TEST(parse_event(" \r\n\t" + good + " \n").ok);
  for (const auto& bad : {std::string(), std::string(" "), std::string("null"), std::string("1"), std::string("[]"),
                          "[" + good + "]", good + good, good + "x", good + ",", good + std::string(1, '\0'),
                          "\xef\xbb\xbf" + good, std::string("{'event_id':1}"), std::string("{\"a\":1,}"),
                          std::string("{\"a\":01}"), std::string("{\"a\":tru}"), std::string("{\"a\""), std::string("{/**/}")})
    BOOST_TEST_CONTEXT(bad) BOOST_TEST(broken(bad));
}

BOOST_AUTO_TEST_CASE(invalid_utf8_and_raw_control_characters_are_refused) {
  for (std::string_view text : {"\xff", "\xc0\x80", "\xed\xa0\x80", "\xe2\x82", "\xf5\x80\x80\x80", "\x01", "\n"})
    BOOST_TEST(broken(R"({"event_id":"e","ad_id":1,"agent":")" + std::string(text) + "\"}"));
  BOOST_TEST(broken(std::string("{\"event_id\":\"e\",\"ad_id\":1,\"agent\":\"a\0b\"}", 40)));
  BOOST_TEST(broken(R"({"event_id":"e","ad_id":1,"agent":"\ud800"})"));
  BOOST_TEST(broken(R"({"event_id":"e","ad_id":1,"agent":"\x41"})"));
}

BOOST_AUTO_TEST_CASE(a_playback_is_a_click_with_its_progress) {
  const auto playback = [](std::string_view more) {
    return parse_event(R"({"event_id":"e","ad_id":1)" + std::string(more) + "}", event_type::playback);
  };
  for (auto named : {playback_progress::start, playback_progress::first_quartile, playback_progress::midpoint,
                     playback_progress::third_quartile, playback_progress::complete}) {
    auto p = playback(R"(,"play_time_secs":5,"watched_percent":25,"progress":")" + std::string(to_string(named)) + "\"");
    BOOST_TEST((p.ok && p.event.type == event_type::playback && p.event.progress == named));
    BOOST_TEST((p.event.play_time_secs == 5 && p.event.watched_percent == 25));
  }
  BOOST_TEST(playback("").message("progress") == "is required");
  for (std::string_view wrong :
       {"\"none\"", "\"Start\"", "\"\"", "\"start \"", "\"start\\u0000\"", "null", "1", "true", "[\"start\"]"})
    BOOST_TEST_CONTEXT(wrong)
  BOOST_TEST(playback(",\"progress\":" + std::string(wrong)).message("progress").find("must be \"start\"") == 0u);
  BOOST_TEST(playback(R"(,"progress":"start","watched_percent":101)").message("watched_percent") ==
             "must be an integer from 0 to 100");
  BOOST_TEST(!playback(R"(,"progress":"start","progress":"start")").syntax.empty());
}

BOOST_AUTO_TEST_CASE(progress_is_an_unknown_field_of_other_events) {
  for (auto type : {event_type::click, event_type::impression})
    for (std::string_view value : {"\"start\"", "7", "null"}) {
      auto p = parse_event(R"({"event_id":"e","ad_id":1,"progress":)" + std::string(value) + "}", type);
      BOOST_TEST((p.ok && p.event.progress == playback_progress::none));
    }
}

BOOST_AUTO_TEST_CASE(an_event_that_names_its_own_type_is_read_by_the_rules_of_that_type) {
  event_parser parser;
  const auto typed = [&](std::string_view body) {
    event_context context;
    context.now_s = now_s;
    parsed p;
    p.ok = parser.parse_typed(body, context, p.event, p.syntax, p.errors);
    return p;
  };
  auto click = typed(R"({"watched_percent":80,"event_id":"e","ad_id":1,"type":"click"})");
  BOOST_TEST((click.ok && click.event.type == event_type::click && click.event.watched_percent == 80));
  auto impression = typed(R"({"type":"impression","watched_percent":800,"event_id":"e","ad_id":1})");
  BOOST_TEST((impression.ok && impression.event.type == event_type::impression && impression.event.watched_percent == absent));
  auto playback = typed(R"({"progress":"midpoint","event_id":"e","ad_id":1,"type":"playback"})");
  BOOST_TEST(
      (playback.ok && playback.event.type == event_type::playback && playback.event.progress == playback_progress::midpoint));
  BOOST_TEST(typed(R"({"event_id":"e","ad_id":1,"type":"playback"})").message("progress") == "is required");
  BOOST_TEST(impression.event.time_s == now_s);
  BOOST_TEST(!impression.event.time_given);
  BOOST_TEST(typed(R"({"event_id":"e","ad_id":1})").message("type") == "is required");
  for (std::string_view wrong : {"\"view\"", "\"Click\"", "1", "null", "\"\"", "\"click\\u0000\""})
    BOOST_TEST(typed(R"({"event_id":"e","ad_id":1,"type":)" + std::string(wrong) + "}").message("type") ==
               "must be \"click\", \"impression\" or \"playback\"");
  BOOST_TEST(!typed(R"({"type":"click","type":"click","event_id":"e","ad_id":1})").syntax.empty());
  BOOST_TEST(!typed("[]").syntax.empty());
  BOOST_TEST(!typed(R"({"type":"click","ad_id":1})").ok);
}

BOOST_AUTO_TEST_SUITE_END()
