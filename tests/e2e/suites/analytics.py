"""Contract section 5: the plain query."""

import datetime
import json
import re
import threading
import time

from harness import AGENT, Client, Suite, check, equal

suite = Suite("analytics", "contract section 5: counts, visitors, windows, paging, read your own writes")

ANALYTICS = "/api/v1/ads/analytics"
NOON = 1753185600  # 2025-07-22T12:00:00Z
ROW = ["ad_id", "avg_playback_time", "avg_watch_percent", "click_count", "conflicts", "ctr", "duplicates", "gross_clicks", "impressions",
       "invalid_clicks", "last_updated", "playbacks", "restated", "unique_clicks", "unique_error"]
ANSWER = ["complete", "data", "generated_at", "is_real_time", "lag_ms", "resolution", "shards", "since", "total", "until"]
_ids = iter(range(1, 1 << 30))


def _click(t, ad, at=NOON, ip="198.51.100.1", agent=AGENT, **fields):
    return t.server.click(event_id=f"an-{next(_ids)}", ad_id=ad, timestamp=at, user_ip=ip, agent=agent, **fields)


def _row(t, ad, positions, **params):
    rows = t.server.analytics(positions, ad_id=ad, **params)["data"]
    equal([row["ad_id"] for row in rows], [ad], f"rows of ad {ad} in {params}")
    return rows[0]


@suite.case("an empty service answers an empty data with the whole envelope")
def _(t):
    answer = t.server.analytics()
    equal(sorted(answer), ANSWER, "members")
    equal((answer["data"], answer["total"], answer["since"], answer["until"], answer["complete"], answer["lag_ms"]), ([], 0, None, None, True, 0),
          "data, total, since, until, complete, lag_ms")
    equal(answer["shards"], {"total": 16, "answered": 16}, "shards")
    equal(answer["is_real_time"], True, "is_real_time")


@suite.case("the row has the contract's members and the averages are over clicks that carry the field")
def _(t):
    positions = [_click(t, 101, ip="198.51.100.1", play_time_secs=20, watched_percent=100), _click(t, 101, ip="198.51.100.2", play_time_secs=40),
                 _click(t, 101, ip="198.51.100.3", watched_percent=0), _click(t, 101, ip="198.51.100.4")]
    row = _row(t, 101, positions)
    equal(sorted(row), ROW, "members")
    equal((row["click_count"], row["gross_clicks"], row["unique_clicks"], row["unique_error"]), (4, 4, 4, 0), "counts")
    equal((row["avg_playback_time"], row["avg_watch_percent"]), (30.0, 50.0), "averages")
    equal((row["invalid_clicks"], row["duplicates"], row["conflicts"]), ({}, 0, 0), "invalid, duplicates, conflicts")


@suite.case("events of more than an hour ago count where they belong and say so there: restated, in rows, points and groups")
def _(t):
    now = int(time.time())
    positions = [_click(t, 102, at=now - 7200), _click(t, 102, at=now - 3000), _click(t, 102, at=now, ip="198.51.100.9")]
    t.server.impression(event_id="an-late", ad_id=102, timestamp=now - 90000, user_ip="198.51.100.1", agent=AGENT)
    positions.append(t.server.post_json("/api/v1/ads/click", {"event_id": "an-bot", "ad_id": 102, "timestamp": now - 7200, "agent": "Googlebot/2.1"})
                     .expect(202).json()["position"])
    row = _row(t, 102, positions, last="24h", granularity="minute")
    equal((row["click_count"], row["gross_clicks"], row["restated"]), (3, 4, 2), "valid, gross and restated clicks of a day")
    points = {point["start"]: point["restated"] for point in row["series"] if point["gross_clicks"]}
    equal(sorted(points.values()), [0, 0, 2], "restated by minute")
    equal(_row(t, 102, positions)["restated"], 3, "restated with the impression")
    groups = t.server.analytics(positions, ad_id=102, group_by="invalid_reason")["data"]
    equal({row["group"]: row["restated"] for row in groups}, {"valid": 2, "bot": 1}, "restated by reason")
    order = t.server.analytics(positions, sort="-restated")["data"]
    ranks = [row["restated"] for row in order]
    check(3 in ranks and ranks == sorted(ranks, reverse=True), f"restated, most first: {ranks}")


