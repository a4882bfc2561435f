// The little of UTF-8 that a front door needs. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace adtrack::http {

// Bytes of the valid sequence (RFC 3629: no surrogates, no overlong forms) at the front of `text`; 0 when there is none.
size_t utf8_sequence(std::string_view text) noexcept;
bool valid_utf8(std::string_view text) noexcept;
size_t code_points(std::string_view valid) noexcept;

// `text` with each byte that is not part of a valid sequence as '?', cut to at most `bytes_max` bytes between sequences.
std::string sanitise_utf8(std::string_view text, size_t bytes_max);

} // namespace adtrack::http
