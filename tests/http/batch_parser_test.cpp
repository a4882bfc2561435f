// Arrays and lines of events: what is an item, what is wrong with which, and what breaks all.
#include "http/batch_parser.hpp"

#include <boost/test/unit_test.hpp>

#include <memory>
#include <string>

using namespace adtrack;
using namespace adtrack::http;

namespace {

constexpr int64_t now_s = 1'753'200'972;
constexpr auto array = batch_format::json_array;
constexpr auto lines = batch_format::ndjson;

struct parsed {
  batch_verdict verdict{};
  batch_reading reading;
  std::string why;
  std::string ids() const {
    std::string out;
    for (const auto& item : reading.items) out += item.what.event_id + " ";
    return out;
  }
  // "0:ad_id 3:" for a rejected field and a rejected whole.
  std::string rejected() const {
    std::string out;
    for (const auto& [index, errors] : reading.rejections)
      for (const auto& e : errors) out += std::to_string(index) + ":" + e.field + " ";
    return out;
  }
};

parsed read(batch_format format, std::string_view body, batch_limits limits = {}) {
  batch_parser parser(limits);
  event_context context;
  context.peer = parse_ip_address("203.0.113.9");
  context.user_agent = "Header/1";
  context.agent_is_clean = true;
  context.now_s = now_s;
  // Just as much memory behind the body as is asked for, so that a sanitizer sees a look beyond it.
  auto memory = std::make_unique<char[]>(body.size() + event_padding);
  std::copy(body.begin(), body.end(), memory.get());
  std::fill_n(memory.get() + body.size(), event_padding, '"');
  parsed p;
  p.verdict = parser.parse(format, {memory.get(), body.size()}, context, p.reading, p.why);
  return p;
}

std::string click(std::string_view id, std::string_view more = "") {
  return R"({"type":"click","event_id":")" + std::string(id) + R"(","ad_id":1)" + std::string(more) + "}";
}
bool broken(std::string_view body) {
  auto p = read(array, body);
  return p.verdict == batch_verdict::broken && !p.why.empty() && p.reading.items.empty() && p.reading.rejections.empty();
}

} // namespace

BOOST_AUTO_TEST_SUITE(http_batch_parser)

BOOST_AUTO_TEST_CASE(items_of_all_types_are_read_in_order_from_either_format) {
  const std::string items[] = {click("a", R"(,"agent":"own","user_ip":"198.51.100.7")"),
                               R"({"event_id":"b","ad_id":2,"type":"impression"})",
                               R"({"event_id":"c","ad_id":3,"type":"playback","progress":"complete"})"};
  for (const auto& p : {read(array, "[" + items[0] + "," + items[1] + "," + items[2] + "]"),
                        read(lines, items[0] + "\n" + items[1] + "\n" + items[2] + "\n"),
                        read(lines, items[0] + "\n" + items[1] + "\n" + items[2])}) {
    BOOST_TEST((p.verdict == batch_verdict::read));
    BOOST_TEST(p.ids() == "a b c ");
    BOOST_TEST(p.rejected() == "");
    BOOST_REQUIRE(p.reading.items.size() == 3u);
    const auto& first = p.reading.items[0].what;
    const auto& last = p.reading.items[2].what;
    BOOST_TEST((first.type == event_type::click && first.agent == "own" && first.agent_given && first.address_given));
    BOOST_TEST(to_string(first.address) == "198.51.100.7");
    BOOST_TEST((last.type == event_type::playback && last.progress == playback_progress::complete && !last.agent_given));
    BOOST_TEST(last.agent == "Header/1");
    BOOST_TEST(to_string(last.address) == "203.0.113.9");
    BOOST_TEST(last.time_s == now_s);
  }
}

BOOST_AUTO_TEST_CASE(white_space_is_free_in_an_array_and_blank_lines_are_no_items) {
  BOOST_TEST(read(array, " \t\r\n[ \n" + click("a") + " , \r\n\t" + click("b") + " ] \n").ids() == "a b ");
  auto p = read(lines, "\n\r\n  \t\n" + click("a") + "\r\n\r\n \n{}\r\n" + click("b") + "  \r\n\n");
  BOOST_TEST(p.ids() == "a b ");
  BOOST_TEST(p.rejected() == "1:type ");
}

