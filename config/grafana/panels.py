"""What the dashboards show: each panel with its question to Prometheus, its unit and what it means. make_dashboards.py makes
Grafana's JSON of it. No panel draws a series an ad, an address or anything else that clients choose."""

RATE = "$__rate_interval"
ACCEPTED, COUNTED, DUPLICATE = 'fate="accepted"', 'fate="counted"', 'fate="duplicate"'
CLICKS, IMPRESSIONS = COUNTED + ',type="click"', COUNTED + ',type="impression"'
INGEST = 'route=~"/api/v1/ads/(click|impression|playback|events|.+/click|.+/impression[.]gif)"'


def at(name, more=""):
    """The series of the chosen nodes."""
    return f'{name}{{job="$job",instance=~"$instance"{"," + more if more else ""}}}'


def rate(name, more=""):
    return f"rate({at(name, more)}[{RATE}])"


def quantile(q, name, by="", more=""):
    return f"histogram_quantile({q}, sum by (le{', ' + by if by else ''}) ({rate(name + '_bucket', more)}))"


def panel(kind, title, description, unit, *queries, width=8, height=8, thresholds=None, stack=False, low=None, high=None, decimals=None):
    """A query is an expression, or (legend, expression)."""
    pairs = [query if isinstance(query, tuple) else ("", query) for query in queries]
    return {"kind": kind, "title": title, "description": description, "unit": unit, "queries": pairs, "width": width, "height": height,
            "thresholds": thresholds, "stack": stack, "min": low, "max": high, "decimals": decimals}


def stat(title, description, unit, query, thresholds=("blue",), width=4, **more):
    return panel("stat", title, description, unit, query, width=width, height=4, thresholds=thresholds, **more)


def graph(title, description, unit, *queries, **more):
    return panel("timeseries", title, description, unit, *queries, **{"low": 0, **more})


