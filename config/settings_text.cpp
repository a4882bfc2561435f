// What the table of settings says to people: --help, the README's table, the shipped file.
#include "config/settings_table.hpp"

namespace adtrack::config {

namespace {

std::string section_of(std::string_view name) { return std::string(name.substr(0, name.find('.'))); }

// The default as people read it.
std::string shown_default(const setting_row& row) {
  const std::string value = row.value();
  return value.empty() ? std::string(row.when_empty) : value;
}

std::string quoted(const setting_row& row) { return row.is_number() ? row.value() : '"' + row.value() + '"'; }

} // namespace

std::string settings_help() {
  settings defaults;
  std::string out = "adtrackd " ADTRACK_VERSION
                    ": receives ad events over HTTP, keeps them in a durable log, counts each once and answers analytics.\n\n"
                    "adtrackd [--config FILE] [--NAME VALUE ...]\n\n"
                    "  --config FILE        read settings from a TOML file (or ADTRACK_CONFIG)\n"
                    "  --help, --version\n"
                    "  --digests            say how far the shards in data.dir are and their digests, and end\n"
                    "  --check-health       ask the server of these settings for /healthz; exit code 0 when it is alive\n"
                    "  --settings-markdown  print the settings as a table\n"
                    "  --settings-toml      print a settings file with every default\n\n"
                    "A setting http.port is the flag --http.port 8080, the variable ADTRACK_HTTP_PORT=8080, or in the file\n"
                    "[http] port = 8080. Flags win over variables, variables over the file.\n";
  std::string section;
  for (const setting_row& row : settings_table(defaults)) {
    if (section_of(row.name) != section) {
      section = section_of(row.name);
      out += '\n';
    }
    std::string name = "  --" + std::string(row.name) + " ";
    name.resize(std::max<size_t>(name.size(), 33), ' ');
    out +=
        name + std::string(row.meaning) + "\n" + std::string(33, ' ') + row.allowed() + "; default " + shown_default(row) + "\n";
  }
  return out;
}

std::string settings_markdown() {
  settings defaults;
  std::string out = "| setting | default | allowed | meaning |\n|---|---|---|---|\n";
  for (const setting_row& row : settings_table(defaults)) {
    const std::string value = row.value();
    out += "| `" + std::string(row.name) + "` | " + (value.empty() ? std::string(row.when_empty) : "`" + value + "`") + " | " +
           row.allowed() + " | " + std::string(row.meaning) + " |\n";
  }
  return out;
}

std::string settings_toml() {
  settings defaults;
  std::string out =
      "# Settings of adtrackd with their defaults; what is commented out is the default. adtrackd --config FILE reads it.\n"
      "# ADTRACK_* variables win over this file, flags over both. Made by adtrackd --settings-toml.\n";
  std::string section;
  for (const setting_row& row : settings_table(defaults)) {
    if (section_of(row.name) != section) {
      section = section_of(row.name);
      out += "\n[" + section + "]\n";
    }
    out += "# " + std::string(row.meaning) + " (" + row.allowed() +
           (row.value().empty() ? "; default " + std::string(row.when_empty) : "") + ")\n";
    out += "#" + std::string(row.name.substr(section.size() + 1)) + " = " + quoted(row) + "\n";
  }
  return out;
}

} // namespace adtrack::config
