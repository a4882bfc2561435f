// Who sent an event, read from its user agent: a crawler or not, the kind of device, the families of browser and system. Made
// from uap-core's expressions and an operator's list; uap-core's rule is that of each list the first expression that matches
// decides (github.com/ua-parser/uap-core, docs/specification.md). Read-only once made: any thread may ask. Costs some tens of
// microseconds an agent: whoever asks often remembers the answers.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace adtrack {

// `unknown`: nothing says what it is; `other`: a watch, a console, a reader of books.
enum class device_class : uint8_t { unknown, desktop, phone, tablet, tv, bot, other };
std::string_view to_string(device_class device) noexcept;
// False, with `out` left alone, when `text` names none; `unknown` is the lack of one, not a name.
bool parse(std::string_view text, device_class& out) noexcept;

inline constexpr size_t family_bytes_max = 64; // longer names of browsers and systems are cut

struct agent_class {
  bool bot = false;
  device_class device = device_class::unknown;
  std::string browser; // family, valid UTF-8; empty: unknown
  std::string os;
  bool operator==(const agent_class&) const = default;
};

// The families as uap-core names them, "Other" for none that is known.
struct agent_families {
  std::string browser, os, device;
};

struct agent_pattern {
  std::string regex; // in RE2's syntax
  bool ignore_case = false;
  std::string family; // `$1` to `$9` stand for groups; empty: the first group
};

struct agent_patterns {
  std::vector<agent_pattern> browsers, systems, devices; // each in order of precedence
  std::vector<std::string> bots;                         // besides those that are built in; case is ignored
};

class agent_rules {
public:
  // Null, with a sentence in `error`, when an expression cannot be used.
  static std::unique_ptr<const agent_rules> make(const agent_patterns& patterns, std::string& error);
  ~agent_rules();

  agent_class classify(std::string_view agent) const;
  agent_families families(std::string_view agent) const; // for tests against uap-core's own

private:
  struct impl;
  explicit agent_rules(std::unique_ptr<impl> i);
  std::unique_ptr<impl> impl_;
};

} // namespace adtrack
