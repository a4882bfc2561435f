"""A log that is not what it was: topics made anew, cut, grown and deleted behind the node's back. Each is shown, none is counted over."""

import json
import os
import time

import kafka
from harness import AGENT, Server, Suite, check, equal, run_refused

suite = Suite("kafka_forks", "promise 3: a gap or a fork of the log is shown in /readyz, metrics and every answer; nothing is counted over it")

NOON = 1_753_185_600
SHARDS = 4
TOPIC = {"message.timestamp.type": "LogAppendTime", "retention.ms": -1, "retention.bytes": -1, "min.insync.replicas": 1, "cleanup.policy": "delete"}


def _click(server, number, ad=None, name="fk"):
    return server.click(event_id=f"{name}-{number}", ad_id=ad or 1 + number % 40, user_ip=f"198.51.100.{number % 250}", agent=AGENT, timestamp=NOON + number)


class Node:
    """A server whose port is known before it says that it is ready, which it may never."""

    def __init__(self, name, clicks=400):
        self.cluster = kafka.cluster()
        flags = {**self.cluster.flags(), "log.shards": SHARDS}
        self.topic = flags["kafka.topic_prefix"] + ".events"
        self.server = Server(flags=flags, name=name).start()
        self.positions = [_click(self.server, i) for i in range(clicks)]
        self.rows = self.server.all_rows(self.positions)
        self.ends = {}
        for position in self.positions:
            shard, offset = position.split(":")
            self.ends[int(shard)] = int(offset) + 1

    def start_in_doubt(self):
        """Starts it without waiting for the ready line, and waits until it answers."""
        port = kafka.free_ports()
        self.server.flags["http.port"] = port
        self.server.spawn()
        self.server.host, self.server.port = "127.0.0.1", port
        kafka.wait_for("an answer", 30, self._answers, self.server)

    def _answers(self):
        client = self.server.client(2)
        try:
            return client.request("GET", "/healthz").status == 200
        except OSError:
            return False
        finally:
            client.close()

    def shown(self, kind, shards, seconds=30):
        """Waits until the fault shows everywhere: answers, metrics, /readyz; the answer."""
        wanted = sorted((shard, kind) for shard in shards)

        def look():
            answer = self.server.analytics(limit=1000)
            faults = sorted((each["shard"], each["kind"]) for each in answer.get("log_faults", []) if each["kind"] == kind)
            return answer if faults == wanted else None

        answer = kafka.wait_for(f"log_faults {wanted}", seconds, look, self.server)
        equal((answer["complete"], answer["is_real_time"]), (False, False), "complete, is_real_time of an answer over a log with a fault")
        for shard in shards:
            if shard is not None:  # metrics and /readyz follow within a second or two
                kafka.wait_for(f"adtrack_log_faults of shard {shard} for {kind}", 10,
                               lambda n=shard: kafka.total(kafka.metrics(self.server), "adtrack_log_faults", shard=n, kind=kind) == 1, self.server)
        if len(shards) == SHARDS:
            kafka.wait_for("/readyz to be 503, as no shard is sound", 10, lambda: self.server.get("/readyz").status == 503, self.server)
        else:
            kafka.wait_for(f"/readyz to name the shards {shards}", 10, lambda: self._named(shards), self.server)
        return answer

    def _named(self, shards):
        degraded = self.server.get("/readyz").expect(200).json()["degraded"]
        return bool(degraded) and all(shard is None or any(f"shard {shard}:" in each for each in degraded) for shard in shards)

    def counted(self, answer):
        """Rows of the answer against those before the fault."""
        equal({row["ad_id"]: row for row in answer["data"]}, self.rows, "rows, as of before the fault")

    def stop(self):
        equal(self.server.stop(), 0, "exit code")

    def events_of(self, partition):
        return [line for line in self.cluster.consume(self.topic, partition) if json.loads(line)["kind"] == "event"]

    def renamed(self, partition, count, name="strange"):
        """Right records for the partition, of other events."""
        record = json.loads(self.events_of(partition)[0])
        return [json.dumps({**record, "event_id": f"{name}-{i}"}, separators=(",", ":")).encode() for i in range(count)]

    def make_anew(self):
        with self.cluster.admin() as admin:
            admin.delete_topic(self.topic)
            deadline = time.monotonic() + 30
            while True:  # the name is free a moment later
                try:
                    return admin.create_topic(self.topic, SHARDS, TOPIC)
                except Exception:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.1)


@suite.case("the topic made anew and empty under a stopped node")
def _(t):
    node = Node("fork-empty")
    node.stop()
    node.make_anew()
    node.start_in_doubt()
    node.counted(node.shown("fork", range(SHARDS)))
    said = [json.loads(line) for line in node.server.log_text().splitlines()]
    check(any(line["event"] == "log_fault" for line in said), "no log_fault is logged")
    node.stop()


@suite.case("the topic made anew, with as many other records as before")
def _(t):
    node = Node("fork-other")
    strange = {partition: node.renamed(partition, node.ends[partition] + 50) for partition in range(SHARDS)}
    node.stop()
    node.make_anew()
    for partition, lines in strange.items():
        node.cluster.produce(node.topic, lines, partition)
    node.start_in_doubt()
    node.counted(node.shown("fork", range(SHARDS)))
    node.stop()


