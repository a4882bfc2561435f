"""What of the dashboards and alerts is Kafka's: the queries with a broker under load, the alerts when it is gone."""

import json
import time

import kafka
import prometheus
from harness import AGENT, Failure, Server, Suite, check, equal, fresh_dir
from kafka import wait_for
from prometheus import RULES, Prometheus

suite = Suite("kafka_monitoring", "the shipped dashboards and alerts on Kafka: each query has data, a broker that is gone and a spool that grows are told")

CLICK = "/api/v1/ads/click"
# What a healthy node on Kafka has no series of, and why.
ABSENT = {
    "adtrack_kafka_errors_total": "only once there was an error",
    "adtrack_quarantined_total": "only once a record could not be read",
}


def _event(number):
    return {"event_id": f"km-{number}", "ad_id": 1 + number % 20, "user_ip": f"198.51.100.{number % 250}", "agent": AGENT}


OF_KAFKA = ("adtrack_kafka_", "adtrack_inbox_", "adtrack_spool_")


def _of_kafka():
    """The queries about Kafka, the inbox and the spool."""
    return [(f"{board}, {panel}", expression) for board, panel, expression in prometheus.panels()
            if any(name.startswith(OF_KAFKA) for name in prometheus.families(expression))]


@suite.case("every query about Kafka has data; the broker's absence, the spool and garbage in the log make their alerts fire, which end with their cause")
def _(t):
    cluster, folder = kafka.cluster(), fresh_dir("rules")
    flags = cluster.flags(log__outage_after_ms=1000, kafka__message_timeout_ms=2000)
    server = Server(flags=flags, name="monitored").start()
    watched = Prometheus({"node": server}, [prometheus.shortened(path, folder) for path in RULES])
    inbox, number, until = flags["kafka.topic_prefix"] + ".inbox", 0, time.monotonic() + 4
    cluster.produce(inbox, [json.dumps({"type": "click", **_event(1_000_000 + i)}).encode() for i in range(50)])
    while time.monotonic() < until:
        server.click(**_event(number))
        number += 1
        time.sleep(0.01)
    asked = _of_kafka()
    check(len(asked) >= 10, f"only {len(asked)} queries are about Kafka")
    slow = {("AdtrackAppendsSlow", "node")}  # a busy machine makes a new broker slow, and here an alert waits for a second only
    equal(watched.alerts() - slow, set(), "alerts that fire while nothing is wrong")
    prometheus.check_rules(watched, ABSENT, OF_KAFKA)
    t.note(f"{prometheus.check_queries(watched, asked, ABSENT)} of {len(asked)} queries have data")

    cluster.produce(inbox, [b"garbage"])
    wait_for("the alert of the quarantine", 20, lambda: ("AdtrackQuarantineGrowing", "node") in watched.alerts(), server, 0.2)

    expected = {(name, "node") for name in ("AdtrackKafkaDown", "AdtrackKafkaErrors", "AdtrackShardLagUnknown", "AdtrackSpoolGrowing")}
    seen, durability = set(), set()

    def all_fire():
        nonlocal number
        for _ in range(5):
            reply = server.post_json(CLICK, _event(number))
            number += 1
            check(reply.status in (202, 503), f"without a broker: {reply}")
            durability.add(reply.json().get("durability"))
        seen.update(watched.alerts())
        return expected <= seen
    cluster.kill(1)
    try:
        wait_for("alerts", 40, all_fire, server, 0.2)
        check("spool" in durability, f"no event was spooled: {durability}")
        prometheus.check_queries(watched, asked, {})  # the errors have series now
    except Failure as failure:
        raise Failure(f"{failure}; did not fire: {sorted(expected - seen)}") from failure
    finally:
        cluster.start()
    t.note(f"fired: {', '.join(sorted({name for name, _ in seen}))}")
    kafka.settled(server)
    wait_for("the alerts to end", 40, lambda: not expected & watched.alerts(), server, 0.5)
    watched.kill()
    equal(server.stop(), 0, "exit code")
