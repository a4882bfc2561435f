"""Promise 2: counted once."""

import itertools
import threading

from harness import AGENT, Suite, equal

suite = Suite("duplicates", "promise 2: N sends of an event count 1 and N-1 duplicates; differing own fields add conflicts")

NOON = 1753185600
HOUR_1 = {"since": "2025-07-22T12:00:00Z", "until": "2025-07-22T13:00:00Z"}
HOUR_2 = {"since": "2025-07-22T13:00:00Z", "until": "2025-07-22T14:00:00Z"}


def _event(ad, event_id, **changes):
    fields = {"event_id": event_id, "ad_id": ad, "user_ip": "198.51.100.1", "agent": AGENT, "play_time_secs": 30, "watched_percent": 80, "timestamp": NOON}
    fields.update(changes)
    return {name: value for name, value in fields.items() if value is not ...}


def _counts(t, ad, positions, **params):
    rows = t.server.analytics(positions, ad_id=ad, **params)["data"]
    return [(row["gross_clicks"], row["duplicates"], row["conflicts"]) for row in rows]


@suite.case("five sends of one click count 1 and 4 duplicates, each answered 202")
def _(t):
    positions = [t.server.click(**_event(1, "five")) for _ in range(5)]
    equal(_counts(t, 1, positions), [(1, 4, 0)], "gross, duplicates, conflicts")


@suite.case("fifty sends at the same moment over fifty connections count 1 and 49 duplicates")
def _(t):
    positions, barrier = [], threading.Barrier(50)

    def send():
        client = t.server.client()
        barrier.wait()
        import json
        body = json.dumps(_event(2, "fifty")).encode()
        positions.append(client.request("POST", "/api/v1/ads/click", body, {"Content-Type": "application/json"}).expect(202).json()["position"])
        client.close()

    threads = [threading.Thread(target=send) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    equal(len(positions), 50, "answers 202")
    equal(_counts(t, 2, positions), [(1, 49, 0)], "gross, duplicates, conflicts")


@suite.case("the same event_id on another ad, or of another type, is another event")
def _(t):
    positions = [t.server.click(**_event(3, "same")), t.server.click(**_event(4, "same")),
                 t.server.impression(**_event(3, "same", play_time_secs=..., watched_percent=...))]
    answer = t.server.analytics(positions, ad_id=[3, 4])
    equal([(row["ad_id"], row["gross_clicks"], row["impressions"], row["duplicates"]) for row in answer["data"]], [(3, 1, 1, 0), (4, 1, 0, 0)], "rows")


_ads = itertools.count(100)
for _name, _value in (("play_time_secs", 31), ("watched_percent", 81), ("timestamp", NOON + 1), ("user_ip", "198.51.100.2"), ("agent", "Other/1.0"),
                      ("play_time_secs", ...), ("play_time_secs", 0)):
    def _conflict(t, ad=next(_ads), name=_name, value=_value):
        positions = [t.server.click(**_event(ad, "c")), t.server.click(**_event(ad, "c", **{name: value})), t.server.click(**_event(ad, "c"))]
        equal(_counts(t, ad, positions), [(1, 2, 1)], "gross, duplicates, conflicts")
    suite.add(f"a duplicate that {'lacks' if _value is ... else f'has another ({_value})'} {_name} is a conflict", _conflict)


@suite.case("a defaulted timestamp, address or agent is no conflict")
def _(t):
    bare = _event(5, "bare", user_ip=..., agent=..., timestamp=...)
    positions = []
    for agent in ("A/1.0", "B/2.0", "C/3.0"):
        positions.append(t.server.post_json("/api/v1/ads/click", bare, {"User-Agent": agent}).expect(202).json()["position"])
    equal(_counts(t, 5, positions), [(1, 2, 0)], "gross, duplicates, conflicts")


@suite.case("unknown fields and the writing of the JSON are no conflict")
def _(t):
    positions = [t.server.click(**_event(6, "w")), t.server.click(**_event(6, "w"), extra=[1])]
    fields = dict(reversed(list(_event(6, "w").items())))
    positions.append(t.server.click(**fields))
    equal(_counts(t, 6, positions), [(1, 2, 0)], "gross, duplicates, conflicts")


@suite.case("a duplicate counts in the first one's bucket, and makes no row in its own")
def _(t):
    positions = [t.server.click(**_event(7, "b")), t.server.click(**_event(7, "b", timestamp=NOON + 3600))]
    equal(_counts(t, 7, positions, **HOUR_1), [(1, 1, 1)], "the first one's hour")
    equal(_counts(t, 7, positions, **HOUR_2), [], "the duplicate's hour")


@suite.case("duplicates are known after a stop and after kill -9")
def _(t):
    positions = [t.server.click(**_event(8, f"r{i}", user_ip=f"198.51.100.{i}")) for i in range(100)]
    for turn, hard in enumerate((False, True, True), 1):
        t.server.restart(hard)
        positions = [t.server.click(**_event(8, f"r{i}", user_ip=f"198.51.100.{i}")) for i in range(100)]
        equal(_counts(t, 8, positions), [(100, 100 * turn, 0)], f"gross, duplicates, conflicts after restart {turn}")
