#include "model/agent_rules.hpp"

#include <algorithm>
#include <array>
#include <span>

#include <re2/filtered_re2.h>
#include <re2/re2.h>

#include "model/word_finder.hpp"

namespace adtrack {
namespace {

constexpr std::string_view other = "Other";
constexpr int groups_max = 10; // the whole match and $1 to $9
// Of one expression, what is compiled and what its automaton remembers; beyond, RE2 matches slower. Its usual 8 MiB would be
// gigabytes for a thousand of them.
constexpr int64_t regex_bytes_max = 512 << 10;
constexpr int atom_length_min = 3; // shorter pieces of an expression stand in too many agents to tell anything

// What programs call themselves by, in any list of crawlers: what they do, the library that they are made with, or where to
// complain. People's browsers have none of it. Case is ignored. `cubot` is a maker of telephones.
constexpr std::string_view built_in_bots[] = {
    // What they do.
    R"((?:^|[^u]|[^c]u)bot)",
    R"(crawl|spider|slurp|scrap(?:e|ing|y)|fetch|archiv|index(?:er|ing)|harvest|sniff|scanner|\bscan|retriev|download(?:er)?\b)",
    R"(check(?:er|link|_|s?ite)|link.?(?:check|find)|validat(?:or|ion)|verif(?:y|ier)|monitor|uptime|ping(?:dom|back|er))",
    R"(survey|audit|inspect|probe|research|analy[sz]er|classif|optimi[sz]|metadata|synthetics?|scor(?:er|ing)|matcher)",
    R"(preview|favicon|snippet|screenshot|thumbnail|headless|phantomjs|selenium|puppeteer|playwright|webdriver)",
    R"(lighthouse|pagespeed|speed.?test|security|compliance|certificat|\bdcv\b|ssldetect|url ?lookup)",
    R"(feed|\brss|subscribers|newspaper|newsgather|web ?cop(?:y|ier)|sucker|web ?hook|catalog|connector)",
    R"(zabbix|nikto|nmap|zgrab|masscan|acunetix|datadog|cloudfront|cloudflare|^google|mediapartners|[a-z]-ai\b)",
    R"([a-z][ -]?agent\b|\bagent[/ )]|service|platform\b)",
    // What they are made with.
    R"(^(?:curl|wget|java|php|ruby|perl|node|axios|got|go)\b|libcurl|libwww|lwp[:-]|python|aiohttp|httpx|urllib|http[_-]|\bhttp/)",
    R"(http ?client|webclient|httpunit|jersey|jetty|guzzle|faraday|httrack|postman|winhttp|xmlhttp|java/)",
    // Where to complain.
    R"(https?:|www\.|@[a-z-]*[a-z][a-z0-9-]*\.|mailto|\+[a-z0-9-]+\.[a-z]{2}|[a-z0-9-]{3,}\.(?:com|net|org|io|ai|co|de|fr|ru|info|nu|eu|app|cloud)\b)",
    // `compatible` with nothing, or with something that is no browser: MSIE and Konqueror were.
    R"(\(compatible\)|compatible; *(?:[a-jln-z]|k[^o]|m[^s]))",
};

constexpr std::string_view desktop_systems[] = {"Windows",    "Mac OS X", "Mac OS",  "Linux",   "Ubuntu", "Chrome OS",
                                                "Fedora",     "Debian",   "FreeBSD", "OpenBSD", "NetBSD", "Solaris",
                                                "Gentoo",     "Red Hat",  "Kubuntu", "SUSE",    "CentOS", "Slackware",
                                                "Arch Linux", "Mandriva", "Mint",    "Puppy",   "BSD"};
constexpr std::string_view phone_systems[] = {"iOS",
                                              "Windows Phone",
                                              "Windows Mobile",
                                              "BlackBerry OS",
                                              "Symbian OS",
                                              "Symbian^3",
                                              "Symbian^3 Anna",
                                              "Symbian^3 Belle",
                                              "Firefox OS",
                                              "KaiOS",
                                              "Bada",
                                              "Nokia Series 40",
                                              "Nokia Series 30 Plus",
                                              "Brew MP",
                                              "BREW",
                                              "MeeGo",
                                              "Maemo",
                                              "Sailfish",
                                              "Tizen"};
constexpr std::string_view tv_systems[] = {"tvOS", "ATV OS X", "Chromecast", "Roku", "GoogleTV", "WebTV", "FireHbbTV", "Web0S"};
// Words of agents (in lower case) whose sender is a television.
constexpr std::string_view tv_words[] = {"smart-tv",   "smarttv", "smart tv", "hbbtv", "appletv",  "apple tv", "googletv",
                                         "google tv",  "netcast", "bravia",   "crkey", "roku",     "inettv",   "webtv",
                                         "android tv", "; aft",   "viera",    "dtv",   "tv safari"};

bool in(std::string_view what, std::span<const std::string_view> list) {
  return std::find(list.begin(), list.end(), what) != list.end();
}

bool any_in(std::string_view text, std::span<const std::string_view> words) {
  return std::any_of(words.begin(), words.end(), [text](auto word) { return text.find(word) != text.npos; });
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// `agent` in lower case. The order is from what says it outright to what only suggests it; Android's agents have `Mobile` on
// telephones and not on tablets (developer.chrome.com, "User-Agent strings").
device_class device_of(std::string_view agent, const agent_families& f) {
  const auto says = [&](std::string_view word) { return agent.find(word) != agent.npos; };
  if (f.device == "Spider") return device_class::bot;
  if (any_in(agent, tv_words) || in(f.os, tv_systems)) return device_class::tv;
  if (f.os == "WatchOS" || says("playstation") || says("xbox") || says("nintendo")) return device_class::other;
  if (says("ipad") || says("tablet") || says("kindle") || says("playbook")) return device_class::tablet;
  if (f.device == "iPhone" || f.device == "iPod" || f.device == "Generic Smartphone" || f.device == "Generic Feature Phone")
    return device_class::phone;
  if (f.os == "Android") return says("mobile") || says("opera mini") ? device_class::phone : device_class::tablet;
  if (in(f.os, phone_systems)) return device_class::phone;
  if (in(f.os, desktop_systems)) return device_class::desktop;
  return f.device == other ? device_class::unknown : device_class::other;
}

// A browser says in parentheses what it runs on; what says neither that nor anything that uap-core knows is a program, such as
// `SomeLibrary/1.2`. A single word in lower case and a name of one or two letters are left: nobody is known by them.
bool names_no_platform(std::string_view agent, const agent_families& f) {
  if (f.os != other || f.device != other || agent.find('(') != agent.npos) return false;
  if (agent.starts_with("Mozilla/") || agent.starts_with("Opera/")) return false;
  const auto is_letter = [](char c) { return lower(c) >= 'a' && lower(c) <= 'z'; };
  const auto tells = [](char c) { return (c >= 'A' && c <= 'Z') || c == '/' || c == '.' || c == ' '; };
  return std::count_if(agent.begin(), agent.end(), is_letter) > 2 && std::any_of(agent.begin(), agent.end(), tells);
}

// The longest beginning of at most family_bytes_max bytes that is whole UTF-8 characters; what is not UTF-8 becomes '?'.
std::string bounded(std::string_view family) {
  std::string out;
  for (size_t i = 0; i < family.size();) {
    const auto lead = static_cast<uint8_t>(family[i]);
    const size_t length = lead < 0x80 ? 1 : lead >> 5 == 6 ? 2 : lead >> 4 == 14 ? 3 : lead >> 3 == 30 ? 4 : 0;
    bool whole = length > 0 && i + length <= family.size();
    for (size_t k = 1; whole && k < length; ++k) whole = (static_cast<uint8_t>(family[i + k]) & 0xc0) == 0x80;
    const size_t taken = whole ? length : 1;
    if (out.size() + taken > family_bytes_max) break;
    if (whole && lead >= 0x20)
      out.append(family, i, taken);
    else
      out += '?';
    i += taken;
  }
  return out;
}

std::string known(const std::string& family) { return family == other ? std::string{} : bounded(family); }

std::string trimmed(const std::string& text) {
  const size_t from = text.find_first_not_of(' ');
  return from == text.npos ? std::string{} : text.substr(from, text.find_last_not_of(' ') - from + 1);
}

bool names_group(const std::string& family, int& highest) {
  bool any = false;
  for (size_t i = 0; i + 1 < family.size(); ++i) {
    if (family[i] != '$' || family[i + 1] < '1' || family[i + 1] > '9') continue;
    highest = std::max(highest, family[i + 1] - '0');
    any = true;
  }
  return any;
}

} // namespace

std::string_view to_string(device_class device) noexcept {
  switch (device) {
  case device_class::unknown: return "unknown";
  case device_class::desktop: return "desktop";
  case device_class::phone: return "phone";
  case device_class::tablet: return "tablet";
  case device_class::tv: return "tv";
  case device_class::bot: return "bot";
  case device_class::other: return "other";
  }
  return {};
}

bool parse(std::string_view text, device_class& out) noexcept {
  for (const auto device : {device_class::desktop, device_class::phone, device_class::tablet, device_class::tv, device_class::bot,
                            device_class::other}) {
    if (to_string(device) != text) continue;
    out = device;
    return true;
  }
  return false;
}

struct agent_rules::impl {
  // One filter over all expressions: those that follow one another are a list.
  struct list {
    int begin = 0, end = 0;
  };
  struct naming {
    std::string family;
    int groups = 0; // the highest that the family needs
  };

