"""One process of a load: sends its lanes' requests when they are due, whatever the answers do, each on a keep-alive connection of its
own, without pipelining. Latency counts from when a request was due. Sends that may have come through are tried again with the same bytes until
they are answered or their time is over. What happened goes to the parent twice a second.

Why a request left late: either all connections waited for answers, which is the server's doing and stands in its latency, or this process
came to it late. The second is counted apart, and with it all that had to wait behind a standstill of this process, until none is late any more. A
process that hardly ever has nothing to do is the reason for all that left late, whether it works or waits for a processor."""

import collections
import contextlib
import errno
import heapq
import json
import math
import select
import socket
import time

from load_stream import path_of

SLACK = 0.05      # seconds that a request may leave late before it counts as late
BUSY = 0.9        # of its time on a processor or waiting for one: a process beyond that is what holds the schedule up
REPORT = 0.5
AFTER_END = 1.0   # seconds after the schedule's end in which requests that wait for a connection still leave
BUCKETS = 10      # of the latency histogram, for each doubling


def bucket_of(seconds):
    return int(math.log2(max(seconds * 1e6, 1)) * BUCKETS)


class Request:
    __slots__ = ("lane", "number", "due", "path", "rest", "unknown", "give_up", "tries")

    def __init__(self, lane, number, due, path, rest):
        self.lane, self.number, self.due, self.path, self.rest = lane, number, due, path, rest  # `rest`: what follows the Host header
        self.unknown = self.tries = 0
        self.give_up = None


class Connection:
    __slots__ = ("socket", "target", "request", "inbox", "outbox", "since", "open", "writes")

    def __init__(self, target):
        self.target, self.socket, self.request, self.inbox, self.outbox, self.since = target, None, None, b"", b"", 0.0
        self.open = self.writes = False  # connected; waiting for room to write


def busy_seconds():
    """For how long this process has run, or waited for a processor."""
    try:
        with open("/proc/self/schedstat", encoding="ascii") as file:
            ran, waited, _ = map(int, file.read().split())
        return (ran + waited) / 1e9
    except OSError:  # a kernel that does not tell
        return time.process_time()