BOOST_AUTO_TEST_CASE(nothing_is_a_batch_of_nothing) {
  for (const auto& p : {read(array, "[]"), read(array, " [ ] "), read(lines, ""), read(lines, "\n \r\n")}) {
    BOOST_TEST((p.verdict == batch_verdict::read));
    BOOST_TEST((p.reading.items.empty() && p.reading.rejections.empty()));
  }
}

BOOST_AUTO_TEST_CASE(an_item_that_breaks_a_rule_rejects_itself_alone) {
  const std::string bad[] = {R"({"type":"click","event_id":"x","ad_id":0})",
                             R"({"type":"click","event_id":"","ad_id":"1"})",
                             R"({"event_id":"x","ad_id":1})",
                             R"({"type":"view","event_id":"x","ad_id":1})",
                             R"({"type":"click","event_id":"x","event_id":"x","ad_id":1})",
                             R"({"type":"click","event_id":"x","ad_id":1,"x":[[[[[[[[]]]]]]]]})",
                             R"({"type":"click","event_id":"x","ad_id":1,"timestamp":1753200972000})",
                             "5",
                             "\"x\"",
                             "null",
                             "[]",
                             "[{}]",
                             "{}"};
  std::string text_array = "[" + click("first"), text_lines = click("first");
  for (const auto& one : bad) {
    text_array += "," + one;
    text_lines += "\n" + one;
  }
  text_array += "," + click("last") + "]";
  text_lines += "\n" + click("last");
  for (const auto& p : {read(array, text_array), read(lines, text_lines)}) {
    BOOST_TEST(p.ids() == "first last ");
    BOOST_TEST(p.rejected() == "1:ad_id 2:event_id 2:ad_id 3:type 4:type 5: 6: 7:timestamp 8: 9: 10: 11: 12: 13:type ");
    BOOST_TEST(p.reading.not_valid == 13u);
    BOOST_TEST(p.reading.not_json == 0u);
  }
  BOOST_TEST(read(lines, "5").reading.rejections[0].errors[0].message == "the item is not a JSON object");
}

BOOST_AUTO_TEST_CASE(an_array_that_is_no_json_is_broken_as_a_whole) {
  const auto a = click("a");
  for (const auto& body : {std::string(),
                           std::string(" "),
                           a,
                           a + "\n" + a,
                           std::string("\"x\""),
                           std::string("null"),
                           "[" + a,
                           "[" + a + ",",
                           "[" + a + ",]",
                           "[," + a + "]",
                           "[" + a + a + "]",
                           "[" + a + " " + a + "]",
                           "[" + a + "}",
                           "[" + a + "]]",
                           "[" + a + "]x",
                           "[" + a + "]" + a,
                           "\xef\xbb\xbf[" + a + "]",
                           "[" + a + ",tru]",
                           "[" + a + ",1.]",
                           "[" + a + ",{\"x\":}]",
                           "[" + a + ",{\"x\":\"\xff\"}]",
                           "[" + a + ",{\"x\":\"\n\"}]",
                           "[" + a + ",\"]",
                           "[" + a + ",{]",
                           "[" + a + ",[}]",
                           "[" + a + ",{\"a\\\"]",
                           std::string("["),
                           "[" + a + std::string(1, '\0') + "]",
                           "[" + a + ",'x']",
                           std::string("[") + std::string(1, '\0') + "]",
                           "[" + a + ";" + a + "]"})
    BOOST_TEST_CONTEXT(body) BOOST_TEST(broken(body));
  BOOST_TEST(read(array, "[" + a + ",{\"x\":}]").why == "item 1 of the array: the item is not valid JSON");
}

BOOST_AUTO_TEST_CASE(a_line_that_is_no_json_rejects_itself) {
  auto p = read(lines, click("a") + "\n{\"x\":\n" + click("b") + click("c") + "\n" + click("d") + ",\n\"\xff\"\n[\n" +
                           std::string("\0\n", 2) + click("e"));
  BOOST_TEST((p.verdict == batch_verdict::read));
  BOOST_TEST(p.ids() == "a e ");
  BOOST_TEST(p.rejected() == "1: 2: 3: 4: 5: 6: ");
  BOOST_TEST(p.reading.not_json == 6u);
  auto mark = read(lines, "\xef\xbb\xbf" + click("a") + "\n" + click("b"));
  BOOST_TEST(mark.ids() == "b ");
  BOOST_TEST(mark.reading.rejections[0].errors[0].message == "the item starts with a byte order mark");
}

