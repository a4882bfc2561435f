#include "storage/kafka_topics.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <map>
#include <thread>

#include "config/telemetry.hpp"

namespace adtrack::storage::kafka {
namespace {

constexpr size_t error_text_bytes = 512;
constexpr auto look_again = std::chrono::milliseconds(50); // while a topic that was created appears at the brokers
constexpr int safe_replicas = 3;
constexpr int safe_insync = 2;

using admin_options = owner<rd_kafka_AdminOptions_t, rd_kafka_AdminOptions_destroy>;

admin_options options_for(rd_kafka_t* rk, uint32_t timeout_ms) {
  admin_options out(rd_kafka_AdminOptions_new(rk, RD_KAFKA_ADMIN_OP_ANY));
  char text[error_text_bytes];
  rd_kafka_AdminOptions_set_request_timeout(out.get(), static_cast<int>(timeout_ms), text, sizeof text);
  return out;
}

status io_error(const std::string& what, rd_kafka_resp_err_t code) { return {errc::io, what + ": " + name_of(code)}; }

// The answer to an administrative question, or an error of the whole of it.
result<event> await(const queue& answers, uint32_t timeout_ms, const std::string& what) {
  // librdkafka ends the question by itself after the time; a little more, so that its own error is seen.
  event answer(rd_kafka_queue_poll(answers.get(), static_cast<int>(timeout_ms) + 1'000));
  if (!answer) return io_error(what, RD_KAFKA_RESP_ERR__TIMED_OUT);
  if (const auto error = rd_kafka_event_error(answer.get())) return io_error(what, error);
  return answer;
}

status create(rd_kafka_t* rk, const kafka_options& options, const topic_shape& shape, int brokers) {
  const std::string what = "cannot create the topic " + shape.name;
  const int replicas =
      options.allow_unsafe ? std::min(options.replication_factor, std::max(brokers, 1)) : options.replication_factor;
  char text[error_text_bytes] = {};
  owner<rd_kafka_NewTopic_t, rd_kafka_NewTopic_destroy> topic(
      rd_kafka_NewTopic_new(shape.name.c_str(), static_cast<int>(shape.partitions), replicas, text, sizeof text));
  if (!topic) return {errc::mismatch, what + ": " + text};
  const auto set = [&](const char* name, const std::string& value) {
    rd_kafka_NewTopic_set_config(topic.get(), name, value.c_str());
  };
  set("cleanup.policy", shape.compacted ? "compact" : "delete");
  set("message.timestamp.type", "LogAppendTime");
  set("min.insync.replicas", std::to_string(std::min(options.min_insync_replicas, replicas)));
  set("unclean.leader.election.enable", "false");
  if (shape.kept_forever) {
    set("retention.ms", "-1");
    set("retention.bytes", "-1");
  }
  const queue answers(rd_kafka_queue_new(rk));
  rd_kafka_NewTopic_t* topics[] = {topic.get()};
  const auto how = options_for(rk, options.admin_timeout_ms);
  rd_kafka_CreateTopics(rk, topics, 1, how.get(), answers.get());
  auto answer = await(answers, options.admin_timeout_ms, what);
  if (!answer.ok()) return answer.why;
  size_t count = 0;
  const auto** results = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(answer->get()), &count);
  if (count != 1) return {errc::io, what + ": the brokers did not say how it went"};
  const auto code = rd_kafka_topic_result_error(results[0]);
  if (code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) return {}; // another node was quicker; it is looked at all the same
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
    config::log(config::log_level::info, "kafka", "topic_created", "a topic that was missing was created",
                {{"topic", shape.name}, {"partitions", shape.partitions}, {"replicas", replicas}});
    return {};
  }
  const char* reason = rd_kafka_topic_result_error_string(results[0]);
  return {code == RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR ? errc::mismatch : errc::io,
          what + " with " + std::to_string(replicas) + " replicas: " + (reason != nullptr ? reason : name_of(code))};
}

result<std::map<std::string, std::string>> describe(rd_kafka_t* rk, const std::string& topic, uint32_t timeout_ms) {
  const std::string what = "cannot read the settings of the topic " + topic;
  owner<rd_kafka_ConfigResource_t, rd_kafka_ConfigResource_destroy> resource(
      rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic.c_str()));
  const queue answers(rd_kafka_queue_new(rk));
  rd_kafka_ConfigResource_t* resources[] = {resource.get()};
  const auto how = options_for(rk, timeout_ms);
  rd_kafka_DescribeConfigs(rk, resources, 1, how.get(), answers.get());
  auto answer = await(answers, timeout_ms, what);
  if (!answer.ok()) return answer.why;
  size_t count = 0;
  const auto** found = rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(answer->get()), &count);
  if (count != 1) return status{errc::io, what + ": the brokers did not answer for it"};
  if (const auto code = rd_kafka_ConfigResource_error(found[0])) return io_error(what, code);
  size_t entries = 0;
  const auto** each = rd_kafka_ConfigResource_configs(found[0], &entries);
  std::map<std::string, std::string> out;
  for (size_t i = 0; i < entries; ++i) {
    const char* value = rd_kafka_ConfigEntry_value(each[i]);
    out[rd_kafka_ConfigEntry_name(each[i])] = value != nullptr ? value : "";
  }
  return out;
}

