#include "storage/kafka_options.hpp"

#include <algorithm>
#include <array>

namespace adtrack::storage {
namespace {

// Properties that this code sets itself, or on which what it promises rests. What is a setting of its own is among them: one
// thing is said in one place, and passwords not at all.
constexpr std::array refused = {
    std::string_view("acks"),
    std::string_view("allow.auto.create.topics"),
    std::string_view("api.version.request"),
    std::string_view("auto.offset.reset"),
    std::string_view("batch.size"),
    std::string_view("bootstrap.servers"),
    std::string_view("check.crcs"),
    std::string_view("client.id"),
    std::string_view("client.rack"),
    std::string_view("delivery.report.only.error"),
    std::string_view("delivery.timeout.ms"),
    std::string_view("enable.auto.commit"),
    std::string_view("enable.auto.offset.store"),
    std::string_view("enable.gapless.guarantee"),
    std::string_view("enable.idempotence"),
    std::string_view("enable.partition.eof"),
    std::string_view("fetch.wait.max.ms"),
    std::string_view("group.id"),
    std::string_view("isolation.level"),
    std::string_view("linger.ms"),
    std::string_view("max.in.flight"),
    std::string_view("max.in.flight.requests.per.connection"),
    std::string_view("message.send.max.retries"),
    std::string_view("message.timeout.ms"),
    std::string_view("metadata.broker.list"),
    std::string_view("partitioner"),
    std::string_view("plugin.library.paths"),
    std::string_view("queue.buffering.max.kbytes"),
    std::string_view("queue.buffering.max.messages"),
    std::string_view("queue.buffering.max.ms"),
    std::string_view("queued.max.messages.kbytes"),
    std::string_view("queued.min.messages"),
    std::string_view("request.required.acks"),
    std::string_view("retries"),
    std::string_view("sasl.mechanism"),
    std::string_view("sasl.mechanisms"),
    std::string_view("sasl.password"),
    std::string_view("sasl.username"),
    std::string_view("security.protocol"),
    std::string_view("ssl.ca.location"),
    std::string_view("ssl.certificate.location"),
    std::string_view("ssl.key.location"),
    std::string_view("ssl.key.password"),
    std::string_view("statistics.interval.ms"),
    std::string_view("transactional.id"),
};

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(' ');
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(' ') - first + 1);
}

} // namespace

result<std::vector<std::pair<std::string, std::string>>> parse_kafka_properties(std::string_view text) {
  std::vector<std::pair<std::string, std::string>> out;
  while (!text.empty()) {
    const size_t comma = std::min(text.find(','), text.size());
    const std::string_view item = trimmed(text.substr(0, comma));
    text.remove_prefix(std::min(comma + 1, text.size()));
    if (item.empty()) continue;
    const size_t equals = item.find('=');
    const std::string key(trimmed(item.substr(0, equals)));
    // The item may hold a secret: only what stands before the sign is named.
    if (equals == std::string_view::npos || key.empty())
      return status{errc::mismatch, "kafka.options: an item does not read key=value"};
    std::string plain = key;
    if (plain.starts_with("topic.")) plain.erase(0, 6);
    if (std::find(refused.begin(), refused.end(), plain) != refused.end())
      return status{errc::mismatch,
                    "kafka.options must not set " + key + ": what adtrack promises rests on it, or it is a setting of its own"};
    out.emplace_back(key, trimmed(item.substr(equals + 1)));
  }
  return out;
}

std::string events_topic(const kafka_options& options) { return options.topic_prefix + ".events"; }
std::string inbox_topic(const kafka_options& options) { return options.topic_prefix + ".inbox"; }
std::string ads_topic(const kafka_options& options) { return options.topic_prefix + ".ads"; }

} // namespace adtrack::storage
