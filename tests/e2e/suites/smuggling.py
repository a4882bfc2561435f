"""Requests whose end two readers could see in different places. tests/http/messages.txt has the messages, what is wanted of each
and why; here they go to a running server, straight and through nginx. What counts is that nobody answers a request which another
reader takes for a part of the one before it: behind every message stands a click, and the clicks are counted afterwards."""

import collections
import contextlib
import os
import re
import shutil
import socket
import subprocess
import time

from harness import AGENT, ROOT, Failure, Server, Skip, Suite, check, equal, fresh_dir, raw_connect, read_reply

suite = Suite("smuggling", "promise 5: no input desyncs a connection; each reader of it sees the same requests")

GOES_ON, MUST_NOT_COUNT = 2, 3  # ads that the clicks behind the messages are for
BEHIND_NGINX = 4
WAIT_MS = 400  # for the rest of an unfinished message
POST = b"POST /api/v1/ads/click HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n"
WORDS = {"get": b"GET /healthz HTTP/1.1\r\nHost: h\r\n", "post": POST, "chunked": POST + b"Transfer-Encoding: chunked\r\n\r\n",
         "event": b'{"event_id":"e","ad_id":1}'}
LETTERS = {"r": b"\r", "n": b"\n", "t": b"\t", "0": b"\0", "\\": b"\\"}

Message = collections.namedtuple("Message", "name data want why")


def _spelled_out(text, at=0):
    """The bytes of text[at:] up to a > that closes nothing within it, and where that stands."""
    out = b""
    while at < len(text) and text[at] != ">":
        repeat = re.compile(r"<(\d+) \* ").match(text, at)
        if text.startswith("\\x", at):
            out += bytes([int(text[at + 2:at + 4], 16)])
            at += 4
        elif text[at] == "\\":
            out += LETTERS[text[at + 1]]
            at += 2
        elif repeat:
            part, at = _spelled_out(text, repeat.end())
            out += part * int(repeat.group(1))
            at += 1
        elif text[at] == "<":
            end = text.index(">", at)
            out += WORDS[text[at + 1:end]]
            at = end + 1
        else:
            out += text[at].encode("ascii")
            at += 1
    return out, at


def _messages():
    found = []
    with open(os.path.join(ROOT, "tests", "http", "messages.txt"), encoding="ascii") as file:
        for line in file.read().splitlines():
            if line.startswith("- "):
                name, data = line[2:], b""
            elif line.startswith("> "):
                data += _spelled_out(line[2:])[0]
            elif line.startswith("= "):
                want, _, why = line[2:].partition("  ")
                found.append(Message(name, data, want.split(), why.strip()))
    return found


MESSAGES = _messages()


def _click(event_id, ad_id, more=b""):
    body = b'{"event_id":"%s","ad_id":%d,"user_ip":"192.0.2.9"}' % (event_id.encode(), ad_id)
    return (POST.replace(b"click", b"click?behind") + b"User-Agent: %s\r\n" % AGENT.encode() + more
            + b"Content-Length: %d\r\n\r\n" % len(body) + body)


def _server(name):
    # A client that is refused may go on for a while: the time-outs are for those that do not finish.
    return Server(name=name, flags={"http.head_timeout_ms": WAIT_MS, "http.body_timeout_ms": WAIT_MS}).start()


def _send(connection, data):
    with contextlib.suppress(ConnectionError):  # refused while it was sending; the answer says so
        connection.sendall(data)


def _statuses(connection, heads=(), number=None, wait=5.0):
    """Of `number` answers, or of all until the end, and whether the end was seen; `heads` are those without a body."""
    statuses, rest = [], b""
    connection.settimeout(wait)
    while number is None or len(statuses) < number:
        data = rest
        try:
            while b"\r\n\r\n" not in data:
                piece = connection.recv(65536)
                if not piece:
                    check(data == b"", f"the connection ended within an answer, after {statuses}: {data[:200]!r}")
                    return statuses, True
                data += piece
            head, rest = data.split(b"\r\n\r\n", 1)
            length = re.search(rb"\r\ncontent-length: *(\d+)", head.lower())
            size = int(length.group(1)) if length and len(statuses) not in heads else 0
            while len(rest) < size:
                piece = connection.recv(65536)
                check(piece, f"the connection ended within a body, after {statuses}: {head!r}")
                rest += piece
        except ConnectionError:
            return statuses, True
        except TimeoutError:
            return statuses, False
        check(head.startswith(b"HTTP/1.1 "), f"no answer, after {statuses}: {head[:200]!r}")
        statuses.append(int(head[9:12]))
        rest = rest[size:]
    return statuses, False