// What is true of a topic whose records must outlive the loss of a broker.
status check_safety(const topic_shape& shape, const topic_view& seen, const std::map<std::string, std::string>& settings) {
  const std::string topic = "the topic " + shape.name;
  const std::string anyway = "; kafka.allow_unsafe takes it as it is, for development";
  const auto value = [&](const char* name) {
    const auto it = settings.find(name);
    return it == settings.end() ? std::string() : it->second;
  };
  if (seen.replicas_min < safe_replicas)
    return {errc::mismatch, topic + " has " + std::to_string(seen.replicas_min) +
                                " replicas and can lose what was acknowledged: give it at least " +
                                std::to_string(safe_replicas) + anyway};
  const std::string insync = value("min.insync.replicas");
  int insync_min = 0;
  const auto read = std::from_chars(insync.data(), insync.data() + insync.size(), insync_min);
  if (read.ec != std::errc() || insync_min < safe_insync)
    return {errc::mismatch, topic + " has min.insync.replicas=" + insync +
                                " and can lose what was acknowledged: set it to at least " + std::to_string(safe_insync) +
                                anyway};
  if (value("unclean.leader.election.enable") != "false")
    return {errc::mismatch, topic + " has unclean.leader.election.enable=" + value("unclean.leader.election.enable") +
                                " and can lose what was acknowledged: set it to false, on the topic or the brokers" + anyway};
  return {};
}

status check_settings(const topic_shape& shape, const std::map<std::string, std::string>& settings) {
  const auto must = [&](const char* name, const std::string& wanted, const char* because) -> status {
    const auto it = settings.find(name);
    const std::string is = it == settings.end() ? "(not told)" : it->second;
    if (is == wanted) return {};
    return {errc::mismatch, "the topic " + shape.name + " has " + name + "=" + is + ": set it to " + wanted + ", " + because};
  };
  status s =
      must("cleanup.policy", shape.compacted ? "compact" : "delete",
           shape.compacted ? "as an entry must stay until a newer one of its key" : "as no record may go because of its key");
  if (s.ok() && shape.log_time)
    s = must("message.timestamp.type", "LogAppendTime", "as counting knows no other clock than the log's");
  if (s.ok() && shape.kept_forever) s = must("retention.ms", "-1", "as records go only once their counts are safe elsewhere");
  if (s.ok() && shape.kept_forever) s = must("retention.bytes", "-1", "as records go only once their counts are safe elsewhere");
  return s;
}

