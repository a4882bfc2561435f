"""What became of one event, and what a shard's state is at an offset of the log."""

import time
import urllib.parse

from harness import AGENT, Server, Suite, check, equal

suite = Suite("fates", "contract sections 5 and 6: the fate of one event; digests of a shard")

NOON = 1_753_185_600
SPIDER = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
SHARDS = 16


def _event(event_id, **changes):
    return {"event_id": event_id, "ad_id": 7, "user_ip": "198.51.100.1", "agent": AGENT, "timestamp": NOON, **changes}


def _ask(server, event_id, ad_id=7, type="click"):
    path = f"/api/v1/events/{urllib.parse.quote(event_id, safe='')}"
    return server.get(path, {"ad_id": ad_id, "type": type}).expect(200).json()


def fate(server, event_id, ad_id=7, type="click"):
    """The answer, once the event is applied if it was acknowledged before."""
    deadline = time.monotonic() + 30
    while True:
        answer = _ask(server, event_id, ad_id, type)
        if answer["fate"] != "pending" or time.monotonic() > deadline:
            return answer
        time.sleep(0.005)


def _digest(server, shard, **params):
    return server.admin("GET", f"/admin/v1/shards/{shard}/digest?" + urllib.parse.urlencode(params))


def digests(server):
    """Of every shard, where it stands."""
    return [_digest(server, shard).expect(200).json() for shard in range(SHARDS)]


@suite.case("an event that was acknowledged is pending or counted at once, never unknown, and counted soon")
def _(t):
    for n in range(200):
        position = t.server.click(**_event(f"ack-{n}", user_ip=f"198.51.100.{n}"))
        first = _ask(t.server, f"ack-{n}")
        check(first["fate"] in ("pending", "counted"), f"right after 202: {first}")
        after = fate(t.server, f"ack-{n}")
        equal((after["fate"], after["position"], after["timestamp"], after["lag_ms"], after["complete"]), ("counted", position, NOON, 0, True), "fate")


@suite.case("invalid ones say why, duplicates and conflicts are counted, and the position is the first one's")
def _(t):
    position = t.server.click(**_event("twice", ad_id=8))
    for changes in ({}, {}, {"timestamp": NOON + 1}):
        t.server.click(**_event("twice", ad_id=8, **changes))
    got = fate(t.server, "twice", 8)
    deadline = time.monotonic() + 30
    while got["duplicates"] < 3 and time.monotonic() < deadline:
        got = fate(t.server, "twice", 8)
    equal((got["fate"], got["position"], got["duplicates"], got["conflicts"]), ("counted", position, 3, 1), "fate of one sent four times")
    t.server.click(**_event("again", ad_id=8, timestamp=NOON + 1))
    got = fate(t.server, "again", 8)
    equal((got["fate"], got["invalid_reason"]), ("invalid", "repeat"), "a click a second after a valid one")
    t.server.impression(**_event("spider", ad_id=8, agent=SPIDER))
    equal(fate(t.server, "spider", 8, "impression")["invalid_reason"], "bot", "a crawler's")


@suite.case("another type, another ad and an id that nobody sent are unknown")
def _(t):
    t.server.click(**_event("one", user_ip="203.0.113.9"))
    equal(fate(t.server, "one")["fate"], "counted", "the event itself")
    for event_id, ad_id, type in (("one", 7, "impression"), ("one", 9, "click"), ("none", 7, "click")):
        equal(fate(t.server, event_id, ad_id, type), {"event_id": event_id, "type": type, "ad_id": ad_id, "fate": "unknown", "lag_ms": 0, "complete": True}, "fate")


@suite.case("ids of every visible character are found")
def _(t):
    for event_id in ("".join(map(chr, range(0x21, 0x7F))), "/", "..", "a/b?c=d#e%2F", "x" * 128):
        position = t.server.click(**_event(event_id, ad_id=11))
        equal(fate(t.server, event_id, 11)["position"], position, event_id)


@suite.case("what cannot be a question is 400, no digest without the admin key")
def _(t):
    for path in ("/api/v1/events/x", "/api/v1/events/x?ad_id=7", "/api/v1/events/x?ad_id=7&type=view", "/api/v1/events/%20?ad_id=7&type=click"):
        t.server.get(path).expect_problem(400)
    t.server.get("/admin/v1/shards/0/digest").expect_problem(401)
    _digest(t.server, SHARDS).expect_problem(404)
    _digest(t.server, 0, offset=0).expect_problem(409)
    _digest(t.server, 0, offset=1_000_000, timeout_ms=50).expect_problem(504)


@suite.case("fates and digests are the same after a kill -9, and where the log was replayed")
def _(t):
    server = Server(name="fates").start()
    positions = [server.click(**_event(f"k-{n % 400}", ad_id=1 + n % 40, user_ip=f"203.0.113.{n % 90}", timestamp=NOON + n % 7)) for n in range(900)]
    server.all_rows(positions)
    asked = [(f"k-{n}", 1 + n % 40) for n in range(400)]
    before = [fate(server, event_id, ad_id) for event_id, ad_id in asked]
    stood = digests(server)
    equal(sum(one["duplicates"] for one in before), 500, "duplicates")
    for what in ("kill -9", "replay"):
        if what == "replay":
            equal(server.stop(), 0, "exit code")
            server.forget_shards()
            server.start()
        else:
            server.restart(hard=True)
        server.all_rows(positions)
        equal([fate(server, event_id, ad_id) for event_id, ad_id in asked], before, f"fates after {what}")
        equal(digests(server), stood, f"digests after {what}")
    one = stood[0]
    equal(_digest(server, 0, offset=one["offset"]).expect(200).json(), one, "the digest of an offset that the shard stands at")
    equal(server.stop(), 0, "exit code")
