"""A fast client with a ledger. One thread drives many keep-alive connections with epoll and a little pipelining, sends
clicks that are a pure function of their index, retries with the same event_id whatever was not answered 202, and
remembers what was acknowledged. The ledger can then say, from the service's answers alone, what was lost or counted twice."""

import collections
import select
import socket
import threading
import time

from harness import AGENT, Failure, check

ACKED = 1


class Events:
    """Distinct clicks 0 ... n-1. Neighbouring indexes hit unrelated ads, so that errors cannot cancel out in one row."""

    def __init__(self, prefix, ads, base_time, first_ad=1, pad=0):
        self.prefix, self.ads, self.base_time, self.first_ad = prefix, ads, base_time, first_ad
        self.agent = AGENT + "x" * pad

    def ad_of(self, index):
        return self.first_ad + (index * 2654435761 & 0xFFFFFFFF) % self.ads

    def request(self, index):
        # A visitor of its own for each event, so that none is a repeat.
        body = (f'{{"event_id":"{self.prefix}-{index}","ad_id":{self.ad_of(index)},"user_ip":"10.{index >> 16 & 255}.{index >> 8 & 255}.{index & 255}",'
                f'"agent":"{self.agent}","play_time_secs":{index % 60},"watched_percent":{index % 101},"timestamp":{self.base_time + index % 3600}}}')
        return (f"POST /api/v1/ads/click HTTP/1.1\r\nHost: e2e\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}").encode()


class Ledger:
    """What the client knows. Written by the load's thread only; read by others once it is paused or joined."""

    def __init__(self, events):
        self.events = events
        self.attempts = collections.Counter()  # index -> sends, kept only for more than one
        self.state = bytearray()               # per index: ACKED or 0
        self.sent = 0                          # requests put on a socket
        self.acked = 0                         # distinct events with a 202
        self.acks = 0                          # 202 answers
        self.refused = 0                       # 503 and 429
        self.broken = 0                        # sends whose answer never came
        self.first_sent = bytearray()
        self.newest = {}                       # shard -> highest position acknowledged
        self.position_clashes = []
        self.positions = None                  # a set when every position is to be seen once
        self.slowest_answer = 0.0
        self.spooled = 0                       # 202 answers that say: in this node's spool
        # Set while the log cannot take anything: monotonic time from which on no event that is sent may be answered "in the log".
        self.log_is_away_since = None
        self.false_acks = []                   # those that were

    def distinct_sent(self):
        return self.first_sent.count(1)

    def grow(self, index):
        if index >= len(self.state):
            more = max(65536, index + 1 - len(self.state))
            self.state.extend(bytes(more))
            self.first_sent.extend(bytes(more))

    def ack(self, index, position, spooled=False, sent_at=0.0):
        self.acks += 1
        self.spooled += spooled
        if not spooled and self.log_is_away_since is not None and sent_at > self.log_is_away_since:
            self.false_acks.append((index, position))
        if self.state[index] != ACKED:
            self.state[index] = ACKED
            self.acked += 1
        if position is not None:
            if self.positions is not None:
                if position in self.positions:
                    self.position_clashes.append(position)
                self.positions.add(position)
            shard, offset = position.split(":")
            if self.newest.get(shard, -1) < int(offset):
                self.newest[shard] = int(offset)

    def barrier(self):
        """Positions that cover every acknowledged event."""
        return [f"{shard}:{offset}" for shard, offset in self.newest.items()]

    def expected_by_ad(self):
        """Distinct acknowledged events an ad, and distinct sent ones: what is counted must lie between."""
        acked, sent = collections.Counter(), collections.Counter()
        for index, was_sent in enumerate(self.first_sent):
            if was_sent:
                ad = self.events.ad_of(index)
                sent[ad] += 1
                if self.state[index] == ACKED:
                    acked[ad] += 1
        return acked, sent

    def judge(self, rows):
        """(lost, counted twice, counted but never sent, duplicates) of all rows against the ledger."""
        acked, sent = self.expected_by_ad()
        lost = twice = never = 0
        for ad in set(rows) | set(sent):
            gross = rows[ad]["gross_clicks"] if ad in rows else 0
            lost += max(0, acked[ad] - gross)
            if sent[ad] == 0:
                never += gross
            else:
                twice += max(0, gross - sent[ad])
        return lost, twice, never, sum(row["duplicates"] for row in rows.values())