status check(rd_kafka_t* rk, const kafka_options& options, const topic_shape& shape, const topic_view& seen) {
  if (!shape.any_partitions && seen.leaders.size() != shape.partitions)
    return {errc::mismatch,
            "the topic " + shape.name + " has " + std::to_string(seen.leaders.size()) + " partitions, not " +
                std::to_string(shape.partitions) +
                (shape.compacted ? ": adtrack needs exactly one"
                                 : ": set log.shards to what it was created with, or name another kafka.topic_prefix")};
  if (options.unchecked_topics) return {};
  auto settings = describe(rk, shape.name, options.admin_timeout_ms);
  if (!settings.ok()) return settings.why;
  if (auto s = check_settings(shape, *settings); !s.ok()) return s;
  auto s = check_safety(shape, seen, *settings);
  if (s.ok() || !options.allow_unsafe) return s;
  config::log(config::log_level::warning, "kafka", "unsafe_topic", s.message, {{"topic", shape.name}});
  return {};
}

status ensure(rd_kafka_t* rk, const kafka_options& options, const topic_shape& shape, int64_t deadline_ms) {
  const topic_handle topic(rd_kafka_topic_new(rk, shape.name.c_str(), nullptr));
  if (!topic) return {errc::mismatch, "Kafka cannot have a topic named " + shape.name + ": change kafka.topic_prefix"};
  bool created = false;
  for (;;) {
    const auto left = std::max<int64_t>(deadline_ms - monotonic_ms(), 1);
    auto seen = look_at(rk, topic.get(), static_cast<uint32_t>(std::min<int64_t>(left, options.admin_timeout_ms)));
    if (seen.ok() && !seen->exists && !created) {
      if (auto s = create(rk, options, shape, seen->brokers); !s.ok()) return s;
      created = true;
      deadline_ms = std::max(deadline_ms, monotonic_ms() + options.admin_timeout_ms);
      continue;
    }
    const bool late = monotonic_ms() >= deadline_ms;
    if (!seen.ok() && late) return seen.why;
    // One without a leader is an outage that passes; its shape is known all the same.
    const bool led = seen.ok() && std::find(seen->leaders.begin(), seen->leaders.end(), -1) == seen->leaders.end();
    if (seen.ok() && seen->exists && (led || late)) {
      // Asked of any broker, which may not have heard of a new topic yet.
      if (auto s = check(rk, options, shape, *seen); s.code != errc::io || late) return s;
    } else if (late) {
      return {errc::io, "the topic " + shape.name + " was created and does not appear"};
    }
    std::this_thread::sleep_for(look_again);
  }
}

} // namespace

topic_shape events_shape(const kafka_options& options) {
  return {events_topic(options), options.partitions, false, false, true, true};
}
topic_shape inbox_shape(const kafka_options& options) {
  return {inbox_topic(options), options.partitions, true, false, false, false};
}
topic_shape ads_shape(const kafka_options& options) { return {ads_topic(options), 1, false, true, false, false}; }

result<topic_view> look_at(rd_kafka_t* rk, rd_kafka_topic_t* topic, uint32_t timeout_ms) {
  const rd_kafka_metadata_t* raw = nullptr;
  if (const auto code = rd_kafka_metadata(rk, 0, topic, &raw, static_cast<int>(timeout_ms)))
    return io_error("Kafka does not answer", code);
  const owner<const rd_kafka_metadata_t, rd_kafka_metadata_destroy> metadata(raw);
  topic_view out;
  out.brokers = metadata->broker_cnt;
  if (metadata->topic_cnt != 1) return out;
  const auto& found = metadata->topics[0];
  if (found.err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || found.err == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC) return out;
  if (found.err == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE && found.partition_cnt == 0) return out;
  if (found.err != RD_KAFKA_RESP_ERR_NO_ERROR && found.partition_cnt == 0)
    return io_error(std::string("the topic ") + found.topic, found.err);
  out.exists = true;
  out.leaders.assign(static_cast<size_t>(found.partition_cnt), -1);
  out.replicas_min = found.partition_cnt > 0 ? found.partitions[0].replica_cnt : 0;
  for (int i = 0; i < found.partition_cnt; ++i) {
    const auto& partition = found.partitions[i];
    if (partition.id >= 0 && partition.id < found.partition_cnt)
      out.leaders[static_cast<size_t>(partition.id)] = partition.leader;
    out.replicas_min = std::min(out.replicas_min, partition.replica_cnt);
  }
  return out;
}

