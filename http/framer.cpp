#include "http/framer.hpp"

#include <algorithm>

#include "http/buffers.hpp"
#include "model/ip_address.hpp"

namespace adtrack::http {
namespace {

constexpr std::array<std::string_view, http_method_count> method_names = {"GET",    "HEAD",    "POST",  "PUT",
                                                                          "DELETE", "OPTIONS", "PATCH", "TRACE"};

constexpr bool is_token_char(unsigned char c) {
  if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) return true;
  return std::string_view("!#$%&'*+-.^_`|~").find(static_cast<char>(c)) != std::string_view::npos;
}

constexpr auto token_chars = [] {
  std::array<bool, 256> table{};
  for (size_t c = 0; c < 256; ++c) table[c] = is_token_char(static_cast<unsigned char>(c));
  return table;
}();

// Field values: visible characters, spaces, tabs and obs-text (RFC 9110, 5.5).
constexpr auto value_chars = [] {
  std::array<bool, 256> table{};
  for (size_t c = 0; c < 256; ++c) table[c] = c == '\t' || (c >= 0x20 && c != 0x7f);
  return table;
}();

// Unreserved characters and sub-delims (RFC 3986, 3.2.2); percent-encoding is looked at apart.
constexpr auto host_chars = [] {
  std::array<bool, 256> table{};
  for (size_t c = 0; c < 256; ++c) {
    char as_char = static_cast<char>(c);
    table[c] = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
               std::string_view("-._~!$&'()*+,;=").find(as_char) != std::string_view::npos;
  }
  return table;
}();

template <class Table>
bool all_of(const Table& table, std::string_view text) {
  return std::all_of(text.begin(), text.end(), [&](char c) { return table[static_cast<unsigned char>(c)]; });
}

constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

bool is_token(std::string_view text) { return !text.empty() && all_of(token_chars, text); }

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = lower(c);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// uri-host [":" port] (RFC 9110, 4.2.1; RFC 3986, 3.2.2). An empty name is refused, as are IPvFuture and zones.
bool valid_authority(std::string_view text) {
  size_t colon = std::min(text.rfind(':'), text.size());
  bool bracket = !text.empty() && text[0] == '[';
  if (bracket && text.find(']') + 1 > colon) colon = text.size(); // that colon is the address's
  auto name = text.substr(0, colon);
  auto port = text.substr(std::min(colon + 1, text.size()));
  if (name.empty() || port.find_first_not_of("0123456789") != std::string_view::npos) return false;
  if (bracket) {
    auto address = name.substr(1, name.size() - 2);
    return name.back() == ']' && address.find(':') != std::string_view::npos &&
           parse_ip_address(address).kind != ip_address::family::none;
  }
  for (size_t i = 0; i < name.size(); ++i) {
    if (name[i] == '%') {
      if (i + 2 >= name.size() || hex_value(name[i + 1]) < 0 || hex_value(name[i + 2]) < 0) return false;
    } else if (!host_chars[static_cast<unsigned char>(name[i])]) {
      return false;
    }
  }
  return true;
}

template <class Visitor>
void for_each_list_item(std::string_view list, Visitor&& visit) {
  for (;;) {
    size_t comma = list.find(',');
    visit(trim(list.substr(0, comma)));
    if (comma == std::string_view::npos) return;
    list.remove_prefix(comma + 1);
  }
}

bool says_prefetch(std::string_view value) {
  bool found = false;
  for_each_list_item(value, [&](std::string_view item) {
    auto token = trim(item.substr(0, item.find(';')));
    found |= equals_lower(token, "prefetch") || equals_lower(token, "prerender") || equals_lower(token, "preview");
  });
  return found;
}

} // namespace

std::string_view to_string(http_method method) noexcept { return method_names[static_cast<size_t>(method)]; }

bool equals_lower(std::string_view text, std::string_view wanted) noexcept {
  return text.size() == wanted.size() &&
         std::equal(text.begin(), text.end(), wanted.begin(), [](char a, char b) { return lower(a) == b; });
}