@suite.case("while events come in, the lag is known and answers are of now")
def _(t):
    server = t.server

    broken = []

    def load():
        try:
            send()
        except Exception as error:  # told by the case, not by the thread
            broken.append(error)

    def send():
        client = Client(server.host, server.port)
        for n in range(60):
            events = [{"type": "click", "event_id": f"now-{n}-{k}", "ad_id": 1 + k % 50, "user_ip": "198.51.100.9", "agent": AGENT, "timestamp": NOON} for k in range(500)]
            client.request("POST", "/api/v1/ads/events", json.dumps(events).encode(), {"Content-Type": "application/json"}).expect(202)

    loader, lags = threading.Thread(target=load), []
    loader.start()
    while loader.is_alive():
        answer = server.analytics(limit=1)
        lags.append(answer["lag_ms"] if answer["is_real_time"] or answer["lag_ms"] is None else -1)
    loader.join()
    equal(broken, [], "what went wrong with the load")
    check(len(lags) > 20, f"only {len(lags)} answers")
    known = sum(lag is not None for lag in lags)
    check(known >= 0.9 * len(lags), f"{known} of {len(lags)} answers have a known lag")
    current = sum(lag is not None and lag >= 0 for lag in lags)
    check(current >= 0.8 * len(lags), f"{current} of {len(lags)} answers are of now")
    check(any(lag is not None and lag > 0 for lag in lags), "no answer came while an event was on its way")


@suite.case("averages are 0 when no click carries the field; zero is not absent")
def _(t):
    positions = [_click(t, 102, ip="198.51.100.1")]
    row = _row(t, 102, positions)
    equal((row["avg_playback_time"], row["avg_watch_percent"]), (0, 0), "averages without the fields")
    positions += [_click(t, 102, ip="198.51.100.2", play_time_secs=0), _click(t, 102, ip="198.51.100.3", play_time_secs=10)]
    equal(_row(t, 102, positions)["avg_playback_time"], 5.0, "a zero takes part")


@suite.case("unique_clicks are distinct visitors: address and agent together, IPv4-mapped is IPv4")
def _(t):
    positions = [_click(t, 103, NOON, "198.51.100.1"), _click(t, 103, NOON + 60, "198.51.100.1"), _click(t, 103, NOON + 120, "::ffff:198.51.100.1"),
                 _click(t, 103, NOON + 180, "198.51.100.1", agent="Mozilla/5.0 (Macintosh) Safari/605.1"), _click(t, 103, NOON + 240, "198.51.100.2"),
                 _click(t, 103, NOON + 300, "2001:db8::1"), _click(t, 103, NOON + 360, "2001:0db8:0:0::1")]
    row = _row(t, 103, positions)
    equal((row["click_count"], row["unique_clicks"]), (7, 4), "clicks and visitors")
    equal(_row(t, 103, positions, since=NOON_TEXT(0), until=NOON_TEXT(121))["unique_clicks"], 1, "visitors of the first three clicks")