status ensure_topics(rd_kafka_t* rk, const kafka_options& options, const std::vector<topic_shape>& shapes) {
  const int64_t deadline = monotonic_ms() + options.connect_timeout_ms;
  const rd_kafka_metadata_t* raw = nullptr;
  if (const auto code = rd_kafka_metadata(rk, 0, nullptr, &raw, static_cast<int>(options.connect_timeout_ms)))
    return io_error(
        "no Kafka broker of " + options.brokers + " answers within " + std::to_string(options.connect_timeout_ms) + " ms", code);
  rd_kafka_metadata_destroy(raw);
  for (const auto& shape : shapes)
    if (auto s = ensure(rk, options, shape, deadline); !s.ok()) return s;
  return {};
}

status ask_offsets(rd_kafka_t* rk, const std::string& topic, const std::vector<uint32_t>& partitions, int64_t which,
                   uint32_t timeout_ms, std::vector<int64_t>& out) {
  const std::string what = "cannot ask for the offsets of " + topic;
  const partition_list list(rd_kafka_topic_partition_list_new(static_cast<int>(partitions.size())));
  for (const auto partition : partitions)
    rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), static_cast<int32_t>(partition))->offset = which;
  if (const auto code = rd_kafka_offsets_for_times(rk, list.get(), static_cast<int>(timeout_ms))) return io_error(what, code);
  out.assign(partitions.size(), -1);
  for (size_t i = 0; i < partitions.size(); ++i) {
    const auto* found = rd_kafka_topic_partition_list_find(list.get(), topic.c_str(), static_cast<int32_t>(partitions[i]));
    if (found == nullptr) return {errc::io, what + ": partition " + std::to_string(partitions[i]) + " is not in the answer"};
    if (found->err != RD_KAFKA_RESP_ERR_NO_ERROR) return io_error(what, found->err);
    // Left as it was asked: the leader did not say.
    if (found->offset < 0) return {errc::io, what + ": partition " + std::to_string(partitions[i]) + " gave none"};
    out[i] = found->offset;
  }
  return {};
}

result<int64_t> delete_below(rd_kafka_t* rk, const std::string& topic, uint32_t partition, int64_t below, uint32_t timeout_ms) {
  const std::string what = "cannot trim partition " + std::to_string(partition) + " of " + topic;
  const partition_list list(rd_kafka_topic_partition_list_new(1));
  rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), static_cast<int32_t>(partition))->offset = below;
  owner<rd_kafka_DeleteRecords_t, rd_kafka_DeleteRecords_destroy> request(rd_kafka_DeleteRecords_new(list.get()));
  const queue answers(rd_kafka_queue_new(rk));
  rd_kafka_DeleteRecords_t* requests[] = {request.get()};
  const auto how = options_for(rk, timeout_ms);
  rd_kafka_DeleteRecords(rk, requests, 1, how.get(), answers.get());
  auto answer = await(answers, timeout_ms, what);
  if (!answer.ok()) return answer.why;
  const auto* offsets = rd_kafka_DeleteRecords_result_offsets(rd_kafka_event_DeleteRecords_result(answer->get()));
  if (offsets == nullptr || offsets->cnt != 1) return status{errc::io, what + ": the brokers did not say how it went"};
  if (offsets->elems[0].err != RD_KAFKA_RESP_ERR_NO_ERROR) return io_error(what, offsets->elems[0].err);
  return offsets->elems[0].offset;
}

} // namespace adtrack::storage::kafka
