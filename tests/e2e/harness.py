"""What every end-to-end suite stands on: servers that are started, stopped and killed as processes of our own, fresh
directories, HTTP over http.client and over raw sockets, and checks whose failure says request, expected and got.
Standard library only. Black box: nothing here knows more than the contract's HTTP calls, flags and log lines."""

import atexit
import contextlib
import hashlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.parse

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BINARY = os.environ.get("ADTRACKD", os.path.join(ROOT, "build", "release", "adtrackd"))
ADMIN_KEY = "e2e-admin-key-0123456789abcdef"
AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
START_SECONDS = float(os.environ.get("E2E_START_SECONDS", "60"))


class Skip(Exception):
    """Raised by a case that cannot run here; its text says why."""


class Failure(AssertionError):
    pass


def check(condition, message):
    """`message`: a text, or what makes it when it is needed."""
    if not condition:
        raise Failure(message() if callable(message) else message)


def equal(got, expected, what):
    if got != expected:
        raise Failure(f"{what}: expected {expected!r}, got {got!r}")


# ---------------------------------------------------------------- directories

_directories = []
_servers = []
at_end = []       # called when the servers have ended
backend = None    # gives servers that name no log their flags; None: the embedded log
keep_directories = False


def fresh_dir(name="data"):
    path = tempfile.mkdtemp(prefix=f"adtrack-e2e-{name}-")
    _directories.append(path)
    return path


@atexit.register
def _clean_up():
    for server in _servers:
        server.kill()
    for function in at_end:
        function()
    if keep_directories:
        return
    for path in _directories:
        shutil.rmtree(path, ignore_errors=True)


# ---------------------------------------------------------------- replies

class Reply:
    def __init__(self, asked, status, headers, body):
        self.asked = asked
        self.status = status
        self.headers = headers  # lower-case name -> value; a repeated header is joined by ", "
        self.body = body

    def __str__(self):
        return f"{self.asked} -> {self.status} {self.body[:600]!r}"

    def header(self, name):
        return self.headers.get(name.lower())

    def json(self):
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise Failure(f"not JSON ({error}): {self}") from error

    def expect(self, status):
        if self.status != status:
            raise Failure(f"expected {status}: {self}")
        return self

    def expect_problem(self, status, field=None, text=None):
        """An RFC 9457 document with the contract's members; `field` must be among errors, `text` in the document."""
        self.expect(status)
        kind = (self.header("content-type") or "").split(";")[0].strip()
        equal(kind, "application/problem+json", f"content type of {self}")
        problem = self.json()
        for member, cls in (("type", str), ("title", str), ("status", int), ("detail", str), ("request_id", str)):
            check(isinstance(problem.get(member), cls), f"problem lacks {member} ({cls.__name__}): {self}")
        equal(problem["status"], status, f"status member of {self}")
        check(problem["request_id"] != "", f"empty request_id: {self}")
        equal(self.header("x-request-id"), problem["request_id"], f"X-Request-Id against request_id of {self}")
        errors = problem.get("errors", [])
        check(all(isinstance(e.get("field"), str) and isinstance(e.get("message"), str) for e in errors),
              f"errors must be [{{field, message}}]: {self}")
        if field is not None:
            check(field in [e["field"] for e in errors], f"no error names {field}: {self}")
        if text is not None:
            check(text.lower() in self.body.decode("utf-8", "replace").lower(), f"nothing says {text!r}: {self}")
        return self


def query_string(params):
    """Pairs or a dict; values that are lists repeat."""
    return urllib.parse.urlencode(params, doseq=True)


