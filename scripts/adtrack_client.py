"""What the scripts that talk with adtrack share: their arguments and how they end, requests that are tried again while it is busy or
away, and a bar that shows how far they are."""

import argparse
import http.client
import ssl
import sys
import time
import urllib.parse


class Stop(Exception):
    """It cannot go on; the text says why."""


def arguments(script, text, key, patience, listener="of adtrack"):
    """A parser with what all of them take. `text` is the help's; `key`: which kind of key; `patience`: (seconds, of what)."""
    parser = argparse.ArgumentParser(prog=script, description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8080", help=f"{listener} (%(default)s)")
    parser.add_argument("--key-file", help=f"a file with the token of an {key} key")
    parser.add_argument("--patience", type=float, default=patience[0], help=f"seconds {patience[1]} (%(default)s)")
    return parser


def end_of(run, options, broken_off="broken off"):
    """What `run` returns, or 2 with a sentence when it could not go on."""
    try:
        return run(options)
    except KeyboardInterrupt:
        print(f"\n{broken_off}", file=sys.stderr)
    except (Stop, OSError, EOFError, UnicodeDecodeError) as why:
        print(f"error: {why}", file=sys.stderr)
    return 2


def key_of(path):
    """The token in a key file; None without one."""
    if not path:
        return None
    with open(path, encoding="utf-8") as file:
        return file.read().strip()


class Client:
    """One connection, made again when it is lost. Busy answers (408, 429, 503) and lost connections are tried again for `patience` s."""

    def __init__(self, url, key, patience):
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Stop(f"{url} is not a url such as http://127.0.0.1:8080")
        self.parts, self.patience, self.connection = parts, patience, None
        self.headers = {"Authorization": f"Bearer {key}"} if key else {}

    def _connect(self):
        if self.parts.scheme == "https":
            return http.client.HTTPSConnection(self.parts.hostname, self.parts.port, timeout=60, context=ssl.create_default_context())
        return http.client.HTTPConnection(self.parts.hostname, self.parts.port, timeout=60)

    def _once(self, method, path, body, headers):
        if self.connection is None:
            self.connection = self._connect()
        try:
            self.connection.request(method, self.parts.path.rstrip("/") + path, body, {**self.headers, **headers})
            answer = self.connection.getresponse()
            return answer.status, answer.headers, answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.connection.close()
            self.connection = None
            return 0, {}, repr(error).encode()

    def ask(self, method, path, body=None, headers=None):
        """(status, headers, body) of the first answer that is not busy."""
        give_up, wait = time.monotonic() + self.patience, 0.2
        while True:
            status, answered, text = self._once(method, path, body, headers or {})
            if status not in (0, 408, 429, 503):
                return status, answered, text
            if time.monotonic() >= give_up:
                raise Stop(f"{self.parts.geturl()} took nothing for {self.patience:.0f} s; last: {status or ''} {text[:300].decode(errors='replace')}")
            try:
                wait = max(wait, float(answered.get("Retry-After", 0)))
            except ValueError:
                pass
            time.sleep(min(wait, 30))
            wait = min(wait * 2, 10)


class Bar:
    """A bar on a terminal, a line every ten seconds elsewhere."""

    def __init__(self, total):
        self.total, self.started, self.said = total, time.monotonic(), 0.0
        self.live = sys.stderr.isatty()

    def show(self, done, records, last=False):
        now = time.monotonic()
        if not last and now - self.said < (0.1 if self.live else 10):
            return
        self.said = now
        rate = records / max(now - self.started, 1e-3)
        part = min(done / self.total, 1.0) if self.total else None
        text = f"{records:,} events, {rate:,.0f}/s"
        if part is not None:
            text = f"[{'#' * int(part * 30):30}] {part:4.0%}  {text}"
        sys.stderr.write(f"\r{text}\x1b[K" if self.live else f"{text}\n")
        if last and self.live:
            sys.stderr.write("\n")
        sys.stderr.flush()
