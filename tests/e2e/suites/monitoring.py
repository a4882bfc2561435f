"""config/prometheus and config/grafana, held against promtool, a real Prometheus and a running adtrackd."""

import collections
import concurrent.futures
import contextlib
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time

import prometheus
from harness import AGENT, ROOT, Failure, Server, Skip, Suite, binary_is_sanitized, check, equal, fresh_dir
from kafka import wait_for
from prometheus import CONFIG, DASHBOARDS, RULES, Prometheus, promtool

suite = Suite("monitoring", "the shipped scrape configuration, rules, alerts and dashboards work as they are: each query has data, alerts fire for their cause")

ADS = "/api/v1/ads"
BOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
GRAFANA = os.path.join(ROOT, "config", "grafana")

# What a healthy node on the embedded log has no series of, and why; kafka_monitoring looks at what is Kafka's.
ABSENT = {
    "adtrack_kafka_messages_total": "only with Kafka",
    "adtrack_kafka_errors_total": "only with Kafka, once there was one",
    "adtrack_inbox_records_total": "only with Kafka's inbox",
    "adtrack_quarantined_total": "only once a record could not be read",
    "instance:adtrack_spool_used:ratio": "only with Kafka's spool",
    "ALERTS": "only while something is wrong",
}
# The same of some values of a label.
MATCHERS = {'status=~"5.."': "a healthy node does not answer so", 'recorded="no"': "only once the log was too slow for a visitor"}


def _text(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def _event(number, **more):
    return {"event_id": f"mon-{number}", "ad_id": 1 + number % 7, "user_ip": f"198.51.100.{number % 250}", "agent": AGENT, **more}


def _load(server, turn, ad):
    """One round of everything that users do."""
    for number in range(20 * turn, 20 * turn + 20):
        server.click(**_event(number))
        server.impression(**_event(number))
        server.post_json(f"{ADS}/playback", _event(number, progress="start")).expect(202)
    server.click(**_event(20 * turn))                                            # a duplicate
    server.click(**{**_event(20 * turn), "ad_id": 1 + 20 * turn % 7, "play_time_secs": 9})   # and one that differs
    for kind in ("click", "impression"):
        server.post_json(f"{ADS}/{kind}", _event(turn, event_id=f"mon-bot-{turn}", ad_id=3, user_ip="198.51.100.9", agent=BOT)).expect(202)
    for kind in ("click", "impression"):
        server.post_json(f"{ADS}/{kind}", _event(turn, event_id=f"mon-late-{turn}", timestamp=int(time.time()) - 7200)).expect(202)
    batch = [{"type": "playback", **_event(1_000_000 + 20 * turn + i, progress="complete")} for i in range(20)] + [{"type": "click"}]
    server.post_json(f"{ADS}/events", batch).expect(202)
    server.post_json(f"{ADS}/click", {"event_id": "x", "ad_id": 0}).expect(400)
    server.post_json(f"{ADS}/click", b"{").expect(400)
    server.request("GET", f"{ADS}/{ad}/click", headers={"User-Agent": AGENT}).expect(302)
    server.request("GET", f"{ADS}/{ad}/impression.gif", headers={"User-Agent": AGENT}).expect(200)
    server.get(f"{ADS}/analytics", {"last": "15m"}).expect(200)
    server.admin("GET", "/admin/v1/quarantine").expect(200)
    server.get("/nope").expect(404)


def _ad(server):
    return server.admin("POST", ADS, {"title": "T", "url": "https://example.com/"}).expect(201).json()["id"]


def _certificate(days):
    if shutil.which("openssl") is None:
        raise Skip("this needs the openssl command")
    folder = fresh_dir("certificate")
    paths = [os.path.join(folder, name) for name in ("node.pem", "node.key")]
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", str(days), "-subj", "/CN=localhost",
                    "-out", paths[0], "-keyout", paths[1]], check=True, capture_output=True)
    return {"tls.certificate_file": paths[0], "tls.key_file": paths[1]}


@suite.case("promtool has nothing to say about the configuration and the rules, nor about the metrics of a server that was used")
def _(t):
    equal(promtool("check", "config", "prometheus.yml", "compose.yml")[0], 0, "promtool check config")
    _load(t.server, 0, _ad(t.server))
    page = t.server.get("/metrics").expect(200).body.decode()
    equal(promtool("check", "metrics", text=page), (0, ""), "promtool check metrics")
    bad = page + "# TYPE adtrack_wrong counter\nadtrack_wrong 1\n"
    code, said = promtool("check", "metrics", text=bad)
    check(code != 0 and "adtrack_wrong" in said, f"promtool does not see a counter without _total and without help: {code} {said}")