OVERVIEW = {
    "uid": "adtrack-overview", "title": "adtrack / Overview", "since": "now-1h", "url": None,
    "description": "Is it well: nodes, alerts, traffic, the error budget, room.",
    "rows": [
        ("Now", [
            stat("Nodes that answer", "Nodes whose /metrics Prometheus could read.", "short", 'sum(up{job="$job"})', ("red", 1, "green")),
            stat("Nodes ready", "Nodes that take events and serve shards (/readyz is 200).", "short", f"sum({at('adtrack_ready')})", ("red", 1, "green")),
            stat("Alerts firing", "Alerts of this job; the table below names them.", "short", 'count(ALERTS{alertstate="firing",job="$job"}) or vector(0)',
                 ("green", 1, "red")),
            stat("Events made durable", "Events a second that were answered 202, over all types.", "cps", f"sum({rate('adtrack_events_total', ACCEPTED)})"),
            stat("Requests answered 5xx", "Share of requests to the API over 5 minutes; 0.1 % is the budget.", "percentunit",
                 'job:http_requests_errors:ratio_rate5m{job="$job"}', ("green", 0.001, "orange", 0.0144, "red"), decimals=2),
            stat("Oldest event not counted", "The most that a shard is behind its log; below 0: not known.", "s", f"max({at('adtrack_shard_lag_seconds')})",
                 ("orange", 0, "green", 1, "orange", 30, "red")),
        ]),
        ("Alerts", [
            panel("table", "Alerts that fire", "Each alert's description, in Prometheus or Alertmanager, says what it means and what to do. Empty is good.",
                  "short",
                  'ALERTS{alertstate="firing",job="$job"}', width=16, height=6),
            panel("table", "Versions", "What runs on each node.", "short", at("adtrack_build_info"), width=8, height=6),
        ]),
        ("Traffic", [
            graph("Requests by status", "Requests a second by status code, over all routes and nodes.", "reqps",
                  ("{{status}}", f"sum by (status) ({rate('http_requests_total')})"), stack=True),
            graph("Time to the answer, events",
                  "From a request's last byte to its answer, for requests that bring events: they wait until the event is durable.",
                  "s",
                  *((f"p{100 * q:g}", quantile(q, "http_request_duration_seconds", more=INGEST)) for q in (0.5, 0.95, 0.99))),
            graph("Error budget burn", "How many times faster than it may the budget is used: 0.1 % of requests may be answered 5xx, 1 % of events"
                  " may take longer than 0.5 s. "
                  "1 uses up a month's budget in a month; 14.4 for an hour is an alert.", "none",
                  ("5xx, 1 h", 'job:http_requests_errors:ratio_rate1h{job="$job"} / 0.001'),
                  ("5xx, 6 h", 'job:http_requests_errors:ratio_rate6h{job="$job"} / 0.001'),
                  ("slow, 1 h", 'job:http_requests_slow:ratio_rate1h{job="$job"} / 0.01'),
                  ("slow, 6 h", 'job:http_requests_slow:ratio_rate6h{job="$job"} / 0.01'),
                  thresholds=("green", 6, "orange", 14.4, "red")),
        ]),
        ("Room", [
            graph("CPU", "Processors in use by each node.", "short", ("{{instance}}", rate("process_cpu_seconds_total"))),
            graph("Memory", "Resident memory, and what RocksDB's memtables, caches and table readers hold of it.", "bytes",
                  ("{{instance}} resident", at("process_resident_memory_bytes")),
                  ("{{instance}} RocksDB", f"sum by (instance) ({at('adtrack_rocksdb_memory_bytes')})")),
            graph("Connections and requests", "Open HTTP connections, and requests that have no answer yet.", "short",
                  ("{{instance}} connections", at("http_connections")), ("{{instance}} in flight", at("http_requests_in_flight"))),
            graph("Disk free", "Share of the file system of data.dir that is free. At 0 every event is answered 503.", "percentunit",
                  ("{{instance}}", 'instance:adtrack_disk_free:ratio{job="$job",instance=~"$instance"}'), high=1,
                  thresholds=("red", 0.05, "orange", 0.3, "green")),
            graph("Stores", "Bytes on disk of the log, the shards' stores and the spool, over the chosen nodes.", "bytes",
                  ("{{db}}", f"sum by (db) ({at('adtrack_rocksdb_size_bytes')})"), stack=True),
            graph("File descriptors", "Share of the process's limit that is open.", "percentunit",
                  ("{{instance}}", f"{at('process_open_fds')} / {at('process_max_fds')}"), high=1, thresholds=("green", 0.8, "red")),
            graph("Time since the start", "A line that falls to 0 is a restart.", "s", ("{{instance}}", f"time() - {at('process_start_time_seconds')}")),
            graph("Clock", "How far the wall clock jumped since the node's start; beyond clock.max_jump_secs events are refused.", "s",
                  ("{{instance}}", at("adtrack_clock_jump_seconds")), low=None),
            graph("Threads", "Threads of each node; their number does not depend on the load.", "short", ("{{instance}}", at("process_threads"))),
        ]),
    ],
}