std::string_view trim(std::string_view text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

framer::state framer::fail(int status, const char* detail) {
  phase_ = phase::bad;
  error_ = {status, detail};
  return state::bad;
}

void framer::reset() {
  head_ = {};
  if (chunks_.capacity() > 64) std::string().swap(chunks_);
  chunks_.clear();
  at_ = scanned_ = size_ = coded_ = chunk_left_ = 0;
  headers_ = 0;
  phase_ = phase::request_line;
  has_length_ = too_long_ = close_ = in_chunk_ = last_chunk_ = false;
}

std::string_view framer::body(std::string_view bytes) const noexcept {
  return head_.chunked ? std::string_view(chunks_) : bytes.substr(head_.size, head_.content_length);
}

framer::state framer::advance(std::string_view bytes, const frame_limits& limits) {
  while (phase_ == phase::request_line || phase_ == phase::headers) {
    bool first = phase_ == phase::request_line;
    if (first && at_ == 0 && !bytes.empty() && bytes[0] != '\r' && bytes[0] != '\n' &&
        !token_chars[static_cast<unsigned char>(bytes[0])])
      return fail(400, "the request does not start with a method");
    size_t end = bytes.find('\n', scanned_);
    if (end == std::string_view::npos) {
      scanned_ = bytes.size();
      size_t so_far = bytes.size() - at_;
      if (first && so_far > limits.max_line_bytes + 32) return fail(414, "the request target is too long");
      if (!first && so_far > limits.max_line_bytes + 1) return fail(431, "a header line is too long"); // CR may be among them
      if (bytes.size() > limits.max_head_bytes) return fail(431, "the head of the request is too large");
      return state::need_head;
    }
    if (end == at_ || bytes[end - 1] != '\r') return fail(400, "a line does not end with CR LF");
    if (end >= limits.max_head_bytes) return fail(431, "the head of the request is too large");
    scanned_ = end + 1;
    if (first && end == 1 && at_ == 0) { // one empty line before the request line, as RFC 9112 asks
      at_ = 2;
      continue;
    }
    size_t line_end = end - 1;
    bool ok = true;
    if (first && end - at_ > limits.max_line_bytes + 32) return fail(414, "the request target is too long");
    if (first) {
      ok = request_line(bytes, line_end, limits);
      head_.headers_at = static_cast<uint32_t>(end + 1);
      if (ok) phase_ = phase::headers;
    } else if (line_end == at_) {
      head_.size = static_cast<uint32_t>(end + 1);
      ok = finish_head(bytes, limits);
    } else if (line_end - at_ > limits.max_line_bytes) {
      return fail(431, "a header line is too long");
    } else if (++headers_ > limits.max_headers) {
      return fail(431, "there are too many header lines");
    } else {
      ok = header_line(bytes, line_end);
    }
    if (!ok) return state::bad;
    at_ = end + 1;
  }
  switch (phase_) {
  case phase::body:
    if (bytes.size() < size_) return state::need_body;
    phase_ = phase::done;
    return state::complete;
  case phase::chunks: return decode_chunks(bytes);
  case phase::done: return state::complete;
  case phase::request_line:
  case phase::headers:
  case phase::bad: break;
  }
  return state::bad;
}

bool framer::request_line(std::string_view bytes, size_t end, const frame_limits& limits) {
  auto line = bytes.substr(at_, end - at_);
  head_.line = {static_cast<uint32_t>(at_), static_cast<uint32_t>(line.size())};
  size_t first = line.find(' ');
  size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last)
    return fail(400, "the request line is not: method, target, version"), false;
  auto name = line.substr(0, first);
  auto version = line.substr(last + 1);
  if (!is_token(name)) return fail(400, "the method is not a token"), false;
  if (version.size() != 8 || version.substr(0, 5) != "HTTP/" || version[6] != '.' || version[5] < '0' || version[5] > '9' ||
      version[7] < '0' || version[7] > '9')
    return fail(400, "the version is not HTTP/1.0 or HTTP/1.1"), false;
  if (version != "HTTP/1.1" && version != "HTTP/1.0") return fail(505, "only HTTP/1.0 and HTTP/1.1 are spoken here"), false;
  head_.http_1_0 = version[7] == '0';
  head_.keep_alive = !head_.http_1_0;
  auto known = std::find(method_names.begin(), method_names.end(), name);
  if (known == method_names.end()) return fail(501, "the method is not known here"), false;
  head_.method = static_cast<http_method>(known - method_names.begin());
  slice text{static_cast<uint32_t>(at_ + first + 1), static_cast<uint32_t>(last - first - 1)};
  if (text.size > limits.max_line_bytes) return fail(414, "the request target is too long"), false;
  return target(bytes, text);
}