class Client:
    """One keep-alive connection that reconnects when the server closed it."""

    def __init__(self, host, port, timeout=15):
        self._address = (host, port)
        self._timeout = timeout
        self._connection = None

    def close(self):
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def request(self, method, path, body=None, headers=None):
        for attempt in (0, 1):
            fresh = self._connection is None
            if fresh:
                self._connection = http.client.HTTPConnection(*self._address, timeout=self._timeout)
            try:
                return self._once(method, path, body, headers or {})
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                self.close()
                # An idle keep-alive connection may be gone; a fresh one that fails is the server's doing.
                if fresh or attempt:
                    raise
        raise AssertionError("unreachable")

    def _once(self, method, path, body, headers):
        names = {name.lower() for name in headers}
        connection = self._connection
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in headers.items():
            if value is not None:
                connection.putheader(name, value)
        if body is not None and not names & {"content-length", "transfer-encoding"}:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        data = response.read()
        found = {}
        for name, value in response.getheaders():
            name = name.lower()
            found[name] = f"{found[name]}, {value}" if name in found else value
        shown = f" {body[:300]!r}" if body else ""
        return Reply(f"{method} {path[:300]}{shown}", response.status, found, data)


# ---------------------------------------------------------------- raw sockets

def raw_connect(server, timeout=10):
    connection = socket.create_connection((server.host, server.port), timeout=timeout)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def read_reply(connection, asked="raw", buffered=b""):
    """One reply off a raw socket: (Reply, bytes after it). Reply is None when the peer closed before a whole one."""
    data = buffered
    while b"\r\n\r\n" not in data:
        try:
            piece = connection.recv(65536)
        except ConnectionError:
            return None, data
        if not piece:
            return None, data
        data += piece
    head, rest = data.split(b"\r\n\r\n", 1)
    lines = head.decode("latin-1").split("\r\n")
    status = int(lines[0].split(" ")[1])
    headers = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    length = int(headers.get("content-length", "0"))
    while len(rest) < length:
        try:
            piece = connection.recv(65536)
        except ConnectionError:
            return None, data
        if not piece:
            return None, data
        rest += piece
    return Reply(asked, status, headers, rest[:length]), rest[length:]


def raw_exchange(server, data, timeout=10):
    """Sends bytes on a connection of its own and reads one reply; None when there was none."""
    with contextlib.closing(raw_connect(server, timeout)) as connection:
        try:
            connection.sendall(data)
        except ConnectionError:
            pass  # the server may answer and close before all was sent; the reply says it
        reply, _ = read_reply(connection, repr(data[:120]))
        return reply


# ---------------------------------------------------------------- the server

def binary_present():
    return os.path.isfile(BINARY) and os.access(BINARY, os.X_OK)


def binary_is_sanitized():
    with open(BINARY, "rb") as file:
        data = file.read()
    return b"__asan_init" in data or b"__tsan_init" in data


def write_key_file(path, keys):
    """`keys` are (name, token); the file is replaced as a whole."""
    with open(path + ".new", "w", encoding="ascii") as file:
        for name, token in keys:
            file.write(f"{name} sha256:{hashlib.sha256(token.encode()).hexdigest()}\n")
    os.rename(path + ".new", path)
    return path


def token_file(token):
    """What the scripts' --key-file takes."""
    path = os.path.join(fresh_dir("key"), "key")
    with open(path, "w", encoding="ascii") as file:
        file.write(token + "\n")
    return path


def admin_key_file(directory):
    return write_key_file(os.path.join(directory, "admin.keys"), [("e2e", ADMIN_KEY)])