INGEST_BOARD = {
    "uid": "adtrack-ingest", "title": "adtrack / Ingest", "since": "now-1h", "url": None,
    "description": "How events come in, what becomes of them, and how long the log takes.",
    "rows": [
        ("Events", [
            graph("Accepted by type", "Events a second that became durable and were answered so.", "cps",
                  ("{{type}}", f"sum by (type) ({rate('adtrack_events_total', ACCEPTED)})"), stack=True),
            graph("What became of them", "Decided in the shard, in the log's order: counted, duplicate (sent again), conflict (sent again with other fields).",
                  "cps",
                  ("{{fate}}", f"sum by (fate) ({rate('adtrack_events_total')})")),
            graph("Invalid by reason", "Counted events that are not valid traffic, for exactly one reason each.", "cps",
                  ("{{reason}}", f"sum by (reason) ({rate('adtrack_events_invalid_total')})"), stack=True),
            graph("Refused by reason",
                  "Events that were not taken. overloaded, not_durable and no_answer are the server's own doing; the others are the sender's.",
                  "cps",
                  ("{{reason}}", f"sum by (reason) ({rate('adtrack_events_rejected_total')})"), stack=True),
            graph("Late", "Counted events that are more than an hour older than their record in the log: a sender that held them back, or a wrong clock.",
                  "cps", ("{{type}}", f"sum by (type) ({rate('adtrack_events_late_total')})")),
            graph("In flight", "Events accepted and not yet durable; at ingest.max_in_flight_events the answer is 503.",
                  "short", ("{{instance}}", at("adtrack_events_in_flight"))),
        ]),
        ("Requests", [
            graph("Requests by route", "Requests a second.", "reqps", ("{{route}}", f"sum by (route) ({rate('http_requests_total')})")),
            graph("Slowest of a hundred, by route", "99 of 100 requests are answered within this time.", "s",
                  ("{{route}}", quantile(0.99, "http_request_duration_seconds", "route", INGEST))),
            panel("heatmap", "Time to the answer", "How many requests that bring events took how long.", "short",
                  ("{{le}}", f"sum by (le) (increase({at('http_request_duration_seconds_bucket', INGEST)}[{RATE}]))")),
            graph("Visits", "Redirects and impression images a second; `no`: the visitor was sent on before the event was durable, and it may be missing.",
                  "cps",
                  ("{{type}} recorded: {{recorded}}", f"sum by (type, recorded) ({rate('adtrack_visits_total')})")),
            graph("Requests by key", "Requests that a key opened the door for, the 10 busiest. Keys are named by the operator.", "reqps",
                  ("{{door}} {{key}}", f"topk(10, sum by (door, key) ({rate('adtrack_key_requests_total')}))")),
            graph("TLS handshakes", "By what became of them.", "cps", ("{{result}}", f"sum by (result) ({rate('adtrack_tls_handshakes_total')})")),
        ]),
        ("The log", [
            graph("Durable writes", "Time of one durable write to the log, which every event of it waits for.", "s",
                  *((f"p{100 * q:g}", quantile(q, "adtrack_log_append_seconds")) for q in (0.5, 0.95, 0.99))),
            graph("Syncs", "Time of one fsync of the embedded log: the disk's part of a durable write.", "s",
                  *((f"p{100 * q:g}", quantile(q, "adtrack_log_sync_seconds")) for q in (0.5, 0.95, 0.99))),
            graph("Records a write", "Records that shared one durable write, on average: under load many share one.", "short",
                  ("{{instance}}", f"sum by (instance) ({rate('adtrack_log_batch_records_sum')})"
                   f" / sum by (instance) ({rate('adtrack_log_batch_records_count')})")),
        ]),
        ("Lists and certificates", [
            stat("Lists that cannot be used", "Lists of traffic rules whose file has an error; the list before is in force, and /readyz names the line.",
                 "short",
                 f"count({at('adtrack_rules_list_usable')} == 0) or vector(0)", ("green", 1, "red"), width=6),
            stat("Certificate ends in", "When the TLS certificate in force ends.", "s", f"min({at('adtrack_tls_certificate_expires_seconds')}) - time()",
                 ("red", 172800, "orange", 1209600, "green"), width=6),
            stat("Quarantined", "Records of the log and the inbox that no rule could read, since the nodes' start.", "short",
                 f"sum({at('adtrack_quarantined_total')}) or vector(0)", ("green", 1, "orange"), width=6),
            stat("Erasures pending", "Steps of erasures of visitors that are not done.",
                 "short", f"sum({at('adtrack_erasures_pending')})", ("green", 1, "orange"), width=6),
        ]),
    ],
}

