#include <boost/test/unit_test.hpp>

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <cmath>
#include <limits>
#include <set>
#include <sstream>
#include <thread>
#include <vector>

#include "config/metrics_text.hpp"
#include "config/process_metrics.hpp"
#include "config/telemetry.hpp"

using namespace adtrack::config;

namespace {

bool has_line(const std::string& text, const std::string& line) {
  return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

double value_of(const std::string& text, const std::string& name) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);)
    if (line.rfind(name + " ", 0) == 0) return std::stod(line.substr(name.size() + 1));
  return std::nan("");
}

} // namespace

BOOST_AUTO_TEST_SUITE(metrics_test)

BOOST_AUTO_TEST_CASE(every_metric_of_the_contract_is_rendered_under_its_name) {
  metrics m;
  m.http_duration("/api/v1/ads", "GET", "2xx").Observe(0.003);
  m.http_requests("/api/v1/ads", "GET", "200").Increment();
  m.http_connections().Set(3);
  m.events("click", "accepted").Increment(5);
  m.events_rejected("validation").Increment();
  m.log_append().Observe(0.002);
  m.log_batch().Observe(17);
  m.shard_lag_records(7).Set(12);
  m.shard_lag_seconds(7).Set(1.5);
  m.shard_apply().Observe(0.0002);
  m.query().Observe(0.0007);
  m.log_faults(7, "fork").Set(1);
  m.quarantined("json").Increment();
  m.in_flight().Set(9);
  const std::string text = m.render();
  for (const char* line : {
           R"(http_request_duration_seconds_bucket{method="GET",route="/api/v1/ads",status="2xx",le="0.0025"} 0)",
           R"(http_request_duration_seconds_bucket{method="GET",route="/api/v1/ads",status="2xx",le="0.005"} 1)",
           R"(http_request_duration_seconds_bucket{method="GET",route="/api/v1/ads",status="2xx",le="+Inf"} 1)",
           R"(http_request_duration_seconds_sum{method="GET",route="/api/v1/ads",status="2xx"} 0.003)",
           R"(http_request_duration_seconds_count{method="GET",route="/api/v1/ads",status="2xx"} 1)",
           R"(http_requests_total{method="GET",route="/api/v1/ads",status="200"} 1)",
           "http_connections 3",
           R"(adtrack_events_total{fate="accepted",type="click"} 5)",
           R"(adtrack_events_rejected_total{reason="validation"} 1)",
           "adtrack_log_append_seconds_count 1",
           R"(adtrack_log_batch_records_bucket{le="20"} 1)",
           "adtrack_spool_records 0",
           R"(adtrack_shard_lag_records{shard="7"} 12)",
           R"(adtrack_shard_lag_seconds{shard="7"} 1.5)",
           "adtrack_shard_apply_seconds_count 1",
           "adtrack_query_seconds_count 1",
           R"(adtrack_log_faults{kind="fork",shard="7"} 1)",
           R"(adtrack_quarantined_total{reason="json"} 1)",
           "adtrack_events_in_flight 9",
           "adtrack_build_info{version=\"" ADTRACK_VERSION "\"} 1",
           "# TYPE http_request_duration_seconds histogram",
           "# TYPE adtrack_events_total counter",
           "# TYPE adtrack_spool_records gauge",
       })
    BOOST_TEST(has_line(text, line), line);
}

BOOST_AUTO_TEST_CASE(every_family_has_one_help_and_one_type_before_its_samples) {
  metrics m;
  m.events("click", "accepted").Increment();
  m.events("impression", "accepted").Increment();
  std::istringstream lines(m.render());
  std::set<std::string> families;
  std::string current;
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind("# HELP ", 0) == 0) {
      current = line.substr(7, line.find(' ', 7) - 7);
      BOOST_TEST(families.insert(current).second, current);
      BOOST_TEST(line.size() > 8 + current.size()); // says something
    } else if (line.rfind("# TYPE ", 0) == 0) {
      BOOST_TEST(line.rfind("# TYPE " + current + " ", 0) == 0u, line);
    } else {
      BOOST_TEST(line.rfind(current, 0) == 0u, line);
    }
  }
  BOOST_TEST(families.size() > 10u);
}

