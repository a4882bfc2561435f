#include "http/request_ids.hpp"

#include <algorithm>
#include <random>

namespace adtrack::http {
namespace {

constexpr size_t given_chars_max = 128;
constexpr size_t made_chars = 15; // fits a small string

// Only harmless characters pass.
bool sane(std::string_view id) {
  return !id.empty() && id.size() <= given_chars_max && std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           std::string_view("-_.:/+=@~,").find(c) != std::string_view::npos;
  });
}

} // namespace

request_ids::request_ids() {
  std::random_device device;
  state_ = uint64_t{device()} << 32 | device();
}

std::string_view request_ids::of(std::string_view given) {
  if (sane(given)) return given;
  // splitmix64: unique within this loop's life, unguessable is not needed.
  uint64_t x = state_ += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  x ^= x >> 31;
  made_.resize(made_chars);
  for (auto& digit : made_) {
    digit = "0123456789abcdef"[x & 15];
    x >>= 4;
  }
  return made_;
}

} // namespace adtrack::http
