// The body that names a visitor to be erased, checked; all findings at once. One reader a loop.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "http/problem.hpp"
#include "model/visitor_erased.hpp"

namespace adtrack::http {

class visitor_reader {
public:
  visitor_reader();
  ~visitor_reader();
  // Either `visitor`, 16 hex digits as records of the log have them, or `user_ip` (whole) and `agent` as events had them.
  bool read(std::string_view body, visitor_question& out, std::string& syntax, std::vector<field_error>& errors);

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace adtrack::http
