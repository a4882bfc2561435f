"""scripts/import.sh: the events of a file, each once, whatever breaks it off."""

import csv
import gzip
import json
import os
import re
import socket
import subprocess
import time

from harness import AGENT, Server, Suite, check, equal, fresh_dir

suite = Suite("imports", "scripts/import.sh: NDJSON and CSV, gzip too; resumable; a second run adds 0", flags={"traffic.repeat_click_secs": 0})

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "scripts", "import.sh")
NOON = 1_753_185_600


def _free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def _events(count, ad, name):
    for n in range(count):
        event = {"type": "click" if n % 3 else "impression", "event_id": f"{name}-{n}", "ad_id": ad + n % 5, "user_ip": f"198.51.100.{n % 200}", "agent": AGENT,
                 "timestamp": NOON + n % 600}
        if n % 3 and n % 2:
            event["play_time_secs"] = n % 90
        yield event


def _start(server, path, *options):
    return subprocess.Popen([SCRIPT, path, "--url", f"http://{server.host}:{server.port}", *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def _run(server, path, *options, code=0):
    process = _start(server, path, *options)
    said, _ = process.communicate(timeout=120)
    equal(process.returncode, code, f"exit code; it said: {said}")
    return said


def _counted(server, ad):
    """(gross clicks and impressions, duplicates) of five ads, once all that the server took is counted."""
    deadline = time.monotonic() + 60
    while True:
        answer = server.analytics(ad_id=[ad + n for n in range(5)])
        if answer["is_real_time"] and answer["lag_ms"] == 0 or time.monotonic() > deadline:
            break
        time.sleep(0.02)
    rows = answer["data"]
    return sum(row["gross_clicks"] + row["impressions"] for row in rows), sum(row["duplicates"] for row in rows)


def _file(name, text):
    path = os.path.join(fresh_dir("import"), name)
    with open(path, "wb") as file:
        file.write(text)
    return path


def _ndjson(events):
    return "".join(json.dumps(event) + "\n" for event in events).encode()


@suite.case("NDJSON, packed or not: all are counted, a second run does nothing and a forced one adds 0")
def _(t):
    for name, pack, ad in (("a.ndjson", bytes, 100), ("b.ndjson.gz", gzip.compress, 110)):
        path = _file(name, pack(_ndjson(_events(5_000, ad, name))))
        check("5,000 events are in, 0 were rejected" in _run(t.server, path), "it does not say how many")
        equal(_counted(t.server, ad), (5_000, 0), name)
        check("is in already" in _run(t.server, path), "the second run does not say that it is done")
        equal(_counted(t.server, ad), (5_000, 0), f"{name} after a second run")
        _run(t.server, path, "--again")
        equal(_counted(t.server, ad), (5_000, 5_000), f"{name} after a forced run")


@suite.case("CSV gives the same rows as NDJSON")
def _(t):
    directory = fresh_dir("import")
    path = os.path.join(directory, "events.csv")
    with open(path, "w", newline="", encoding="utf-8") as file:
        names = ["type", "event_id", "ad_id", "user_ip", "agent", "timestamp", "play_time_secs"]
        table = csv.DictWriter(file, names)
        table.writeheader()
        table.writerows({**event, "agent": f'{event["agent"]}, "quoted", ünïcode'} for event in _events(2_000, 120, "csv"))
    plain = _file("same.ndjson", _ndjson({**event, "ad_id": event["ad_id"] + 10, "agent": f'{event["agent"]}, "quoted", ünïcode'} for event in _events(2_000, 120, "csv")))
    _run(t.server, path)
    _run(t.server, plain)
    equal((_counted(t.server, 120), _counted(t.server, 130)), ((2_000, 0), (2_000, 0)), "events")
    rows = {row.pop("ad_id"): {**row, "last_updated": None} for row in t.server.analytics(ad_id=[120 + n for n in range(15)])["data"]}
    for ad in range(120, 125):
        equal(rows[ad], rows[ad + 10], f"rows of {ad} by CSV and by NDJSON")


@suite.case("lines that adtrack rejects are listed with their errors, the others are in, and the exit code says so")
def _(t):
    lines = _ndjson(_events(3_000, 140, "bad")).splitlines()
    bad = {7: b"no json", 8: b'{"type":"click","event_id":"x","ad_id":0}', 2_999: b'{"type":"view","event_id":"x","ad_id":1}', **{n: b"{}" for n in range(1_200, 2_400)}}
    path = _file("bad.ndjson", b"\n".join(bad.get(n, line) for n, line in enumerate(lines)))
    said = _run(t.server, path, code=1)
    check(f"{3_000 - len(bad):,} events are in, {len(bad):,} were rejected" in said, said)
    with open(path + ".rejected", encoding="utf-8") as file:
        listed = [json.loads(line) for line in file]
    equal([item["line"] for item in listed], sorted(n + 1 for n in bad), "lines listed")
    equal(listed[1]["errors"][0]["field"], "ad_id", "the field of the second")
    equal(_counted(t.server, 140), (3_000 - len(bad), 0), "events")


@suite.case("events without an id get one that is the same in every run")
def _(t):
    one = {"type": "click", "ad_id": 150, "user_ip": "198.51.100.1", "agent": AGENT, "timestamp": NOON}
    path = _file("ids.ndjson", _ndjson([one, one, {**one, "timestamp": NOON + 9}]))
    _run(t.server, path, "--make-ids")
    equal(_counted(t.server, 150), (3, 0), "events; two lines alike are two events")
    _run(t.server, path, "--make-ids", "--again")
    equal(_counted(t.server, 150), (3, 3), "events after a forced run")


@suite.case("broken off by kill -9 and over a server that is killed and started again: every event once, and it goes on where it was")
def _(t):
    server = Server(name="imports", flags={"traffic.repeat_click_secs": 0, "http.port": _free_port()}).start()
    path = _file("long.ndjson", _ndjson(_events(60_000, 160, "long")))
    first = _start(server, path, "--batch", "200")
    while not os.path.exists(path + ".imported"):
        check(first.poll() is None, "it ended before its first note")
        time.sleep(0.01)
    time.sleep(0.3)
    first.kill()
    first.communicate()
    with open(path + ".imported", encoding="utf-8") as file:
        note = json.load(file)
    check(0 < note["records"] < 60_000, f"broken off too late: {note}")
    second = _start(server, path, "--batch", "200")
    time.sleep(0.5)
    server.restart(hard=True)
    said, _ = second.communicate(timeout=120)
    equal(second.returncode, 0, f"exit code; it said: {said}")
    check(re.search(r"going on after [0-9,]+ records", said), said)
    counted, duplicates = _counted(server, 160)
    equal(counted, 60_000, "events")
    check(duplicates <= 400, f"{duplicates} duplicates: more than the batches that were under way")
    equal(server.stop(), 0, "exit code")


@suite.case("what it cannot do it says in a sentence, with exit code 2")
def _(t):
    path = _file("x.ndjson", _ndjson(_events(1, 170, "x")))
    check("No such file" in _run(t.server, path + ".none", code=2), "a missing file")
    check("--batch" in _run(t.server, path, "--batch", "0", code=2), "a bad option")
    process = subprocess.run([SCRIPT, path, "--url", "http://127.0.0.1:1", "--patience", "0.5"], capture_output=True, text=True, timeout=60, check=False)
    equal(process.returncode, 2, "exit code without a server")
    check("took nothing" in process.stderr, process.stderr)
    check("names its fields" in _run(t.server, _file("y.csv", b"a,b\n1,2\n"), code=2), "a CSV without names")