def _run(server, message, number):
    """What is wrong with the answers to one message, or None; and whether the click behind it must count."""
    last = message.want[-1]
    goes_on = last[0] not in "!?" and last[-1] != "/"
    behind = _click(f"behind-{number}", GOES_ON if goes_on else MUST_NOT_COUNT)
    wanted = [int(word.strip("!?/")) for word in message.want] + ([202] if goes_on else [])
    with contextlib.closing(raw_connect(server)) as connection:
        _send(connection, message.data if last[0] == "?" else message.data + behind)
        heads = (0,) if message.data.startswith(b"HEAD") else ()
        got, closed = _statuses(connection, heads, len(wanted))
        if last[0] == "?":
            _send(connection, behind)
        if got == wanted and not goes_on:
            more, closed = _statuses(connection)
            if more or not closed:
                return f"{message.name} ({message.why}): after {got} came {more or 'nothing, and no end'}", goes_on
    if got != wanted:
        return f"{message.name} ({message.why}): wanted {wanted}, got {got}{' and the end' if closed else ''}", goes_on
    return None, goes_on


def _clicks(server):
    rows = {}
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        answer = server.analytics()
        rows = {row["ad_id"]: row["gross_clicks"] for row in answer["data"]}
        if answer["is_real_time"] and answer["lag_ms"] == 0:
            break
        time.sleep(0.05)
    return rows


@suite.case("each message gets its statuses, and the request behind a refused one is never taken")
def _(t):
    server = _server("smuggling")
    wrong, going_on = [], 0
    for number, message in enumerate(MESSAGES):
        problem, goes_on = _run(server, message, number)
        going_on += goes_on
        if problem:
            wrong.append(problem)
        check(server.alive(), lambda: f"the server died of: {message.name}; {server.log_tail()}")
    t.note(f"{len(MESSAGES)} messages, {going_on} of which let the connection go on")
    check(not wrong, f"{len(wrong)} of {len(MESSAGES)}: " + "; ".join(wrong))
    last = server.click(event_id="last", ad_id=GOES_ON, user_ip="192.0.2.10", agent=AGENT)
    server.analytics([last])
    clicks = _clicks(server)
    equal(clicks.get(GOES_ON), going_on + 1, "clicks behind messages that let the connection go on")
    equal(clicks.get(MUST_NOT_COUNT, 0), 0, "clicks behind refused or unfinished messages")
    equal(server.stop(), 0, "exit code")


@suite.case("an answer to HEAD has no body, also when it is refused")
def _(t):
    for request, status in ((b"HEAD /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", b"200"),
                            (b"HEAD /nope HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", b"404"),
                            (b"HEAD /healthz HTTP/1.1\r\nHost: h\r\nX : y\r\n\r\n", b"400"),
                            (b"HEAD /healthz HTTP/1.1\r\nHost: h\r\nX: " + b"y" * 9000 + b"\r\n\r\n", b"431")):
        with contextlib.closing(raw_connect(t.server)) as connection:
            _send(connection, request)
            data = b""
            while piece := connection.recv(65536):
                data += piece
        check(data.startswith(b"HTTP/1.1 " + status) and data.endswith(b"\r\n\r\n"), f"{request[:60]!r} -> {data!r}")
        equal(data.count(b"\r\n\r\n"), 1, f"answers to {request[:60]!r}")


# ---------------------------------------------------------------- behind nginx

NGINX_CONF = """worker_processes 1;
daemon off;
pid {dir}/nginx.pid;
error_log {dir}/error.log crit;
events {{ worker_connections 512; }}
http {{
  log_format seen '$upstream_status $request_method $request_uri';
  access_log {dir}/access.log seen;
  client_body_temp_path {dir}/body;
  proxy_temp_path {dir}/proxy;
  fastcgi_temp_path {dir}/fastcgi;
  uwsgi_temp_path {dir}/uwsgi;
  scgi_temp_path {dir}/scgi;
  client_header_timeout 1s;
  client_body_timeout 2s;
  keepalive_timeout 1s;
  large_client_header_buffers 8 32k;
  underscores_in_headers on;
  upstream adtrack {{
    server {host}:{upstream};
    keepalive 4;
  }}
  server {{
    listen 127.0.0.1:{port};
    ignore_invalid_headers off;
    location / {{
      proxy_pass http://adtrack;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_next_upstream off;
      proxy_request_buffering {buffering};
    }}
  }}
}}
"""


