// The framer: whatever the bytes and however they are split, it reads nothing beyond them, holds no more than its limits, and
// finds the same end and the same body.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "http/framer.hpp"

using adtrack::http::framer;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

struct result {
  framer::state state = framer::state::need_head;
  int status = 0;
  size_t size = 0;
  std::string body;
  bool operator==(const result&) const = default;
};

// With `compacting`, what was decoded is taken out of the bytes between two calls.
result run(std::string_view bytes, uint8_t step, bool compacting = false) {
  adtrack::http::frame_limits limits{512, 8, 200, 256};
  framer f;
  result r;
  size_t n = 0, removed = 0;
  std::string kept;
  do {
    const size_t before = n;
    n = step == 0 ? bytes.size() : std::min(bytes.size(), n + step);
    kept.append(bytes.substr(before, n - before));
    std::string part(kept); // a heap copy, so that a look beyond it is seen
    r.state = f.advance(part, limits);
    if (r.state == framer::state::complete) {
      require(f.size() <= kept.size());
      r.size = f.size() + removed;
      r.body = f.body(part);
      require(r.body.size() <= limits.max_body_bytes);
      const auto& h = f.head();
      require(h.size <= limits.max_head_bytes && h.path.at + h.path.size <= h.size && h.query.at + h.query.size <= h.size);
      adtrack::http::for_each_header(part, h, "x-forwarded-for", [](std::string_view v) { require(v.size() < 512); });
      return r;
    }
    if (r.state == framer::state::bad) {
      r.status = f.error().status;
      require(r.status >= 400 && r.status < 600 && f.error().detail[0] != '\0');
      return r;
    }
    require(f.held_bytes() <= 1'024);
    if (compacting) {
      f.compact(kept);
      removed = n - kept.size();
    }
  } while (n < bytes.size());
  return r;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0 || size > 8'192) return 0;
  std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  auto whole = run(bytes, 0);
  auto split = run(bytes, static_cast<uint8_t>(data[0] % 64 + 1));
  require(run(bytes, static_cast<uint8_t>(data[0] % 64 + 1), true) == split);
  // Split, a limit may be hit before an earlier line's own error is complete; an accepted request must be the same request.
  if (whole.state == framer::state::complete || split.state == framer::state::complete) require(whole == split);
  return 0;
}
