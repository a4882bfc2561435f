"""Clients that are slow, go away or never come, thousands at a time, and more of them than there is room for. Who behaves is answered
throughout, and afterwards the server is as it was before."""

import collections
import contextlib
import ctypes
import re
import resource
import socket
import struct
import time

from harness import AGENT, Server, Skip, Suite, binary_is_sanitized, check, equal, raw_connect, read_reply
from neighbour import beside_a_neighbour

suite = Suite("slow_clients", "promise 5: slow clients and floods cost their neighbours nothing, and memory is bounded")

EACH = 1000
GROWTH_KIB = 64 * 1024
TICK = 0.5
SECONDS_MAX = 45
POST = b"POST /api/v1/ads/click HTTP/1.1\r\nHost: e2e\r\nContent-Type: application/json\r\n"
HEALTHZ = b"GET /healthz HTTP/1.1\r\nHost: e2e\r\n\r\n"
SO_ATTACH_FILTER = 26
HALF_CLOSED, CUT_OFF, GONE = 1007, 1008, 1009  # ads


def _click(event_id, ad_id):
    body = b'{"event_id":"%s","ad_id":%d,"user_ip":"192.0.2.5"}' % (event_id.encode(), ad_id)
    return POST + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


def _need_descriptors(number):
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < number + 200:
        raise Skip(f"{number} connections need more open files than the {soft} that are allowed here")


def _connections(server):
    return int(re.search(r"^http_connections (\d+)", server.get("/metrics").body.decode(), re.MULTILINE).group(1))


def _settles_at(server, wanted, what):
    deadline = time.monotonic() + 20
    while (now := _connections(server)) != wanted and time.monotonic() < deadline:
        time.sleep(0.1)
    equal(now, wanted, what)


# ---------------------------------------------------------------- the slow ones

def _reset(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def _half_open(server):
    """Sends a SYN and drops whatever comes back: a packet filter that lets nothing in."""
    connection = socket.socket()
    drop = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))  # BPF: return 0 bytes
    connection.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HL", 1, ctypes.addressof(drop)))
    connection.setblocking(False)
    connection.connect_ex((server.host, server.port))
    return connection


def _open(server, first=b"", receive_buffer=None):
    connection = socket.socket()
    if receive_buffer is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connection.settimeout(20)
    connection.connect((server.host, server.port))
    connection.sendall(first)
    connection.setblocking(False)
    return connection


class Drips:
    """Connections that send or read a byte a tick until the server ends them."""

    def __init__(self, connections, each, reads):
        self.open, self.each, self.reads = set(connections), each, reads
        self.statuses = collections.Counter()

    def tick(self):
        for connection in list(self.open):
            if connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):  # reset, and maybe more to read for a long time
                self.open.discard(connection)
                continue
            try:
                with contextlib.suppress(BlockingIOError):
                    data = connection.recv(self.reads)
                    if data.startswith(b"HTTP/1.1 "):
                        self.statuses[int(data[9:12])] += 1
                    if data == b"":
                        self.open.discard(connection)
                        continue
                if self.each:
                    connection.send(self.each)
            except OSError:
                self.open.discard(connection)


def _ask_and_half_close(server, numbers):
    """Each sends a click and says that no more comes; what those got that did not read their 202 and then the end."""
    connections = []
    for number in numbers:
        connection = raw_connect(server, 30)
        connection.sendall(_click(f"half-{number}", HALF_CLOSED))
        connection.shutdown(socket.SHUT_WR)
        connections.append(connection)
    failed = []
    for number, connection in zip(numbers, connections):
        with contextlib.closing(connection):
            reply, rest = read_reply(connection, f"half-closed {number}")
            more = rest or (connection.recv(10) if reply is not None else b"")
            if reply is None or reply.status != 202 or more:
                failed.append(f"{number}: {reply} and then {more}")
    return failed


