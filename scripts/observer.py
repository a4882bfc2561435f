"""An adtrackd beside another one: it reads that node's log over HTTP, counts all of it anew in a scratch directory, and answers the
same questions. What replay-verify.sh and restate.sh share."""

import hashlib
import json
import os
import secrets
import shutil
import subprocess
import tempfile
import time
import urllib.parse

from adtrack_client import Client, Stop, arguments

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

ROWS = 1_000  # a page of an answer


class Node:
    """What is asked of either."""

    def __init__(self, url, key, patience):
        self.adtrack, self.patience = Client(url, key, patience), patience

    def _json(self, path, ok=(200,)):
        status, _, body = self.adtrack.ask("GET", path)
        if status not in ok:
            raise Stop(f"{path}: adtrack answered {status}: {body[:300].decode(errors='replace')}")
        return status, json.loads(body)

    def shards(self):
        status, headers, body = self.adtrack.ask("GET", "/admin/v1/log/0?max=0")
        if status != 200:
            raise Stop(f"adtrack answered {status} when it was asked for its log: {body[:300].decode(errors='replace')}")
        return int(headers["Adtrack-Log-Shards"])

    def log_end(self, shard):
        return int(self.adtrack.ask("GET", f"/admin/v1/log/{shard}?max=0")[1]["Adtrack-Log-End"])

    def digest(self, shard, offset=None):
        """{"shard", "offset", "digest"}; None when it is not there in time or not kept any more."""
        query = "" if offset is None else f"?offset={offset}&timeout_ms=5000"
        status, answer = self._json(f"/admin/v1/shards/{shard}/digest{query}", ok=(200, 409, 504))
        return answer if status == 200 else None

    def answer(self, question, after=()):
        """All rows of a question, as one answer, with the newest offset by shard that it holds; None while those of `after` are not
        reached, or when it moved on between two pages."""
        rows, page, first = [], 1, None
        pairs = urllib.parse.parse_qsl(question, keep_blank_values=True)
        while True:
            asked = pairs + [("explain", "true"), ("limit", ROWS), ("page", page)] + [("min_position", f"{shard}:{offset}") for shard, offset in after]
            status, answer = self._json(f"/api/v1/ads/analytics?{urllib.parse.urlencode(asked)}", ok=(200, 504))
            if status == 504 or (first and answer["positions"] != first["positions"]):
                return None
            first = first or answer
            rows += answer["data"]
            if len(rows) >= answer["total"] or not answer["data"]:
                return {**first, "data": rows}
            page += 1


def binary():
    """What ADTRACKD names, or what was built, or what the package installed."""
    built = os.path.join(ROOT, "build", "release", "adtrackd")
    path = os.environ.get("ADTRACKD") or (built if os.path.exists(built) else shutil.which("adtrackd") or built)
    if not os.access(path, os.X_OK):
        raise Stop(f"there is no {path}: scripts/quickstart.sh builds it, or set ADTRACKD")
    return path


class Observer(Node):
    def __init__(self, options, shards, settings):
        self.directory = tempfile.mkdtemp(prefix="adtrack-observer-", dir=options.scratch)
        self.log_path = os.path.join(self.directory, "log.jsonl")
        self.process = None
        try:
            key = secrets.token_hex(32)
            keys = os.path.join(self.directory, "keys")
            with open(keys, "w", encoding="ascii") as file:
                file.write(f"observer sha256:{hashlib.sha256(key.encode()).hexdigest()}\n")
            flags = {"log.backend": "remote", "remote.url": options.url, "log.shards": shards, "admin.key_file": keys,
                     "data.dir": os.path.join(self.directory, "data"), "http.host": "127.0.0.1", "http.port": 0, **settings}
            if options.key_file:
                flags["remote.key_file"] = os.path.abspath(options.key_file)
            arguments = [part for name, value in flags.items() for part in (f"--{name}", str(value))]
            with open(self.log_path, "wb") as log:
                self.process = subprocess.Popen([binary(), *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log, cwd=self.directory)
            super().__init__(f"http://{self._address(60)}", key, options.patience)
        except BaseException:
            self.end()
            raise

    def _lines(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            for line in file:
                try:
                    yield json.loads(line)
                except ValueError:  # the last one, half written; or a word before there is a log
                    yield {"event": "", "message": line.strip()}

    def _address(self, seconds):
        give_up = time.monotonic() + seconds
        while time.monotonic() < give_up:
            ended = self.process.poll() is not None
            for line in self._lines():
                if line.get("event") == "ready":
                    return line["address"]
            if ended:
                raise Stop("the second adtrackd did not start: " + " ".join(line.get("message", "") for line in list(self._lines())[-2:]))
            time.sleep(0.02)
        raise Stop(f"the second adtrackd is not ready after {seconds} s; its log is {self.log_path}")

    def end(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def applied(self):
        """By shard: how many offsets are applied."""
        found = self._json("/api/v1/ads/analytics?limit=1&explain=true")[1]["positions"]
        return {int(shard): offset + 1 for shard, offset in found.items()}

    def catch_up(self, ends, bar):
        """Until every shard has applied what stands below its end."""
        total, last, since = sum(ends.values()), -1, time.monotonic()
        while True:
            applied = self.applied()
            done = sum(min(applied.get(shard, 0), end) for shard, end in ends.items())
            bar.show(done, done)
            if done >= total:
                bar.show(done, done, last=True)
                return done
            if done != last:
                last, since = done, time.monotonic()
            elif time.monotonic() - since > self.patience:
                raise Stop(f"the replay stands at {done:,} of {total:,} records for {self.patience:.0f} s; the last of its log: "
                           + " ".join(str(line) for line in list(self._lines())[-2:]))
            if self.process.poll() is not None:
                raise Stop(f"the second adtrackd ended with code {self.process.returncode}")
            time.sleep(0.2)


def observer_arguments(script, text):
    """A parser with what takes a node and an observer beside it."""
    parser = arguments(script, text, "admin", (120, "without progress after which it gives up"), "of the node, its admin listener where it has one")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of the second adtrackd; may be repeated")
    parser.add_argument("--scratch", help="where the scratch directory is made; it goes when this ends")
    parser.add_argument("--tries", type=int, default=50, help="how often two answers are tried to be had at one position (%(default)s)")
    return parser


def at_one_position(one, other, question, tries):
    """The answers of both to a question as of the same records; None when the first never stood still for long enough."""
    for _ in range(tries):
        left = one.answer(question)
        right = left and other.answer(question, left["positions"].items())
        if right and right["positions"] == left["positions"]:
            return left, right
        time.sleep(0.1)
    return None


def settings_of(pairs):
    found = dict(pair.partition("=")[::2] for pair in pairs)
    if "" in found.values() or any("=" not in pair for pair in pairs):
        raise Stop("--set wants NAME=VALUE, such as traffic.repeat_click_secs=5")
    return found
