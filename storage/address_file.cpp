#include "storage/address_file.hpp"

#include <algorithm>
#include <charconv>

namespace adtrack::storage {
namespace {

using family = ip_address::family;

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view blanks = " \t\r";
  const auto from = text.find_first_not_of(blanks);
  return from == text.npos ? std::string_view{} : text.substr(from, text.find_last_not_of(blanks) - from + 1);
}

// `text` is an address and a number of bits.
bool add_network(std::string_view text, size_t slash, address_trie& out) {
  const auto written = trimmed(text.substr(0, slash));
  const auto base = parse_ip_address(written);
  if (base.kind == family::none) return false;
  // An IPv4-mapped address is IPv4, and its network counts the 96 bits before it.
  const unsigned before = base.kind == family::v4 && written.find(':') != written.npos ? 96 : 0;
  const auto digits = trimmed(text.substr(slash + 1));
  unsigned bits = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
  if (digits.empty() || error != std::errc() || end != digits.data() + digits.size()) return false;
  if (bits < before || bits - before > (base.kind == family::v4 ? 32u : 128u)) return false;
  out.add(base, bits - before);
  return true;
}

bool add_entry(std::string_view text, address_trie& out) {
  const auto head = text.substr(0, text.find(','));
  if (const auto slash = head.find('/'); slash != head.npos) return add_network(head, slash, out);
  const auto separator = text.find_first_of("-,");
  const auto first = parse_ip_address(trimmed(text.substr(0, separator)));
  if (first.kind == family::none) return false;
  if (separator == text.npos) return out.add(first, 128), true;
  auto rest = text.substr(separator + 1);
  if (text[separator] == ',') rest = rest.substr(0, rest.find(','));
  const auto last = parse_ip_address(trimmed(rest));
  if (last.kind != first.kind || last < first) return false;
  return out.add_range(first, last), true;
}

} // namespace

status parse_address_list(const std::string& name, std::string_view text, address_trie& out) {
  for (size_t number = 1; !text.empty(); ++number) {
    const auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const auto entry = trimmed(line.substr(0, line.find_first_of("#;")));
    if (entry.empty()) continue;
    const auto at = name + ", line " + std::to_string(number);
    if (!add_entry(entry, out)) return {errc::corrupt, at + " is neither an address, a network nor a range of addresses"};
    if (out.networks() > networks_max) return {errc::corrupt, at + ": more than " + std::to_string(networks_max) + " networks"};
  }
  return {};
}

} // namespace adtrack::storage
