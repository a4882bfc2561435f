"""Contract sections 6 and 7: starting, refusing to start, settings, stopping."""

import json
import os
import re
import signal
import socket
import time

from harness import AGENT, Server, Skip, Suite, check, check_health, equal, raw_connect, read_reply, run_refused, write_key_file
from load import Events, Ledger, Load

suite = Suite("operations", "contract sections 6 and 7: settings, one process a directory, SIGTERM, JSON logs")


def _refused(server, *words):
    """It must exit with a code that is not 0, in a sentence that holds all of the words; never by a signal."""
    code, said = run_refused(server)
    check(code > 0, f"exit code {code} (negative: a signal): {said[-800:]}")
    for word in words:
        check(word.lower() in said.lower(), f"what it said lacks {word!r}: {said[-800:]}")


@suite.case("a second process on the same data directory is refused, the first goes on")
def _(t):
    first = Server(name="first").start()
    _refused(Server(data_dir=first.data_dir, name="second"), os.path.basename(first.data_dir))
    first.click(event_id="after", ad_id=1, user_ip="198.51.100.1", agent=AGENT)
    equal(first.stop(), 0, "exit code of the first")
    third = Server(data_dir=first.data_dir, name="third").start()
    equal(third.stop(), 0, "exit code of a third, after the first has ended")


@suite.case("another number of log.shards is refused and the data is untouched")
def _(t):
    server = Server(flags={"log.shards": 4}, name="shards").start()
    position = server.click(event_id="s", ad_id=1, user_ip="198.51.100.1", agent=AGENT)
    equal(server.stop(), 0, "exit code")
    for other in (5, 2, 16):
        _refused(Server(data_dir=server.data_dir, flags={"log.shards": other}, name="shards-other"), "log.shards")
    server.start()
    equal(server.analytics([position], ad_id=1)["data"][0]["gross_clicks"], 1, "clicks afterwards")
    equal(server.stop(), 0, "exit code")


@suite.case("an unknown flag is refused by name")
def _(t):
    _refused(Server(flags={"http.prot": 8080}, name="flag"), "http.prot")


@suite.case("an unknown ADTRACK_ variable is refused by name")
def _(t):
    _refused(Server(env={"ADTRACK_HTTP_PROT": "8080"}, name="env"), "ADTRACK_HTTP_PROT")


def _config(text):
    server = Server(name="config")
    server.flags["config"] = os.path.join(server.work_dir, "adtrackd.toml")
    with open(server.flags["config"], "w", encoding="utf-8") as file:
        file.write(text)
    return server


@suite.case("an unknown key in the file is refused by name")
def _(t):
    _refused(_config("[http]\nprot = 8080\n"), "prot")
    _refused(_config("[nonsense]\nx = 1\n"), "nonsense")


@suite.case("a file that is missing or broken is refused")
def _(t):
    _refused(Server(flags={"config": "/nonexistent/adtrackd.toml"}, name="nofile"), "/nonexistent/adtrackd.toml")
    _refused(_config("[http\nport = 8080\n"))


for _name, _value in (("http.port", "65536"), ("http.port", "x"), ("http.port", "-1"), ("http.port", ""), ("log.shards", "0"), ("log.shards", "1.5"),
                      ("log.backend", "floppy"), ("dedupe.window_days", "0")):
    suite.add(f"{_name} = {_value!r} is refused by name", lambda t, n=_name, v=_value: _refused(Server(flags={n: v}, name="bad"), n))
# What only the system can judge is named by its value.
for _name, _value in (("http.host", "not-an-address-at-all.invalid"), ("admin.key_file", "/nonexistent/keys"), ("data.dir", "/proc/adtrack-cannot-be-here")):
    suite.add(f"{_name} = {_value!r} is refused with that value", lambda t, n=_name, v=_value: _refused(Server(flags={n: v}, name="bad"), v))


@suite.case("a port that is taken is refused with a sentence")
def _(t):
    first = Server(name="port").start()
    _refused(Server(flags={"http.port": first.port}, name="port-taken"), str(first.port))
    equal(first.stop(), 0, "exit code")


@suite.case("file, then variables, then flags")
def _(t):
    server = _config('[log]\nshards = 3\nlevel = "info"\n[node]\nid = "from-file"\n')
    server.env = {"ADTRACK_LOG_SHARDS": "5"}
    server.start()
    equal(server.analytics()["shards"]["total"], 5, "shards with file and variable")
    equal(server.stop(), 0, "exit code")
    server = _config("[log]\nshards = 3\n")
    server.env, server.flags["log.shards"] = {"ADTRACK_LOG_SHARDS": "5"}, "7"
    server.start()
    equal(server.analytics()["shards"]["total"], 7, "shards with file, variable and flag")
    equal(server.stop(), 0, "exit code")
    server = _config("[log]\nshards = 3\n").start()
    equal(server.analytics()["shards"]["total"], 3, "shards with the file alone")
    equal(server.stop(), 0, "exit code")