SHARDS = {
    "uid": "adtrack-shards", "title": "adtrack / Shards and Kafka", "since": "now-1h", "url": None,
    "description": "How the shards follow the log, their stores, the spool and Kafka.",
    "rows": [
        ("Shards", [
            graph("Lag in seconds", "Age of the oldest record that a shard has not applied, for the 10 that are furthest behind; -1: not known.", "s",
                  ("{{instance}} shard {{shard}}", f"topk(10, {at('adtrack_shard_lag_seconds')})"), low=None, thresholds=("green", 30, "red")),
            graph("Lag in records", "Records that a shard has not applied, for the 10 that have most.", "short",
                  ("{{instance}} shard {{shard}}", f"topk(10, {at('adtrack_shard_lag_records')})")),
            graph("Applying", "Time in which a shard applied one batch of records.",
                  "s", *((f"p{100 * q:g}", quantile(q, "adtrack_shard_apply_seconds")) for q in (0.5, 0.99))),
            graph("Queries", "Time of one analytics query. Near analytics.timeout_ms answers lack shards.", "s",
                  *((f"p{100 * q:g}", quantile(q, "adtrack_query_seconds")) for q in (0.5, 0.95, 0.99))),
            graph("Queries a second", "Analytics queries answered.", "reqps", ("{{instance}}", f"sum by (instance) ({rate('adtrack_query_seconds_count')})")),
            graph("Mailboxes", "Batches of records that wait in a shard's mailbox, for the 10 with most.",
                  "short", ("{{instance}} shard {{shard}}", f"topk(10, {at('adtrack_shard_batches_waiting')})")),
            stat("Shards with a faulty log", "Shards whose log forked or lacks records; they count nothing over it.",
                 "short", f"sum({at('adtrack_log_faults')})", ("green", 1, "red"), width=8),
            stat("Stores that take no writes", "Stores that wait for their compactions.", "short", f"sum({at('adtrack_rocksdb_write_stopped')})",
                 ("green", 1, "red"), width=8),
            stat("Shards followed", "Shards whose lag is known, over the chosen nodes.",
                 "short", f"count({at('adtrack_shard_lag_seconds')} >= 0) or vector(0)", width=8),
        ]),
        ("Stores", [
            graph("Size", "Bytes on disk.", "bytes", ("{{db}}", f"sum by (db) ({at('adtrack_rocksdb_size_bytes')})")),
            graph("Memory", "What RocksDB holds in memory, by what for.",
                  "bytes", ("{{kind}}", f"sum by (kind) ({at('adtrack_rocksdb_memory_bytes')})"), stack=True),
            graph("Compactions", "Bytes that wait to be compacted: a line that rises for long ends in stopped writes.", "bytes",
                  ("{{db}} pending", f"sum by (db) ({at('adtrack_rocksdb_pending_compaction_bytes')})")),
            graph("Compactions that run", "Compactions under way.", "short", ("{{db}}", f"sum by (db) ({at('adtrack_rocksdb_running_compactions')})")),
        ]),
        ("Spool", [
            graph("Records in the spool", "Events that wait on this node's disk for Kafka, and those held for the operator.", "short",
                  ("{{instance}} waiting", at("adtrack_spool_records")), ("{{instance}} held", at("adtrack_spool_held_records"))),
            graph("Spool in use", "Bytes of them; at the capacity (spool.max_mb) events are answered 503.", "bytes",
                  ("{{instance}} used", at("adtrack_spool_bytes")), ("{{instance}} capacity", at("adtrack_spool_capacity_bytes"))),
        ]),
        ("Kafka", [
            graph("Brokers", "Brokers with a connection to them; 0 on a node that does not use Kafka.",
                  "short", ("{{instance}}", at("adtrack_kafka_brokers_up"))),
            graph("Records", "Records a second that Kafka acknowledged (out) and that were read from it (in).", "cps",
                  ("{{direction}}", f"sum by (direction) ({rate('adtrack_kafka_messages_total')})")),
            graph("Errors", "Errors a second that Kafka's client met, by code.", "cps", ("{{code}}", f"sum by (code) ({rate('adtrack_kafka_errors_total')})")),
            graph("Handed to Kafka", "Records whose fate Kafka's client has not told yet.", "short",
                  ("{{instance}}", at("adtrack_kafka_outstanding_records"))),
            graph("Retries", "Requests a second that Kafka's client sent again.", "reqps", ("{{instance}}", rate("adtrack_kafka_retries_total"))),
            graph("Inbox", "Records a second of other producers, by what became of them; lost ones were removed by retention before they were read.", "cps",
                  ("{{result}}", f"sum by (result) ({rate('adtrack_inbox_records_total')})")),
            graph("Inbox lag", "Records of this node's share of the inbox that are not taken in yet; -1: not known.", "short",
                  ("{{instance}}", at("adtrack_inbox_lag_records")), low=None),
        ]),
    ],
}