class _Connection:
    __slots__ = ("socket", "waiting", "inbox", "outbox", "writable_wanted")

    def __init__(self, sock):
        self.socket = sock
        self.waiting = collections.deque()  # (index, time sent)
        self.inbox = b""
        self.outbox = b""
        self.writable_wanted = False


class Load:
    """Drives `source` (an iterator of indexes) at the server's current address until it ends; `server` may be killed
    and restarted meanwhile. `rate` bounds new sends a second."""

    def __init__(self, server, ledger, source, connections=32, depth=4, rate=None, stuck_seconds=20):
        self.server, self.ledger = server, ledger
        self._source = iter(source)
        self._wanted, self._depth, self._rate, self._stuck = connections, depth, rate, stuck_seconds
        self._retries = collections.deque()      # (not before, index)
        self._connections = {}
        self._epoll = select.epoll()
        self._exhausted = False
        self._closing = False                    # no new events, but retries until all are acknowledged
        self._abort = False
        self._paused = threading.Event()
        self._quiet = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.error = None
        self._budget_from, self._budget_used = 0.0, 0
        self._next_connect = 0.0

    # -- from the test's thread

    def start(self):
        self._thread.start()
        return self

    def pause(self, seconds=60):
        """Stops sending and returns when nothing is unanswered."""
        self._quiet.clear()
        self._paused.set()
        if not self._quiet.wait(seconds):
            raise Failure(f"requests were unanswered {seconds} s after the last send; {self.error}")
        self.raise_error()

    def resume(self):
        self._paused.clear()
        self._budget_from = 0.0

    def finish(self, seconds=120):
        """No new events; returns when every event ever sent is acknowledged."""
        self._closing = True
        self.join(seconds)

    def join(self, seconds):
        self._thread.join(seconds)
        alive = self._thread.is_alive()
        if alive:
            self._abort = True
            self._thread.join(5)
        self.raise_error()
        check(not alive, f"not all events were acknowledged within {seconds} s: {self.ledger.distinct_sent()} sent, {self.ledger.acked} acknowledged, "
                         f"{len(self._retries)} to retry; {self.server.log_tail(400)}")

    def abort(self):
        """Leaves events unacknowledged."""
        self._abort = True
        self._thread.join(5)

    def raise_error(self):
        if self.error is not None:
            raise Failure(self.error)

    # -- the load's thread

    def _run(self):
        try:
            while not self._abort and not self._done():
                self._turn()
        except Failure as failure:
            self.error = str(failure)
        except Exception as error:  # told to the test by raise_error
            self.error = f"the load client broke: {error!r}"
        finally:
            for connection in list(self._connections.values()):
                connection.socket.close()
            self._epoll.close()
            self._quiet.set()

    def _done(self):
        return (self._exhausted or self._closing) and not self._retries and not any(c.waiting for c in self._connections.values())

    def _turn(self):
        now = time.monotonic()
        if len(self._connections) < self._wanted and now >= self._next_connect:
            self._connect(now)
        if self._paused.is_set():
            if not any(c.waiting for c in self._connections.values()):
                self._quiet.set()
        else:
            budget = self._allowance(now)
            for connection in list(self._connections.values()):
                if budget <= 0:
                    break
                budget -= self._fill(connection, now, budget)
        for fd, mask in self._epoll.poll(0.005 if self._connections else 0.0):
            connection = self._connections.get(fd)
            if connection is None:
                continue
            if mask & select.EPOLLOUT:
                self._flush(connection)
            if mask & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
                self._read(connection)
        if not self._connections:
            time.sleep(0.005)

    def _allowance(self, now):
        if self._rate is None:
            return 1 << 30
        if self._budget_from == 0.0:
            self._budget_from, self._budget_used = now, 0
        return int((now - self._budget_from) * self._rate) + 1 - self._budget_used

    def _connect(self, now):
        address = (self.server.host, self.server.port)
        while len(self._connections) < self._wanted:
            sock = socket.socket()
            sock.settimeout(2)
            try:
                sock.connect(address)
            except OSError:
                sock.close()
                self._next_connect = now + 0.01
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setblocking(False)
            self._connections[sock.fileno()] = _Connection(sock)
            self._epoll.register(sock.fileno(), select.EPOLLIN)

    def _drop(self, connection):
        """The peer is gone: what it did not answer may or may not be counted, so it is sent again."""
        fd = connection.socket.fileno()
        self._epoll.unregister(fd)
        del self._connections[fd]
        connection.socket.close()
        for index, _ in connection.waiting:
            self.ledger.broken += 1
            self._retries.append((0.0, index))
        connection.waiting.clear()

    def _take(self, now):
        if self._retries and self._retries[0][0] <= now:
            return self._retries.popleft()[1]
        if self._exhausted or self._closing or len(self._retries) > 1000:
            return None
        index = next(self._source, None)
        if index is None:
            self._exhausted = True
        return index

    def _fill(self, connection, now, budget):
        if connection.outbox:
            return 0
        if connection.waiting and now - connection.waiting[0][1] > self._stuck:
            raise Failure(f"event {self.ledger.events.prefix}-{connection.waiting[0][0]} was not answered for {self._stuck} s")
        ledger, requests, taken = self.ledger, [], 0
        while len(connection.waiting) < self._depth and taken < budget:
            index = self._take(now)
            if index is None:
                break
            ledger.grow(index)
            if ledger.first_sent[index]:
                ledger.attempts[index] += 1
            ledger.first_sent[index] = 1
            connection.waiting.append((index, now))
            requests.append(ledger.events.request(index))
            taken += 1
        if requests:
            ledger.sent += taken
            self._budget_used += taken
            connection.outbox = b"".join(requests)
            self._flush(connection)
        return taken

    def _flush(self, connection):
        try:
            sent = connection.socket.send(connection.outbox)
            connection.outbox = connection.outbox[sent:]
        except BlockingIOError:
            pass
        except OSError:
            self._drop(connection)
            return
        wanted = bool(connection.outbox)
        if wanted != connection.writable_wanted:
            connection.writable_wanted = wanted
            self._epoll.modify(connection.socket.fileno(), select.EPOLLIN | (select.EPOLLOUT if wanted else 0))

    def _read(self, connection):
        try:
            data = connection.socket.recv(262144)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop(connection)
            return
        data = connection.inbox + data
        at = 0
        while True:
            end = data.find(b"\r\n\r\n", at)
            if end < 0:
                break
            head = data[at:end].lower()
            mark = head.find(b"content-length:")
            length = int(head[mark + 15:].split(b"\r\n", 1)[0]) if mark >= 0 else 0
            if len(data) < end + 4 + length:
                break
            self._answered(connection, head, data[end + 4:end + 4 + length])
            at = end + 4 + length
        connection.inbox = data[at:]

    def _answered(self, connection, head, body):
        if not connection.waiting:
            raise Failure(f"an answer that nobody asked for: {head!r} {body!r}")
        index, sent_at = connection.waiting.popleft()
        ledger = self.ledger
        now = time.monotonic()
        ledger.slowest_answer = max(ledger.slowest_answer, now - sent_at)
        status = head[9:12]
        if status == b"202":
            mark = body.find(b'"position":"')
            position = body[mark + 12:body.index(b'"', mark + 12)].decode() if mark >= 0 else None
            expected = f'"{ledger.events.prefix}-{index}"'.encode()
            if expected not in body:
                raise Failure(f"the answer to {expected!r} names another event: {body!r}")
            spooled = b'"durability":"spool"' in body
            if spooled and position is not None or not spooled and b'"durability":"log"' not in body:
                raise Failure(f"a 202 that does not say where it is durable: {body!r}")
            ledger.ack(index, position, spooled, sent_at)
        elif status in (b"503", b"429"):
            if b"retry-after:" not in head:
                raise Failure(f"{status!r} without Retry-After: {head!r}")
            ledger.refused += 1
            self._retries.append((now + 0.2, index))
        else:
            raise Failure(f"a valid event was answered {status.decode()}: {body[:300]!r}; sent {ledger.events.request(index)!r}")
