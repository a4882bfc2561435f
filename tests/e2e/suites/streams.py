"""Analytics as server-sent events."""

import datetime
import http.client
import json
import time

from harness import AGENT, Suite, check, equal

suite = Suite("streams", "contract section 5: the same rows as they change, at most once a second", flags={"analytics.max_streams": 50, "analytics.stream_heartbeat_ms": 1500})

NOON = 1_753_185_600


class Stream:
    def __init__(self, server, query, headers=None):
        self.connection = http.client.HTTPConnection(server.host, server.port, timeout=30)
        self.connection.request("GET", f"/api/v1/ads/analytics/stream?{query}", headers=headers or {})
        self.reply = self.connection.getresponse()

    def next(self):
        """The next event as (id, answer), a comment as None; EOFError at the end."""
        lines = []
        while True:
            line = self.reply.readline()
            if not line:
                raise EOFError
            line = line.rstrip(b"\n").decode()
            if line:
                lines.append(line)
                continue
            if lines == [":"]:
                return None
            fields = dict(each.split(": ", 1) for each in lines)
            if "data" in fields:
                equal(fields["event"], "analytics", "event")
                return fields["id"], json.loads(fields["data"])
            lines = []

    def event(self):
        while True:
            found = self.next()
            if found is not None:
                return found

    def close(self):
        self.reply.close()  # it holds the socket
        self.connection.close()


def _click(t, n, ad):
    return t.server.click(event_id=f"s-{n}", ad_id=ad, user_ip=f"198.51.100.{n % 250}", agent=AGENT, timestamp=NOON + n)


@suite.case("the first event holds the answer, each later one another, at most one a second, and the last all of it")
def _(t):
    _click(t, 0, 7)
    stream = Stream(t.server, "ad_id=7")
    equal((stream.reply.status, stream.reply.getheader("Content-Type")), (200, "text/event-stream"), "answer")
    ids, counts, times = [], [], []
    for n in range(1, 400):
        _click(t, n, 7)
    deadline = time.monotonic() + 30
    while (not counts or counts[-1] < 400) and time.monotonic() < deadline:
        found, answer = stream.event()
        ids.append(found)
        times.append(datetime.datetime.fromisoformat(answer["generated_at"].replace("Z", "+00:00")).timestamp())
        counts.append(answer["data"][0]["click_count"] if answer["data"] else 0)
    equal(counts[-1], 400, "clicks in the last event")
    equal(counts, sorted(set(counts)), "clicks, event by event")
    equal(len(set(ids)), len(ids), "ids")
    gaps = [later - earlier for earlier, later in zip(times, times[1:])]
    check(all(gap >= 0.9 for gap in gaps), f"seconds between events: {gaps}")
    equal(stream.next(), None, "what comes without a change: a comment")
    stream.close()


@suite.case("a client that comes back gets what changed since, and nothing when nothing did")
def _(t):
    _click(t, 1_000, 8)
    t.server.all_rows([_click(t, 1_001, 8)])
    stream = Stream(t.server, "ad_id=8")
    seen, _ = stream.event()
    stream.close()
    stream = Stream(t.server, "ad_id=8", {"Last-Event-ID": seen})
    equal(stream.next(), None, "a comment, as nothing changed")
    _click(t, 1_002, 8)
    equal(stream.event()[1]["data"][0]["click_count"], 3, "clicks")
    stream.close()


@suite.case("fifty streams are told of a change, one more is 503, and places are free again")
def _(t):
    streams = [Stream(t.server, f"ad_id={9 + n % 2}&last=24h" if n % 5 else "sort=-click_count&limit=3") for n in range(50)]
    for stream in streams:
        equal(stream.reply.status, 200, "status")
        stream.event()
    equal(Stream(t.server, "ad_id=9").reply.status, 503, "status of one more")
    now = int(time.time())
    for ad in (9, 10):
        t.server.click(event_id=f"now-{ad}", ad_id=ad, user_ip="198.51.100.1", agent=AGENT, timestamp=now)
    for n, stream in enumerate(streams):
        _, answer = stream.event()
        if n % 5:
            equal(answer["data"][0]["click_count"], 1, f"clicks of stream {n}")
        stream.close()
    deadline = time.monotonic() + 10
    while True:
        stream = Stream(t.server, "ad_id=9")
        if stream.reply.status == 200 or time.monotonic() > deadline:
            break
        stream.close()
        time.sleep(0.1)
    equal(stream.reply.status, 200, "status once the others are gone")
    stream.close()


@suite.case("what a stream cannot be asked is 400; SIGTERM ends it")
def _(t):
    for query in ("ad_id=x", "format=csv", "explain=true", "min_position=0:1", "since=2025-01-02&until=2025-01-01"):
        t.server.get(f"/api/v1/ads/analytics/stream?{query}").expect_problem(400)
    stream = Stream(t.server, "ad_id=7")
    stream.event()
    started = time.monotonic()
    equal(t.server.stop(), 0, "exit code")
    check(time.monotonic() - started < 8, "stopping waited for the stream")
    try:
        while stream.next() is None:
            pass
        raise AssertionError("an event after the end")
    except EOFError:
        pass
    t.server.start()
