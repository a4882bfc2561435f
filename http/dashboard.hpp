// The dashboard's page and its files as answers: headers that let it load nothing but itself, and entity tags. Thread-safe.
#pragma once

#include <cstddef>
#include <string_view>

#include "http/reply.hpp"

namespace adtrack::http {

// `file` is an index into dashboard_files; 304 without a body when `if_none_match` names the file as it is.
reply dashboard_reply(size_t file, std::string_view if_none_match);

} // namespace adtrack::http
