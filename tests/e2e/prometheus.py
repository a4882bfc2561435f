"""A real Prometheus for the suites: started on a free port with its own storage, asked over its HTTP API, ended with the run. And
what of config/prometheus and config/grafana is held against it: the shipped rules as they are or with shortened times, and the
queries of the dashboards."""

import glob
import http.client
import json
import os
import re
import shutil
import subprocess
import urllib.parse

import harness
from harness import Failure, Skip, check
from kafka import wait_for

CONFIG = os.path.join(harness.ROOT, "config", "prometheus")
DASHBOARDS = sorted(glob.glob(os.path.join(harness.ROOT, "config", "grafana", "dashboards", "*.json")))
RULES = [os.path.join(CONFIG, name) for name in ("recording_rules.yml", "alerts.yml")]

_FAMILY = re.compile(r"_(bucket|sum|count)$")
_SHORT = {"5m": 5, "10m": 5, "15m": 6, "30m": 6, "1h": 8, "2h": 8, "6h": 10, "1d": 12, "3d": 14}
MOST_SERIES = 25


def promtool(*arguments, text=None):
    """(exit code, all that it said)"""
    if shutil.which("promtool") is None:
        raise Skip("promtool is not installed")
    done = subprocess.run(["promtool", *arguments], input=text, capture_output=True, text=True, check=False, cwd=CONFIG)
    return done.returncode, done.stdout + done.stderr


def shortened(path, folder):
    """A copy of the rules in which seconds stand for what are minutes, hours and days; one a second is scraped."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    text = re.sub(r"\[(\w+)\]", lambda found: f"[{_SHORT[found.group(1)]}s]", text)
    text = re.sub(r"\boffset (\w+)", lambda found: f"offset {_SHORT[found.group(1)]}s", text)
    text = re.sub(r"^( +for:) \w+$", r"\1 1s", text, flags=re.MULTILINE)
    copy = os.path.join(folder, os.path.basename(path))
    with open(copy, "w", encoding="utf-8") as file:
        file.write(text)
    return copy


class Prometheus:
    """Scrapes the servers, by name, as the job adtrack once a second. Those whose name is in `tls` are asked over TLS."""

    def __init__(self, servers, rules, tls=()):
        if shutil.which("prometheus") is None:
            raise Skip("prometheus is not installed")
        self.folder = harness.fresh_dir("prometheus")
        harness.at_end.append(self.kill)

        def targets(names):
            return [{"targets": [f"{servers[name].host}:{servers[name].port}"], "labels": {"instance": name}} for name in names]
        jobs = [{"job_name": "adtrack", "static_configs": targets(name for name in servers if name not in tls)}]
        if tls:
            jobs.append({"job_name": "secured", "scheme": "https", "tls_config": {"insecure_skip_verify": True}, "static_configs": targets(tls),
                         "relabel_configs": [{"target_label": "job", "replacement": "adtrack"}]})
        with open(os.path.join(self.folder, "prometheus.yml"), "w", encoding="utf-8") as file:  # JSON is YAML
            json.dump({"global": {"scrape_interval": "1s", "evaluation_interval": "1s"}, "rule_files": rules, "scrape_configs": jobs}, file)
        self._log = os.path.join(self.folder, "log")
        with open(self._log, "wb") as log:
            self.process = subprocess.Popen(["prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data", "--web.listen-address=127.0.0.1:0"],
                                            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log, cwd=self.folder)
        self.port = wait_for("Prometheus to listen", 30, self._listens)
        wait_for("a scrape of every server", 30, lambda: len(self.query("up == 1")) == len(servers))

    def _listens(self):
        with open(self._log, encoding="utf-8", errors="replace") as log:
            said = log.read()
        check(self.process.poll() is None, lambda: f"Prometheus ended: {said[-800:]}")
        found = re.search(r'msg="Listening on" address=127\.0\.0\.1:(\d+)', said)
        return int(found.group(1)) if found and "Server is ready to receive web requests" in said else None

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def _get(self, path, **params):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", f"/api/v1/{path}?{urllib.parse.urlencode(params)}")
            answer = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        if answer["status"] != "success":
            raise Failure(f"Prometheus on {path} {params}: {answer}")
        return answer["data"]

    def query(self, expression):
        """[(labels, value)] of now."""
        return [(series["metric"], float(series["value"][1])) for series in self._get("query", query=expression)["result"]]

    def rules(self):
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]

    def alerts(self):
        """Those that fire, {(name, instance)}, but for those of the disk: it is that of the machine which the tests run on."""
        firing = [alert["labels"] for alert in self._get("alerts")["alerts"] if alert["state"] == "firing"]
        return {(labels["alertname"], labels.get("instance")) for labels in firing if not labels["alertname"].startswith("AdtrackDisk")}


# ---------------------------------------------------------------- what asks, and for what

def panels():
    """(dashboard, panel, expression with its variables filled in)"""
    for path in DASHBOARDS:
        with open(path, encoding="utf-8") as file:
            board = json.load(file)
        for panel in board["panels"]:
            for target in panel.get("targets", []):
                expression = target["expr"]
                for variable, value in (("$__rate_interval", "10s"), ("$__range", "60s"), ("$job", "adtrack"), ("$instance", ".+")):
                    expression = expression.replace(variable, value)
                check("$" not in expression, f"{board['title']}, {panel['title']}: an unknown variable in {target['expr']}")
                yield board["title"], panel["title"], expression


def families(expression):
    """The metrics that an expression asks for."""
    bare = re.sub(r'"[^"]*"', '""', expression)
    names = re.findall(r"\b((?:adtrack|http|process)_\w+|\w+:\w+:\w+|up|ALERTS)\b", bare)
    return {_FAMILY.sub("", name) for name in names}


def check_rules(prometheus, exceptions, about=("",)):
    """Prometheus can evaluate every rule, and has what they select, as far as its name begins with one of `about`. An alert's own
    expression has data only when it fires. `exceptions`: metrics, and matchers of labels ({what: why it has no series})."""
    rules = prometheus.rules()
    check(rules, "there are no rules")
    exempt, empty = set(exceptions), {}
    for rule in rules:
        check(rule["health"] == "ok", lambda: f"{rule['name']}: {rule.get('lastError')}")
        selectors = set(re.findall(r"[a-z_:][\w:]*\{[^}]*\}", rule["query"])) | {f'{{__name__=~"{name}(_bucket)?"}}' for name in families(rule["query"])}
        for selector in selectors:
            names = families(selector) or families(selector.replace('"', " "))
            if any(name.startswith(about) for name in names) and not names & exempt and not any(matcher in selector for matcher in exceptions):
                if not prometheus.query(selector):
                    empty[selector] = rule["name"]
    check(not empty, lambda: f"no server has what rules select: {empty}")


def check_queries(prometheus, asked, exceptions):
    """Every expression of `asked` ((who, expression)) is understood and has data; the number that has. Exempt is what asks for a metric
    of `exceptions` ({metric: why it has no series}), as long as that has no series."""
    for name in exceptions:
        check(not prometheus.query(f'{{__name__="{name}",alertstate!="pending"}}'), f"{name} has series now: it is no exception")
    exempt, empty, answered = set(exceptions), [], 0
    for who, expression in asked:
        series = prometheus.query(expression)
        check(len(series) <= MOST_SERIES, lambda: f"{who} has {len(series)} series: {expression}")
        if any(value == value for _, value in series):  # not only NaN
            answered += 1
        elif not (families(expression) | {who}) & exempt:  # a recording rule is told by its name
            empty.append(f"{who}: {expression}")
    check(not empty, lambda: "without data:\n" + "\n".join(empty))
    return answered
