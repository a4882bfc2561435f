#include "http/ads_request.hpp"

#include <algorithm>

#include "http/framer.hpp"
#include "http/strict_json.hpp"
#include "http/utf8.hpp"

namespace adtrack::http {
namespace {

constexpr size_t url_bytes_max = 2'048;
constexpr size_t metadata_bytes_max = 4'096;

void text(simdjson::dom::element value, const char* name, size_t least, size_t most, std::string& out,
          std::vector<field_error>& errors) {
  std::string_view given;
  if (value.get(given) == simdjson::SUCCESS && given.find('\0') == std::string_view::npos) {
    size_t length = code_points(given);
    if (length >= least && length <= most) {
      out = given;
      return;
    }
  }
  errors.push_back({name, least == 0
                              ? "must be a string of at most " + std::to_string(most) + " characters"
                              : "must be a string of " + std::to_string(least) + " to " + std::to_string(most) + " characters"});
}

void metadata(simdjson::dom::element value, std::string& out, std::vector<field_error>& errors) {
  std::string compact;
  if (value.is_object()) compact = simdjson::minify(value);
  if (compact.empty() || compact.size() > metadata_bytes_max)
    errors.push_back({"metadata", "must be an object of at most 4096 bytes"});
  else
    out = compact == "{}" ? std::string() : compact;
}

// [:port] after the host.
bool valid_port(std::string_view text) {
  if (text.empty()) return true;
  text.remove_prefix(1);
  if (text.size() > 5 || text.find_first_not_of("0123456789") != std::string_view::npos) return false;
  unsigned port = 0;
  for (char c : text) port = port * 10 + static_cast<unsigned>(c - '0');
  return !text.empty() && port <= 65'535;
}

bool valid_authority(std::string_view authority) {
  if (authority.find('@') != std::string_view::npos) return false;
  if (!authority.empty() && authority[0] == '[') {
    size_t end = authority.find(']');
    if (end == std::string_view::npos || end < 3) return false;
    auto rest = authority.substr(end + 1);
    return authority.substr(1, end - 1).find_first_not_of("0123456789abcdefABCDEF:.") == std::string_view::npos &&
           (rest.empty() || (rest[0] == ':' && valid_port(rest)));
  }
  auto host = authority.substr(0, authority.find(':'));
  return !host.empty() && host.find_first_of("[]%!$&'()*+,;=") == std::string_view::npos &&
         valid_port(authority.substr(host.size()));
}

// One entity tag at the front of `text`: its opaque part with quotes. False when there is none.
bool take_tag(std::string_view& text, bool& weak, std::string_view& tag) {
  text = trim(text);
  weak = text.substr(0, 2) == "W/";
  if (weak) text.remove_prefix(2);
  if (text.size() < 2 || text[0] != '"') return false;
  size_t end = text.find('"', 1);
  if (end == std::string_view::npos) return false;
  tag = text.substr(0, end + 1);
  text = trim(text.substr(end + 1));
  return true;
}

} // namespace

bool valid_ad_url(std::string_view url) {
  if (url.empty() || url.size() > url_bytes_max) return false;
  bool readable = std::all_of(url.begin(), url.end(), [](char c) {
    auto u = static_cast<unsigned char>(c);
    return u > 0x20 && u < 0x7f && std::string_view("\"<>\\^`{|}").find(c) == std::string_view::npos;
  });
  size_t scheme = equals_lower(url.substr(0, 7), "http://") ? 7 : equals_lower(url.substr(0, 8), "https://") ? 8 : 0;
  if (!readable || scheme == 0) return false;
  auto rest = url.substr(scheme);
  return valid_authority(rest.substr(0, rest.find_first_of("/?#")));
}

bool valid_if_match(std::string_view header) {
  if (trim(header) == "*") return true;
  bool weak = false;
  std::string_view opaque;
  while (take_tag(header, weak, opaque)) {
    if (header.empty()) return true;
    if (header[0] != ',') return false;
    header.remove_prefix(1);
  }
  return false;
}

bool matches_any(std::string_view header, std::string_view tag) {
  if (trim(header) == "*") return true;
  bool weak = false;
  std::string_view opaque;
  while (take_tag(header, weak, opaque)) {
    if (opaque == tag) return true;
    if (!header.empty() && header[0] == ',') header.remove_prefix(1);
  }
  return false;
}

struct ads_reader::impl {
  strict_json json;
};

ads_reader::ads_reader() : impl_(std::make_unique<impl>()) {}
ads_reader::~ads_reader() = default;

bool ads_reader::read(std::string_view body, ad_fields& out, std::string& syntax, std::vector<field_error>& errors) {
  out = {};
  syntax.clear();
  errors.clear();
  simdjson::dom::object object;
  if (!impl_->json.parse_object(body, object, syntax)) return false;
  bool has_title = false, has_url = false;
  for (auto field : object) {
    if (field.key == "title") {
      has_title = true;
      text(field.value, "title", 1, 200, out.title, errors);
    } else if (field.key == "description") {
      text(field.value, "description", 0, 2'000, out.description, errors);
    } else if (field.key == "url") {
      has_url = true;
      std::string_view url;
      if (field.value.get(url) == simdjson::SUCCESS && valid_ad_url(url))
        out.url = url;
      else
        errors.push_back({"url", "must be an absolute http or https URL of at most 2048 bytes"});
    } else if (field.key == "advertiser") {
      text(field.value, "advertiser", 0, 200, out.advertiser, errors);
    } else if (field.key == "campaign") {
      text(field.value, "campaign", 0, 200, out.campaign, errors);
    } else if (field.key == "metadata") {
      metadata(field.value, out.metadata, errors);
    }
  }
  if (!has_title) errors.push_back({"title", "is required"});
  if (!has_url) errors.push_back({"url", "is required"});
  return errors.empty();
}

} // namespace adtrack::http
