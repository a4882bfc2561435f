"""The Dockerfile's image and docker-compose.yml, built and run in a Docker engine that the suite starts and ends; skipped where none
can be started. tests/e2e/stack.py says what stands in for images that cannot be pulled."""

import json
import os
import re
import signal
import statistics
import tarfile
import threading
import time

import prometheus
from browser import Browser
from dashboard_page import LIVE, count_of
from docker import Engine
from harness import AGENT, Failure, Skip, Suite, check, equal, fresh_dir
from kafka import wait_for
from stack import SERVICES, Stack, ask, engine_with_image, wait_ready

CLICK, ANALYTICS = "/api/v1/ads/click", "/api/v1/ads/analytics"
MOST_BYTES = 50_000_000
HARDENED = ["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
PUBLISHED = {"adtrackd": {"8080/tcp": ["0.0.0.0"]}, "kafka": {}, "prometheus": {"9090/tcp": ["127.0.0.1"]}, "grafana": {"3000/tcp": ["127.0.0.1"]}}
SECONDS_TO_SEE = 2  # a click

kept = {}  # the engine with the image, and the stack; or why there is none


def close():
    if isinstance(kept.get("engine"), Engine):
        kept["engine"].end()
    kept.clear()


suite = Suite("containers", "the image is small, not root and healthy, and stops without a loss; docker compose up is a whole that shows clicks at once",
              close=close)


def _once(name, make):
    """What `make` makes, the first time; why it could not is kept too."""
    if name not in kept:
        try:
            kept[name] = make()
        except (Skip, Failure) as why:
            kept[name] = why
    if isinstance(kept[name], Exception):
        raise kept[name]
    return kept[name]


def _engine(t):
    return _once("engine", lambda: engine_with_image(t.options.whole_image))


def _stack(t):
    engine = _engine(t)
    return _once("stack", lambda: Stack(engine))


def _run(engine, name, volume, *flags):
    """The address of a container of the image, which is ready."""
    engine("run", "-d", "--name", name, *HARDENED, "-v", f"{volume}:/var/lib/adtrack", *flags, "adtrack")
    address = engine.inspect(name, "{{.NetworkSettings.IPAddress}}")
    try:
        with engine.inside():
            wait_ready(address, 8080)
    except (OSError, Failure) as why:
        raise Failure(f"not ready: {why}: {engine('logs', name).stderr[-1500:]}") from why
    return address


def _click(number):
    return {"event_id": f"click-{number}", "ad_id": 1 + number % 5, "user_ip": f"198.51.{number // 250 % 250}.{number % 250}", "agent": AGENT}


def _clicks(address, positions=(), port=8080):
    """All that is counted, once the shards have applied the positions."""
    newest = {}
    for shard, offset in (position.split(":") for position in positions):
        newest[shard] = max(newest.get(shard, 0), int(offset))
    query = "&".join(f"min_position={shard}:{offset}" for shard, offset in newest.items())
    answer = ask(address, port, "GET", f"{ANALYTICS}?timeout_ms=9500&{query}").expect(200).json()
    check(answer["complete"], f"an answer lacks shards: {answer}")
    return sum(row["gross_clicks"] for row in answer["data"])


# ---------------------------------------------------------------- the image

@suite.case("the image holds the program, its libraries and its data: small, all of it root's, nothing to run but adtrackd")
def _(t):
    engine = _engine(t)
    size = int(engine.inspect("adtrack", "{{.Size}}"))
    check(size < MOST_BYTES, f"{size} bytes")
    t.note(f"{size / 1e6:.1f} MB{' (compiled in a container)' if t.options.whole_image else ''}")
    equal(engine.inspect("adtrack", "{{.Config.User}} {{.Config.StopSignal}}"), "10001:10001 SIGTERM", "user and stop signal")
    engine("create", "--name", "looked-at", "adtrack")
    archive = os.path.join(fresh_dir("export"), "image.tar")
    engine("export", "-o", archive, "looked-at")
    engine("rm", "-v", "looked-at")
    with tarfile.open(archive) as tar:
        files = {member.name.rstrip("/"): member for member in tar}
    equal([name for name in files if re.search(r"(^|/)s?bin/.", name)], ["usr/local/bin/adtrackd"], "programs")
    equal([name for name, file in files.items() if file.uid != 0], ["var/lib/adtrack"], "what is not root's")
    equal([name for name, file in files.items() if file.mode & 0o6000 or (file.mode & 0o002 and not file.issym())], [], "set-id or writable for all")
    for name in ("etc/ssl/certs/ca-certificates.crt", "usr/share/zoneinfo/Europe/Paris", "usr/share/uap-core/regexes.yaml",
                 "usr/share/doc/librocksdb7.8/copyright"):
        check(name in files and (files[name].size > 0 or files[name].islnk()), f"{name} is missing")


@suite.case("it runs without root, capabilities, new privileges or a root file system to write to, and is healthy as long as it answers")
def _(t):
    engine = _engine(t)
    address = _run(engine, "hardened", "hardened", "--health-interval", "1s", "--health-retries", "2")
    wait_for("the container is healthy", 60, lambda: engine.inspect("hardened", "{{.State.Health.Status}}") == "healthy")
    pid = int(engine.inspect("hardened", "{{.State.Pid}}"))
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in file)
    equal([status[name] for name in ("Uid", "Gid")], ["\t".join(["10001"] * 4)] * 2, "user and group")
    equal({status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}, {"0" * 16}, "capabilities")
    equal(status["NoNewPrivs"], "1", "no new privileges")
    with open(f"/proc/{pid}/mountinfo", encoding="ascii") as file:
        mounts = {line.split(" ")[4]: line.split(" ")[5].split(",") for line in file}
    check("ro" in mounts["/"], f"the root file system: {mounts['/']}")
    with engine.inside():
        position = ask(address, 8080, "POST", CLICK, _click(1)).expect(202).json()["position"]
        equal(_clicks(address, [position]), 1, "clicks")
        ask(address, 8080, "GET", f"{ANALYTICS}?tz=Europe/Paris&since=2026-01-01").expect(200)
    log = engine("logs", "hardened").stderr
    check("no_agents_file" not in log and '"event":"ready"' in log, f"what it logs: {log}")
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_for("one that stands still is unhealthy", 60, lambda: engine.inspect("hardened", "{{.State.Health.Status}}") == "unhealthy")
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_for("one that goes on is healthy", 60, lambda: engine.inspect("hardened", "{{.State.Health.Status}}") == "healthy")
    engine("rm", "-f", "-v", "hardened")