@suite.case("ingest and read keys close what they name")
def _(t):
    server = Server(name="keys")
    for name in ("ingest", "read"):
        path = os.path.join(server.work_dir, f"{name}.keys")
        server.flags[f"{name}.key_file"] = write_key_file(path, [("one", f"{name}-key-1"), ("two", f"{name}-key-2")])
    server.start()
    event = {"event_id": "k", "ad_id": 1}
    for key, status in ((None, 401), ("Bearer read-key-1", 401), ("Bearer ingest-key-1", 202), ("Bearer ingest-key-2", 202), ("bearer ingest-key-2", 202)):
        reply = server.post_json("/api/v1/ads/click", event, {"Authorization": key} if key else None).expect(status)
        if status == 401:
            check("bearer" in (reply.expect_problem(401).header("www-authenticate") or "").lower(), f"WWW-Authenticate: {reply.headers}")
    for key, status in ((None, 401), ("Bearer ingest-key-1", 401), ("Bearer read-key-2", 200)):
        server.get("/api/v1/ads/analytics", headers={"Authorization": key} if key else None).expect(status)
    server.get("/healthz").expect(200)
    said = server.log_text()
    check("ingest-key-1" not in said and "read-key-2" not in said, "a key stands in the log")
    equal(server.stop(), 0, "exit code")


@suite.case("what is open is said at the start")
def _(t):
    server = Server(admin=False, name="open").start()
    said = server.log_text()
    for name in ("admin.key_file", "ingest.key_file", "read.key_file"):
        check(name in said, f"the start does not mention {name}: {said[:1500]}")
    equal(server.stop(), 0, "exit code")


