// From where, for browsers: which pages of other origins may read our answers (the CORS protocol of the Fetch standard). It stops
// no request; keys do. Credentials are never allowed: keys travel in Authorization, which a page sets itself. Read-only once
// open.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "http/reply.hpp"

namespace adtrack::http {

class cors_policy {
public:
  // Exact origins, or "*" alone. False: `error` names the one that is neither.
  bool open(const std::vector<std::string>& origins, uint32_t max_age_secs, std::string& error);

  bool allows(std::string_view origin) const noexcept;
  // What every answer to a request with this Origin ("": none) carries; null: nothing.
  const header_lines* lines(std::string_view origin) const noexcept;
  // What the answer to an allowed preflight carries besides; `methods` is the value of Allow.
  void add_preflight(reply& to, const std::string& methods) const;

private:
  struct entry {
    std::string origin;
    header_lines lines;
  };
  bool any_ = false;
  std::vector<entry> entries_;
  header_lines stranger_; // Vary, so that no cache gives a listed origin the answer to another one
  std::string max_age_;
};

} // namespace adtrack::http