@suite.case("each alert has a case in which it fires and one in which it is silent, and promtool finds them so")
def _(t):
    alerts = re.findall(r"^ +- alert: (\w+)$", _text(os.path.join(CONFIG, "alerts.yml")), re.MULTILINE)
    check(len(alerts) == len(set(alerts)) > 30, f"{len(alerts)} alerts, {len(set(alerts))} names")
    paths = sorted(glob.glob(os.path.join(CONFIG, "tests", "*.yml")))
    cases = "".join(_text(path) for path in paths)
    firing = set(re.findall(r"labels: 'ALERTS\{alertname=\"(\w+)\",alertstate=\"firing\"", cases))
    silent = set(re.findall(r"alertname: (\w+), eval_time: \w+, exp_alerts: \[\]", cases))
    equal((sorted(set(alerts) - firing), sorted(set(alerts) - silent)), ([], []), "alerts without a case in which they fire, are silent")
    equal((sorted(firing - set(alerts)), sorted(silent - set(alerts))), ([], []), "cases of alerts that there are not")
    code, said = promtool("test", "rules", *paths)
    check(code == 0, said[-3000:])
    t.note(f"{len(alerts)} alerts")


@suite.case("the dashboards are what make_dashboards.py makes, and each panel says what it shows, in what unit")
def _(t):
    made = fresh_dir("dashboards")
    subprocess.run([sys.executable, os.path.join(GRAFANA, "make_dashboards.py"), made], check=True)
    equal(sorted(os.listdir(made)), ["advertiser.json", "ingest.json", "overview.json", "shards_kafka.json"], "dashboards")
    equal([os.path.basename(path) for path in DASHBOARDS], sorted(os.listdir(made)), "dashboards that are shipped")
    for path in DASHBOARDS:
        check(_text(path) == _text(os.path.join(made, os.path.basename(path))), f"{path} is not what make_dashboards.py makes: run it")
        board, taken = json.loads(_text(path)), set()
        equal([variable["name"] for variable in board["templating"]["list"]][:3], ["datasource", "job", "instance"], f"variables of {path}")
        equal(len({panel["id"] for panel in board["panels"]}), len(board["panels"]), f"ids of {path}")
        for panel in board["panels"]:
            grid, who = panel["gridPos"], f"{board['title']}, {panel['title']}"
            cells = {(x, y) for x in range(grid["x"], grid["x"] + grid["w"]) for y in range(grid["y"], grid["y"] + grid["h"])}
            check(grid["x"] + grid["w"] <= 24 and not cells & taken, f"{who} stands on another or beyond the edge")
            taken |= cells
            if panel["type"] == "row":
                continue
            told = panel["description"].endswith(".") and panel["fieldConfig"]["defaults"]["unit"] and panel["targets"]
            check(told, f"{who} lacks a description, a unit or a query")
            equal({target["datasource"]["uid"] for target in panel["targets"]}, {"${datasource}"}, f"data source of {who}")


@suite.case("under load a real Prometheus has data for every query of the dashboards and of every rule")
def _(t):
    secured = Server(name="secured", flags=_certificate(400)).start()
    watched = Prometheus({"node": t.server, "secured": secured}, RULES, tls=["secured"])
    ad, turn, until = _ad(t.server), 1, time.monotonic() + 7
    while time.monotonic() < until:
        _load(t.server, turn, ad)
        turn += 1
    asked = [(f"{board}, {panel}", expression) for board, panel, expression in prometheus.panels()]
    asked += [(rule["name"], rule["query"]) for rule in watched.rules() if rule["type"] == "recording"]
    prometheus.check_rules(watched, {**ABSENT, **MATCHERS})
    answered = prometheus.check_queries(watched, asked, ABSENT)
    equal(watched.alerts(), set(), "alerts that fire while nothing is wrong")
    t.note(f"{turn - 1} rounds of load; {answered} of {len(asked)} queries have data")
    watched.kill()
    equal(secured.stop(), 0, "exit code")


def _fork(server):
    """Its log is put back to what it was before its last events, as an old backup would: one shard has counted what is gone."""
    equal(server.stop(), 0, "exit code")
    log, old = (os.path.join(server.data_dir, name) for name in ("log", "log.old"))
    shutil.copytree(log, old)
    server.flags["http.port"] = server.port  # where Prometheus looks for it
    server.start()
    for number in range(3):
        server.click(**_event(number, event_id=f"gone-{number}", ad_id=1))
    time.sleep(1.2)  # the shard commits once a second
    equal(server.stop(), 0, "exit code")
    shutil.rmtree(log)
    os.rename(old, log)
    server.start()