BOOST_AUTO_TEST_CASE(a_handle_is_the_same_each_time_and_from_each_thread) {
  metrics m;
  auto* const first = &m.events("click", "accepted");
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&m] {
      for (int i = 0; i < 1'000; ++i) {
        m.events("click", "accepted").Increment();
        m.http_requests("/r" + std::to_string(i % 10), "GET", "200").Increment();
      }
    });
  for (auto& t : threads) t.join();
  BOOST_TEST(&m.events("click", "accepted") == first);
  BOOST_TEST(first->Value() == 4'000);
  for (int i = 0; i < 10; ++i) BOOST_TEST(m.http_requests("/r" + std::to_string(i), "GET", "200").Value() == 400);
}

BOOST_AUTO_TEST_CASE(rendering_goes_on_beside_counting) {
  metrics m;
  std::thread counting([&m] {
    for (int i = 0; i < 2'000; ++i) m.http_duration("/x", "GET", i % 2 == 0 ? "2xx" : "4xx").Observe(0.001 * i);
  });
  for (int i = 0; i < 20; ++i) BOOST_TEST(!m.render().empty());
  counting.join();
  BOOST_TEST(value_of(m.render(), R"(http_request_duration_seconds_count{method="GET",route="/x",status="2xx"})") == 1'000);
}

BOOST_AUTO_TEST_CASE(a_wall_clock_that_jumps_is_seen_whichever_way) {
  int64_t wall_ahead_ms = 1'700'000'000'000;
  const process_metrics figures([&] { return wall_ahead_ms; });
  const auto jump = [&] { return value_of(metrics_text(figures.Collect()), "adtrack_clock_jump_seconds"); };
  BOOST_TEST(jump() == 0);
  wall_ahead_ms += 90'500;
  BOOST_TEST(jump() == 90.5);
  wall_ahead_ms -= 400'500;
  BOOST_TEST(jump() == -310);
  BOOST_TEST(std::abs(value_of(metrics_text(process_metrics().Collect()), "adtrack_clock_jump_seconds")) < 1);
}

BOOST_AUTO_TEST_CASE(the_process_s_own_figures_are_there_and_plausible) {
  metrics m;
  const std::string text = m.render();
  BOOST_TEST(value_of(text, "process_resident_memory_bytes") > 1e6);
  BOOST_TEST(value_of(text, "process_virtual_memory_bytes") >= value_of(text, "process_resident_memory_bytes"));
  BOOST_TEST(value_of(text, "process_cpu_seconds_total") >= 0);
  BOOST_TEST(value_of(text, "process_open_fds") >= 3);
  BOOST_TEST(value_of(text, "process_max_fds") >= value_of(text, "process_open_fds"));
  BOOST_TEST(value_of(text, "process_threads") >= 1);
  BOOST_TEST(value_of(text, "process_start_time_seconds") > 1.6e9);
}

BOOST_AUTO_TEST_CASE(labels_and_help_are_escaped_and_numbers_are_the_shortest) {
  prometheus::MetricFamily family;
  family.name = "x";
  family.help = "a\\b\n\"c\"";
  family.type = prometheus::MetricType::Gauge;
  for (const double value : {0.005, 100'000.0, 1e21, -0.25, std::numeric_limits<double>::infinity(),
                             -std::numeric_limits<double>::infinity(), std::nan("")}) {
    prometheus::ClientMetric metric;
    metric.label.push_back({"l", "a\\b\n\"c\""});
    metric.gauge.value = value;
    family.metric.push_back(metric);
  }
  const std::string sample = R"(x{l="a\\b\n\"c\""} )";
  BOOST_TEST(metrics_text({family}) == "# HELP x a\\\\b\\n\"c\"\n# TYPE x gauge\n" + sample + "0.005\n" + sample + "100000\n" +
                                           sample + "1e+21\n" + sample + "-0.25\n" + sample + "+Inf\n" + sample + "-Inf\n" +
                                           sample + "NaN\n");
}

BOOST_AUTO_TEST_SUITE_END()
