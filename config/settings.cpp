#include "config/settings.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <map>
#include <numeric>
#include <sstream>

#include "config/settings_table.hpp"
#include "config/toml.hpp"

namespace adtrack::config {

namespace {

constexpr std::string_view config_variable = "ADTRACK_CONFIG";
constexpr std::string_view variable_prefix = "ADTRACK_";

// Edits that make one text the other.
size_t distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t substituted = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({row[j] + 1, row[j + 1] + 1, substituted});
    }
  }
  return row[b.size()];
}

// Fills one settings value from its three sources and remembers who set what.
class reader {
public:
  explicit reader(settings& values) : rows_(settings_table(values)), origins_(rows_.size()) {}

  const std::vector<setting_row>& rows() const noexcept { return rows_; }

  // Each returns "" or the sentence that stops the start.
  std::string read_file(const std::string& path);
  std::string read_variables(const char* const* environment);
  std::string read_flags(const CLI::App& app);

  std::vector<changed_setting> changed() const;

private:
  std::string assign(size_t row, std::string_view value, const std::string& origin);
  std::string unknown(std::string_view what, std::string_view name, const std::string& origin,
                      std::string (*spell)(const setting_row&)) const;

  std::vector<setting_row> rows_;
  std::vector<std::string> origins_; // "" = default
};

std::string name_of(const setting_row& row) { return std::string(row.name); }
std::string flag_of(const setting_row& row) { return "--" + std::string(row.name); }
std::string variable_of(const setting_row& row) { return row.variable(); }

std::string reader::assign(size_t row, std::string_view value, const std::string& origin) {
  const std::string wrong = rows_[row].assign(value);
  if (!wrong.empty()) return std::string(rows_[row].name) + " is \"" + std::string(value) + "\" (" + origin + "): " + wrong;
  origins_[row] = origin;
  return {};
}

std::string reader::unknown(std::string_view what, std::string_view name, const std::string& origin,
                            std::string (*spell)(const setting_row&)) const {
  std::string out = "unknown " + std::string(what) + " " + std::string(name) + origin + ": ";
  const auto nearest = std::min_element(rows_.begin(), rows_.end(), [&](const auto& a, const auto& b) {
    return distance(spell(a), name) < distance(spell(b), name);
  });
  if (distance(spell(*nearest), name) <= 3) return out + "did you mean " + spell(*nearest) + "?";
  return out + "adtrackd --help lists what may be set";
}

std::string reader::read_file(const std::string& path) {
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  // An empty file is a good one, but copying nothing would count as a failure of the stream.
  const bool empty = in && in.peek() == std::ifstream::traits_type::eof() && !in.bad();
  if (!empty && !(in && (text << in.rdbuf()))) return "cannot read the settings file " + path + ": " + std::strerror(errno);
  const toml_file file = parse_toml(text.str());
  if (!file.error.empty()) return "settings file " + path + ", " + file.error;
  for (const toml_item& item : file.items) {
    const std::string origin = "file " + path + ", line " + std::to_string(item.line);
    const auto it = std::find_if(rows_.begin(), rows_.end(), [&](const setting_row& r) { return r.name == item.name; });
    if (it == rows_.end()) return unknown("setting", item.name, " (" + origin + ")", name_of);
    const toml_kind wanted = it->is_number() ? toml_kind::integer : toml_kind::text;
    if (item.kind != wanted)
      return item.name + " is " + item.value + " (" + origin + "): must be " +
             (it->is_number() ? (it->min == it->max ? "" : "an ") + it->allowed() + ", without quotes"
                              : it->allowed() + ", in quotes");
    std::string wrong = assign(static_cast<size_t>(it - rows_.begin()), item.value, origin);
    if (!wrong.empty()) return wrong;
  }
  return {};
}

std::string reader::read_variables(const char* const* environment) {
  for (; *environment != nullptr; ++environment) {
    const std::string_view entry = *environment;
    if (entry.substr(0, variable_prefix.size()) != variable_prefix) continue;
    const size_t equals = entry.find('=');
    const std::string_view name = entry.substr(0, equals);
    if (name == config_variable) continue;
    const auto it = std::find_if(rows_.begin(), rows_.end(), [&](const setting_row& r) { return r.variable() == name; });
    if (it == rows_.end()) return unknown("variable", name, "", variable_of);
    const std::string_view value = equals == std::string_view::npos ? std::string_view() : entry.substr(equals + 1);
    std::string wrong = assign(static_cast<size_t>(it - rows_.begin()), value, "variable " + std::string(name));
    if (!wrong.empty()) return wrong;
  }
  return {};
}

