// An ad of the catalogue.
#pragma once

#include <cstdint>
#include <string>

namespace adtrack {

// What a client may set. Lengths are bounded by http (title 1-200 characters, description to 2,000, url to 2,048, ...).
struct ad_fields {
  std::string title;
  std::string description;
  std::string url; // absolute http or https
  std::string advertiser;
  std::string campaign;
  std::string metadata; // a JSON object as compact text, or empty
  bool operator==(const ad_fields&) const = default;
};

struct ad {
  uint64_t id = 0;
  ad_fields fields;
  int64_t created_ms = 0; // unix ms
  int64_t updated_ms = 0;
  int64_t version = 0; // offset of its newest record: the ETag
  bool operator==(const ad&) const = default;
};

} // namespace adtrack
