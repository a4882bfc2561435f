// The country of an address, out of a database in MaxMind's format (GeoLite2 Country and City, DB-IP, IPinfo). The database is
// held in memory of our own: a file that is overwritten in place cannot change, or end, under a lookup. Read-only: any thread may
// ask.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "model/ip_address.hpp"
#include "storage/status.hpp"

namespace adtrack::storage {

class country_database {
public:
  // `bytes` is the whole file. errc::corrupt: `name`, which stands in the message, is no such database.
  static result<std::shared_ptr<const country_database>> open(const std::string& name, std::string_view bytes);
  ~country_database();

  // ISO 3166-1, two capital letters; empty when it is not known.
  std::string code_of(const ip_address& address) const;

private:
  struct impl;
  explicit country_database(std::unique_ptr<impl> i);
  std::unique_ptr<impl> impl_;
};

} // namespace adtrack::storage