@suite.case("log lines are JSON objects with time, level and event")
def _(t):
    server = Server(name="logs").start()
    server.post_json("/api/v1/ads/click", {"event_id": 'quote"\n', "ad_id": 1}, {"User-Agent": 'a"b\\c'})
    server.get("/nope%22%0a%00%ff")
    equal(server.stop(), 0, "exit code")
    lines = server.log_text().splitlines()
    check(lines, "it logged nothing")
    for line in lines:
        entry = json.loads(line)
        for name in ("time", "level", "event", "message"):
            check(name in entry, f"a log line lacks {name}: {line}")
        check(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", entry["time"]), f"time of {line}")


@suite.case("--check-health says by its exit code whether the server of the same settings is alive, and takes only their names")
def _(t):
    server = Server(name="check-health").start()
    equal(check_health(server), (0, ""), "of a server that runs")
    equal(check_health(server, host="0.0.0.0"), (0, ""), "of one that binds every address")
    server.process.send_signal(signal.SIGSTOP)
    code, said = check_health(server)
    server.process.send_signal(signal.SIGCONT)
    check(code == 1 and "no answer" in said, f"of one that stands still: {code} {said!r}")
    equal(server.stop(), 0, "exit code")
    code, said = check_health(server)
    check(code == 1 and f":{server.port}/healthz" in said, f"of one that has ended: {code} {said!r}")
    code, said = check_health(server, port=0)
    check(code == 2 and "http.port" in said, f"of no port: {code} {said!r}")
    code, said = check_health(server, more=["--http.prot", "1"])
    check(code == 2 and "http.prot" in said, f"with an unknown flag: {code} {said!r}")


@suite.case("SIGTERM answers what is in flight and exits 0 within 10 s, whatever idle and half-sent connections hang on")
def _(t):
    server = Server(name="sigterm").start()
    idle = [raw_connect(server) for _ in range(20)]
    half = raw_connect(server)
    half.sendall(b"POST /api/v1/ads/click HTTP/1.1\r\nHost: e2e\r\nContent-Le")
    busy = [raw_connect(server) for _ in range(32)]
    for connection in busy:  # a first answer, so that the server has accepted each of them
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: e2e\r\n\r\n")
        read_reply(connection, "first")[0].expect(200)
    for i, connection in enumerate(busy):
        body = json.dumps({"event_id": f"flight-{i}", "ad_id": 1 + i}).encode()
        connection.sendall(b"POST /api/v1/ads/click HTTP/1.1\r\nHost: e2e\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    started = time.monotonic()
    equal(server.stop(), 0, "exit code")
    took = time.monotonic() - started
    check(took < 10, f"it took {took:.1f} s")
    t.note(f"stopped in {took:.2f} s")
    acked, silent = set(), []
    for i, connection in enumerate(busy):
        reply, _ = read_reply(connection, f"in flight {i}")
        if reply is None:
            silent.append(i)
            continue
        check(reply.status in (202, 503), f"{reply}")
        if reply.status == 202:
            acked.add(1 + i)
    equal(silent, [], "requests sent on accepted connections before SIGTERM and not answered")
    for connection in busy + idle + [half]:
        connection.close()
    server.start()
    rows = server.all_rows()
    equal(acked - set(rows), set(), "acknowledged before the stop and lost")
    t.note(f"{len(acked)} of 32 in flight were acknowledged and are counted")
    equal(server.stop(), 0, "exit code")


@suite.case("SIGTERM under load: exit 0 within 10 s and everything acknowledged is counted")
def _(t):
    server = Server(name="sigload").start()
    ledger = Ledger(Events("sig", 100, 1_753_185_600))
    load = Load(server, ledger, iter(range(1 << 30)), connections=32).start()
    time.sleep(1.5)
    started = time.monotonic()
    equal(server.stop(), 0, "exit code")
    t.note(f"stopped in {time.monotonic() - started:.2f} s with {ledger.acked} acknowledged")
    load.abort()
    load.raise_error()
    server.start()
    lost, twice, never, _ = ledger.judge(server.all_rows(ledger.barrier()))
    equal((lost, twice, never), (0, 0, 0), "lost, twice, never sent")
    check(ledger.acked > 0, "the load never got an answer")
    equal(server.stop(), 0, "exit code")


@suite.case("with http.drain_ms, SIGTERM is followed by a time in which /readyz is 503 and all else is answered; a second SIGTERM cuts it short")
def _(t):
    server = Server(flags={"http.drain_ms": 2_000}, name="grace").start()
    started = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    while server.get("/readyz").status == 200:  # until the signal is there
        check(time.monotonic() - started < 10, "/readyz is 200 long after SIGTERM")
    answered = 0
    while time.monotonic() - started < 1.2:
        server.get("/readyz").expect_problem(503, text="about to stop")
        server.click(event_id=f"grace-{answered}", ad_id=1)
        answered += 1
    equal(server.process.wait(12), 0, "exit code")
    took = time.monotonic() - started
    check(took >= 2, f"it stopped {took:.2f} s after SIGTERM")
    t.note(f"{answered} events were taken after SIGTERM, it ended after {took:.2f} s")
    server.start()
    equal(server.analytics(ad_id=1)["data"][0]["gross_clicks"], answered, "clicks of the time after SIGTERM")
    server.kill()
    server.flags["http.drain_ms"] = 600_000
    server.start()
    server.process.send_signal(signal.SIGTERM)
    while server.get("/readyz").status == 200:
        time.sleep(0.01)
    equal(server.stop(), 0, "exit code after a second SIGTERM")


@suite.case("a service manager is told when it is ready and when it stops")
def _(t):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        server = Server(name="notify")
        server.env["NOTIFY_SOCKET"] = os.path.join(server.work_dir, "notify")
        manager.bind(server.env["NOTIFY_SOCKET"])
        manager.settimeout(20)
        server.start()
        heard = [manager.recv(4096)]
        while heard[-1] != b"READY=1":
            heard.append(manager.recv(4096))
        check(all(re.fullmatch(rb"EXTEND_TIMEOUT_USEC=\d+", word) for word in heard[:-1]), f"before it was ready it said {heard}")
        equal(server.stop(), 0, "exit code")
        equal(manager.recv(4096), b"STOPPING=1\nEXTEND_TIMEOUT_USEC=10000000", "what it said last")


@suite.case("a second SIGTERM and SIGINT do no harm")
def _(t):
    for first in (signal.SIGTERM, signal.SIGINT):
        server = Server(name="twice").start()
        server.process.send_signal(first)
        server.process.send_signal(signal.SIGTERM)
        equal(server.stop(), 0, f"exit code after {first.name}")


@suite.case("it runs as a user without rights on anything but its data directory")
def _(t):
    if os.getuid() != 0:
        raise Skip("this needs root to become another user")
    import subprocess
    server = Server(admin=False, name="nobody")
    os.makedirs(server.data_dir)
    for path in (server.work_dir, server.data_dir):
        os.chown(path, 65534, 65534)
    readable = subprocess.run(["test", "-x", server.arguments()[0]], user=65534, check=False)
    if readable.returncode != 0:
        raise Skip("the binary's directory is closed to other users")
    log = os.path.join(server.work_dir, "stderr.1.log")
    server.log_paths.append(log)
    with open(log, "wb") as file:
        server.process = subprocess.Popen(server.arguments(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=file, user=65534, group=65534,
                                          extra_groups=[], cwd=server.work_dir)
    server.wait_ready()
    server.click(event_id="n", ad_id=1)
    equal(server.stop(), 0, "exit code")