BOOST_AUTO_TEST_CASE(strings_hide_brackets_commas_and_quotes) {
  BOOST_TEST(read(array, "[" + click("a]", R"(,"x":"]},{[\"\\","y":"\\")") + "," + click("b") + "]").ids() == "a] b ");
}

BOOST_AUTO_TEST_CASE(the_number_of_items_is_bounded_good_or_bad) {
  batch_limits limits;
  limits.events_max = 3;
  const auto a = click("a");
  BOOST_TEST((read(array, "[" + a + "," + a + "," + a + "]", limits).verdict == batch_verdict::read));
  BOOST_TEST((read(array, "[" + a + ",1,1," + a + "]", limits).verdict == batch_verdict::too_many));
  BOOST_TEST((read(lines, a + "\n\n" + a + "\n\n" + a + "\n\n", limits).verdict == batch_verdict::read));
  auto p = read(lines, "x\nx\nx\n" + a, limits);
  BOOST_TEST((p.verdict == batch_verdict::too_many));
  BOOST_TEST((p.reading.items.empty() && p.reading.rejections.empty()));
}

BOOST_AUTO_TEST_CASE(an_item_too_large_or_too_deep_to_be_read_rejects_itself) {
  batch_limits limits;
  limits.item_bytes_max = 200;
  const auto exact = click("x", ",\"y\":\"" + std::string(200 - click("x", ",\"y\":\"\"").size(), 'a') + "\"");
  BOOST_TEST(exact.size() == 200u);
  const auto large = click("large", ",\"y\":\"" + std::string(200, 'a') + "\"");
  const auto deep = std::string(90, '[') + std::string(90, ']');
  for (const auto& p : {read(array, "[" + click("a") + "," + large + "," + exact + "," + deep + "]", limits),
                        read(lines, click("a") + "\n" + large + "\n" + exact + "\n" + deep, limits)}) {
    BOOST_TEST(p.ids() == "a x ");
    BOOST_TEST(p.rejected() == "1: 3: ");
    BOOST_TEST(p.reading.not_valid == 2u);
  }
}

BOOST_AUTO_TEST_CASE(rejections_are_kept_up_to_their_bound_and_all_are_counted) {
  batch_limits limits;
  limits.rejections_max = 2;
  auto p = read(lines, "{}\nx\n{}\n" + click("a") + "\nx\n", limits);
  BOOST_TEST(p.ids() == "a ");
  BOOST_TEST(p.rejected() == "0:type 1: ");
  BOOST_TEST(p.reading.not_valid == 2u);
  BOOST_TEST(p.reading.not_json == 2u);
}

BOOST_AUTO_TEST_CASE(numbers_that_no_machine_holds_are_wrong_where_an_integer_must_stand_and_nowhere_else) {
  const std::string huge = "1" + std::string(40, '0');
  for (const auto& p :
       {read(array, "[" + click("a", ",\"x\":" + huge) + R"(,{"type":"click","event_id":"b","ad_id":)" + huge + "}]"),
        read(lines, click("a", ",\"x\":" + huge) + "\n" + R"({"type":"click","event_id":"b","ad_id":)" + huge + "}")}) {
    BOOST_TEST(p.ids() == "a ");
    BOOST_TEST(p.rejected() == "1:ad_id ");
  }
}

BOOST_AUTO_TEST_CASE(one_parser_reads_one_batch_after_the_other) {
  batch_parser parser({});
  batch_reading reading;
  std::string why;
  for (int i = 0; i < 3; ++i) {
    const std::string body = "[{},5," + click("a" + std::to_string(i)) + "]" + std::string(event_padding, ' ');
    event_context context;
    context.now_s = now_s;
    BOOST_TEST((parser.parse(array, body, context, reading, why) == batch_verdict::read));
    BOOST_TEST(reading.items.size() == 1u);
    BOOST_TEST(reading.rejections.size() == 2u);
    BOOST_TEST(reading.rejections[0].index == 0u);
  }
}

BOOST_AUTO_TEST_SUITE_END()