std::string reader::read_flags(const CLI::App& app) {
  const std::vector<std::string> extra = app.remaining();
  if (!extra.empty()) {
    const std::string name = extra.front().substr(0, extra.front().find('='));
    if (name.substr(0, 2) == "--" && name.size() > 2) return unknown("flag", name, "", flag_of);
    return "unknown argument " + name + ": adtrackd takes flags only, --help lists them";
  }
  for (size_t i = 0; i < rows_.size(); ++i) {
    const std::string flag = flag_of(rows_[i]);
    const std::vector<std::string>& given = app.get_option(flag)->results();
    if (given.size() > 1) return std::string(rows_[i].name) + " is given twice (flag " + flag + "): it takes one value";
    if (given.empty()) continue;
    std::string wrong = assign(i, given.front(), "flag " + flag);
    if (!wrong.empty()) return wrong;
  }
  return {};
}

std::vector<changed_setting> reader::changed() const {
  settings defaults;
  const std::vector<setting_row> untouched = settings_table(defaults);
  std::vector<changed_setting> out;
  for (size_t i = 0; i < rows_.size(); ++i)
    if (rows_[i].value() != untouched[i].value()) out.push_back({std::string(rows_[i].name), rows_[i].value(), origins_[i]});
  return out;
}

std::string config_path(const CLI::App& app, const char* const* environment) {
  const auto& given = app.get_option("--config")->results();
  if (!given.empty()) return given.back();
  for (; *environment != nullptr; ++environment) {
    const std::string_view entry = *environment;
    if (entry.substr(0, config_variable.size()) == config_variable && entry.substr(config_variable.size(), 1) == "=")
      return std::string(entry.substr(config_variable.size() + 1));
  }
  return {};
}

// The arguments as CLI11 takes them: last first, and `--name=` in two parts, as it takes that for a missing value.
std::vector<std::string> arguments(int argc, const char* const* argv) {
  std::vector<std::string> out;
  for (int i = 1; i < argc; ++i) {
    const std::string_view arg = argv[i];
    const bool emptied = arg.size() > 3 && arg.substr(0, 2) == "--" && arg.find('=') == arg.size() - 1;
    out.emplace_back(emptied ? arg.substr(0, arg.size() - 1) : arg);
    if (emptied) out.emplace_back();
  }
  std::reverse(out.begin(), out.end());
  return out;
}

start_request refuse(const std::string& sentence) {
  start_request out;
  out.action = start_action::refuse;
  out.text = "adtrackd: " + sentence + "\n";
  return out;
}

start_request print(std::string text) {
  start_request out;
  out.action = start_action::print;
  out.text = std::move(text);
  return out;
}

} // namespace

start_request read_settings(int argc, const char* const* argv, const char* const* environment) {
  start_request out;
  reader values(out.values);

  // CLI11 splits the flags. It ranks a file above variables, so those two are read here, and every value takes the one way in.
  CLI::App app;
  app.allow_extras();
  app.set_help_flag("");
  CLI::Option* help = app.add_flag("--help,-h");
  CLI::Option* version = app.add_flag("--version");
  CLI::Option* digests = app.add_flag("--digests");
  CLI::Option* markdown = app.add_flag("--settings-markdown");
  CLI::Option* toml = app.add_flag("--settings-toml");
  CLI::Option* check = app.add_flag("--check-health");
  app.add_option("--config")->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  for (const setting_row& row : values.rows()) app.add_option(flag_of(row))->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  try {
    app.parse(arguments(argc, argv));
  } catch (const CLI::ArgumentMismatch& e) {
    const std::string what = e.what(); // "--http.port: 1 required TEXT missing"
    return refuse(what.substr(0, what.find(':')) + " needs a value: adtrackd --help says which");
  } catch (const CLI::ParseError& e) {
    return refuse(e.what());
  }
  if (help->count() > 0) return print(settings_help());
  if (version->count() > 0) return print("adtrackd " ADTRACK_VERSION "\n");
  if (markdown->count() > 0) return print(settings_markdown());
  if (toml->count() > 0) return print(settings_toml());

  std::string wrong;
  const std::string path = config_path(app, environment);
  if (!path.empty()) wrong = values.read_file(path);
  if (wrong.empty()) wrong = values.read_variables(environment);
  if (wrong.empty()) wrong = values.read_flags(app);
  if (wrong.empty()) wrong = check_together(out.values);
  if (!wrong.empty()) return refuse(wrong);
  if (check->count() > 0) {
    if (out.values.http.port == 0) return refuse("--check-health needs the port: http.port is 0, any free one");
    out.action = start_action::check_health;
  }
  out.changed = values.changed();
  if (digests->count() > 0) out.action = start_action::digests;
  return out;
}

} // namespace adtrack::config
