#!/usr/bin/python3
"""Stands in for the image grafana/grafana where it cannot be pulled; it is not Grafana and draws nothing. It reads what Grafana is
provisioned with where Grafana reads it, and answers the few calls of Grafana's HTTP API that the containers suite makes: health, the
dashboards, and queries handed on to the data source."""

import http.server
import json
import os
import re
import signal
import sys
import urllib.error
import urllib.request

PROVISIONING = "/etc/grafana/provisioning"
DATA = "/var/lib/grafana"


def _values(folder, name):
    """Of a key in the YAML files of a folder."""
    found = []
    for entry in sorted(os.listdir(os.path.join(PROVISIONING, folder))):
        if entry.endswith((".yml", ".yaml")):
            with open(os.path.join(PROVISIONING, folder, entry), encoding="utf-8") as file:
                found += re.findall(rf"^\s+{name}: *(\S+)", file.read(), re.MULTILINE)
    return found


def _dashboards():
    boards = {}
    for path in _values("dashboards", "path"):
        for entry in sorted(os.listdir(path)):
            with open(os.path.join(path, entry), encoding="utf-8") as file:
                board = json.load(file)
            boards[board["uid"]] = board
    return boards


class Handler(http.server.BaseHTTPRequestHandler):
    sources = dict(zip(_values("datasources", "uid"), _values("datasources", "url")))
    boards = _dashboards()

    def answer(self, status, document):
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        path = self.path
        board = re.fullmatch(r"/api/dashboards/uid/([\w-]+)", path)
        query = re.fullmatch(r"/api/datasources/proxy/uid/([\w-]+)(/api/v1/query\?.*)", path)
        if path == "/api/health":
            self.answer(200, {"database": "ok"})
        elif os.environ.get("GF_AUTH_ANONYMOUS_ENABLED") != "true":
            self.answer(401, {"message": "Unauthorized"})
        elif path == "/api/search?type=dash-db":
            self.answer(200, [{"uid": uid, "title": each["title"]} for uid, each in self.boards.items()])
        elif board and board.group(1) in self.boards:
            self.answer(200, {"dashboard": self.boards[board.group(1)]})
        elif query and query.group(1) in self.sources:
            try:
                with urllib.request.urlopen(self.sources[query.group(1)] + query.group(2), timeout=10) as reply:
                    self.answer(reply.status, reply.read())
            except urllib.error.HTTPError as error:
                self.answer(error.code, error.read())
            except OSError as error:
                self.answer(502, {"message": str(error)})
        else:
            self.answer(404, {"message": "Not found"})


with open(os.path.join(DATA, "grafana.db"), "ab"):  # its data must be a place that it can write to
    pass
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # the first process of a container has no default for it
print(f"stand-in for Grafana: {len(Handler.boards)} dashboards, data sources {Handler.sources}", file=sys.stderr, flush=True)
http.server.ThreadingHTTPServer(("", 3000), Handler).serve_forever()
