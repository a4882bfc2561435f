"""Records that no rule can read, put straight into the events topic, and what the node makes of them."""

import json
import time

import kafka
from harness import AGENT, Server, Suite, check, equal

suite = Suite("kafka_quarantine", "contract promise 5 and section 6: garbage in the log is kept aside and shown; counts and lag are as without it")

NOON = 1_753_185_600
SHARDS = 4
LIST_PATH = "/admin/v1/quarantine"


def _click(server, number, ad):
    return server.click(event_id=f"q-{number}", ad_id=ad, user_ip=f"198.51.100.{number % 250}", agent=AGENT, timestamp=NOON + number)


def _records(cluster, topic):
    """One event record of each partition, as the node wrote it."""
    found = {}
    for partition in range(SHARDS):
        for line in cluster.consume(topic, partition):
            record = json.loads(line)
            if record["kind"] == "event":
                found[partition] = record
    equal(sorted(found), list(range(SHARDS)), "partitions with an event")
    return found


def _garbage(found, partition):
    """2,500 records for one partition, with the reason that the node must give for each."""
    mine, other = found[partition], found[(partition + 1) % SHARDS]
    without_stamps = {name: value for name, value in mine.items() if name not in ("visitor", "fields")}
    lines = []
    for i in range(500):
        text = json.dumps(mine)
        lines += [("syntax", text[:len(text) - 1 - i % 100].encode()),
                  ("syntax", b"\xff\x00\x7f garbage %d" % i),
                  ("stamps", json.dumps({**without_stamps, "event_id": f"stamp-{partition}-{i}"}).encode()),
                  ("schema", json.dumps({**mine, "event_id": f"schema-{partition}-{i}", "schema": 99 + i}).encode()),
                  ("partition", json.dumps({**other, "event_id": f"wrong-{partition}-{i}"}).encode())]
    return lines


def _listed(server, **params):
    """All entries from the first one on, page by page."""
    entries, start = [], {}
    while True:
        page = server.admin("GET", LIST_PATH + "?" + "&".join(f"{k}={v}" for k, v in {**params, **start, "max": 1000}.items())).expect(200).json()
        entries += page["data"]
        if page["next"] is None:
            return entries, page["total"]
        start = {"from": page["next"]}


@suite.case("10,000 garbage records of four kinds are quarantined, shown and counted nowhere")
def _(t):
    cluster = kafka.cluster()
    flags = cluster.flags()
    topic = flags["kafka.topic_prefix"] + ".events"
    server = Server(flags={**flags, "log.shards": SHARDS}, name="quarantine").start()
    positions = [_click(server, i, 1 + i % 40) for i in range(400)]
    before = server.all_rows(positions)
    equal(_listed(server), ([], 0), "the quarantine before")
    found = _records(cluster, topic)
    wanted = {}
    with cluster.admin() as admin:
        for partition in range(SHARDS):
            _, start = admin.bounds(topic, partition)
            lines = _garbage(found, partition)
            cluster.produce(topic, [line for _, line in lines], partition)
            wanted.update({f"{partition}:{start + i}": (reason, line) for i, (reason, line) in enumerate(lines)})
            equal(admin.bounds(topic, partition)[1], start + len(lines), f"the end of partition {partition}")
    started = time.monotonic()
    kafka.wait_for("10,000 quarantined records", 30, lambda: kafka.total(kafka.metrics(server), "adtrack_quarantined_total") >= 10_000, server)
    kafka.settled(server)
    t.note(f"{len(wanted)} records put into {SHARDS} partitions, all kept aside and lag 0 {time.monotonic() - started:.1f} s after the last")
    equal(server.all_rows(), before, "rows")
    series = kafka.metrics(server)
    for reason, number in (("syntax", 4000), ("stamps", 2000), ("schema", 2000), ("partition", 2000)):
        equal(kafka.total(series, "adtrack_quarantined_total", reason=reason), number, f"adtrack_quarantined_total of {reason}")

    entries, total = _listed(server)
    equal((len(entries), total), (10_000, 10_000), "entries listed, total")
    for entry in entries:
        reason, line = wanted.pop(entry["position"])
        equal((entry["source"], entry["reason"], entry["size"]), ("events", reason, len(line)), f"source, reason, size at {entry['position']}")
        equal(entry["value"], line[:1024].decode(errors="replace"), f"value at {entry['position']}")
    equal(wanted, {}, "records that are not listed")

    # What comes after the garbage counts, and a restart reads none of it twice.
    after = [_click(server, 1000 + i, 1 + i % 40) for i in range(40)]
    rows = server.all_rows(after)
    equal(sum(row["gross_clicks"] for row in rows.values()), 440, "clicks after the garbage")
    server.restart(hard=True)
    kafka.settled(server)
    equal(server.all_rows(), rows, "rows after kill -9")
    equal(_listed(server)[1], 10_000, "the quarantine's total after kill -9")
    kafka.wait_for("nothing to be degraded", 10, lambda: server.get("/readyz").expect(200).json()["degraded"] == [], server)
    equal(server.stop(), 0, "exit code")


@suite.case("the quarantine asks for the admin key and refuses what it does not know")
def _(t):
    server = Server(flags={**kafka.cluster().flags(), "log.shards": SHARDS}, name="quarantine-key").start()
    server.get(LIST_PATH).expect_problem(401)
    for query in ("source=elsewhere", "from=x", "max=0", "max=1001", "nonsense=1"):
        server.admin("GET", f"{LIST_PATH}?{query}").expect_problem(400)
    equal(server.stop(), 0, "exit code")