// origin-form, absolute-form and asterisk-form (RFC 9112, 3.2).
bool framer::target(std::string_view bytes, slice text) {
  auto all = text.of(bytes);
  for (char c : all) {
    auto u = static_cast<unsigned char>(c);
    if (u <= 0x20 || u >= 0x7f || c == '#')
      return fail(400, "the request target holds a character that must be percent-encoded"), false;
  }
  if (all == "*" && head_.method == http_method::options) return head_.asterisk = true;
  if (all.empty()) return fail(400, "the request target is empty"), false;
  uint32_t skip = 0;
  if (all[0] != '/') {
    size_t scheme = equals_lower(all.substr(0, 7), "http://") ? 7 : equals_lower(all.substr(0, 8), "https://") ? 8 : 0;
    if (scheme == 0) return fail(400, "the request target is neither a path nor an absolute URL"), false;
    size_t authority_end = std::min(all.find_first_of("/?", scheme), all.size());
    auto authority = all.substr(scheme, authority_end - scheme);
    if (!valid_authority(authority)) return fail(400, "the request target's authority is not valid"), false;
    skip = static_cast<uint32_t>(authority_end);
  }
  auto rest = all.substr(skip);
  size_t mark = rest.find('?');
  head_.path = {text.at + skip, static_cast<uint32_t>(std::min(mark, rest.size()))};
  if (mark != std::string_view::npos) {
    head_.has_query = true;
    head_.query = {static_cast<uint32_t>(text.at + skip + mark + 1), static_cast<uint32_t>(rest.size() - mark - 1)};
  }
  return true;
}

void framer::note(header h, size_t at, size_t size) {
  auto bit = static_cast<uint16_t>(1u << static_cast<unsigned>(h));
  if (head_.present & bit) return;
  head_.present |= bit;
  head_.values[static_cast<size_t>(h)] = {static_cast<uint32_t>(at), static_cast<uint32_t>(size)};
}

// Refuses what is not just "chunked": the end is unknown unless that is the last coding, and stands once (RFC 9112, 6.1 and 6.3).
bool framer::transfer_codings(std::string_view value) {
  bool last_is_chunked = false;
  size_t chunked = 0;
  bool empty = false;
  for_each_list_item(value, [&](std::string_view item) {
    last_is_chunked = equals_lower(item, "chunked");
    chunked += last_is_chunked;
    empty |= item.empty();
  });
  if (!last_is_chunked || chunked > 1 || empty) return fail(400, "chunked is not the one last transfer coding"), false;
  return fail(501, "the only transfer coding known here is chunked"), false;
}

// The headers that decide where the request ends and what happens to the connection.
bool framer::framing_header(std::string_view name, std::string_view value, bool& known) {
  known = true;
  if (equals_lower(name, "content-length")) {
    if (has_length_) return fail(400, "Content-Length is repeated"), false;
    if (value.empty() || value.find_first_not_of("0123456789") != std::string_view::npos)
      return fail(400, "Content-Length is not a number"), false;
    has_length_ = true;
    auto digits = value.substr(std::min(value.find_first_not_of('0'), value.size()));
    too_long_ = digits.size() > 15;
    head_.content_length = 0;
    if (!too_long_)
      for (char c : digits) head_.content_length = head_.content_length * 10 + static_cast<size_t>(c - '0');
  } else if (equals_lower(name, "transfer-encoding")) {
    if (head_.chunked) return fail(400, "Transfer-Encoding is repeated"), false;
    if (head_.http_1_0) return fail(400, "HTTP/1.0 has no Transfer-Encoding"), false;
    if (!equals_lower(value, "chunked")) return transfer_codings(value);
    head_.chunked = true;
  } else if (equals_lower(name, "content_length") || equals_lower(name, "transfer_encoding")) {
    // Other headers than those with a hyphen, but not for a reader that maps names to variables (RFC 3875, 4.1.18).
    return fail(400, "a header that frames is spelled with an underscore"), false;
  } else if (equals_lower(name, "connection")) {
    for_each_list_item(value, [&](std::string_view item) {
      close_ |= equals_lower(item, "close");
      if (equals_lower(item, "keep-alive")) head_.keep_alive = true;
    });
    if (close_) head_.keep_alive = false; // it wins, wherever it stands (RFC 9112, 9.3)
  } else if (equals_lower(name, "expect")) {
    if (!equals_lower(value, "100-continue")) return fail(417, "the only expectation known here is 100-continue"), false;
    head_.expect_continue = !head_.http_1_0;
  } else if (equals_lower(name, "sec-purpose") || equals_lower(name, "purpose")) {
    head_.prefetch |= says_prefetch(value);
  } else {
    known = false;
  }
  return true;
}