def whole_answer(data, closed):
    """(status, head, body) once all of it is there; None before. `closed`: nothing comes any more."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = data[:end].lower()
    if not head.startswith(b"http/1."):
        raise ValueError("no HTTP")
    status, mark = int(head[9:12]), head.find(b"\r\ncontent-length:")
    if mark >= 0:
        body = data[end + 4:]
        return (status, head, body) if len(body) >= int(head[mark + 17:].split(b"\r\n", 1)[0]) else None
    chunked = b"\r\ntransfer-encoding: chunked" in head
    return (status, head, data[end + 4:]) if closed or chunked and data.endswith(b"0\r\n\r\n") else None


class Sender:
    """`targets`: (address family, address, Host header, path before the API's) of each node. `begin`: monotonic time of the start."""

    def __init__(self, stream, lanes, targets, options, begin):
        self.stream, self.targets, self.options, self.begin = stream, targets, options, begin
        self.end = begin + stream.plan["seconds"] + AFTER_END
        self.batch = stream.plan["batch"]
        self.lanes = {lane: enumerate(stream.requests(lane)) for lane in lanes}
        self.due = []        # (due, lane, number, events), the next of each lane
        self.retries = []    # (not before, order, request)
        self.idle, self.free_since = collections.deque(), begin
        self.closed = []     # (not before, order, connection)
        self.by_fd, self.in_flight = {}, collections.deque()  # the latter: (time sent, connection, request), in order
        self.epoll, self.order, self.unanswered = select.epoll(), 0, 0
        self.stood_still = False  # and what waited meanwhile has not all left
        self.key = f"Authorization: Bearer {options['token']}\r\n" if options["token"] else ""
        self._fresh_report(begin)

    def _fresh_report(self, now):
        self.text, self.counts, self.latencies, self.slowest, self.positions = [], collections.Counter(), collections.Counter(), 0.0, {}
        self.reported, self.busy = now, busy_seconds()

    def run(self, pipe, stop):
        for lane in self.lanes:
            self._pull(lane)
        for number in range(self.options["connections"]):
            self.closed.append((0.0, number, Connection(number % len(self.targets))))
        now = time.monotonic()
        while True:
            if stop.is_set() or now > self.end:
                self.counts["cut off"] += len(self.due) if now > self.end else 0
                self.due.clear()
            self._open(now)
            self._send_due(now)
            if now - self.reported >= REPORT:
                self._report(pipe, now)
            if not (self.due or self.retries or self.unanswered):
                break
            wait, before = self._wait(time.monotonic()), now
            ready = self.epoll.poll(wait)
            now = time.monotonic()
            self.stood_still |= now - before > wait + SLACK
            for fd, mask in ready:
                if (connection := self.by_fd.get(fd)) is not None:
                    self._serve(connection, mask, now)
            self._time_out(now)
        self._report(pipe, now)
        pipe.send(None)

    def _pull(self, lane):
        following = next(self.lanes[lane], None)
        if following is not None:
            number, (at, events) = following
            heapq.heappush(self.due, (self.begin + at, lane, number, events))

    def _wait(self, now):
        until = min(now + 0.1, self.reported + REPORT)
        if self.idle:
            for waiting in (self.due, self.retries):
                if waiting:
                    until = min(until, waiting[0][0])
        if self.closed:
            until = min(until, self.closed[0][0])
        return max(0.0, until - now)

    # -- connections

    def _open(self, now):
        while self.closed and self.closed[0][0] <= now:
            connection = heapq.heappop(self.closed)[2]
            family, address, _, _ = self.targets[connection.target]
            connection.socket = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.since = now
            if connection.socket.connect_ex(address) not in (0, errno.EINPROGRESS):
                self._no_connection(connection, now)
                continue
            self.by_fd[connection.socket.fileno()] = connection
            self.epoll.register(connection.socket.fileno(), select.EPOLLOUT)

    def _no_connection(self, connection, now):
        self.counts["no connection"] += 1
        self._close(connection, now, 0.1)

    def _close(self, connection, now, pause=0.0):
        """It is opened again, to the next node."""
        if self.by_fd.pop(connection.socket.fileno(), None) is not None:
            self.epoll.unregister(connection.socket.fileno())
        connection.socket.close()
        with contextlib.suppress(ValueError):
            self.idle.remove(connection)
        connection.inbox = connection.outbox = b""
        connection.open = connection.writes = False
        connection.target = (connection.target + 1) % len(self.targets)
        self.order += 1
        heapq.heappush(self.closed, (now + pause, self.order, connection))

    def _now_idle(self, connection, now):
        if not self.idle:
            self.free_since = now
        self.idle.append(connection)

    # -- sending

    def _send_due(self, now):
        while self.idle:
            if self.retries and self.retries[0][0] <= now:
                self._send(heapq.heappop(self.retries)[2], now)
            elif self.due and self.due[0][0] <= now:
                due, lane, number, events = heapq.heappop(self.due)
                self.counts["requests"] += 1
                self.counts["events"] += len(events)
                if now - due > SLACK:
                    self.counts["late"] += 1
                    self.counts["late by itself"] += self.stood_still or now - max(due, self.free_since) > SLACK
                else:
                    self.stood_still = False
                self._send(self._request(due, lane, number, events), now)
                self._pull(lane)
            else:
                return
            now = time.monotonic()

    def _request(self, due, lane, number, events):
        if self.batch == 1:
            path, kind, body = path_of(events[0].kind), "application/json", events[0].body
        else:
            path, kind, body = "/api/v1/ads/events", "application/x-ndjson", "\n".join(event.body for event in events)
        return Request(lane, number, due, path, f"\r\n{self.key}Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())

    def _send(self, request, now):
        connection = self.idle.popleft()
        _, _, host, prefix = self.targets[connection.target]
        connection.request, connection.since, connection.inbox = request, now, b""
        connection.outbox = f"POST {prefix}{request.path} HTTP/1.1\r\nHost: {host}".encode() + request.rest
        request.tries += 1
        request.give_up = request.give_up or now + self.options["patience"]
        self.unanswered += 1
        self.in_flight.append((now, connection, request))
        self._flush(connection, now)

    def _flush(self, connection, now):
        try:
            sent = connection.socket.send(connection.outbox)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._lost(connection, now, "lost")
            return
        connection.outbox = connection.outbox[sent:]
        if bool(connection.outbox) != connection.writes:
            connection.writes = not connection.writes
            self.epoll.modify(connection.socket.fileno(), select.EPOLLIN | (select.EPOLLOUT if connection.writes else 0))

    # -- answers

    def _serve(self, connection, mask, now):
        if not connection.open:
            if connection.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) or mask & (select.EPOLLERR | select.EPOLLHUP):
                self._no_connection(connection, now)
                return
            connection.open = True
            self.epoll.modify(connection.socket.fileno(), select.EPOLLIN)
            self._now_idle(connection, now)
            return
        if mask & ~select.EPOLLOUT:
            try:
                piece = connection.socket.recv(65536)
            except BlockingIOError:
                return
            except OSError:
                piece = b""
            self._read(connection, piece, now)
        elif connection.outbox:
            self._flush(connection, now)

    def _read(self, connection, piece, now):
        if connection.request is None:  # an idle connection that the server closed
            self._close(connection, now)
            return
        connection.inbox += piece
        try:
            answer = whole_answer(connection.inbox, not piece)
        except ValueError:
            answer, piece = None, b""
        if answer is None:
            if not piece:
                self._lost(connection, now, "lost")
            return
        request, (status, head, body) = connection.request, answer
        if status < 200:
            connection.inbox = connection.inbox[connection.inbox.find(b"\r\n\r\n") + 4:]
            return
        connection.request = None
        if not piece or connection.outbox or b"\r\nconnection: close" in head:
            self._close(connection, now)
        else:
            self._now_idle(connection, now)
        self._answered(request, status, head, body, time.monotonic())

    def _answered(self, request, status, head, body, now):
        self.unanswered -= 1
        self.counts[f"status {status}"] += 1
        refused = ""
        if status == 202:
            try:
                refused = self._accepted(request, body)
            except (ValueError, KeyError, TypeError, AttributeError):
                self.counts["202 that cannot be read"] += 1
                self._unknown(request, now)
                return
            self._over(request, 1, refused, now)
        elif status in (408, 429) or status >= 500:
            request.unknown += status != 429  # that one says for certain that nothing was taken
            self._again(request, now, head)
        elif 400 <= status < 500:
            self._over(request, 0, "", now)
        else:
            self._unknown(request, now)

    def _accepted(self, request, body):
        """What a batch's answer refuses, as the ledger writes it."""
        if self.batch == 1:
            mark = body.find(b'"position":"')
            if mark >= 0:
                shard, offset = body[mark + 12:body.index(b'"', mark + 12)].split(b":")
                self._position(int(shard), int(offset))
            return ""
        answer = json.loads(body)
        for shard, offset in answer["positions"].items():
            self._position(int(shard), int(offset))
        if not answer["rejected"]:
            return ""
        if len(answer["rejected"]) < answer["rejected_count"]:
            raise ValueError("not all that was rejected is listed")
        self.counts["rejected in batches"] += len(answer["rejected"])
        return " " + ",".join(str(int(item["index"])) for item in answer["rejected"])

    def _position(self, shard, offset):
        if self.positions.get(shard, -1) < offset:
            self.positions[shard] = offset

    def _lost(self, connection, now, why):
        request, self.unanswered = connection.request, self.unanswered - 1
        self._close(connection, now)
        connection.request = None
        self.counts[why] += 1
        self._unknown(request, now)

    def _unknown(self, request, now):
        request.unknown += 1
        self._again(request, now, b"")

    def _again(self, request, now, head):
        wait = min(0.1 * 2 ** min(request.tries, 6), 2.0)
        mark = head.find(b"\r\nretry-after:")
        if mark >= 0:
            after = head[mark + 14:].split(b"\r\n", 1)[0].strip()
            wait = max(wait, min(int(after), 30)) if after.isdigit() else wait
        if now + wait > request.give_up:
            self._over(request, 0, "", now)
            return
        self.counts["again"] += 1
        self.order += 1
        heapq.heappush(self.retries, (now + wait, self.order, request))

    def _over(self, request, acked, refused, now):
        self.text.append(f"{request.lane} {request.number} {acked} {request.unknown}{refused}\n")
        if acked:
            took = now - request.due
            self.counts["acked"] += self.batch - (refused.count(",") + 1 if refused else 0)
            self.latencies[bucket_of(took)] += 1
            self.slowest = max(self.slowest, took)

    def _time_out(self, now):
        limit = now - self.options["timeout"]
        while self.in_flight and (self.in_flight[0][0] < limit or self.in_flight[0][1].request is not self.in_flight[0][2]):
            sent, connection, request = self.in_flight.popleft()
            if connection.request is request and connection.since == sent:
                self._lost(connection, now, "time-out")
        while self.retries and self.retries[0][2].give_up < now:  # as when there is no connection for it
            self._over(heapq.heappop(self.retries)[2], 0, "", now)

    # -- telling the parent

    def _report(self, pipe, now):
        if busy_seconds() - self.busy > BUSY * (now - self.reported):
            self.counts["late by itself"] = self.counts["late"]
        for connection in list(self.by_fd.values()):
            if not connection.open and now - connection.since > self.options["timeout"]:
                self._no_connection(connection, now)
        pipe.send({"text": "".join(self.text), "counts": self.counts, "latencies": self.latencies, "slowest": self.slowest, "positions": self.positions,
                   "open": self.unanswered + len(self.retries)})
        self._fresh_report(now)
