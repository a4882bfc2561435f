#include "http/visitor_request.hpp"

#include <charconv>

#include "http/event_parser.hpp"
#include "http/strict_json.hpp"

namespace adtrack::http {
namespace {

constexpr size_t visitor_digits = 16;

bool read_visitor(simdjson::dom::element value, uint64_t& out) {
  std::string_view text;
  if (value.get(text) != simdjson::SUCCESS || text.size() != visitor_digits) return false;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), out, 16);
  return code == std::errc() && end == text.data() + text.size() && out != 0;
}

} // namespace

struct visitor_reader::impl {
  strict_json json;
};

visitor_reader::visitor_reader() : impl_(std::make_unique<impl>()) {}
visitor_reader::~visitor_reader() = default;

bool visitor_reader::read(std::string_view body, visitor_question& out, std::string& syntax, std::vector<field_error>& errors) {
  out = {};
  syntax.clear();
  errors.clear();
  simdjson::dom::object object;
  if (!impl_->json.parse_object(body, object, syntax)) return false;
  bool has_visitor = false, has_address = false, has_agent = false;
  for (auto field : object) {
    if (field.key == "visitor") {
      has_visitor = true;
      if (!read_visitor(field.value, out.visitor))
        errors.push_back({"visitor", "must be a string of 16 hexadecimal digits, not all 0"});
    } else if (field.key == "user_ip") {
      has_address = true;
      read_user_ip(field.value, out.address, errors);
    } else if (field.key == "agent") {
      has_agent = true;
      read_agent(field.value, out.agent, errors);
    }
  }
  if (has_visitor && (has_address || has_agent)) errors.push_back({"visitor", "is either this or user_ip and agent"});
  if (!has_visitor && !has_address) errors.push_back({"user_ip", "is required, or visitor in its place"});
  if (!has_visitor && !has_agent) errors.push_back({"agent", "is required, or visitor in its place"});
  return errors.empty();
}

} // namespace adtrack::http
