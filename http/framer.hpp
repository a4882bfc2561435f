// Where does one HTTP/1 request end, and may it be believed? Pure: bytes in; need more, one framed request as offsets, or an
// error status out. Stricter than RFC 9112 wherever two readers could disagree (request smuggling): no bare LF or CR, no folding,
// one Content-Length, never with Transfer-Encoding, no chunk extensions, no trailers; tests/http/messages.txt has the rules and
// their reasons. One framer a connection, on its loop's thread. Never copies a head; a chunked body is decoded into the framer,
// bounded.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

namespace adtrack::http {

enum class http_method : uint8_t { get, head, post, put, del, options, patch, trace };
inline constexpr size_t http_method_count = 8;
std::string_view to_string(http_method method) noexcept;

// Headers that somebody here reads. Others are checked and passed over.
enum class header : uint8_t {
  host,
  content_type,
  content_encoding,
  user_agent,
  authorization,
  request_id,
  if_match,
  if_none_match,
  forwarded_for,
  origin,
  accept,
  traceparent
};
inline constexpr size_t header_count = 12;

// A part of the request's bytes.
struct slice {
  uint32_t at = 0;
  uint32_t size = 0;
  std::string_view of(std::string_view bytes) const noexcept { return bytes.substr(at, size); }
};

struct request_head {
  http_method method = http_method::get;
  bool http_1_0 = false;
  bool keep_alive = true;
  bool expect_continue = false;
  bool prefetch = false; // Sec-Purpose or Purpose says so
  bool chunked = false;
  bool asterisk = false; // OPTIONS *
  bool has_query = false;
  slice line;              // the request line without its CRLF
  slice path;              // as sent, still percent-encoded; empty means "/"
  slice query;             // without the '?'
  uint32_t headers_at = 0; // first byte after the request line
  uint32_t size = 0;       // bytes of the head, blank line included
  size_t content_length = 0;
  uint16_t present = 0;                     // bit a `header`
  std::array<slice, header_count> values{}; // the first occurrence, trimmed

  bool has(header h) const noexcept { return (present >> static_cast<unsigned>(h)) & 1; }
  std::string_view value(header h, std::string_view bytes) const noexcept { return values[static_cast<size_t>(h)].of(bytes); }
};

struct frame_limits {
  size_t max_head_bytes = 16 << 10;
  size_t max_headers = 100;
  size_t max_line_bytes = 8'000; // one header line: 431; the request target: 414
  size_t max_body_bytes = 64 << 10;
  // The same of one request by its head, which stands at the front of the bytes. Empty: max_body_bytes.
  std::function<size_t(std::string_view bytes, const request_head& head)> body_limit;
};

struct frame_error {
  int status = 400;
  const char* detail = "";
};

class framer {
public:
  enum class state : uint8_t { need_head, need_body, complete, bad };

  // `bytes` starts at the request's first byte and holds everything of it that came so far; a later call gives the same bytes and
  // more. Looks at each byte about once. After `complete` or `bad` it says the same again until reset().
  state advance(std::string_view bytes, const frame_limits& limits);
  void reset();

  const request_head& head() const noexcept { return head_; } // once need_body or complete
  // Of the whole request once complete; before, where it will end, or 0 when that is not known.
  size_t size() const noexcept { return size_; }
  std::string_view body(std::string_view bytes) const noexcept;
  std::string take_chunks() noexcept { return std::move(chunks_); } // the body that came in chunks, once complete
  // Takes the chunks that were decoded out of the request's bytes; goes on with what is left.
  void compact(std::string& bytes);
  const frame_error& error() const noexcept { return error_; } // once bad
  size_t held_bytes() const noexcept { return chunks_.capacity(); }

private:
  enum class phase : uint8_t { request_line, headers, body, chunks, done, bad };
  state fail(int status, const char* detail);
  bool request_line(std::string_view bytes, size_t end, const frame_limits& limits);
  bool target(std::string_view bytes, slice text);
  bool header_line(std::string_view bytes, size_t end);
  bool transfer_codings(std::string_view value);
  bool framing_header(std::string_view name, std::string_view value, bool& known);
  void note(header h, size_t at, size_t size);
  bool finish_head(std::string_view bytes, const frame_limits& limits);
  state decode_chunks(std::string_view bytes);
  state decode_data(std::string_view rest);

  request_head head_;
  std::string chunks_; // the decoded body when it came in chunks
  frame_error error_;
  size_t at_ = 0;      // start of what is in work: a line, the rest of a chunk
  size_t scanned_ = 0; // no line end before this
  size_t size_ = 0;
  size_t body_max_ = 0;
  size_t coded_ = 0;      // bytes of the chunks so far, with all that stands around them
  size_t chunk_left_ = 0; // of the chunk in work
  uint32_t headers_ = 0;
  phase phase_ = phase::request_line;
  bool has_length_ = false;
  bool too_long_ = false;
  bool close_ = false;    // a Connection line said so
  bool in_chunk_ = false; // in a chunk's data or its line end
  bool last_chunk_ = false;
};

// Calls `visit(value)` for each header line called `name` (lower case) of a framed head, in order.
template <class Visitor>
void for_each_header(std::string_view bytes, const request_head& head, std::string_view name, Visitor&& visit);

// Lower-case ASCII comparison; `wanted` is lower case already.
bool equals_lower(std::string_view text, std::string_view wanted) noexcept;
std::string_view trim(std::string_view text) noexcept; // spaces and tabs

template <class Visitor>
void for_each_header(std::string_view bytes, const request_head& head, std::string_view name, Visitor&& visit) {
  size_t at = head.headers_at;
  while (at + 2 < head.size) {
    size_t end = bytes.find('\r', at);
    std::string_view line = bytes.substr(at, end - at);
    size_t colon = line.find(':');
    if (equals_lower(line.substr(0, colon), name)) visit(trim(line.substr(colon + 1)));
    at = end + 2;
  }
}

} // namespace adtrack::http
