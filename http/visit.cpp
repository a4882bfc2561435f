#include "http/visit.hpp"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <system_error>

#include "http/event_parser.hpp"

namespace adtrack::http {
namespace {

// One transparent pixel (GIF89a).
constexpr std::string_view
    pixel("GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff!\xf9\x04\x01\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0;", 43);

bool once(const query_parameter& p, bool& seen, std::vector<field_error>& errors) {
  if (seen) errors.push_back({p.name, "must be given once"});
  return !std::exchange(seen, true);
}

} // namespace

bool read_visit_query(const std::vector<query_parameter>& parameters, visit_query& out, std::vector<field_error>& errors) {
  out = {};
  errors.clear();
  bool has_id = false, has_expiry = false, has_key = false, has_signature = false;
  for (const auto& p : parameters) {
    if (p.name == "event_id" && once(p, has_id, errors)) {
      out.event_id = p.value;
      if (!valid_event_id(p.value)) errors.push_back({"event_id", event_id_rule});
    } else if (p.name == "exp" && once(p, has_expiry, errors)) {
      const char* end = p.value.data() + p.value.size();
      const auto [at, code] = std::from_chars(p.value.data(), end, out.expires_s);
      if (code != std::errc() || at != end || out.expires_s <= 0 || p.value[0] == '0')
        errors.push_back({"exp", "must be an integer, unix seconds, greater than 0"});
    } else if (p.name == "kid" && once(p, has_key, errors)) {
      out.key_id = p.value;
    } else if (p.name == "sig" && once(p, has_signature, errors)) {
      out.signature = p.value;
    }
  }
  out.is_signed = has_expiry || has_key || has_signature;
  return errors.empty();
}

std::string make_event_id() {
  // A few hundred at a time: a system call a visit would be dear.
  thread_local std::array<unsigned char, 4'096> pool;
  thread_local size_t left = 0;
  constexpr size_t bytes = 16;
  if (left < bytes) {
    for (size_t got = 0; got < pool.size();) {
      const auto n = ::getrandom(pool.data() + got, std::min<size_t>(pool.size() - got, 256), 0);
      if (n < 0 && errno != EINTR) throw std::system_error(errno, std::generic_category(), "getrandom");
      if (n > 0) got += static_cast<size_t>(n);
    }
    left = pool.size();
  }
  left -= bytes;
  auto* random = pool.data() + left;
  random[6] = static_cast<unsigned char>((random[6] & 0x0f) | 0x40);
  random[8] = static_cast<unsigned char>((random[8] & 0x3f) | 0x80);
  std::string out;
  for (size_t i = 0; i < bytes; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) out.push_back('-');
    out.push_back("0123456789abcdef"[random[i] >> 4]);
    out.push_back("0123456789abcdef"[random[i] & 15]);
  }
  return out;
}

reply visit_reply(route where, const std::string& url, const std::string& event_id, bool recorded) {
  reply r;
  if (where == route::visit_click) {
    r.status = 302;
    r.headers.emplace_back("Location", url);
  } else {
    r.content_type = "image/gif";
    r.body = pixel;
  }
  r.headers.emplace_back("Cache-Control", "no-store");
  if (event_id.empty()) return r;
  r.headers.emplace_back("X-Event-Id", event_id);
  if (!recorded) r.headers.emplace_back("Adtrack-Recorded", "no");
  return r;
}

} // namespace adtrack::http