def NOON_TEXT(seconds):
    return datetime.datetime.fromtimestamp(NOON + seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


@suite.case("600 visitors are counted exactly")
def _(t):
    positions = [_click(t, 104, NOON + i % 7, f"203.0.{i // 250}.{i % 250}") for i in range(600)]
    row = _row(t, 104, positions)
    equal((row["unique_clicks"], row["unique_error"]), (600, 0), "visitors")


@suite.case("ctr is clicks by impressions of the same window, null without impressions")
def _(t):
    positions = [_click(t, 105, NOON, "198.51.100.1")]
    equal(_row(t, 105, positions)["ctr"], None, "ctr without impressions")
    for i in range(4):
        positions.append(t.server.impression(event_id=f"imp-{i}", ad_id=105, timestamp=NOON + 3600, user_ip=f"198.51.100.{i}", agent=AGENT))
    row = _row(t, 105, positions)
    equal((row["impressions"], row["click_count"], row["ctr"]), (4, 1, 0.25), "impressions, clicks, ctr")
    row = _row(t, 105, positions, since=NOON_TEXT(3600))
    equal((row["impressions"], row["click_count"], row["ctr"]), (4, 0, 0.0), "impressions, clicks, ctr of the later window")


@suite.case("the window is half-open over event time")
def _(t):
    position = [_click(t, 106, NOON)]
    for since, until, found in ((0, 1, 1), (0, None, 1), (None, 0, 0), (None, 1, 1), (1, 2, 0), (-1, 0, 0), (-5, 5, 1), (1, None, 0)):
        params = {"ad_id": 106}
        if since is not None:
            params["since"] = NOON_TEXT(since)
        if until is not None:
            params["until"] = NOON_TEXT(until)
        answer = t.server.analytics(position, **params)
        equal((len(answer["data"]), answer["total"]), (found, found), f"rows of {params}")


@suite.case("a fraction of a second at an edge selects what it says")
def _(t):
    position = [_click(t, 107, NOON)]
    for params, found in (({"since": "2025-07-22T12:00:00.5Z"}, 0), ({"until": "2025-07-22T12:00:00.5Z"}, 1), ({"since": "2025-07-22T11:59:59.999999Z"}, 1)):
        equal(t.server.analytics(position, ad_id=107, **params)["total"], found, f"rows of {params}")


@suite.case("any offset is understood, and the answer says the window in UTC")
def _(t):
    position = [_click(t, 108, NOON)]
    for since in ("2025-07-22T12:00:00Z", "2025-07-22T14:00:00+02:00", "2025-07-22T06:30:00-05:30", "2025-07-22T12:00:00+00:00"):
        answer = t.server.analytics(position, ad_id=108, since=since, until="2025-07-22T12:00:01Z")
        equal(answer["total"], 1, f"rows since {since}")
        check(re.fullmatch(r"2025-07-22T12:00:00(\.0+)?Z", answer["since"]), f"since of the answer: {answer['since']}")
        check(re.fullmatch(r"2025-07-22T12:00:01(\.0+)?Z", answer["until"]), f"until of the answer: {answer['until']}")
        equal(answer["resolution"], "second", "resolution")


@suite.case("a bare date is midnight in UTC")
def _(t):
    # 22:30 UTC of July 21 is half past midnight of July 22 in Paris.
    position = [_click(t, 109, 1753137000)]
    for params, found in (({"since": "2025-07-22"}, 0), ({"since": "2025-07-21", "until": "2025-07-22"}, 1), ({"until": "2025-07-21"}, 0)):
        equal(t.server.analytics(position, ad_id=109, **params)["total"], found, f"rows of {params}")


@suite.case("a bare date is midnight in tz")
def _(t):
    position = [_click(t, 114, 1753137000)]
    for params, found in (({"since": "2025-07-22", "tz": "Europe/Paris"}, 1), ({"since": "2025-07-21", "until": "2025-07-22", "tz": "Europe/Paris"}, 0)):
        equal(t.server.analytics(position, ad_id=114, **params)["total"], found, f"rows of {params}")


for _bad in ("yesterday", "2025-02-30", "2025-13-01", "2025-00-10", "2025-07-22T25:00:00Z", "2025-07-22T12:61:00Z", "2025-07-22T12:00:00", "2025-07-22T12:00:00+25:00", "",
             "1753185600", "2025-7-2", "2025-07-22T12:00:00Zx", "25-07-22"):
    suite.add(f"since={_bad!r} is 400", lambda t, b=_bad: t.server.get(ANALYTICS, {"since": b}).expect_problem(400, None, "since"))
for _bad in ("0", "-1", "x", "", "1.0", "9007199254740992", "99999999999999999999"):
    suite.add(f"ad_id={_bad!r} is 400", lambda t, b=_bad: t.server.get(ANALYTICS, {"ad_id": b}).expect_problem(400, None, "ad_id"))
for _bad in ("page=0", "page=101&limit=1000", "page=x", "limit=0", "limit=1001", "limit=x", "page=-1", "tz=Mars/Olympus", "explain=maybe", "min_position=x", "min_position=1:-1",
             "min_position=16:1", "min_position=1", "min_position=99999999999:1"):
    suite.add(f"{_bad} is 400", lambda t, b=_bad: t.server.get(f"{ANALYTICS}?{b}").expect_problem(400, None, b.split("=")[0]))
for _twice in ("since=2025-07-22&since=2025-07-23", "until=2025-07-22&until=2025-07-22", "page=1&page=1", "limit=1&limit=2", "tz=UTC&tz=UTC"):
    suite.add(f"{_twice.split('=')[0]} given twice is 400",
              lambda t, q=_twice: t.server.get(f"{ANALYTICS}?{q}").expect_problem(400, None, q.split("=")[0]))


@suite.case("since >= until is 400")
def _(t):
    for since, until in (("2025-07-22", "2025-07-22"), ("2025-07-23", "2025-07-22"), ("2025-07-22T12:00:00Z", "2025-07-22T14:00:00+02:00")):
        t.server.get(ANALYTICS, {"since": since, "until": until}).expect_problem(400)


@suite.case("an unknown parameter is 400 and named")
def _(t):
    t.server.get(ANALYTICS, {"adid": "1"}).expect_problem(400, None, "adid")
    t.server.get(ANALYTICS, {"ad_id": "1", "Since": "2025-07-22"}).expect_problem(400, None, "Since")


@suite.case("a broken percent escape is 400")
def _(t):
    for query in ("ad_id=%", "ad_id=%4", "ad_id=%zz", "since=%ff%fe"):
        t.server.get(f"{ANALYTICS}?{query}").expect_problem(400)


@suite.case("an unknown ad is an empty data, 200")
def _(t):
    answer = t.server.analytics(ad_id=987654321)
    equal((answer["data"], answer["total"], answer["complete"]), ([], 0, True), "data, total, complete")


@suite.case("pages go over all rows by ad_id, and total is over all pages")
def _(t):
    ads = list(range(10_000, 10_037))
    at = 1_600_000_000
    positions = [_click(t, ad, at) for ad in reversed(ads)]
    window = {"since": "2020-09-13", "until": "2020-09-14"}
    seen = []
    for page in range(1, 6):
        answer = t.server.analytics(positions, page=page, limit=10, **window)
        equal(answer["total"], 37, f"total on page {page}")
        seen += [row["ad_id"] for row in answer["data"]]
    equal(seen, ads, "ads over the pages")
    equal(t.server.analytics(page=100, limit=1000, **window)["data"], [], "past the end")
    equal(len(t.server.analytics(**window)["data"]), 37, "the default limit holds them all")


@suite.case("ad_id may be repeated, in any order, an ad twice counts once")
def _(t):
    positions = [_click(t, ad) for ad in (20_001, 20_002, 20_003)]
    answer = t.server.analytics(positions, ad_id=[20_003, 20_001, 20_003, 987654321])
    equal([row["ad_id"] for row in answer["data"]], [20_001, 20_003], "ads")
    equal(answer["total"], 2, "total")


@suite.case("last_updated is the log's time, generated_at the server's")
def _(t):
    before = datetime.datetime.now(datetime.timezone.utc)
    position = [_click(t, 110, NOON)]
    answer = t.server.analytics(position, ad_id=110)
    for name, text in (("last_updated", answer["data"][0]["last_updated"]), ("generated_at", answer["generated_at"])):
        check(text.endswith("Z"), f"{name} is not UTC: {text}")
        at = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
        check(abs((at - before).total_seconds()) < 10, f"{name} is {text}, the clock said {before}")


@suite.case("min_position: a client reads its own write, 200 times over")
def _(t):
    for i in range(1, 201):
        position = _click(t, 111, NOON + i * 10, f"203.0.113.{i}")
        reply = t.server.get(ANALYTICS, {"ad_id": 111, "min_position": position}).expect(200)
        equal(reply.json()["data"][0]["click_count"], i, f"clicks after {position}")


@suite.case("min_position that is out of reach is 504, and others are answered meanwhile")
def _(t):
    reply = t.server.get(ANALYTICS, {"min_position": "3:999999999", "timeout_ms": 300})
    reply.expect_problem(504)
    t.server.get(ANALYTICS, {"ad_id": 101}).expect(200)


@suite.case("explain=true adds positions, and node, lag and time a shard")
def _(t):
    position = _click(t, 112)
    shard, offset = position.split(":")
    plain = t.server.analytics([position], ad_id=112)
    check("positions" not in plain, f"positions without explain: {sorted(plain)}")
    answer = t.server.analytics([position], ad_id=112, explain="true")
    check(shard in answer["positions"], f"positions lack shard {shard}: {answer['positions']}")
    check(answer["positions"][shard] >= int(offset), f"position {answer['positions'][shard]} of shard {shard} is before {offset}")
    entries = answer.get("explain")
    check(isinstance(entries, (list, dict)) and entries, f"no explain: {sorted(answer)}")
    whole = t.server.analytics([position], explain="true")
    equal(sorted(map(int, whole["positions"])), list(range(16)), "shards with a position")


@suite.case("impressions alone make a row with no clicks")
def _(t):
    position = t.server.impression(event_id="only-imp", ad_id=113, timestamp=NOON, user_ip="198.51.100.7", agent=AGENT)
    row = _row(t, 113, [position])
    equal((row["impressions"], row["click_count"], row["unique_clicks"], row["ctr"]), (1, 0, 0, 0.0), "impressions, clicks, visitors, ctr")
