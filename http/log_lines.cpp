#include "http/log_lines.hpp"

#include <openssl/evp.h>
#include <simdjson.h>

#include "http/json_text.hpp"

namespace adtrack::http {

namespace {

bool stands_on_a_line(simdjson::dom::parser& parser, std::string_view value) {
  if (value.empty() || value.front() != '{' || value.back() != '}') return false;
  if (value.find_first_of("\n\r") != std::string_view::npos) return false;
  simdjson::dom::object unused;
  return parser.parse(value.data(), value.size()).get(unused) == simdjson::SUCCESS;
}

void append_base64(std::string& out, std::string_view bytes) {
  const auto before = out.size();
  const auto encoded = (bytes.size() + 2) / 3 * 4;
  out.resize(before + encoded + 1); // it writes a NUL behind
  EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data() + before), reinterpret_cast<const unsigned char*>(bytes.data()),
                  static_cast<int>(bytes.size()));
  out.resize(before + encoded);
}

} // namespace

void render_log_page(std::string& out, const log_page& page) {
  simdjson::dom::parser parser;
  for (const auto& line : page.lines) {
    out += "{\"offset\":";
    append_int(out, line.offset);
    out += ",\"time\":";
    append_time(out, line.time_ms);
    if (stands_on_a_line(parser, line.value)) {
      out += ",\"record\":";
      out += line.value;
    } else {
      out += ",\"base64\":\"";
      append_base64(out, line.value);
      out.push_back('"');
    }
    out += "}\n";
  }
}

} // namespace adtrack::http
