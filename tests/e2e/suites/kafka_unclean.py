"""An unclean election on real brokers: one that lacks acknowledged records becomes the leader. adtrackd refuses such topics unless it is
told otherwise; told so, it sees that the log forked, shows it, and counts nothing over it."""

import kafka
from harness import AGENT, Server, Suite, check, equal, run_refused

suite = Suite("kafka_unclean", "promise 3: an unclean election is seen and shown, nothing is counted over it", close=lambda: kafka.release(3))

NOON = 1_753_185_600
# Partition 0 lives on the first two; the third keeps a majority of controllers with either of them.
FIRST, SECOND, THIRD = 1, 2, 3
TOPIC = {"message.timestamp.type": "LogAppendTime", "retention.ms": -1, "retention.bytes": -1, "min.insync.replicas": 1, "cleanup.policy": "delete",
         "unclean.leader.election.enable": "true"}


def _click(server, number):
    """As a client does it that is told 503 while brokers come and go: again, with the same event_id."""
    event = {"event_id": f"uc-{number}", "ad_id": 1 + number % 20, "user_ip": f"198.51.100.{number % 250}", "agent": AGENT, "timestamp": NOON + number}
    return kafka.wait_for(f"click {number} to be taken", 20, lambda: _taken(server.post_json("/api/v1/ads/click", event)), server)


def _taken(reply):
    return None if reply.status == 503 else reply.expect(202).json()["position"]


def _clicks(server, numbers):
    return [_click(server, number) for number in numbers]


def _node(unsafe):
    cluster = kafka.cluster(3)
    flags = {**cluster.flags(), "log.shards": 2, "kafka.allow_unsafe": unsafe}
    topic = flags["kafka.topic_prefix"] + ".events"
    with cluster.admin() as admin:
        admin.create_topic(topic, 2, TOPIC, [[FIRST, SECOND], [THIRD, SECOND]])
    return cluster, topic, Server(flags=flags, name="unclean")


def _leads(cluster, topic):
    cluster.elect_uncleanly(topic, 0, SECOND)
    return cluster.leaders(topic).get(0) == SECOND


@suite.case("a topic that allows unclean elections is refused")
def _(t):
    _, topic, server = _node("false")
    code, said = run_refused(server, 40)
    check(code > 0 and topic in said, f"exit code {code}: {said[-600:]}")


@suite.case("a leader that lacks acknowledged records: shown as a fork within seconds, the counts stay as they were")
def _(t):
    cluster, topic, server = _node("true")
    server.start()
    _clicks(server, range(200))
    cluster.kill(SECOND)
    kafka.wait_for("the second broker to be out of sync", 40, lambda: cluster.in_sync(topic, 0) == [FIRST], server)
    rows = server.all_rows(_clicks(server, range(200, 400)))  # the second broker lacks half of these
    equal(sum(row["gross_clicks"] for row in rows.values()), 400, "clicks before the election")
    cluster.kill(FIRST)
    cluster.start(only=SECOND)
    kafka.wait_for("the second broker to lead partition 0", 60, lambda: _leads(cluster, topic), server, every=1)

    def look():
        answer = server.analytics(limit=1000)
        return answer if {"shard": 0, "kind": "fork"} in answer.get("log_faults", []) else None

    answer = kafka.wait_for("a fork of shard 0 in the answers", 60, look, server)
    equal((answer["complete"], answer["is_real_time"]), (False, False), "complete, is_real_time")
    equal({row["ad_id"]: row for row in answer["data"]}, rows, "rows, as of before the election")
    kafka.wait_for("/readyz to name shard 0", 10, lambda: any("shard 0:" in each for each in server.get("/readyz").json().get("degraded", [])), server)
    kafka.wait_for("adtrack_log_faults", 10, lambda: kafka.total(kafka.metrics(server), "adtrack_log_faults", shard=0, kind="fork") == 1, server)
    server.stop()
    cluster.start()
