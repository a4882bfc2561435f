"""Promise 5: memory is bounded whatever a client sends, and others are answered throughout."""

import contextlib
import http.client
import os
import resource
import select
import socket
import threading
import time

from harness import AGENT, Failure, Server, Skip, Suite, binary_is_sanitized, check, equal, raw_connect

suite = Suite("memory", "promise 5: under 64 MiB of growth whatever a client sends, and its neighbours are answered")

GROWTH_KIB = 64 * 1024
CLICK_HEAD = b"POST /api/v1/ads/click HTTP/1.1\r\nHost: e2e\r\nContent-Type: application/json\r\n"


def _need_descriptors(number):
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < number + 200:
        raise Skip(f"{number} connections need more open files than the {soft} that are allowed here")


def _attack(t, what):
    """Runs `what(server)` while a neighbour posts and reads every 20 ms; checks growth and the neighbour's answers."""
    if binary_is_sanitized():
        raise Skip("a sanitized binary's memory is not the program's own")
    server = Server(name="memory").start()
    for i in range(2000):
        server.click(event_id=f"warm-{i}", ad_id=1 + i % 100, user_ip=f"198.51.{i % 100}.1", agent=AGENT)
    server.analytics()
    base = peak = server.rss_kib()
    failed = []

    def run():
        try:
            what(server)
        except Exception as error:  # told by the main thread
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    neighbour, slowest, answered = server.client(), 0.0, 0
    while thread.is_alive():
        started = time.monotonic()
        body = b'{"event_id":"nb-%d","ad_id":5,"user_ip":"192.0.2.5"}' % answered
        try:
            neighbour.request("POST", "/api/v1/ads/click", body, {"Content-Type": "application/json"}).expect(202)
            neighbour.request("GET", "/healthz").expect(200)
        except (OSError, http.client.HTTPException) as error:
            raise Failure(f"after {answered} answers a neighbour had none for {time.monotonic() - started:.1f} s: {error!r}") from error
        slowest = max(slowest, time.monotonic() - started)
        answered += 1
        check(server.alive(), lambda: f"the server died: {server.log_tail()}")
        peak = max(peak, server.rss_kib())
        time.sleep(0.02)
    peak = max(peak, server.rss_kib())
    t.note(f"grew by {(peak - base) / 1024:.1f} MiB from {base / 1024:.1f} MiB; {answered} neighbour requests, slowest {slowest * 1000:.0f} ms")
    if failed:
        raise failed[0]
    check(peak - base < GROWTH_KIB, f"it grew by {(peak - base) / 1024:.1f} MiB")
    check(answered > 3, f"the neighbour was answered {answered} times only")
    check(slowest < 2, f"a neighbour waited {slowest:.2f} s")
    neighbour.close()
    equal(server.stop(), 0, "exit code")


def _flood(t, server, head, piece, total, expected):
    """Pushes head and then pieces until `total` bytes are out, over as many connections as it takes."""
    pushed, connections, statuses = 0, 0, set()
    deadline = time.monotonic() + 20
    while pushed < total and time.monotonic() < deadline:
        connections += 1
        with contextlib.closing(raw_connect(server)) as connection:
            reply = b""
            try:
                connection.sendall(head)
                while pushed < total:
                    connection.sendall(piece)
                    pushed += len(piece)
                    if select.select([connection], [], [], 0)[0]:
                        reply = connection.recv(4096)  # the verdict is here: a polite client stops
                        break
            except OSError:
                pass  # closed by the server, which is one way to refuse
            if reply.startswith(b"HTTP/1.1 "):
                statuses.add(int(reply[9:12]))
    t.note(f"pushed {pushed >> 20} MiB over {connections} connections; statuses read: {sorted(statuses)}")
    check(statuses and statuses <= expected, f"statuses {statuses}, expected {expected}")


@suite.case("500 MiB of chunked body")
def _(t):
    _attack(t, lambda server: _flood(t, server, CLICK_HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b"x" * 65536 + b"\r\n", 500 << 20, {413}))


@suite.case("500 MiB of body with a Content-Length that says so")
def _(t):
    _attack(t, lambda server: _flood(t, server, CLICK_HEAD + b"Content-Length: %d\r\n\r\n" % (500 << 20), b"x" * 65536, 500 << 20, {413}))


@suite.case("a header line of 300 MiB")
def _(t):
    _attack(t, lambda server: _flood(t, server, b"GET /healthz HTTP/1.1\r\nHost: e2e\r\nX-A: ", b"a" * 65536, 300 << 20, {431}))


@suite.case("twenty million headers, as many at a time as it takes")
def _(t):
    piece = b"".join(b"X-%d: v\r\n" % i for i in range(5000))
    _attack(t, lambda server: _flood(t, server, b"GET /healthz HTTP/1.1\r\nHost: e2e\r\n", piece, len(piece) * 4000, {431}))