def over_range(name, more=""):
    return f"sum(increase({at(name, more)}[$__range]))"


ADVERTISER = {
    "uid": "adtrack-advertiser", "title": "adtrack / Advertiser view", "since": "now-24h", "url": "http://127.0.0.1:8080/",
    "description": "What can be said of all ads together: traffic, its quality, and how fresh the figures are. Figures by ad are behind the link above and in "
                   "GET /api/v1/ads/analytics: a series an ad would be without bound. These are rates of a monitor, not figures to settle accounts by.",
    "rows": [
        ("Over the chosen time", [
            stat("Clicks", "Clicks counted, valid and invalid, duplicates left out.", "short", over_range("adtrack_events_total", CLICKS)),
            stat("Impressions", "Impressions counted, valid and invalid, duplicates left out.", "short", over_range("adtrack_events_total", IMPRESSIONS)),
            stat("Playbacks", "Playback events counted, valid and invalid, duplicates left out.",
                 "short", over_range("adtrack_events_total", COUNTED + ',type="playback"')),
            stat("Valid", "Share of the counted events that are valid traffic.", "percentunit",
                 f"1 - ({over_range('adtrack_events_invalid_total')} or vector(0)) / {over_range('adtrack_events_total', COUNTED)}",
                 ("red", 0.5, "orange", 0.8, "green"), decimals=1),
            stat("Accepted", "Share of the events sent that were taken; the others got an error that says why.", "percentunit",
                 f"{over_range('adtrack_events_total', ACCEPTED)}"
                 f" / ({over_range('adtrack_events_total', ACCEPTED)} + {over_range('adtrack_events_rejected_total')})",
                 ("red", 0.9, "orange", 0.99, "green"), decimals=2),
            stat("Figures are behind by", "Age of the oldest event that is in no figure yet; below 0: not known.",
                 "s", f"max({at('adtrack_shard_lag_seconds')})",
                 ("orange", 0, "green", 1, "orange", 30, "red")),
        ]),
        ("Traffic", [
            graph("Counted by type", "Events a second, valid and invalid.",
                  "cps", ("{{type}}", f"sum by (type) ({rate('adtrack_events_total', COUNTED)})"), width=12),
            graph("Clicks per impression",
                  "Counted clicks by counted impressions, over all ads. The click-through rate of one ad is in its own figures, by valid events.",
                  "percentunit",
                  ("clicks / impressions", f"sum({rate('adtrack_events_total', CLICKS)}) / sum({rate('adtrack_events_total', IMPRESSIONS)})"), width=12),
        ]),
        ("Quality", [
            graph("Invalid by type and reason",
                  "Events a second that are kept, but not counted as valid: known crawlers, no agent, data centers, prefetches, repeated clicks.",
                  "cps",
                  ("{{type}} {{reason}}", f"sum by (type, reason) ({rate('adtrack_events_invalid_total')})"), stack=True),
            graph("Duplicates", "Events a second that were sent again and counted once, by type.",
                  "cps", ("{{type}}", f"sum by (type) ({rate('adtrack_events_total', DUPLICATE)})"), stack=True),
            graph("Refused by reason", "Events a second that were answered with an error.",
                  "cps", ("{{reason}}", f"sum by (reason) ({rate('adtrack_events_rejected_total')})"), stack=True),
        ]),
        ("Service", [
            graph("Freshness", "Age of the oldest event that is in no figure yet.",
                  "s", ("oldest", f"max({at('adtrack_shard_lag_seconds')})"), low=None, width=12),
            graph("Time to the answer", "How long a request with an event waits for its answer.", "s",
                  *((f"p{100 * q:g}", quantile(q, "http_request_duration_seconds", more=INGEST)) for q in (0.5, 0.99)), width=12),
        ]),
    ],
}

DASHBOARDS = {"overview.json": OVERVIEW, "ingest.json": INGEST_BOARD, "shards_kafka.json": SHARDS, "advertiser.json": ADVERTISER}