bool framer::header_line(std::string_view bytes, size_t end) {
  auto line = bytes.substr(at_, end - at_);
  if (line[0] == ' ' || line[0] == '\t') return fail(400, "a header line is folded"), false;
  size_t colon = line.find(':');
  if (colon == std::string_view::npos) return fail(400, "a header line has no colon"), false;
  auto name = line.substr(0, colon);
  if (!is_token(name)) return fail(400, "a header name is not a token"), false;
  auto raw = line.substr(colon + 1);
  if (!all_of(value_chars, raw)) return fail(400, "a header value holds a control character"), false;
  auto value = trim(raw);
  auto at = static_cast<size_t>(value.data() - bytes.data());
  bool known = false;
  if (!framing_header(name, value, known)) return false;
  if (known) return true;

  struct entry {
    std::string_view name;
    header id;
    bool once;
  };
  static constexpr std::array<entry, header_count> wanted = {{{"host", header::host, true},
                                                              {"content-type", header::content_type, true},
                                                              {"content-encoding", header::content_encoding, true},
                                                              {"user-agent", header::user_agent, false},
                                                              {"authorization", header::authorization, true},
                                                              {"x-request-id", header::request_id, false},
                                                              {"if-match", header::if_match, true},
                                                              {"if-none-match", header::if_none_match, false},
                                                              {"x-forwarded-for", header::forwarded_for, false},
                                                              {"origin", header::origin, false},
                                                              {"accept", header::accept, false},
                                                              {"traceparent", header::traceparent, false}}};
  for (const auto& w : wanted) {
    if (!equals_lower(name, w.name)) continue;
    if (w.once && head_.has(w.id)) return fail(400, "a header that may stand once is repeated"), false;
    if (w.id == header::host && !value.empty() && !valid_authority(value)) return fail(400, "Host is not valid"), false;
    note(w.id, at, value.size());
    break;
  }
  return true;
}

bool framer::finish_head(std::string_view bytes, const frame_limits& limits) {
  if (!head_.has(header::host) && !head_.http_1_0) return fail(400, "HTTP/1.1 needs a Host header"), false;
  if (head_.chunked && has_length_) return fail(400, "Content-Length and Transfer-Encoding exclude each other"), false;
  body_max_ = limits.max_body_bytes;
  if (limits.body_limit && (head_.chunked || head_.content_length > body_max_)) body_max_ = limits.body_limit(bytes, head_);
  if (too_long_ || head_.content_length > body_max_) return fail(413, "the body is too large"), false;
  size_ = head_.chunked ? 0 : head_.size + head_.content_length;
  phase_ = head_.chunked ? phase::chunks : phase::body;
  at_ = head_.size;
  return true;
}

// Chunks without extensions and without trailers. What the chunk sizes cost is bounded too: one-byte chunks are six bytes each.
framer::state framer::decode_chunks(std::string_view bytes) {
  constexpr size_t max_size_line = 10;
  for (;;) {
    auto rest = bytes.substr(std::min(at_, bytes.size()));
    if (in_chunk_) {
      auto seen = decode_data(rest);
      if (in_chunk_ || seen != state::need_body) return seen;
      continue;
    }
    if (coded_ > 2 * body_max_ + 4096) return fail(413, "the chunks of the body are too many");
    size_t digits = 0;
    size_t length = 0;
    while (digits < rest.size() && digits < max_size_line && hex_value(rest[digits]) >= 0)
      length = length * 16 + static_cast<size_t>(hex_value(rest[digits++]));
    if (digits == max_size_line) return fail(413, "a chunk is too large");
    if (digits == rest.size()) return state::need_body;
    if (digits == 0 || rest[digits] != '\r') return fail(400, "a chunk size is not a hexadecimal number and CR LF");
    if (digits + 1 == rest.size()) return state::need_body;
    if (rest[digits + 1] != '\n') return fail(400, "a chunk size does not end with CR LF");
    if (length > body_max_ - chunks_.size()) return fail(413, "the body is too large");
    at_ += digits + 2;
    coded_ += digits + 2;
    chunk_left_ = length;
    last_chunk_ = length == 0;
    in_chunk_ = true;
  }
}

// What has come of a chunk's data, and the line end behind it.
framer::state framer::decode_data(std::string_view rest) {
  size_t take = std::min(rest.size(), chunk_left_);
  make_room(chunks_, take, body_max_ + spare_bytes);
  chunks_.append(rest.substr(0, take));
  at_ += take;
  coded_ += take;
  chunk_left_ -= take;
  rest.remove_prefix(take);
  if (chunk_left_ > 0) return state::need_body;
  if (!rest.empty() && rest[0] != '\r')
    return fail(400, last_chunk_ ? "trailers are not accepted" : "a chunk is longer than its size");
  if (rest.size() < 2) return state::need_body;
  if (rest[1] != '\n') return fail(400, "a chunk does not end with CR LF");
  at_ += 2;
  coded_ += 2;
  in_chunk_ = false;
  if (!last_chunk_) return state::need_body;
  size_ = at_;
  phase_ = phase::done;
  return state::complete;
}

void framer::compact(std::string& bytes) {
  if (phase_ != phase::chunks) return;
  bytes.erase(head_.size, at_ - head_.size);
  at_ = head_.size;
}

} // namespace adtrack::http
