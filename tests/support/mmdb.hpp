// Makes a small database in MaxMind's format, version 2.0 (maxmind.github.io/MaxMind-DB), for tests: networks of IPv6, in which
// those of IPv4 stand below ::/96, each with a country.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "model/ip_address.hpp"

namespace adtrack::test {

class mmdb_writer {
public:
  // `bits` as in CIDR; networks must not lie in one another.
  void add(const std::string& address, unsigned bits, const std::string& country) {
    const auto ip = parse_ip_address(address);
    std::array<uint8_t, 16> key{};
    const size_t shift = ip.kind == ip_address::family::v4 ? 12 : 0;
    for (size_t i = 0; i + shift < 16; ++i) key[i + shift] = ip.bytes[i];
    size_t node = 0;
    const size_t depth = bits + 8 * shift;
    for (size_t i = 0; i < depth; ++i) {
      auto& next = tree_[node][key[i / 8] >> (7 - i % 8) & 1];
      if (i + 1 == depth) {
        next = -2 - static_cast<int64_t>(countries_.size());
        break;
      }
      if (next == nothing) {
        next = static_cast<int64_t>(tree_.size());
        tree_.push_back({nothing, nothing}); // ends the life of `next`
        node = tree_.size() - 1;
      } else {
        node = static_cast<size_t>(next);
      }
    }
    countries_.push_back(country);
  }

  std::string bytes() const {
    std::string data;
    std::vector<size_t> offsets;
    for (const auto& country : countries_) {
      offsets.push_back(data.size());
      data += map(1) + text("country") + map(1) + text("iso_code") + text(country);
    }
    std::string out;
    for (const auto& node : tree_)
      for (const auto side : node) {
        uint64_t record = tree_.size(); // not found
        if (side >= 0) record = static_cast<uint64_t>(side);
        if (side <= -2) record = tree_.size() + 16 + offsets[static_cast<size_t>(-2 - side)];
        out += big_endian(record, 3);
      }
    out += std::string(16, '\0') + data + "\xab\xcd\xefMaxMind.com" + map(9);
    out += text("node_count") + number(6, tree_.size(), 4) + text("record_size") + number(5, 24, 2);
    out += text("ip_version") + number(5, 6, 2) + text("database_type") + text("Test-Country");
    out += text("languages") + std::string("\x01\x04") + text("en"); // an array of one
    out += text("binary_format_major_version") + number(5, 2, 2) + text("binary_format_minor_version") + number(5, 0, 2);
    out += text("build_epoch") + std::string("\x08\x02") + big_endian(1'753'200'972, 8);
    out += text("description") + map(1) + text("en") + text("made by a test");
    return out;
  }

private:
  static constexpr int64_t nothing = -1; // a node has two sides: a node, nothing, or -2 minus the index of a country

  static std::string big_endian(uint64_t value, int size) {
    std::string out;
    for (int i = size - 1; i >= 0; --i) out += static_cast<char>(value >> (8 * i) & 255);
    return out;
  }
  static std::string control(int type, size_t size) {
    return std::string(1, static_cast<char>(type << 5 | static_cast<int>(size)));
  }
  static std::string text(const std::string& s) { return control(2, s.size()) + s; } // under 29 bytes
  static std::string map(size_t pairs) { return control(7, pairs); }
  static std::string number(int type, uint64_t value, int size) {
    return control(type, static_cast<size_t>(size)) + big_endian(value, size);
  }

  std::vector<std::array<int64_t, 2>> tree_{{nothing, nothing}};
  std::vector<std::string> countries_;
};

} // namespace adtrack::test