@suite.case("docker stop under load: exit code 0 in time, and all that was acknowledged is counted by the next container on the volume")
def _(t):
    engine = _engine(t)
    address = _run(engine, "first", "events")
    sent, positions, lock = [], [], threading.Lock()
    enough = threading.Event()

    def load():
        with engine.inside():
            while True:
                with lock:
                    number = len(sent)
                    sent.append(number)
                try:
                    reply = ask(address, 8080, "POST", CLICK, _click(number))
                except OSError:
                    return
                if reply.status != 202:
                    return
                with lock:
                    positions.append(reply.json()["position"])
                    if len(positions) >= 300:
                        enough.set()
    threads = [threading.Thread(target=load, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    check(enough.wait(60), f"{len(positions)} clicks within 60 s")
    began = time.monotonic()
    engine("stop", "-t", "10", "first")  # whoever runs on after 10 s is killed: code 137
    took = time.monotonic() - began
    for thread in threads:
        thread.join(20)
        check(not thread.is_alive(), "a client still waits")
    equal(engine.inspect("first", "{{.State.ExitCode}}"), "0", "exit code")
    check('"event":"stopped"' in engine("logs", "first").stderr, "it does not say that it stopped")
    engine("rm", "first")
    address = _run(engine, "second", "events")
    with engine.inside():
        clicks = _clicks(address, positions)
    check(len(positions) <= clicks <= len(sent), f"{len(positions)} acknowledged, {clicks} counted, {len(sent)} sent")
    t.note(f"stopped in {took:.1f} s; {len(positions)} acknowledged, {clicks} counted, {len(sent)} sent")
    engine("rm", "-f", "-v", "second")


# ---------------------------------------------------------------- docker-compose.yml

@suite.case("docker compose up ends healthy, and the key that it made is an admin key")
def _(t):
    whole = _stack(t)
    whole.wait_healthy()
    t.note("stand-ins: Kafka of Maven Central's jars, Debian's Prometheus, a small server that is not Grafana but answers as it does")
    equal(whole.engine.inspect(whole.container("admin-key"), "{{.State.Status}} {{.State.ExitCode}}"), "exited 0", "the service that makes the key")
    with whole.engine.inside():
        ready = ask("127.0.0.1", 8080, "GET", "/readyz").expect(200).json()
        check(not ready.get("degraded"), f"degraded: {ready}")
        ad = {"title": "T", "url": "https://example.com/"}
        ask("127.0.0.1", 8080, "POST", "/api/v1/ads", ad, {"Authorization": f"Bearer {whole.token()}"}).expect(201)
        ask("127.0.0.1", 8080, "POST", "/api/v1/ads", ad).expect_problem(401)


@suite.case("each service has bounds and no rights that it does not need, and only adtrackd's port is for other machines")
def _(t):
    whole = _stack(t)
    for service in SERVICES:
        about = json.loads(whole.engine("inspect", whole.container(service)).stdout)[0]
        host = about["HostConfig"]
        check(host["Memory"] > 0, f"{service} has no bound of memory")
        equal((host["CapDrop"], host["SecurityOpt"], host["Privileged"]), (["ALL"], ["no-new-privileges:true"], False), f"rights of {service}")
        equal(host["ReadonlyRootfs"], service != "kafka", f"read-only root file system of {service}")
        equal(host["RestartPolicy"]["Name"], "unless-stopped", f"restart of {service}")
        equal(host["LogConfig"], {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}}, f"log of {service}")
        published = {port: sorted({each["HostIp"] or "0.0.0.0" for each in bound or []}) for port, bound in (host["PortBindings"] or {}).items()}
        equal(published, PUBLISHED[service], f"ports of {service}")
        with open(f"/proc/{about['State']['Pid']}/status", encoding="ascii") as file:
            check("Uid:\t0\t" not in file.read(), f"{service} runs as root")


@suite.case("a click is in Grafana's panel within two seconds: its own query, once a second, through the data source")
def _(t):
    whole = _stack(t)
    whole.wait_healthy()
    path = f"/api/datasources/proxy/uid/adtrack-prometheus/api/v1/query?query={prometheus.urllib.parse.quote(_panel('adtrack / Advertiser view', 'Clicks'))}"

    def shown():
        result = ask("127.0.0.1", 3000, "GET", path).expect(200).json()["data"]["result"]
        return float(result[0]["value"][1]) if result else 0.0
    took = []
    with whole.engine.inside():
        boards = {board["uid"] for board in ask("127.0.0.1", 3000, "GET", "/api/search?type=dash-db").expect(200).json()}
        check({"adtrack-overview", "adtrack-advertiser"} <= boards, f"dashboards: {boards}")
        ask("127.0.0.1", 8080, "POST", CLICK, _click(9_000)).expect(202)
        # A counter that is not there yet has no increase: two scrapes of it first.
        wait_for("Prometheus has asked since", 30, lambda: _samples() >= 2)
        for number in range(5):
            before = shown()
            time.sleep(0.37 * number)  # anywhere between two scrapes
            ask("127.0.0.1", 8080, "POST", CLICK, _click(9_001 + number)).expect(202)
            began = time.monotonic()
            while shown() < before + 0.5:
                check(time.monotonic() - began < 30, "a click is not in the panel within 30 s")
                time.sleep(1)  # as the page with refresh=1s asks
            took.append(time.monotonic() - began)
    t.note(f"seconds: {', '.join(f'{seconds:.1f}' for seconds in took)}")
    check(statistics.median(took) <= SECONDS_TO_SEE, f"seconds until a click was in the panel: {took}")


def _panel(board, title):
    found = [expression for where, panel, expression in prometheus.panels() if (where, panel) == (board, title)]
    equal(len(found), 1, f"panels {title} of {board}: {sorted({where for where, _, _ in prometheus.panels()})}")
    return found[0]


def _samples():
    """How often the counter of counted clicks was scraped within the last minute."""
    query = prometheus.urllib.parse.quote('count_over_time(adtrack_events_total{fate="counted",type="click"}[1m])')
    result = ask("127.0.0.1", 9090, "GET", f"/api/v1/query?query={query}").expect(200).json()["data"]["result"]
    return min((float(series["value"][1]) for series in result), default=0)


@suite.case("a click is on adtrackd's dashboard within two seconds")
def _(t):
    whole = _stack(t)
    whole.wait_healthy()
    took = []
    with whole.engine.inside():
        browser = Browser()
        try:
            browser.go("http://127.0.0.1:8080/?last=15m")
            browser.wait(LIVE, what="the page is live")
            browser.wait("return document.getElementById('clicks').textContent !== '–'")
            for number in range(3):
                before = count_of(browser.text("#clicks"))
                ask("127.0.0.1", 8080, "POST", CLICK, _click(9_500 + number)).expect(202)
                began = time.monotonic()
                browser.wait(f"return document.getElementById('clicks').textContent.replace(/,/g, '') === '{before + 1}'")
                took.append(time.monotonic() - began)
        finally:
            browser.close()
    t.note(f"seconds: {', '.join(f'{seconds:.1f}' for seconds in took)}")
    check(statistics.median(took) <= SECONDS_TO_SEE, f"seconds until a click was on the page: {took}")


@suite.case("docker compose down and up again: what was acknowledged is counted, and the key is the same")
def _(t):
    whole = _stack(t)
    whole.wait_healthy()
    token = whole.token()
    with whole.engine.inside():
        positions = [ask("127.0.0.1", 8080, "POST", CLICK, _click(9_900 + number)).expect(202).json()["position"] for number in range(20)]
        before = _clicks("127.0.0.1", positions)
    whole.compose("stop", "adtrackd", timeout=60)
    equal(whole.engine.inspect(whole.container("adtrackd"), "{{.State.ExitCode}}"), "0", "exit code of adtrackd")
    whole.compose("down", timeout=120)
    whole.up()
    whole.wait_healthy()
    with whole.engine.inside():
        equal(_clicks("127.0.0.1", positions), before, "clicks")
        ask("127.0.0.1", 8080, "GET", "/admin/v1/settings", headers={"Authorization": f"Bearer {token}"}).expect(200)