@suite.case("eight kinds of slow and vanishing clients, 1,000 each and all at once")
def _(t):
    _need_descriptors(6 * EACH)
    server = Server(name="slow", flags={"http.head_timeout_ms": 5000, "http.body_timeout_ms": 8000, "http.write_timeout_ms": 8000}).start()
    for i in range(2000):
        server.click(event_id=f"warm-{i}", ad_id=1 + i % 100, user_ip=f"198.51.{i % 100}.1", agent=AGENT)
    before, base = _connections(server), server.rss_kib()
    started, peak, step, unanswered = time.monotonic(), base, EACH // 20, []
    held = []
    with beside_a_neighbour(t, server):
        drips = {"head": Drips([_open(server, b"GET /healthz HTTP/1.1\r\nHost: e2e\r\nX-A: ") for _ in range(EACH)], b"a", 4096),
                 "body": Drips([_open(server, POST + b"Content-Length: 60000\r\n\r\n ") for _ in range(EACH)], b" ", 4096),
                 "reading": Drips([_open(server, b"GET /metrics HTTP/1.1\r\nHost: e2e\r\n\r\n" * 100, 2304) for _ in range(EACH)], b"", 16)}
        held += [_half_open(server) for _ in range(EACH)]
        idle = [_open(server) for _ in range(EACH)]
        for kind in drips.values():
            held += kind.open
        opened = time.monotonic() - started
        most = _connections(server)
        for i in range(0, EACH, step):
            tick = time.monotonic()
            unanswered += _ask_and_half_close(server, range(i, i + step))
            for number in range(i, i + step):
                _reset(_open(server, _click(f"cut-{number}", CUT_OFF)[:-20]))
                _reset(_open(server, _click(f"gone-{number}", GONE)))
            for kind in drips.values():
                kind.tick()
            peak = max(peak, server.rss_kib())
            time.sleep(max(0.0, tick + TICK - time.monotonic()))
        while any(kind.open for kind in drips.values()) and time.monotonic() < started + SECONDS_MAX:
            for kind in drips.values():
                kind.tick()
            peak = max(peak, server.rss_kib())
            time.sleep(TICK)
        for connection in idle:  # they have had no reason to go
            connection.settimeout(20)
            connection.sendall(HEALTHZ)
        still = 0
        for connection in idle:
            reply, _ = read_reply(connection, "idle")
            still += reply is not None and reply.status == 200
    t.note(f"all were there after {opened:.1f} s, at most {most} connections; what the slow ones read: "
           + ", ".join(f"{name} {dict(kind.statuses)}" for name, kind in drips.items()))
    t.note(f"memory grew by {(peak - base) / 1024:.1f} MiB from {base / 1024:.1f} MiB")
    for connection in held + idle:
        connection.close()
    equal({name: len(kind.open) for name, kind in drips.items()}, {"head": 0, "body": 0, "reading": 0}, "slow ones that were not ended")
    for name in ("head", "body"):
        equal(dict(drips[name].statuses), {408: EACH}, f"answers to those that drip their {name}")
    equal(unanswered, [], "half-closed clients that did not get their answer and the end")
    equal(still, EACH, "idle clients that were answered in the end")
    _settles_at(server, before, "http_connections afterwards")
    server.analytics([server.click(event_id="last", ad_id=HALF_CLOSED, user_ip="192.0.2.7", agent=AGENT)])
    rows = {row["ad_id"]: row["gross_clicks"] for row in server.all_rows().values()}
    equal(rows.get(HALF_CLOSED), EACH + 1, "clicks of the half-closed")
    equal(rows.get(CUT_OFF, 0), 0, "clicks that were cut off")
    t.note(f"of {EACH} whose clients reset the connection at once, {rows.get(GONE, 0)} clicks are counted")
    if not binary_is_sanitized():
        check(peak - base < GROWTH_KIB, f"it grew by {(peak - base) / 1024:.1f} MiB")
    equal(server.stop(), 0, "exit code")


# ---------------------------------------------------------------- more than there is room for

ROOM = 300


@suite.case("connections beyond http.max_connections get 503 and the end, and those inside go on")
def _(t):
    _need_descriptors(1500)
    server = Server(name="flood", flags={"http.max_connections": ROOM}).start()
    before = _connections(server)  # this very client is one of them
    with beside_a_neighbour(t, server):
        inside = [_open(server) for _ in range(ROOM - before - 1)]  # and one is the neighbour's
        deadline = time.monotonic() + 10
        while _connections(server) != ROOM and time.monotonic() < deadline:
            time.sleep(0.05)
        equal(_connections(server), ROOM, "connections inside")
        refused = 0
        for i in range(EACH):
            with contextlib.closing(raw_connect(server)) as connection:
                if i % 2:  # some ask before they look, some wait to be spoken to
                    with contextlib.suppress(ConnectionError):
                        connection.sendall(HEALTHZ)
                reply, rest = read_reply(connection, f"connection {ROOM + 1 + i}")
                check(reply is not None, f"connection {ROOM + 1 + i} was closed without an answer")
                reply.expect_problem(503)
                equal((reply.header("retry-after"), reply.header("connection")), ("1", "close"), "Retry-After and Connection")
                with contextlib.suppress(ConnectionResetError):
                    equal((rest, connection.recv(10)), (b"", b""), "what follows the 503")
                refused += 1
            if i % 100 == 0:
                for connection in inside:
                    connection.settimeout(10)
                    connection.sendall(HEALTHZ)
                for connection in inside:
                    reply, _ = read_reply(connection, "inside")
                    check(reply is not None, "a connection that was inside was closed")
                    reply.expect(200)
        t.note(f"{ROOM} inside, {refused} refused")
        equal(_connections(server), ROOM, "connections inside after the flood")
        inside.pop().close()
        deadline = time.monotonic() + 10
        while _connections(server) != ROOM - 1 and time.monotonic() < deadline:
            time.sleep(0.02)
        inside.append(_open(server, HEALTHZ))
        inside[-1].settimeout(10)
        reply, _ = read_reply(inside[-1], "the place of one that left")
        check(reply is not None and reply.status == 200, f"the place of one that left was not given: {reply}")
    for connection in inside:
        connection.close()
    _settles_at(server, before, "http_connections afterwards")
    with contextlib.closing(raw_connect(server)) as connection:
        connection.sendall(HEALTHZ)
        read_reply(connection, "after the flood")[0].expect(200)
    equal(server.stop(), 0, "exit code")