def _with_a_clock(file):
    """A server whose wall clock goes back an hour once the file is there."""
    library = os.path.join(fresh_dir("clock"), "clock.so")
    subprocess.run(["g++", "-std=c++20", "-O1", "-fPIC", "-shared", os.path.join(ROOT, "tests", "e2e", "clock.cpp"), "-o", library], check=True)
    return Server(name="jumped", env={"LD_PRELOAD": library, "CLOCK_JUMP_FILE": file}).start()


@contextlib.contextmanager
def _overload(server):
    """Four senders at once to a node that takes one batch at a time; the number of answers by status."""
    statuses, done = collections.Counter(), threading.Event()

    def send(sender):
        client, number = server.client(), 0
        while not done.is_set():
            batch = [{"type": "click", **_event(i, event_id=f"over-{sender}-{number}-{i}")} for i in range(100)]
            reply = client.request("POST", f"{ADS}/events", json.dumps(batch).encode(), {"Content-Type": "application/json"})
            statuses[reply.status] += 1
            number += 1
            time.sleep(0.02)
        client.close()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        senders = [pool.submit(send, number) for number in range(4)]
        try:
            yield statuses
        finally:
            done.set()
    for sender in senders:
        sender.result()


@suite.case("alerts fire for their cause: a node that is killed, a forked log and the shard that waits for it, 503s, a broken list, a set clock, a certificate")
def _(t):
    folder = fresh_dir("rules")
    networks = os.path.join(folder, "networks.txt")
    with open(networks, "w", encoding="ascii") as file:
        file.write("192.0.2.0/24\n")
    servers = {"killed": Server(name="killed").start(), "secured": Server(name="old-certificate", flags=_certificate(1)).start(),
               "troubled": Server(name="troubled", flags={"rules.datacenters_file": networks, "rules.reload_ms": 50, "ingest.max_in_flight_events": 1}).start()}
    clock = os.path.join(folder, "jump")
    if not binary_is_sanitized():  # whose runtime wants to be the first that is loaded
        servers["jumped"] = _with_a_clock(clock)
    watched = Prometheus(servers, [prometheus.shortened(path, folder) for path in RULES], tls=["secured"])
    troubled = servers["troubled"]
    of_the_certificate = {("AdtrackCertificateExpiring", "secured"), ("AdtrackCertificateExpiresSoon", "secured")}
    for number in range(40):
        troubled.click(**_event(number))
        time.sleep(0.1)
    wait_for("the alerts of the certificate", 20, lambda: of_the_certificate <= watched.alerts())
    equal(watched.alerts() - of_the_certificate, set(), "alerts that fire before anything is wrong")

    _fork(troubled)
    servers["killed"].kill()
    with open(networks, "w", encoding="ascii") as file:
        file.write("nonsense\n")
    with open(clock, "w", encoding="ascii"):
        pass
    expected = {(name, "troubled") for name in ("AdtrackRulesListUnusable", "AdtrackLogFault", "AdtrackShardStalled", "AdtrackOverloaded")}
    expected |= of_the_certificate | {("AdtrackDown", "killed"), ("AdtrackErrorBudgetBurnFast", None), ("AdtrackErrorBudgetBurnSlow", None)}
    if "jumped" in servers:
        expected |= {("AdtrackClockJumped", "jumped"), ("AdtrackNotReady", "jumped")}
    seen = set()

    def all_fire():
        seen.update(watched.alerts())
        return expected <= seen
    with _overload(troubled) as statuses:
        try:
            wait_for("alerts", 30, all_fire, every=0.2)
        except Failure as late:
            raise Failure(f"did not fire within 30 s: {sorted(expected - seen, key=str)}; statuses {statuses}") from late
    equal(set(statuses), {202, 503}, "statuses in an overload")
    check(watched.query('ALERTS{alertstate="firing",job="adtrack"}'), "the overview's table of alerts is empty")
    for rule in watched.rules():
        for alert in rule.get("alerts", []):
            said = alert["annotations"]["summary"] + alert["annotations"]["description"]
            check("<error" not in said and "<no value>" not in said, f"{rule['name']} says {said}")
    t.note(f"{len(seen)} alerts fired: {', '.join(sorted({name for name, _ in seen}))}")
    watched.kill()
    for name in servers.keys() - {"killed"}:
        equal(servers[name].stop(), 0, f"exit code of {name}")
