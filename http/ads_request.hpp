// The bodies and preconditions of the ads calls, checked; all findings at once. One reader a loop.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "http/problem.hpp"
#include "model/ad.hpp"

namespace adtrack::http {

// An absolute http or https URL with a host, in ASCII, without user information.
bool valid_ad_url(std::string_view url);

// Is this "*" or a list of entity tags, as If-Match must be?
bool valid_if_match(std::string_view header);

// If-None-Match of a read: does one of its tags, weak or strong, equal `tag` (with quotes)?
bool matches_any(std::string_view header, std::string_view tag);

class ads_reader {
public:
  ads_reader();
  ~ads_reader();
  // title 1-200 characters, description at most 2,000, url at most 2,048 bytes, advertiser and campaign at most 200 characters,
  // metadata an object of at most 4 KiB as compact text. Unknown fields are ignored.
  bool read(std::string_view body, ad_fields& out, std::string& syntax, std::vector<field_error>& errors);

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace adtrack::http
