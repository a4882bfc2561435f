#include "http/request_meter.hpp"

#include <prometheus/counter.h>
#include <prometheus/histogram.h>

#include <algorithm>
#include <string>

namespace adtrack::http {
namespace {

// Frequent ones first: the search is linear.
constexpr std::array<int, 24> statuses = {202, 200, 400, 503, 404, 201, 204, 304, 401, 403, 405, 408,
                                          412, 413, 414, 415, 417, 431, 500, 501, 504, 505, 429, 302};

} // namespace

void request_meter::record(route where, uint8_t method, int status, int64_t took_us) {
  auto index = static_cast<size_t>(std::find(statuses.begin(), statuses.end(), status) - statuses.begin());
  if (index == statuses.size()) index = 18; // what is not listed is a defect of ours: 500
  auto hundreds = static_cast<size_t>(statuses[index] / 100);
  handles& h = table_[static_cast<size_t>(where)][method];
  auto*& counter = h.requests[index];
  auto*& histogram = h.durations[hundreds];
  if (counter == nullptr || histogram == nullptr) {
    auto name = method == other_method ? std::string_view("other") : to_string(static_cast<http_method>(method));
    counter = &metrics_.http_requests(pattern(where), name, std::to_string(statuses[index]));
    histogram = &metrics_.http_duration(pattern(where), name, std::to_string(hundreds) + "xx");
  }
  counter->Increment();
  histogram->Observe(static_cast<double>(took_us) * 1e-6);
}

} // namespace adtrack::http