class Nginx:
    """Hands on as much as it can: odd names, and bodies while they come when `buffering` is off."""

    def __init__(self, server, buffering):
        program = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
        if program is None:
            raise Skip("nginx is not installed (scripts/install-deps.sh test)")
        self.host, self.dir = "127.0.0.1", fresh_dir("nginx")
        with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as taken:
            self.port = taken.getsockname()[1]
        path = os.path.join(self.dir, "nginx.conf")
        with open(path, "w", encoding="ascii") as file:
            file.write(NGINX_CONF.format(dir=self.dir, host=server.host, upstream=server.port, port=self.port, buffering=buffering))
        self.process = subprocess.Popen([program, "-p", self.dir, "-c", path, "-e", os.path.join(self.dir, "start.log")],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while True:
            try:
                raw_connect(self, 1).close()
                return
            except OSError as error:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    self.close()
                    raise Failure(f"nginx did not start: {error!r}") from error
                time.sleep(0.02)

    def close(self):
        self.process.terminate()
        self.process.wait(10)

    def log(self):
        """(upstream's status or -, method, target) of each request."""
        with open(os.path.join(self.dir, "access.log"), encoding="latin-1") as file:
            return [tuple((line.split(" ", 2) + ["", ""])[:3]) for line in file.read().splitlines()]


def _taken(server):
    """What the server's own counter says by status, without the looks at that counter."""
    taken = collections.Counter()
    for labels, value in re.findall(r"^http_requests_total\{(.*)\} (\d+)", server.get("/metrics").body.decode(), re.MULTILINE):
        if '"/metrics"' not in labels and '"/api/v1/ads/analytics"' not in labels:
            taken[re.search(r'status="(\d+)"', labels).group(1)] += int(value)
    return taken


def _drained(connection):
    data = b""
    connection.settimeout(10)
    with contextlib.suppress(ConnectionError):
        while piece := connection.recv(65536):
            data += piece
    return data


def _through_nginx(t, buffering):
    server = _server(f"nginx-{buffering}")
    with contextlib.closing(Nginx(server, buffering)) as nginx:
        wrong, taken_before, sent_before = [], _taken(server), collections.Counter()
        for number, message in enumerate(MESSAGES):
            behind = b"" if message.want[-1][0] == "?" else _click(f"nginx-{number}", BEHIND_NGINX, b"Connection: close\r\n")
            with contextlib.closing(raw_connect(nginx)) as connection:
                _send(connection, message.data + behind)
                answers = _drained(connection)
            # A request's line in the log is written at its end, which may be after its client saw the answer.
            deadline = time.monotonic() + 3
            while True:
                sent = collections.Counter(line[0] for line in nginx.log() if line[0] != "-")
                taken = _taken(server)
                agree = taken - taken_before == sent - sent_before
                if agree or time.monotonic() > deadline:
                    break
                time.sleep(0.01)
            if not agree:
                wrong.append(f"{message.name}: nginx sent {dict(sent - sent_before)}, adtrackd took {dict(taken - taken_before)}, "
                             f"the client read {answers[:300]!r}")
            taken_before, sent_before = taken, sent
            check(server.alive(), lambda: f"the server died of: {message.name}; {server.log_tail()}")
        t.note(f"{len(MESSAGES)} messages and the requests behind them became {sum(sent.values())} requests: {dict(sent)}")
        check(not wrong, f"{len(wrong)} of {len(MESSAGES)}: " + "; ".join(wrong))
        check(sum(sent.values()) > 100, f"nginx handed on {sum(sent.values())} requests only")
        accepted = [line for line in nginx.log() if line[0] == "202" and line[2].endswith("?behind")]
        last = server.click(event_id="last", ad_id=BEHIND_NGINX, user_ip="192.0.2.10", agent=AGENT)
        server.analytics([last])
        equal(_clicks(server).get(BEHIND_NGINX), len(accepted) + 1, "clicks behind the messages, against those of nginx's log")
    equal(server.stop(), 0, "exit code")


@suite.case("nginx and adtrackd see the same requests when nginx collects bodies first")
def _(t):
    _through_nginx(t, "on")


@suite.case("nginx and adtrackd see the same requests when nginx hands on bodies as they come")
def _(t):
    _through_nginx(t, "off")
