#include "storage/country_database.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <maxminddb.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <unistd.h>

namespace adtrack::storage {
namespace {

// `address` as the library wants it.
sockaddr_storage socket_address(const ip_address& address) {
  sockaddr_storage out{};
  if (address.kind == ip_address::family::v4) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    std::memcpy(&v4.sin_addr, address.bytes.data(), 4);
    std::memcpy(&out, &v4, sizeof v4);
  } else {
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    std::memcpy(&v6.sin6_addr, address.bytes.data(), 16);
    std::memcpy(&out, &v6, sizeof v6);
  }
  return out;
}

// Empty unless the entry holds a country's code by that path, which ends with null.
std::string code_at(MMDB_entry_s* entry, const char* const* path) {
  MMDB_entry_data_s data{};
  if (MMDB_aget_value(entry, &data, path) != MMDB_SUCCESS || !data.has_data) return {};
  if (data.type != MMDB_DATA_TYPE_UTF8_STRING || data.data_size != 2) return {};
  const std::string code(data.utf8_string, 2);
  return std::all_of(code.begin(), code.end(), [](char c) { return c >= 'A' && c <= 'Z'; }) ? code : std::string{};
}

} // namespace

struct country_database::impl {
  mutable MMDB_s db{}; // the library's lookups take it without const, and do not change it
  bool opened = false;
  ~impl() {
    if (opened) MMDB_close(&db);
  }
};

country_database::country_database(std::unique_ptr<impl> i) : impl_(std::move(i)) {}
country_database::~country_database() = default;

result<std::shared_ptr<const country_database>> country_database::open(const std::string& name, std::string_view bytes) {
  // The library opens files only, by name: so a file without a name is made of the bytes.
  const int fd = ::memfd_create("adtrack-country", MFD_CLOEXEC);
  if (fd < 0) return status{errc::io, std::string("cannot hold the country database in memory: ") + std::strerror(errno)};
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t written = ::write(fd, bytes.data() + done, bytes.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      const int why = errno;
      ::close(fd);
      return status{errc::io, std::string("cannot hold the country database in memory: ") + std::strerror(why)};
    }
    done += static_cast<size_t>(written);
  }
  auto made = std::make_unique<impl>();
  const int opened = MMDB_open(("/proc/self/fd/" + std::to_string(fd)).c_str(), MMDB_MODE_MMAP, &made->db);
  ::close(fd); // the mapping stays
  if (opened != MMDB_SUCCESS)
    return status{errc::corrupt, name + " is no database in MaxMind's format: " + MMDB_strerror(opened)};
  made->opened = true;
  return std::shared_ptr<const country_database>(new country_database(std::move(made)));
}

std::string country_database::code_of(const ip_address& address) const {
  if (address.kind == ip_address::family::none) return {};
  const auto socket = socket_address(address);
  int error = MMDB_SUCCESS;
  auto found = MMDB_lookup_sockaddr(&impl_->db, reinterpret_cast<const sockaddr*>(&socket), &error);
  // An IPv6 address in a database of IPv4 alone is such an error too: the country is not known.
  if (error != MMDB_SUCCESS || !found.found_entry) return {};
  static constexpr const char* maxmind[] = {"country", "iso_code", nullptr};
  static constexpr const char* plain[] = {"country", nullptr};
  static constexpr const char* flat[] = {"country_code", nullptr};
  for (const char* const* path : {maxmind, plain, flat})
    if (auto code = code_at(&found.entry, path); !code.empty()) return code;
  return {};
}

} // namespace adtrack::storage
