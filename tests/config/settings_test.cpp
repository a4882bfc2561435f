#include "config/settings.hpp"

#include <boost/test/unit_test.hpp>

#include <fstream>
#include <set>
#include <sstream>

#include "config/settings_table.hpp"
#include "tests/config/temporary_file.hpp"

using namespace adtrack::config;

namespace {

start_request read(const std::vector<std::string>& flags, const std::vector<std::string>& environment = {}) {
  std::vector<const char*> argv = {"adtrackd"};
  for (const auto& f : flags) argv.push_back(f.c_str());
  std::vector<const char*> variables;
  for (const auto& e : environment) variables.push_back(e.c_str());
  variables.push_back(nullptr);
  return read_settings(static_cast<int>(argv.size()), argv.data(), variables.data());
}

void check_refused(const start_request& r, const std::string& sentence) {
  BOOST_TEST((r.action == start_action::refuse));
  BOOST_TEST(r.text == "adtrackd: " + sentence + "\n");
}

std::string source_file(const std::string& name) {
  std::ifstream in(std::string(ADTRACK_SOURCE_DIR) + "/" + name);
  BOOST_REQUIRE_MESSAGE(in, name);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

} // namespace

BOOST_AUTO_TEST_SUITE(settings_test)

BOOST_AUTO_TEST_CASE(nothing_given_is_the_defaults) {
  const auto r = read({});
  BOOST_TEST((r.action == start_action::run));
  BOOST_TEST(r.changed.empty());
  BOOST_TEST(r.values.http.host == "0.0.0.0");
  BOOST_TEST(r.values.http.port == 8080);
  BOOST_TEST(r.values.log.shards == 16u);
  BOOST_TEST(r.values.data.dir == "./data");
  BOOST_TEST(r.values.admin.key_file == "");
  BOOST_TEST((r.values.privacy.ip == ip_privacy::mask));
  BOOST_TEST((r.values.log.outage == outage_choice::spool));
  BOOST_TEST(r.values.log.outage_after_ms == 2'000u);
  BOOST_TEST(r.values.spool.max_mb == 1'024u);
}

// A value that `row` allows and that is not its default; "" when there is none.
std::string other_value(const setting_row& row) {
  if (row.name == "buckets.second_days") return "3";
  if (row.name == "kafka.min_insync_replicas") return "3";
  if (row.name == "log.backend") return ""; // the other one needs a second setting: it has a case of its own
  if (row.name == "analytics.default_limit") return "7";
  if (row.name == "ingest.max_batch_bytes") return "4096";
  if (row.name == "admin.port") return "";                            // needs admin.host: it has a case of its own
  if (row.name.substr(0, 4) == "tls." && !row.is_number()) return ""; // need each other: they have one too
  std::string value = "other";
  if (row.is_number()) value = std::to_string(row.value() == std::to_string(row.max) ? row.min : row.max);
  if (const auto* choices = std::get_if<choice_target>(&row.target)) value = choices->names.back();
  return value == row.value() ? "" : value;
}

BOOST_AUTO_TEST_CASE(every_setting_can_be_set_by_flag_by_variable_and_by_file) {
  settings defaults;
  for (const setting_row& row : settings_table(defaults)) {
    const std::string value = other_value(row);
    if (value.empty()) continue;
    const std::string name(row.name);
    const size_t dot = name.find('.');
    const std::string quoted = row.is_number() ? value : '"' + value + '"';
    const temporary_file file("[" + name.substr(0, dot) + "]\n" + name.substr(dot + 1) + " = " + quoted + "\n");
    for (const auto& r : {read({"--" + name, value}), read({"--" + name + "=" + value}), read({}, {row.variable() + "=" + value}),
                          read({"--config", file.path()}), read({}, {"ADTRACK_CONFIG=" + file.path()})}) {
      BOOST_REQUIRE_MESSAGE(r.action == start_action::run, r.text);
      BOOST_REQUIRE_EQUAL(r.changed.size(), 1u);
      BOOST_TEST(r.changed[0].name == name);
      BOOST_TEST(r.changed[0].value == value);
    }
  }
}

BOOST_AUTO_TEST_CASE(a_port_for_admin_calls_needs_its_address) {
  check_refused(read({"--admin.port", "9000"}), "admin.port is 9000, but there is no admin listener: set admin.host");
  BOOST_TEST(read({"--admin.port", "9000", "--admin.host", "127.0.0.1"}).values.admin.port == 9'000);
  BOOST_TEST(read({"--admin.port", "0", "--admin.host", "::1"}).values.admin.port == 0);
}

BOOST_AUTO_TEST_CASE(another_nodes_log_needs_that_node) {
  check_refused(read({"--log.backend", "remote"}), "log.backend is remote: remote.url must name a node");
  BOOST_TEST((read({"--log.backend", "remote", "--remote.url", "http://a:1"}).action == start_action::run));
}

BOOST_AUTO_TEST_CASE(tls_files_need_each_other) {
  const std::string both = "tls.certificate_file and tls.key_file: either both are set or none";
  check_refused(read({"--tls.certificate_file", "c"}), both);
  check_refused(read({"--tls.key_file", "k"}), both);
  check_refused(read({"--tls.client_ca_file", "ca"}), "tls.client_ca_file is set, but there is no TLS: set tls.certificate_file");
  check_refused(read({"--tls.client_ca_file", "ca", "--tls.certificate_file", "c", "--tls.key_file", "k"}),
                "tls.client_ca_file is set, but there is no admin listener: set admin.host");
  const auto r =
      read({"--tls.client_ca_file", "ca", "--tls.certificate_file", "c", "--tls.key_file", "k", "--admin.host", "::1"});
  BOOST_REQUIRE_MESSAGE(r.action == start_action::run, r.text);
  BOOST_TEST(r.values.tls.client_ca_file == "ca");
}

BOOST_AUTO_TEST_CASE(flags_win_over_variables_and_variables_over_the_file) {
  const temporary_file file("[http]\nport = 1\nloops = 3\nbacklog = 7\n");
  const auto r =
      read({"--config", file.path(), "--http.port", "3"}, {"ADTRACK_HTTP_PORT=2", "ADTRACK_HTTP_LOOPS=4", "PATH=/bin"});
  BOOST_REQUIRE_MESSAGE(r.action == start_action::run, r.text);
  BOOST_TEST(r.values.http.port == 3);
  BOOST_TEST(r.values.http.loops == 4u);
  BOOST_TEST(r.values.http.backlog == 7u);
  BOOST_REQUIRE_EQUAL(r.changed.size(), 3u);
  BOOST_TEST(r.changed[0].origin == "flag --http.port");
  BOOST_TEST(r.changed[1].origin == "variable ADTRACK_HTTP_LOOPS");
  BOOST_TEST(r.changed[2].origin == "file " + file.path() + ", line 4");
}

BOOST_AUTO_TEST_CASE(an_unknown_name_is_refused_wherever_it_stands) {
  check_refused(read({"--http.prot", "80"}), "unknown flag --http.prot: did you mean --http.port?");
  check_refused(read({"--http.prot=80"}), "unknown flag --http.prot: did you mean --http.port?");
  check_refused(read({"--cluster.address", "x"}), "unknown flag --cluster.address: adtrackd --help lists what may be set");
  check_refused(read({"serve"}), "unknown argument serve: adtrackd takes flags only, --help lists them");
  check_refused(read({}, {"ADTRACK_HTTP_PROT=80"}), "unknown variable ADTRACK_HTTP_PROT: did you mean ADTRACK_HTTP_PORT?");
  const temporary_file file("# a comment\n[http]\nprot = 80\n");
  check_refused(read({"--config", file.path()}),
                "unknown setting http.prot (file " + file.path() + ", line 3): did you mean http.port?");
}

BOOST_AUTO_TEST_CASE(a_bad_number_is_refused_with_key_value_origin_and_range) {
  for (const std::string bad : {"70000", "-1", "+80", "80x", "", " 80", "1e3", "0x50", "80.0", "99999999999999999999999"})
    check_refused(read({"--http.port=" + bad}),
                  "http.port is \"" + bad + "\" (flag --http.port): must be an integer from 0 to 65535");
  check_refused(read({}, {"ADTRACK_HTTP_LOOPS=0"}),
                "http.loops is \"0\" (variable ADTRACK_HTTP_LOOPS): must be an integer from 1 to 64");
  const temporary_file file("[log]\nshards = 5000");
  check_refused(read({"--config", file.path()}),
                "log.shards is \"5000\" (file " + file.path() + ", line 2): must be an integer from 1 to 4096");
}

BOOST_AUTO_TEST_CASE(a_bad_choice_is_refused_with_the_choices) {
  check_refused(read({"--privacy.ip", "hash"}), "privacy.ip is \"hash\" (flag --privacy.ip): must be one of mask, drop");
  check_refused(read({"--log.outage", "queue"}), "log.outage is \"queue\" (flag --log.outage): must be one of spool, reject");
  check_refused(read({"--log.backend", "files"}),
                "log.backend is \"files\" (flag --log.backend): must be one of embedded, kafka, remote");
}

BOOST_AUTO_TEST_CASE(kafka_needs_brokers_and_settings_that_go_together) {
  check_refused(read({}, {"ADTRACK_LOG_BACKEND=kafka"}), "log.backend is kafka: kafka.brokers must name at least one");
  const std::vector<std::string> kafka = {"--log.backend", "kafka", "--kafka.brokers", "localhost:9092"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), kafka.begin(), kafka.end());
    return read(more);
  };
  BOOST_TEST((with({}).action == start_action::run));
  BOOST_TEST((with({}).values.log.backend == log_backend::kafka));
  const temporary_file file("[log]\nbackend = \"kafka\"\n[kafka]\nbrokers = \"localhost:9092\"\n");
  BOOST_TEST((read({"--config", file.path()}).values.log.backend == log_backend::kafka));
  BOOST_TEST(
      (read({}, {"ADTRACK_LOG_BACKEND=kafka", "ADTRACK_KAFKA_BROKERS=localhost:9092"}).values.log.backend == log_backend::kafka));
  check_refused(with({"--kafka.message_timeout_ms", "5000"}),
                "kafka.message_timeout_ms is 5000: must be less than ingest.timeout_ms, which is 5000");
  check_refused(with({"--dedupe.window_days", "1"}), "dedupe.window_days is 1: must be at least 2 while log.outage is spool");
  BOOST_TEST((with({"--dedupe.window_days", "1", "--log.outage", "reject"}).action == start_action::run));
}

BOOST_AUTO_TEST_CASE(the_file_s_types_are_strict) {
  const temporary_file quoted("http.port = \"80\"\n");
  check_refused(read({"--config", quoted.path()}),
                "http.port is 80 (file " + quoted.path() + ", line 1): must be an integer from 0 to 65535, without quotes");
  const temporary_file number("[data]\ndir = 5\n");
  check_refused(read({"--config", number.path()}),
                "data.dir is 5 (file " + number.path() + ", line 2): must be text, not empty, in quotes");
}

BOOST_AUTO_TEST_CASE(a_flag_given_twice_is_refused) {
  check_refused(read({"--http.port", "1", "--http.port", "2"}),
                "http.port is given twice (flag --http.port): it takes one value");
}

BOOST_AUTO_TEST_CASE(a_flag_without_a_value_is_refused_by_name) {
  check_refused(read({"--http.port"}), "--http.port needs a value: adtrackd --help says which");
  check_refused(read({"--http.loops", "3", "--config"}), "--config needs a value: adtrackd --help says which");
}

BOOST_AUTO_TEST_CASE(a_value_may_begin_with_a_dash_and_hold_blanks) {
  BOOST_TEST(read({"--data.dir", "/tmp/a b"}).values.data.dir == "/tmp/a b");
  BOOST_TEST(read({"--data.dir=-x"}).values.data.dir == "-x");
  BOOST_TEST(read({"--node.id=a=b="}).values.node.id == "a=b=");
}

BOOST_AUTO_TEST_CASE(a_flag_can_empty_what_a_variable_set) {
  BOOST_TEST(read({"--read.key_file="}, {"ADTRACK_READ_KEY_FILE=x"}).values.read.key_file == "");
  BOOST_TEST(read({"--read.key_file", ""}, {"ADTRACK_READ_KEY_FILE=x"}).values.read.key_file == "");
}

BOOST_AUTO_TEST_CASE(text_with_control_characters_or_an_empty_directory_is_refused) {
  check_refused(read({"--data.dir="}), "data.dir is \"\" (flag --data.dir): must not be empty");
  BOOST_TEST((read({"--node.id", "a\nb"}).action == start_action::refuse));
}

BOOST_AUTO_TEST_CASE(a_missing_or_broken_file_is_refused_with_its_name) {
  check_refused(read({"--config", "/nowhere/x.toml"}),
                "cannot read the settings file /nowhere/x.toml: No such file or directory");
  check_refused(read({"--config", "/"}), "cannot read the settings file /: Is a directory");
  const temporary_file broken("[http\n");
  check_refused(read({"--config", broken.path()}), "settings file " + broken.path() + ", line 1: expected [section]");
}

BOOST_AUTO_TEST_CASE(an_empty_file_changes_nothing) {
  const temporary_file empty("");
  BOOST_TEST((read({"--config", empty.path()}).action == start_action::run));
}

BOOST_AUTO_TEST_CASE(seconds_may_not_be_kept_longer_than_minutes) {
  check_refused(read({"--buckets.second_days", "91"}),
                "buckets.second_days is 91: must not be more than buckets.minute_days, which is 90");
}

BOOST_AUTO_TEST_CASE(the_default_limit_may_not_be_over_the_highest) {
  check_refused(read({"--ingest.max_batch_bytes", "16777217"}),
                "ingest.max_batch_bytes is 16777217: must not be more than half of http.max_buffered_bytes, which is 33554432");
  check_refused(read({"--analytics.max_limit", "50"}),
                "analytics.default_limit is 100: must not be more than analytics.max_limit, which is 50");
  check_refused(read({"--analytics.max_rows", "999"}),
                "analytics.max_limit is 1000: must not be more than analytics.max_rows, which is 999");
}

BOOST_AUTO_TEST_CASE(more_replicas_than_there_are_cannot_be_in_sync) {
  check_refused(read({"--kafka.min_insync_replicas", "4"}),
                "kafka.min_insync_replicas is 4: must not be more than kafka.replication_factor, which is 3");
}

BOOST_AUTO_TEST_CASE(a_log_that_forgets_is_refused_for_now) {
  check_refused(read({"--log.retention_days", "30"}), "log.retention_days is \"30\" (flag --log.retention_days): must be 0");
}

BOOST_AUTO_TEST_CASE(a_list_is_split_at_its_commas) {
  const std::vector<std::string> wanted = {"10.0.0.0/8", "::1"};
  BOOST_TEST(list_of(" 10.0.0.0/8 ,, ::1 ,") == wanted, boost::test_tools::per_element());
  BOOST_TEST(list_of("").empty());
}

BOOST_AUTO_TEST_CASE(names_and_variables_are_unique_and_defaults_are_in_range) {
  settings defaults;
  std::set<std::string> seen;
  for (const setting_row& row : settings_table(defaults)) {
    BOOST_TEST(seen.insert(row.variable()).second);
    BOOST_TEST(row.assign(row.value()) == "", row.name);
    BOOST_TEST(row.value().empty() == !row.when_empty.empty(), row.name);
  }
}

BOOST_AUTO_TEST_CASE(the_bounds_of_every_number_hold) {
  settings s;
  for (const setting_row& row : settings_table(s)) {
    if (!row.is_number()) continue;
    for (const uint64_t good : {row.min, row.max}) {
      BOOST_TEST(row.assign(std::to_string(good)) == "", row.name);
      BOOST_TEST(row.value() == std::to_string(good)); // the member is wide enough
    }
    BOOST_TEST(row.assign(std::to_string(row.max + 1)) != "", row.name);
    if (row.min > 0) BOOST_TEST(row.assign(std::to_string(row.min - 1)) != "", row.name);
  }
}

BOOST_AUTO_TEST_CASE(help_names_every_setting_and_wins_over_errors) {
  const auto r = read({"--help", "--nonsense"});
  BOOST_TEST((r.action == start_action::print));
  settings defaults;
  for (const setting_row& row : settings_table(defaults))
    BOOST_TEST(r.text.find("--" + std::string(row.name) + " ") != std::string::npos, row.name);
}

BOOST_AUTO_TEST_CASE(digests_are_asked_for_with_the_settings_of_the_server) {
  const auto asked = read({"--digests", "--log.shards", "4"});
  BOOST_TEST((asked.action == start_action::digests));
  BOOST_TEST(asked.values.log.shards == 4u);
  BOOST_TEST((read({"--digests", "--log.shards", "x"}).action == start_action::refuse));
}

BOOST_AUTO_TEST_CASE(a_health_check_reads_the_settings_of_the_server_and_needs_its_port) {
  const auto r = read({"--check-health", "--http.port", "81"});
  BOOST_TEST((r.action == start_action::check_health));
  BOOST_TEST(r.values.http.port == 81);
  BOOST_TEST((read({"--check-health", "--http.port", "0"}).action == start_action::refuse));
  BOOST_TEST((read({"--check-health", "--http.prot", "81"}).action == start_action::refuse));
}

BOOST_AUTO_TEST_CASE(version_is_printed) { BOOST_TEST(read({"--version"}).text == "adtrackd " ADTRACK_VERSION "\n"); }

BOOST_AUTO_TEST_CASE(the_readme_holds_exactly_the_generated_table) {
  const std::string table = read({"--settings-markdown"}).text;
  BOOST_TEST(source_file("README.md").find("\n\n" + table + "\n") != std::string::npos,
             "README.md does not hold the table that adtrackd --settings-markdown prints");
}

BOOST_AUTO_TEST_CASE(the_shipped_file_is_the_generated_one_and_changes_nothing) {
  BOOST_TEST(source_file("config/adtrackd.toml") == read({"--settings-toml"}).text);
  const auto r = read({"--config", std::string(ADTRACK_SOURCE_DIR) + "/config/adtrackd.toml"});
  BOOST_REQUIRE_MESSAGE(r.action == start_action::run, r.text);
  BOOST_TEST(r.changed.empty());
}

BOOST_AUTO_TEST_CASE(the_shipped_file_loads_with_every_line_commented_in) {
  std::istringstream lines(source_file("config/adtrackd.toml"));
  std::string text;
  size_t settings_seen = 0;
  for (std::string line; std::getline(lines, line);) {
    const bool setting = line.size() > 1 && line[0] == '#' && line[1] != ' ';
    settings_seen += setting ? 1 : 0;
    text += (setting ? line.substr(1) : line) + "\n";
  }
  const temporary_file file(text);
  const auto r = read({"--config", file.path()});
  BOOST_REQUIRE_MESSAGE(r.action == start_action::run, r.text);
  BOOST_TEST(r.changed.empty());
  settings defaults;
  BOOST_TEST(settings_seen == settings_table(defaults).size());
}

BOOST_AUTO_TEST_SUITE_END()
