"""scripts/load.sh: its verdict on an honest server, on one that is killed, and through a proxy that lies; its clock; its ledger."""

import json
import os
import re
import signal
import socket
import subprocess
import time

from harness import AGENT, Server, Suite, check, equal, fresh_dir, token_file, write_key_file
from liar import Liar

suite = Suite("loads", "scripts/load.sh: an open loop, and a true verdict on what is lost, doubled, made up and misjudged")

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "scripts", "load.sh")
FIELDS = ("lost", "doubled", "counted but never sent", "wrong reason", "wrong duplicates")
ALL_RIGHT = (0, 0, 0, 0, 0)


def _url(server):
    return f"http://127.0.0.1:{server.port}"


def _start(*arguments):
    return subprocess.Popen([SCRIPT, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _end(process, code):
    said, errors = process.communicate(timeout=180)
    equal(process.returncode, code, f"exit code; it said: {said[-1500:]} {errors[-1500:]}")
    return said + errors if code == 2 else said


def _run(*arguments, code=0):
    return _end(_start(*arguments), code)


def _verdict(said):
    found = re.search(r"^verdict: (.*)$", said, re.MULTILINE)
    check(found, f"no verdict: {said}")
    pairs = dict(part.rsplit(" ", 1) for part in found[1].split(", "))
    equal(tuple(pairs), FIELDS, "what the verdict names")
    return tuple(int(number.replace(",", "")) for number in pairs.values())


def _number(said, pattern):
    found = re.search(pattern, said)
    check(found, f"nothing like {pattern!r}: {said}")
    return float(found[1].replace(",", ""))


def _plan(ledger):
    with open(ledger, encoding="ascii") as file:
        return json.loads(file.readline())


def _ledger():
    return os.path.join(fresh_dir("ledger"), "run")


@suite.case("an honest server: single events and batches, with crawlers, repeats, late and doubled ones, all come out even")
def _(t):
    for more in ((), ("--batch", 50, "--processes", 2, "--arrivals", "even")):
        ledger = _ledger()
        said = _run(_url(t.server), "--rate", 1500, "--seconds", 2, "--ads", 300, "--seed", t.options.seed, "--ledger", ledger, *more)
        equal(_verdict(said), ALL_RIGHT, f"verdict; {said}")
        check(re.search(r"p50 [0-9.]+ ms, p90 .*, p99 .*, p99.9 .*, max |COULD NOT KEEP", said), f"no percentiles: {said}")
        first = _plan(ledger)["first_ad"]

        def rows_of(**window):
            return [row for at in range(0, 300, 100) for row in t.server.analytics(ad_id=list(range(first + at, first + at + 100)), **window)["data"]]

        rows = rows_of()
        seen = {"valid": sum(row["click_count"] for row in rows), "bot": sum(row["invalid_clicks"].get("bot", 0) for row in rows),
                "repeat": sum(row["invalid_clicks"].get("repeat", 0) for row in rows), "impressions": sum(row["impressions"] for row in rows),
                "playbacks": sum(sum(row["playbacks"].values()) for row in rows), "duplicates": sum(row["duplicates"] for row in rows)}
        check(all(seen.values()), f"of some kind there is nothing: {seen}")
        equal(sum(row["conflicts"] for row in rows), 0, "conflicts")
        distinct = sum(seen.values()) - seen["duplicates"]
        equal(_number(said, r"([0-9,]+) distinct events acknowledged"), distinct, "events that the verdict is of")
        top = max(rows, key=lambda row: row["impressions"])
        equal(top["ad_id"], first, "the ad with the most events")
        late = sum(row["gross_clicks"] + row["impressions"] + sum(row["playbacks"].values()) for row in rows_of(until=_iso(_plan(ledger)["started"] - 5)))
        check(distinct * 0.02 < late < distinct * 0.08, f"{late} of {distinct} events are late, asked were 5 %")
        t.note(f"{seen}, {late} late")


def _iso(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _lies(t, by_ad, *more):
    liar = Liar(t.server.host, t.server.port, by_ad)
    try:
        said = _run(f"http://127.0.0.1:{liar.port}", "--rate", 500, "--seconds", 2, "--zipf", 0.5, "--connections", 8, "--duplicates", 0, "--repeats", 0,
                    "--seed", t.options.seed, "--types", "click=60,impression=30,playback=10", *more, code=1)
    finally:
        liar.close()
    right = (len(liar.kept), len(liar.twice), len(liar.made_up), len(liar.turned), 0)
    check(all(right[:4]), f"it did not lie in every way: {right}")
    equal(_verdict(said), right, f"verdict; {said}")
    t.note(f"kept, twice, made up, turned: {right[:4]}")


@suite.case("a proxy that keeps events, doubles, turns and makes up others: the verdict has its very numbers")
def _(t):
    _lies(t, True, "--ads", 40)


@suite.case("where doubled events hide those that are kept, asking for each has the very numbers too")
def _(t):
    _lies(t, False, "--ads", 2, "--late", 0, "--each")


@suite.case("what an answer refuses, alone or in a batch, is not expected")
def _(t):
    for batch in (1, 20):
        server = Server(name="loads", flags={"ads.require_known": "true"}).start()
        for number in range(5):
            server.admin("POST", "/api/v1/ads", {"title": f"ad {number}", "url": "https://shop.example/"}).expect(201)
        said = _run(_url(server), "--rate", 1000, "--seconds", 1, "--first-ad", 1, "--ads", 10, "--batch", batch, "--zipf", 0)
        equal(_verdict(said), ALL_RIGHT, f"verdict; {said}")
        acked, refused = (_number(said, f"([0-9,]+) {word}") for word in ("distinct events acknowledged", "refused"))
        check(0.3 < refused / (acked + refused) < 0.7, f"{refused} refused and {acked} acknowledged: half of the ads are known")
        equal(server.stop(), 0, "exit code")


@suite.case("a copy that is not counted, and one too many, are wrong duplicates")
def _(t):
    ledger = _ledger()
    _run(_url(t.server), "--rate", 500, "--seconds", 1, "--ads", 1, "--ledger", ledger, "--seed", 7)
    plan = _plan(ledger)
    with open(ledger, "a", encoding="ascii") as file:
        file.write("0 0 2 0\n")  # as if the first request had been answered 202 once more
    equal(_verdict(_run("verify", ledger, _url(t.server), code=1)), (0, 0, 0, 0, 1), "verdict of one copy too few")
    record = next(line for line in _log(t.server) if line["ad_id"] == plan["first_ad"] and line["type"] == "impression")
    for _ in range(3):
        t.server.impression(event_id=record["event_id"], ad_id=record["ad_id"])
    equal(_verdict(_run("verify", ledger, _url(t.server), code=1)), (0, 0, 0, 0, 2), "verdict of three more copies, one of which is the missing one")


@suite.case("kill -9 in the middle: what was not answered is sent again, and all comes out even")
def _(t):
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    server = Server(name="loads", flags={"http.port": port}).start()
    process = _start(_url(server), "--rate", 1000, "--seconds", 5, "--seed", t.options.seed, "--batch", 2)
    for _ in range(2):
        time.sleep(1.5)
        check(process.poll() is None, "the load ended too early")
        server.restart(hard=True)
    said = _end(process, 0)
    equal(_verdict(said), ALL_RIGHT, f"verdict; {said}")
    equal(_number(said, r"([0-9,]+) undecided"), 0, "undecided, as all was sent again")
    check(re.search(r"^answers: .*(lost|no connection):", said, re.MULTILINE), f"it did not notice the kills: {said}")
    t.note(re.search(r"^answers: .*$", said, re.MULTILINE)[0])
    equal(server.stop(), 0, "exit code")


@suite.case("a ledger is verified again after a restart, without its second half, and against a server that has more or nothing")
def _(t):
    server = Server(name="loads").start()
    ledger = _ledger()
    equal(_verdict(_run(_url(server), "--rate", 1500, "--seconds", 1, "--ledger", ledger, "--seed", t.options.seed)), ALL_RIGHT, "verdict")
    check("exists" in _run(_url(server), "--ledger", ledger, code=2), "a ledger that exists was not refused")
    server.restart(hard=True)
    equal(_verdict(_run("verify", ledger, _url(server))), ALL_RIGHT, "verdict after a restart")
    liar = Liar(server.host, server.port, True)
    liar.lags = 3
    equal(_verdict(_run("verify", ledger, f"http://127.0.0.1:{liar.port}")), ALL_RIGHT, "verdict of a server that is behind at first")
    liar.close()
    with open(ledger, encoding="ascii") as file:
        text = file.read()
    half = ledger + ".half"
    with open(half, "w", encoding="ascii") as file:
        file.write(text[:len(text) // 2])
    said = _run("verify", half, _url(server))
    equal(_verdict(said), ALL_RIGHT, "verdict of half a ledger")
    check(_number(said, r"([0-9,]+) undecided") > 500, f"what the second half said is not undecided: {said}")
    plan = _plan(ledger)
    server.impression(event_id="one-more", ad_id=plan["first_ad"], agent=AGENT, timestamp=plan["started"])
    equal(_verdict(_run("verify", ledger, _url(server), code=1)), (0, 1, 0, 0, 0), "verdict with one impression more")
    empty = Server(name="empty").start()
    said = _run("verify", ledger, _url(empty), "--patience", 1, code=1)
    check("are not reached" in said, f"it does not say that positions are missing: {said}")
    equal(_verdict(said)[0], _number(said, r"([0-9,]+) distinct events acknowledged"), "lost, of a server that has nothing")
    for each in (server, empty):
        equal(each.stop(), 0, "exit code")


@suite.case("one seed gives one stream, however many processes send it")
def _(t):
    streams = []
    for seed, processes in ((1, 1), (1, 3), (2, 1)):
        server, ledger = Server(name="loads").start(), _ledger()
        _run(_url(server), "--rate", 800, "--seconds", 1, "--seed", seed, "--run-id", "same", "--processes", processes, "--ledger", ledger)
        started = _plan(ledger)["started"]
        streams.append(sorted((line["type"], line["event_id"], line["ad_id"], line["timestamp"] - started) for line in _log(server)))
        equal(server.stop(), 0, "exit code")
    check(len(streams[0]) > 600, f"only {len(streams[0])} events")
    equal(streams[0] == streams[1], True, "the stream of the same seed")
    one, other = ({line[1]: line[2] for line in stream} for stream in (streams[0], streams[2]))
    both = one.keys() & other.keys()
    check(len(both) > 500 and sum(one[name] == other[name] for name in both) < len(both) / 5, "another seed gives the same events")


def _log(server):
    """All events of the log."""
    shard, shards = 0, 1
    while shard < shards:
        reply = server.admin("GET", f"/admin/v1/log/{shard}?max=100000").expect(200)
        shards = int(reply.header("adtrack-log-shards"))
        for line in reply.body.splitlines():
            record = json.loads(line)["record"]
            if record["kind"] == "event":
                yield record
        shard += 1


@suite.case("a server that stands still shows in the latencies; a generator that does says so and shows none")
def _(t):
    server = Server(name="loads").start()

    def with_a_stop(pid_of):
        process = _start(_url(server), "--rate", 100, "--seconds", 3, "--connections", 4, "--processes", 1, "--arrivals", "even")
        time.sleep(1.5)
        pid = pid_of(process.pid)
        os.kill(pid, signal.SIGSTOP)
        time.sleep(1.2)
        os.kill(pid, signal.SIGCONT)
        said = _end(process, 0)
        equal(_verdict(said), ALL_RIGHT, "verdict")
        return said

    for _ in range(3):
        said = with_a_stop(lambda _: server.process.pid)
        late, by_itself = (_number(said, pattern) for pattern in (r"([0-9,]+) requests left", r"late, ([0-9,]+) of them by the generator"))
        check(late >= 60 and by_itself < late / 2, f"the generator takes the server's stop for its own: {said}")
        if "COULD NOT KEEP" not in said:  # on a busy machine it may be late itself, and shows no latencies
            check(_number(said, r"p99 ([0-9.]+) ms, p99.9") >= 900 and _number(said, r"p90 ([0-9.]+) ms") >= 300,
                  f"latencies that leave out what had to wait: {said}")
            break
        t.note("the machine was busy, and the generator late itself")

    def sender_of(pid):
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return int(file.read().split()[0])

    said = with_a_stop(sender_of)
    check("COULD NOT KEEP ITS SCHEDULE" in said, f"it does not say that it stood still: {said}")
    check("p99" not in said, f"it shows its own latencies: {said}")
    equal(server.stop(), 0, "exit code")


@suite.case("keys are sent; what it cannot do it says in a sentence, with exit code 2")
def _(t):
    directory = fresh_dir("keys")
    files = {name: write_key_file(os.path.join(directory, name), [("load", f"{name}-token-0123456789abcdef")]) for name in ("ingest", "read")}
    server = Server(name="loads", flags={"ingest.key_file": files["ingest"], "read.key_file": files["read"]}).start()
    short = (_url(server), "--rate", 200, "--seconds", 0.5)
    keys = ("--token-file", token_file("ingest-token-0123456789abcdef"), "--read-token-file", token_file("read-token-0123456789abcdef"))
    equal(_verdict(_run(*short, *keys)), ALL_RIGHT, "verdict")
    said = _run(*short, code=2)
    check("401:" in said and "no event was acknowledged" in said, said)
    check("answered 401" in _run(*short, *keys[:2], code=2), "a missing read key")
    equal(server.stop(), 0, "exit code")
    for arguments, text in ((("http://127.0.0.1:1", "--rate", 10, "--seconds", 0.5), "no event was acknowledged"), (("https://127.0.0.1:1",), "plain HTTP"),
                            (("http://127.0.0.1:1", "--bots", 101), "from 0 to 100"), (("http://127.0.0.1:1", "--types", "view=1"), "must be like"),
                            (("verify", files["read"], "http://127.0.0.1:1"), "is no ledger"),
                            (("verify", files["read"] + ".none", "http://127.0.0.1:1"), "No such file")):
        check(text in _run(*arguments, code=2), f"{arguments} does not say {text!r}")
