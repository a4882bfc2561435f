"""Records of the log over HTTP, and scripts/export.sh: what it writes, scripts/import.sh takes."""

import gzip
import json
import os
import subprocess
import threading

from harness import ADMIN_KEY, AGENT, Server, Suite, check, equal, fresh_dir, token_file
from kafka import wait_for

suite = Suite("exports", "contract section 6: the log's records; what export.sh writes gives the same counts where it is imported")

SCRIPTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "scripts")
NOON = 1_753_185_600
BOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
SHARDS = 16
FILLED = 3_000


def _page(server, shard, **params):
    query = "&".join(f"{name}={value}" for name, value in params.items())
    return server.admin("GET", f"/admin/v1/log/{shard}?{query}")


def _lines(reply):
    return [json.loads(line) for line in reply.expect(200).body.splitlines()]


def _head(reply, name):
    return int(reply.headers[f"adtrack-log-{name.lower()}"])


def _events(count, name):
    for n in range(count):
        event = {"type": ("click", "impression", "playback")[n % 3], "event_id": f"{name}-{n}", "ad_id": 1 + n % 41, "user_ip": f"198.51.{n % 90}.7",
                 "agent": BOT if n % 10 == 0 else f"{AGENT} {n % 7} \"ü\"", "timestamp": NOON + n // 3}
        if n % 3 == 0:
            event.update(play_time_secs=n % 60, watched_percent=n % 101)
        if n % 3 == 2:
            event["progress"] = ("start", "midpoint", "complete")[n % 9 // 3]
        yield event


def _fill(server, name, count=FILLED):
    """The events, with duplicates among them, in order; what is not there twice is counted before this returns."""
    positions, events = {}, list(_events(count, name))
    for at in range(0, count, 500):
        part = events[at:at + 500] + events[at:at + 100]
        positions.update(server.request("POST", "/api/v1/ads/events", json.dumps(part).encode(), {"Content-Type": "application/json"}).expect(202).json()["positions"])
    server.analytics([f"{shard}:{offset}" for shard, offset in positions.items()])


def _run(script, path, server, *options, key=True, code=0):
    arguments = [os.path.join(SCRIPTS, script), path, "--url", f"http://{server.host}:{server.port}", *options]
    if key:
        arguments += ["--key-file", token_file(ADMIN_KEY)]
    done = subprocess.run(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
    equal(done.returncode, code, f"exit code of {script}; it said: {done.stdout[-500:]} {done.stderr[-500:]}")
    return done


def _counted(server):
    """Waits until all that the log holds is counted."""
    ends = [_head(_page(server, shard, max=1), "End") for shard in range(SHARDS)]
    server.all_rows([f"{shard}:{end - 1}" for shard, end in enumerate(ends) if end])


def _rows(server):
    rows = server.analytics(limit=1_000)["data"]
    return [{**row, "last_updated": None} for row in rows]


@suite.case("every event of a log stands in its pages, whatever their size, as it was written")
def _(t):
    _fill(t.server, "pages")
    found, controls = [], 0
    for shard in range(SHARDS):
        first = _page(t.server, shard, max=1)
        equal((_head(first, "Begin"), _head(first, "Shards")), (0, SHARDS), "begin and shards")
        at, end, offsets = 0, _head(first, "End"), []
        while at < end:
            reply = _page(t.server, shard, **{"from": at, "max": 37 + shard})
            lines = _lines(reply)
            check(len(lines) <= 37 + shard, f"{len(lines)} records")
            offsets += [line["offset"] for line in lines]
            found += [line["record"] for line in lines if line["record"]["kind"] == "event"]
            controls += sum(line["record"]["kind"] == "control" for line in lines)
            at = _head(reply, "Next")
        equal(offsets, sorted(set(offsets)), "offsets ascend")
        equal(_lines(_page(t.server, shard, **{"from": end})), [], "records at the end")
        equal(_head(_page(t.server, shard, **{"from": end}), "Next"), end, "next at the end")
        _page(t.server, shard, **{"from": end + 1}).expect_problem(409)
    equal(controls, SHARDS, "control records")
    equal(len(found), FILLED + FILLED // 5, "events")
    sent = {event["event_id"]: event for event in _events(FILLED, "pages")}
    equal({record["event_id"] for record in found}, set(sent), "their ids")
    one = next(record for record in found if record["event_id"] == "pages-33")
    equal({name: one[name] for name in ("type", "ad_id", "user_ip", "agent", "timestamp", "play_time_secs", "schema")},
          {**{name: sent["pages-33"][name] for name in ("type", "ad_id", "agent", "timestamp", "play_time_secs")}, "user_ip": "198.51.33.0", "schema": 1}, "one record")
    _page(t.server, SHARDS).expect_problem(404)
    t.server.get("/admin/v1/log/0").expect_problem(401)


@suite.case("what export.sh writes gives the same rows where import.sh takes it, and again adds nothing")
def _(t):
    path = os.path.join(fresh_dir("export"), "all.ndjson.gz")
    server = Server(name="exported").start()
    _fill(server, "round")
    said = _run("export.sh", path, server, "--page", "100").stdout.decode()
    check(f"{FILLED + FILLED // 5:,} events of {SHARDS} shards are in" in said, said)
    with gzip.open(path, "rt", encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    check(all(line["user_ip"].endswith(".0") for line in lines), "an address that is not masked")
    other = Server(name="imported").start()
    _run("import.sh", path, other, key=False)
    _counted(other)
    equal(_rows(other), _rows(server), "rows")
    _run("import.sh", path, other, "--again", key=False)
    _counted(other)
    uncounted = ("duplicates", "conflicts", "last_updated")
    without = [[{name: value for name, value in row.items() if name not in uncounted} for row in _rows(one)] for one in (other, server)]
    equal(without[0], without[1], "rows after a second import, but for duplicates")
    check(sum(row["duplicates"] for row in _rows(other)) > len(lines), "duplicates of the second import")
    server.stop()
    other.stop()


@suite.case("a valid traceparent is in the records of its events and its trace in the request's log line; one that is not valid is in neither")
def _(t):
    server = Server(name="traced", flags={"log.level": "debug"}).start()
    trace, bad = "4bf92f3577b34da6a3ce929d0e0e4736", "4BF92F3577B34DA6A3CE929D0E0E4736"
    parent = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
    event = {"event_id": "traced", "ad_id": 7, "user_ip": "198.51.100.7", "agent": AGENT, "timestamp": NOON}
    sent = [("traced", "click", event, parent), ("not-valid", "click", {**event, "event_id": "not-valid"}, {"traceparent": f"00-{bad}-00f067aa0ba902b7-01"}),
            ("in-a-batch", "events", [{"type": "click", **event, "event_id": "in-a-batch"}], parent)]
    for _, path, body, headers in sent:
        server.post_json(f"/api/v1/ads/{path}", body, headers=headers).expect(202)
    visit = server.request("GET", "/api/v1/ads/7/impression.gif?event_id=visit", headers={"User-Agent": AGENT, **parent}).expect(200)
    equal(visit.header("x-event-id"), "visit", "the visit's event")
    shard = int(server.click(**{**event, "event_id": "plain"}).split(":")[0])

    def events():  # a log that fetches from brokers may have nothing yet
        records = [line["record"] for line in _lines(_page(server, shard))]
        return [record for record in records if record["kind"] == "event"] if any(record.get("event_id") == "plain" for record in records) else None
    traced = {record["event_id"]: record.get("traceparent") for record in wait_for("the records", 10, events, server)}
    equal(traced, {"traced": parent["traceparent"], "not-valid": None, "in-a-batch": parent["traceparent"], "visit": parent["traceparent"], "plain": None},
          "traceparent by event")
    equal(server.stop(), 0, "exit code")
    lines = [json.loads(line) for line in server.log_text().splitlines()]
    equal(sum(line.get("trace_id") == trace for line in lines), 3, "log lines with the trace")
    check(bad not in server.log_text(), "a trace id that is not valid is in the log")


@suite.case("an export beside a load ends, and holds all that was acknowledged before it began")
def _(t):
    _fill(t.server, "before", 500)
    stop = threading.Event()

    def load():
        n = 0
        while not stop.is_set():
            _fill(t.server, f"beside{n}", 500)
            n += 1
    loader = threading.Thread(target=load)
    loader.start()
    try:
        out = _run("export.sh", "-", t.server, "--shard", "3", "--shard", "5").stdout
        whole = _run("export.sh", "-", t.server).stdout
    finally:
        stop.set()
        loader.join()
    ids = {json.loads(line)["event_id"] for line in whole.splitlines()}
    check({event["event_id"] for event in _events(500, "before")} <= ids, "an event that was there is missing")
    check(0 < len(out) < len(whole), f"{len(out)} of {len(whole)} bytes in two shards")


@suite.case("without a key, or without a server, export.sh says why and leaves no file")
def _(t):
    path = os.path.join(fresh_dir("export"), "none.ndjson")
    said = _run("export.sh", path, t.server, key=False, code=2).stderr.decode()
    check("401" in said, said)
    gone = Server(name="gone").start()
    gone.stop()
    said = _run("export.sh", path, gone, "--patience", "1", code=2).stderr.decode()
    check("took nothing" in said, said)
    equal(os.listdir(os.path.dirname(path)), [], "files")