@suite.case("one partition cut short: that shard is shown, the others count on, and its rebuild is what the log now holds")
def _(t):
    node = Node("fork-short")
    kept = {partition: node.cluster.consume(node.topic, partition) for partition in range(SHARDS)}
    node.stop()
    node.make_anew()
    victim = 2
    kept[victim] = kept[victim][:len(kept[victim]) // 2]
    for partition, lines in kept.items():
        node.cluster.produce(node.topic, lines, partition)
    node.server.start()
    node.counted(node.shown("fork", [victim]))
    # Clicks on ads of the sound shards count; on those of the cut one they are taken and wait.
    ads = {}
    for position, number in zip(node.positions, range(400)):
        ads.setdefault(int(position.split(":")[0]), 1 + number % 40)
    after = [_click(node.server, 5000 + partition, ad) for partition, ad in ads.items()]
    sound = [position for position in after if not position.startswith(f"{victim}:")]
    rows = {row["ad_id"]: row for row in node.server.analytics(sound, limit=1000)["data"]}
    for partition, ad in ads.items():
        equal(rows[ad]["gross_clicks"], node.rows[ad]["gross_clicks"] + (partition != victim), f"clicks of ad {ad} in shard {partition}")
    node.stop()
    # As the README says: the shard's folder out of the way, and it is rebuilt from the log as it is.
    folder = os.path.join(node.server.data_dir, "shards", str(victim))
    check(os.path.isdir(folder), f"no folder {folder}")
    os.rename(folder, os.path.join(node.server.work_dir, "moved"))
    node.server.start()
    kafka.settled(node.server)
    rows = node.server.all_rows()
    in_log = sum(json.loads(line)["kind"] == "event" for line in kept[victim]) + 1
    others = sum(row["gross_clicks"] for ad, row in node.rows.items() if _shard(node, ad) != victim) + SHARDS - 1
    equal(sum(row["gross_clicks"] for row in rows.values()), in_log + others, "clicks after the rebuild")
    equal(kafka.total(kafka.metrics(node.server), "adtrack_log_faults"), 0, "adtrack_log_faults after the rebuild")
    node.stop()


def _shard(node, ad):
    return next(int(position.split(":")[0]) for number, position in enumerate(node.positions) if 1 + number % 40 == ad)


@suite.case("records removed before the shard read them are a gap, not a step")
def _(t):
    node = Node("gap")
    node.stop()
    victim = 1
    node.cluster.produce(node.topic, node.renamed(victim, 30), victim)
    with node.cluster.admin() as admin:
        admin.delete_records(node.topic, victim, admin.bounds(node.topic, victim)[1] - 5)
    node.server.start()
    node.counted(node.shown("gap", [victim]))
    kafka.wait_for("/readyz to say gap", 10, lambda: any("gap" in each for each in node.server.get("/readyz").json()["degraded"]), node.server)
    node.stop()


@suite.case("records removed that were applied already are no fault")
def _(t):
    node = Node("trimmed")
    for live in (True, False):
        if not live:
            node.stop()
        with node.cluster.admin() as admin:
            for partition in range(SHARDS):
                low, high = admin.bounds(node.topic, partition)
                admin.delete_records(node.topic, partition, low + (high - low) // 2 if live else high)
        if not live:
            node.server.start()
        number = 6000 + live
        rows = node.server.all_rows([_click(node.server, number)])
        equal(sum(row["gross_clicks"] for row in rows.values()), 401 + (not live), "clicks")
        kafka.settled(node.server)
        equal(kafka.total(kafka.metrics(node.server), "adtrack_log_faults"), 0, "adtrack_log_faults")
    node.stop()


@suite.case("the topic made anew under a running node")
def _(t):
    node = Node("fork-live")
    node.make_anew()
    kafka.wait_for("a fault in the answers", 40, lambda: node.server.analytics(limit=1).get("log_faults"), node.server)
    started = time.monotonic()
    node.counted(node.shown("fork", range(SHARDS), 40))
    t.note(f"seen, and by every shard {time.monotonic() - started:.1f} s after the first word of it")
    node.stop()


@suite.case("the topic grown under a running node is shown, and refused at the next start")
def _(t):
    node = Node("grown")
    with node.cluster.admin() as admin:
        admin.grow_topic(node.topic, SHARDS + 3)
    started = time.monotonic()
    node.counted(node.shown("changed", [None], 45))
    t.note(f"seen after {time.monotonic() - started:.1f} s")
    node.stop()
    code, said = run_refused(node.server, 40)
    check(code > 0, f"exit code {code}: {said[-600:]}")
    for word in (node.topic, str(SHARDS + 3)):
        check(word in said, f"what it said lacks {word!r}: {said[-600:]}")


@suite.case("the topic deleted under a running node is shown")
def _(t):
    node = Node("deleted")
    with node.cluster.admin() as admin:
        admin.delete_topic(node.topic)

    def look():
        answer = node.server.analytics(limit=1000)
        return answer if answer.get("log_faults") else None

    answer = kafka.wait_for("a fault in the answers", 45, look, node.server)
    equal((answer["complete"], answer["is_real_time"]), (False, False), "complete, is_real_time")
    node.counted(answer)
    node.stop()