class Server:
    """One adtrackd. `data_dir` is kept over restarts; each start takes a port of its own."""

    def __init__(self, data_dir=None, flags=None, env=None, admin=True, name="server"):
        self.work_dir = fresh_dir(name)
        self.data_dir = data_dir or os.path.join(self.work_dir, "data")
        self.flags = dict(flags or {})
        if backend is not None and "kafka.brokers" not in self.flags:
            self.flags = {**backend.flags(self.data_dir), **self.flags}
        if admin:
            self.flags.setdefault("admin.key_file", admin_key_file(self.work_dir))
        self.env = dict(env or {})
        self.process = None
        self.host, self.port = "127.0.0.1", 0
        self.starts = 0
        self.log_paths = []
        self._client = None
        _servers.append(self)

    def arguments(self):
        flags = {"http.host": "127.0.0.1", "http.port": "0", "data.dir": self.data_dir}
        flags.update(self.flags)
        arguments = [BINARY]
        for name, value in flags.items():
            if value is not None:
                arguments += [f"--{name}", str(value)]
        return arguments

    def spawn(self):
        """Starts the process without waiting for it to be ready."""
        self.starts += 1
        path = os.path.join(self.work_dir, f"stderr.{self.starts}.log")
        environment = {k: v for k, v in os.environ.items() if not k.startswith("ADTRACK_")}
        environment.update(self.env)
        with open(path, "wb") as log:
            self.log_paths.append(path)  # once it is there: other threads may look
            self.process = subprocess.Popen(self.arguments(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log,
                                            env=environment, cwd=self.work_dir)
        return self

    def start(self):
        self.spawn()
        self.wait_ready()
        return self

    def wait_ready(self, seconds=START_SECONDS):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            address = self._ready_address()
            if address is not None:
                self.host, self.port = address
                self.close_client()
                return
            if self.process.poll() is not None:
                raise Failure(f"the server ended with code {self.process.returncode} before it was ready: {self.log_tail()}")
            time.sleep(0.005)
        raise Failure(f"not ready within {seconds:.0f} s: {self.log_tail()}")

    def _ready_address(self):
        for line in self.log_text().splitlines():
            if '"ready"' not in line:
                continue
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if entry.get("event") != "ready":
                continue
            host, port = entry.get("host", "127.0.0.1"), entry.get("port")
            if port is None and "address" in entry:
                host, _, port = str(entry["address"]).rpartition(":")
            if port is None:
                raise Failure(f"the ready line names no port: {line}")
            host = str(host).strip("[]")
            return ("127.0.0.1" if host in ("0.0.0.0", "") else host), int(port)
        return None

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def stop(self, timeout=12):
        """SIGTERM; the exit code."""
        self.close_client()
        if self.alive():
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired as error:
            self.kill()  # so that the suite can go on with another one
            raise Failure(f"still running {timeout} s after SIGTERM: {self.log_tail(500)}") from error

    def kill(self):
        """SIGKILL, and gone when this returns."""
        self.close_client()
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def restart(self, hard=False):
        if hard:
            self.kill()
        else:
            equal(self.stop(), 0, "exit code after SIGTERM")
        return self.start()

    # -- what it writes

    def log_text(self, all_starts=False):
        text = ""
        for path in self.log_paths if all_starts else self.log_paths[-1:]:
            with open(path, encoding="utf-8", errors="replace") as file:
                text += file.read()
        return text

    def log_tail(self, characters=1500):
        return "log ends: " + self.log_text()[-characters:].strip()

    # -- what the kernel says

    def rss_kib(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            return int(re.search(r"VmRSS:\s+(\d+) kB", file.read()).group(1))

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    # -- asking it

    def client(self, timeout=15):
        return Client(self.host, self.port, timeout)

    def close_client(self):
        if self._client is not None:
            self._client.close()
            self._client = None

    def request(self, method, path, body=None, headers=None):
        if self._client is None:
            self._client = self.client()
        try:
            return self._client.request(method, path, body, headers)
        except (OSError, http.client.HTTPException) as error:
            self._client.close()
            state = "alive" if self.alive() else f"ended with {self.process.returncode}"
            raise Failure(f"{method} {path[:300]}: {error!r}; the server is {state}; {self.log_tail(500)}") from error

    def get(self, path, params=None, headers=None):
        return self.request("GET", f"{path}?{query_string(params)}" if params else path, headers=headers)

    def post_json(self, path, value, headers=None):
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        return self.request("POST", path, body, {"Content-Type": "application/json", **(headers or {})})

    def admin(self, method, path, value=None, headers=None):
        body = None if value is None else value if isinstance(value, bytes) else json.dumps(value).encode()
        fixed = {"Authorization": f"Bearer {ADMIN_KEY}"}
        if body is not None:
            fixed["Content-Type"] = "application/json"
        return self.request(method, path, body, {**fixed, **(headers or {})})

    def forget_shards(self):
        """Of a server that is stopped: what it computed from the log is moved away."""
        # The directory's layout is not part of the contract: the store is found by its name, and this says when it is not.
        stores = [name for name in os.listdir(self.data_dir) if name.startswith("shard")]
        check(stores, lambda: f"no directory of the shards in {sorted(os.listdir(self.data_dir))}")
        for name in stores:
            os.rename(os.path.join(self.data_dir, name), os.path.join(self.work_dir, f"moved-{name}"))

    # -- the calls that most suites make

    def click(self, **fields):
        """A click that is durable; its position."""
        return self.post_json("/api/v1/ads/click", fields).expect(202).json()["position"]

    def impression(self, **fields):
        return self.post_json("/api/v1/ads/impression", fields).expect(202).json()["position"]

    def analytics(self, after=(), **params):
        """The answer once all of the positions `after` are in it."""
        pairs = [(k, v) for k, v in params.items()]
        newest = {}
        for position in after:
            shard, offset = position.split(":")
            newest[shard] = max(newest.get(shard, -1), int(offset))
        pairs += [("min_position", f"{shard}:{offset}") for shard, offset in newest.items()]
        deadline = time.monotonic() + 60
        while True:
            reply = self.get("/api/v1/ads/analytics", pairs)
            if reply.status == 504 and time.monotonic() < deadline:
                continue
            return reply.expect(200).json()

    def all_rows(self, after=()):
        """Every row of the whole log by ad, over all pages."""
        rows, page = {}, 1
        while True:
            answer = self.analytics(after if page == 1 else (), limit=1000, page=page, timeout_ms=9500)  # the longest there is
            check(answer["complete"], f"an answer lacks shards: {answer['shards']}")
            for row in answer["data"]:
                check(row["ad_id"] not in rows, f"ad {row['ad_id']} stands on two pages")
                rows[row["ad_id"]] = row
            if not answer["data"]:
                equal(answer["total"], len(rows), "total against the rows of all pages")
                return rows
            page += 1


def check_health(server, host=None, port=None, more=()):
    """What a container's health check runs, of a server's address: (exit code, what it said)."""
    done = subprocess.run([BINARY, "--check-health", "--http.host", host or server.host, "--http.port", str(server.port if port is None else port), *more],
                          capture_output=True, text=True, check=False, timeout=30)
    return done.returncode, done.stdout + done.stderr


def run_refused(server, seconds=20):
    """Starts a server that must refuse to; (exit code, what it said)."""
    server.spawn()
    try:
        code = server.process.wait(seconds)
    except subprocess.TimeoutExpired as error:
        server.kill()
        raise Failure(f"it started instead of refusing, or hung: {' '.join(server.arguments())}; {server.log_tail()}") from error
    return code, server.log_text()


# ---------------------------------------------------------------- suites

class Suite:
    """Cases that share one server unless they ask for their own. `rule` names what of the contract is checked, `close` is called
    when all have run."""

    def __init__(self, name, rule, flags=None, close=None):
        self.name, self.rule, self.flags, self.close = name, rule, flags, close
        self.cases = []

    def case(self, sentence):
        def add(function):
            self.cases.append((sentence, function))
            return function
        return add

    def add(self, sentence, function):
        self.cases.append((sentence, function))


class Context:
    """What a case gets: the suite's server, options, and a way to say figures."""

    def __init__(self, suite, options, log="embedded", title=None):
        self._suite = suite
        self.options = options
        self.log = log  # what it runs on: embedded or kafka
        self.title = title or suite.name
        self.shared = None
        self.notes = []

    @property
    def server(self):
        if self.shared is None:
            self.shared = Server(flags=self._suite.flags, name=self._suite.name).start()
        return self.shared

    def note(self, text):
        self.notes.append(text)