def _drip(t, server, head, each, number, seconds):
    """`number` connections send `head` and then `each` every half second; the server must cut every one of them off."""
    opened = []
    for _ in range(number):
        connection = raw_connect(server)
        connection.sendall(head)
        connection.setblocking(False)
        opened.append(connection)
    started, open_still = time.monotonic(), set(opened)
    while open_still and time.monotonic() - started < seconds:
        for connection in list(open_still):
            try:
                connection.send(each)
                if connection.recv(4096) == b"":
                    open_still.discard(connection)
            except BlockingIOError:
                continue
            except OSError:
                open_still.discard(connection)
        time.sleep(0.5)
    took = time.monotonic() - started
    for connection in opened:
        connection.close()
    t.note(f"{number - len(open_still)} of {number} were cut off within {took:.1f} s")
    check(not open_still, f"{len(open_still)} of {number} slow clients still had their connection after {took:.0f} s")


@suite.case("1,000 clients that drip their headers")
def _(t):
    _need_descriptors(1000)
    _attack(t, lambda server: _drip(t, server, b"GET /healthz HTTP/1.1\r\nHost: e2e\r\nX-A: ", b"a", 1000, 20))


@suite.case("1,000 clients that drip their bodies")
def _(t):
    _need_descriptors(1000)
    _attack(t, lambda server: _drip(t, server, CLICK_HEAD + b"Content-Length: 60000\r\n\r\n" + b" " * 1024, b" ", 1000, 25))


@suite.case("100 clients that ask and never read")
def _(t):
    def never_read(server):
        request = b"GET /metrics HTTP/1.1\r\nHost: e2e\r\n\r\n" * 100
        connections = []
        for _ in range(100):
            connection = socket.socket()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect((server.host, server.port))
            connection.setblocking(False)
            connections.append(connection)
        until = time.monotonic() + 5
        while time.monotonic() < until:
            for connection in connections:
                with contextlib.suppress(OSError):  # full, or cut off: both are the server's defence
                    connection.send(request)
            time.sleep(0.05)
        for connection in connections:
            connection.close()
    _attack(t, never_read)


BATCH_HEAD = b"POST /api/v1/ads/events HTTP/1.1\r\nHost: e2e\r\nContent-Type: application/x-ndjson\r\n"


def _batches(t, finish):
    """100 clients each push a batch of 8 MiB at once; all but the last byte unless it is to be finished."""
    total = 8 << 20

    def push(server):
        opened, statuses = {}, {}
        for _ in range(100):
            connection = raw_connect(server)
            connection.sendall(BATCH_HEAD + b"Content-Length: %d\r\n\r\n" % total)
            connection.setblocking(False)
            opened[connection] = total if finish else total - 1
        piece = b" " * 65536
        until = time.monotonic() + 12
        while opened and time.monotonic() < until:
            readable, writable, _ = select.select(opened, [c for c in opened if opened[c]], [], 0.1)
            for connection in writable:
                with contextlib.suppress(OSError):
                    opened[connection] -= connection.send(piece[:opened[connection]])
            time.sleep(0.001)  # the neighbour's turn
            for connection in readable:
                data = b""
                with contextlib.suppress(OSError):
                    data = connection.recv(4096)
                status = data[9:12].decode() or "closed"
                statuses[status] = statuses.get(status, 0) + 1
                del opened[connection]
                connection.close()
        t.note(f"statuses {dict(sorted(statuses.items()))}, {len(opened)} unanswered")
        check(set(statuses) <= {"202", "408", "503", "closed"}, f"statuses {statuses}")
        check(not opened, f"{len(opened)} of 100 clients were left hanging")
        check(statuses.get("202" if finish else "408"), "none was served to its end")

    _attack(t, push)


@suite.case("100 clients that send a batch of 8 MiB each")
def _(t):
    _batches(t, True)


@suite.case("100 clients that send a batch of 8 MiB each but for its last byte")
def _(t):
    _batches(t, False)


@suite.case("500 MiB of a batch in chunks")
def _(t):
    _attack(t, lambda server: _flood(t, server, BATCH_HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b" " * 65536 + b"\r\n", 500 << 20, {413}))


@suite.case("2,000 idle keep-alive connections")
def _(t):
    _need_descriptors(2000)

    def idle(server):
        connections = []
        for i in range(2000):
            connection = raw_connect(server)
            if i % 4 == 0:
                connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: e2e\r\n\r\n")
            connections.append(connection)
        time.sleep(2)
        for connection in connections:
            connection.close()
    _attack(t, idle)


@suite.case("descriptors do not leak")
def _(t):
    server = Server(name="descriptors").start()
    folder = f"/proc/{server.process.pid}/fd"
    server.get("/healthz").expect(200)
    before = len(os.listdir(folder))
    for i in range(2000):
        connection = raw_connect(server)
        connection.sendall((b"GET /healthz HTTP/1.1\r\nHost: e2e\r\n\r\n", b"GET /healthz HT", b"\x00", CLICK_HEAD + b"Content-Length: 5\r\n\r\n{}")[i % 4])
        connection.close()
    deadline = time.monotonic() + 20
    while len(os.listdir(folder)) > before + 20 and time.monotonic() < deadline:
        time.sleep(0.1)
    after = len(os.listdir(folder))
    t.note(f"{before} open files before, {after} after 2,000 connections")
    check(after <= before + 20, f"{after - before} more open files than before")
    equal(server.stop(), 0, "exit code")
