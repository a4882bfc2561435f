"""scripts/replay-verify.sh and scripts/restate.sh: a second adtrackd reads the log of the first over HTTP."""

import csv
import io
import json
import os
import socket
import subprocess
import threading
import time

from harness import ADMIN_KEY, AGENT, BINARY, Server, Suite, check, equal, fresh_dir, token_file

suite = Suite("replays", "contract promise 4: who counts the log anew has the same digests and answers; under other rules, the difference", flags={"log.shards": 4})

SCRIPTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "scripts")
NOON = 1_753_185_600
SPIDER = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"


def _free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def _run(script, server, *options, code=0, key=True):
    arguments = [os.path.join(SCRIPTS, script), "--url", f"http://{server.host}:{server.port}", *options]
    if key:
        arguments += ["--key-file", token_file(ADMIN_KEY)]
    done = subprocess.run(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=200, text=True, env={**os.environ, "ADTRACKD": BINARY})
    equal(done.returncode, code, f"exit code of {script}; it said: {done.stdout[-1000:]} {done.stderr[-1000:]}")
    return done


def _fill(server, name, count=4_000):
    """Events of all types, with duplicates, conflicts, bots and repeats; the positions of the newest."""
    positions, events = {}, []
    for n in range(count):
        event = {"type": ("click", "click", "impression", "playback")[n % 4], "event_id": f"{name}-{n}", "ad_id": 1 + n % 23, "user_ip": f"198.51.{n % 9}.7",
                 "agent": SPIDER if n % 10 == 0 else AGENT, "timestamp": NOON + n // 20}
        if n % 4 < 2:
            event["play_time_secs"] = n % 60
        if n % 4 == 3:
            event["progress"] = "start"
        events.append(event)
    for at in range(0, count, 1_000):
        again = [{**event, "timestamp": event["timestamp"] + at // 1_000 % 2} for event in events[at // 2:at // 2 + 200]]
        body = json.dumps(events[at:at + 1_000] + again).encode()
        positions.update(server.request("POST", "/api/v1/ads/events", body, {"Content-Type": "application/json"}).expect(202).json()["positions"])
    return [f"{shard}:{offset}" for shard, offset in positions.items()]


@suite.case("a replay has the digests and answers of a server that was killed and restarted meanwhile")
def _(t):
    _fill(t.server, "one")
    t.server.restart(hard=True)
    _fill(t.server, "two")
    t.server.restart()
    t.server.all_rows(_fill(t.server, "three"))
    said = _run("replay-verify.sh", t.server, "--question", "", "--question", "ad_id=7&granularity=hour&since=2025-07-22T00:00:00Z&until=2025-07-23T00:00:00Z",
                "--question", "group_by=browser").stdout
    check("digests: 4 of 4 shards are equal" in said and said.count("rows are equal") == 3, said)
    check("question '': 23 rows are equal" in said, said)


@suite.case("beside a load, too")
def _(t):
    stop = threading.Event()

    def load():
        n = 0
        while not stop.is_set():
            _fill(t.server, f"load{n}", 1_000)
            n += 1
            time.sleep(0.3)
    loader = threading.Thread(target=load)
    loader.start()
    try:
        said = _run("replay-verify.sh", t.server, "--question", "ad_id=7").stdout
    finally:
        stop.set()
        loader.join()
    check("digests: 4 of 4 shards are equal" in said, said)


@suite.case("what differs is said, with exit code 1")
def _(t):
    said = _run("replay-verify.sh", t.server, "--set", "remote.judge_again=true", "--set", "traffic.repeat_click_secs=0", "--question", "", code=1).stdout
    check("digests: 0 of 4 shards are equal" in said and "the rows differ" in said, said)


@suite.case("restated under another repeat time, the difference is what the oracle of the rule says")
def _(t):
    server = Server(name="restated", flags={"log.shards": 4}).start()
    clicks = []
    for n in range(60):  # one visitor an ad, a click a second: with 2 s every other one is valid, with 0 all, with 10 every tenth
        clicks.append({"type": "click", "event_id": f"r-{n}", "ad_id": 5 + n % 2, "user_ip": "198.51.100.7", "agent": AGENT, "timestamp": NOON + n // 2})
    reply = server.request("POST", "/api/v1/ads/events", json.dumps(clicks).encode(), {"Content-Type": "application/json"}).expect(202).json()
    rows = server.all_rows([f"{shard}:{offset}" for shard, offset in reply["positions"].items()])
    equal({ad: row["click_count"] for ad, row in rows.items()}, {5: 15, 6: 15}, "valid clicks as they are")
    for seconds, valid in (("0", 30), ("10", 3)):
        done = _run("restate.sh", server, "--set", f"traffic.repeat_click_secs={seconds}", "--format", "csv")
        table = {(int(row["ad_id"]), row["number"]): (int(row["before"]), int(row["after"])) for row in csv.DictReader(io.StringIO(done.stdout))}
        equal(table, {(ad, name): pair for ad in (5, 6) for name, pair in (("click_count", (15, valid)), ("invalid_repeat", (15, 30 - valid)))}, f"with {seconds} s")
        check(f"2 of 2 ads differ; valid clicks 30 -> {2 * valid}" in done.stderr, done.stderr)
    done = _run("restate.sh", server, "--set", "traffic.repeat_click_secs=2")
    check(done.stdout == "" and "0 of 2 ads differ" in done.stderr, done.stdout + done.stderr)
    server.stop()


@suite.case("restated under another list of bots and of data centers")
def _(t):
    directory = fresh_dir("lists")
    with open(os.path.join(directory, "bots.txt"), "w", encoding="utf-8") as file:
        file.write("Firefox\n")
    with open(os.path.join(directory, "centers.txt"), "w", encoding="utf-8") as file:
        file.write("198.51.3.0/24\n")
    server = Server(name="restated", flags={"log.shards": 4, "traffic.repeat_click_secs": 0}).start()
    clicks = [{"type": "click", "event_id": f"b-{n}", "ad_id": 5, "user_ip": f"198.51.{n}.7", "agent": AGENT if n % 2 else AGENT.replace("Firefox", "Seamonkey"),
               "timestamp": NOON} for n in range(10)]
    reply = server.request("POST", "/api/v1/ads/events", json.dumps(clicks).encode(), {"Content-Type": "application/json"}).expect(202).json()
    server.all_rows([f"{shard}:{offset}" for shard, offset in reply["positions"].items()])
    same = ["--set", "traffic.repeat_click_secs=0"]
    said = _run("restate.sh", server, *same, "--set", f"rules.bots_file={directory}/bots.txt").stdout
    equal(said, "ad 5: click_count 10 -> 5, unique_clicks 10 -> 5, invalid_bot 0 -> 5\n", "with a list of bots")
    said = _run("restate.sh", server, *same, "--set", f"rules.datacenters_file={directory}/centers.txt").stdout
    equal(said, "ad 5: click_count 10 -> 9, unique_clicks 10 -> 9, invalid_datacenter 0 -> 1\n", "with a list of data centers")
    server.stop()


@suite.case("a node that reads another's log answers, takes no events, and follows it over its restarts")
def _(t):
    source = Server(name="source", flags={"log.shards": 4, "http.port": _free_port()}).start()
    after = _fill(source, "followed", 1_000)
    source.all_rows(after)
    flags = {"log.backend": "remote", "remote.url": f"http://{source.host}:{source.port}", "remote.key_file": token_file(ADMIN_KEY), "log.shards": 4}
    reader = Server(name="reader", flags=flags).start()
    equal(reader.all_rows(after), source.all_rows(after), "rows")
    refused = reader.request("POST", "/api/v1/ads/click", json.dumps({"event_id": "x", "ad_id": 1}).encode(), {"Content-Type": "application/json"})
    refused.expect_problem(503)
    check("takes no events" in reader.get("/readyz").expect(503).body.decode(), "/readyz")
    source.kill()
    deadline = time.monotonic() + 60
    while reader.analytics()["is_real_time"] and time.monotonic() < deadline:
        time.sleep(0.05)
    equal(reader.analytics()["is_real_time"], False, "real time without the source")
    source.start()
    after = _fill(source, "later", 1_000)
    source.all_rows(after)
    equal(reader.all_rows(after), source.all_rows(after), "rows after the source's restart")
    reader.restart(hard=True)
    equal(reader.all_rows(after), source.all_rows(after), "rows after its own")
    equal(reader.stop(), 0, "exit code")
    source.stop()


@suite.case("what they cannot do they say in a sentence, with exit code 2")
def _(t):
    check("401" in _run("replay-verify.sh", t.server, code=2, key=False).stderr, "without a key")
    said = _run("replay-verify.sh", t.server, "--set", "log.nonsense=1", code=2).stderr
    check("did not start" in said and "nonsense" in said, said)
    check("NAME=VALUE" in _run("restate.sh", t.server, "--set", "x", code=2).stderr, "a setting without a value")