  bool add(const std::string& regex, bool ignore_case, const std::string& family, std::string& error);
  bool add_all(const std::vector<agent_pattern>& patterns, list& where, std::string& error);
  void compile();
  std::vector<int> candidates(std::string_view agent) const;
  std::string first_of(const list& where, std::string_view agent, const std::vector<int>& from) const;
  bool any_of(const list& where, std::string_view agent, const std::vector<int>& from) const;
  std::string name(const naming& how, std::string_view agent, const re2::RE2& regex) const;

  re2::FilteredRE2 filter{atom_length_min};
  word_finder atoms; // an expression is tried only where the pieces stand that it cannot match without
  std::vector<naming> names;
  list browsers, systems, devices, bots;
};

bool agent_rules::impl::add(const std::string& regex, bool ignore_case, const std::string& family, std::string& error) {
  re2::RE2::Options options;
  options.set_encoding(re2::RE2::Options::EncodingLatin1); // agents are bytes; small automata
  options.set_case_sensitive(!ignore_case);
  options.set_max_mem(regex_bytes_max);
  options.set_log_errors(false);
  int id = 0;
  if (filter.Add(regex, options, &id) != re2::RE2::NoError) {
    error = "the expression " + regex + " cannot be used: " + re2::RE2(regex, options).error();
    return false;
  }
  naming how{family, 1};
  const int groups = filter.GetRE2(id).NumberOfCapturingGroups();
  if (!family.empty() && !names_group(family, how.groups)) how.groups = 0;
  // A group that is not there stays empty in a name; see name().
  how.groups = std::min({how.groups, groups, groups_max - 1});
  names.push_back(std::move(how));
  return true;
}

bool agent_rules::impl::add_all(const std::vector<agent_pattern>& patterns, list& where, std::string& error) {
  where.begin = filter.NumRegexps();
  for (const auto& p : patterns)
    if (!add(p.regex, p.ignore_case, p.family, error)) return false;
  where.end = filter.NumRegexps();
  return true;
}

void agent_rules::impl::compile() {
  std::vector<std::string> words;
  filter.Compile(&words);
  atoms = word_finder(words);
}

std::vector<int> agent_rules::impl::candidates(std::string_view agent) const {
  std::vector<int> found, out;
  atoms.find(agent, found);
  filter.AllPotentials(found, &out);
  std::sort(out.begin(), out.end());
  return out;
}

std::string agent_rules::impl::name(const naming& how, std::string_view agent, const re2::RE2& regex) const {
  std::array<re2::StringPiece, groups_max> group;
  const re2::StringPiece text(agent.data(), agent.size());
  if (!regex.Match(text, 0, text.size(), re2::RE2::UNANCHORED, group.data(), how.groups + 1)) return {};
  if (how.family.empty()) return trimmed(group[1].as_string());
  std::string out;
  for (size_t i = 0; i < how.family.size(); ++i) {
    const char c = how.family[i];
    const char digit = i + 1 < how.family.size() ? how.family[i + 1] : '\0';
    if (c != '$' || digit < '1' || digit > '9') {
      out += c;
      continue;
    }
    const auto& piece = group[static_cast<size_t>(digit - '0')];
    out.append(piece.data(), piece.size());
    ++i;
  }
  return trimmed(out);
}

std::string agent_rules::impl::first_of(const list& where, std::string_view agent, const std::vector<int>& from) const {
  const re2::StringPiece text(agent.data(), agent.size());
  for (auto it = std::lower_bound(from.begin(), from.end(), where.begin); it != from.end() && *it < where.end; ++it) {
    const auto& regex = filter.GetRE2(*it);
    if (!re2::RE2::PartialMatch(text, regex)) continue;
    auto family = name(names[static_cast<size_t>(*it)], agent, regex);
    return family.empty() ? std::string(other) : family;
  }
  return std::string(other);
}

bool agent_rules::impl::any_of(const list& where, std::string_view agent, const std::vector<int>& from) const {
  const re2::StringPiece text(agent.data(), agent.size());
  for (auto it = std::lower_bound(from.begin(), from.end(), where.begin); it != from.end() && *it < where.end; ++it)
    if (re2::RE2::PartialMatch(text, filter.GetRE2(*it))) return true;
  return false;
}

agent_rules::agent_rules(std::unique_ptr<impl> i) : impl_(std::move(i)) {}
agent_rules::~agent_rules() = default;

std::unique_ptr<const agent_rules> agent_rules::make(const agent_patterns& patterns, std::string& error) {
  auto i = std::make_unique<impl>();
  if (!i->add_all(patterns.browsers, i->browsers, error) || !i->add_all(patterns.systems, i->systems, error) ||
      !i->add_all(patterns.devices, i->devices, error))
    return nullptr;
  i->bots.begin = i->filter.NumRegexps();
  for (const auto regex : built_in_bots)
    if (!i->add(std::string(regex), true, "bot", error)) return nullptr;
  for (const auto& regex : patterns.bots)
    if (!i->add(regex, true, "bot", error)) return nullptr;
  i->bots.end = i->filter.NumRegexps();
  i->compile();
  return std::unique_ptr<const agent_rules>(new agent_rules(std::move(i)));
}

agent_families agent_rules::families(std::string_view agent) const {
  const auto from = impl_->candidates(agent);
  return {impl_->first_of(impl_->browsers, agent, from), impl_->first_of(impl_->systems, agent, from),
          impl_->first_of(impl_->devices, agent, from)};
}

agent_class agent_rules::classify(std::string_view agent) const {
  agent_class out;
  if (agent.empty()) return out;
  const auto from = impl_->candidates(agent);
  const agent_families f{impl_->first_of(impl_->browsers, agent, from), impl_->first_of(impl_->systems, agent, from),
                         impl_->first_of(impl_->devices, agent, from)};
  std::string lowered(agent);
  std::transform(lowered.begin(), lowered.end(), lowered.begin(), lower);
  out.bot = f.device == "Spider" || impl_->any_of(impl_->bots, agent, from) || names_no_platform(agent, f);
  out.device = out.bot ? device_class::bot : device_of(lowered, f);
  out.browser = known(f.browser);
  out.os = known(f.os);
  return out;
}

} // namespace adtrack
