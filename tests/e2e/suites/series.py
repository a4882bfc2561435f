"""Contract section 5: series, order, the playback funnel, CSV, entity tags."""

import datetime
import re
import zoneinfo

from harness import AGENT, Suite, check, equal

suite = Suite("series", "contract section 5: granularity, sort, playbacks, CSV, ETag")

ANALYTICS = "/api/v1/ads/analytics"
NOON = 1753185600  # 2025-07-22T12:00:00Z
_ids = iter(range(1, 1 << 30))


def send(t, kind, ad, at=NOON, ip="198.51.100.1", **fields):
    event = {"event_id": f"se-{next(_ids)}", "ad_id": ad, "timestamp": int(at), "user_ip": ip, "agent": AGENT, **fields}
    return t.server.post_json(f"/api/v1/ads/{kind}", event).expect(202).json()["position"]


def click(t, ad, at=NOON, ip="198.51.100.1", **fields):
    return send(t, "click", ad, at, ip, **fields)


def points(t, positions, ad, **params):
    answer = t.server.analytics(positions, ad_id=ad, **params)
    equal(answer["granularity"], params["granularity"], "granularity of the answer")
    equal(answer["tz"], params.get("tz", "UTC"), "tz of the answer")
    return [(p["start"], p["click_count"]) for p in answer["data"][0]["series"]]


@suite.case("30 days by day in New York, across both clock changes, are right to the second")
def _(t):
    zone = zoneinfo.ZoneInfo("America/New_York")
    for number, (year, month, day) in enumerate(((2025, 2, 20), (2025, 10, 15))):
        ad, first, positions, starts = 4_000 + number, datetime.date(year, month, day), [], []
        for i in range(31):
            date = first + datetime.timedelta(days=i)
            starts.append(datetime.datetime(date.year, date.month, date.day, tzinfo=zone))
        for i, start in enumerate(starts[:30]):
            positions += [click(t, ad, start.timestamp(), ip=f"203.0.113.{i}"), click(t, ad, starts[i + 1].timestamp() - 1, ip=f"203.0.113.{i}")]
        got = points(t, positions, ad, since=str(first), until=str(first + datetime.timedelta(days=30)), tz="America/New_York", granularity="day")
        equal(got, [(start.isoformat(), 2) for start in starts[:30]], "the days")


@suite.case("the night in which clocks go back has 25 hours, each with its own clicks")
def _(t):
    since = int(datetime.datetime(2025, 10, 26, tzinfo=zoneinfo.ZoneInfo("Europe/Paris")).timestamp())
    positions = [click(t, 4_010, since + 3600 * hour, ip=f"203.0.113.{hour}") for hour in range(25)]
    got = points(t, positions, 4_010, since="2025-10-26", until="2025-10-27", tz="Europe/Paris", granularity="hour")
    equal(got[1:4], [("2025-10-26T01:00:00+02:00", 1), ("2025-10-26T02:00:00+02:00", 1), ("2025-10-26T02:00:00+01:00", 1)], "around the change")
    equal((len(got), sum(n for _, n in got)), (25, 25), "hours and clicks")


@suite.case("hours of a zone that is a quarter of an hour off")
def _(t):
    positions = [click(t, 4_011, NOON + 899, ip="203.0.113.1"), click(t, 4_011, NOON + 900, ip="203.0.113.2")]  # 17:59:59 and 18:00:00
    got = points(t, positions, 4_011, since="2025-07-22T12:00:00Z", until="2025-07-22T13:00:00Z", tz="Asia/Kathmandu", granularity="hour")
    equal(got, [("2025-07-22T17:45:00+05:45", 1), ("2025-07-22T18:00:00+05:45", 1)], "points")


@suite.case("a bounded window has all its points, an open one those between the first and the last event")
def _(t):
    positions = [click(t, 4_012, NOON + 61), click(t, 4_012, NOON + 200)]
    got = points(t, positions, 4_012, since="2025-07-22T12:00:30Z", until="2025-07-22T12:05:00Z", granularity="minute")
    equal(got, [("2025-07-22T12:00:30Z", 0), ("2025-07-22T12:01:00Z", 1), ("2025-07-22T12:02:00Z", 0), ("2025-07-22T12:03:00Z", 1),
                ("2025-07-22T12:04:00Z", 0)], "the bounded window")
    equal(points(t, positions, 4_012, granularity="minute"), [("2025-07-22T12:01:00Z", 1), ("2025-07-22T12:02:00Z", 0), ("2025-07-22T12:03:00Z", 1)],
          "the open window")


@suite.case("visitors of a point are its own, and those of the row are no sum")
def _(t):
    positions = [click(t, 4_013, NOON + 60 * i) for i in range(3)]
    row = t.server.analytics(positions, ad_id=4_013, granularity="minute")["data"][0]
    equal((row["unique_clicks"], [p["unique_clicks"] for p in row["series"]]), (1, [1, 1, 1]), "visitors")


@suite.case("more than 10,000 points are 400, in a bounded window and in an open one")
def _(t):
    click(t, 4_014, NOON)
    position = click(t, 4_014, NOON + 10_000)
    for query in ("since=2025-07-01&until=2025-07-08&granularity=minute", f"ad_id=4014&granularity=second&min_position={position}"):
        t.server.get(f"{ANALYTICS}?{query}").expect_problem(400, None, "granularity")
    t.server.get(f"{ANALYTICS}?ad_id=4014&granularity=minute").expect(200)


for _bad in ("granularity=week", "granularity=", "granularity=day&granularity=day", "sort=clicks", "sort=", "sort=ctr&sort=-ctr", "format=xml", "format=",
             "format=csv&format=json"):
    suite.add(f"{_bad} is 400", lambda t, b=_bad: t.server.get(f"{ANALYTICS}?{b}").expect_problem(400, None, b.split("=")[0]))


@suite.case("rows come in the order asked for over all shards: null last either way, ties by ad_id")
def _(t):
    at, positions = 1_600_000_000, []
    for ad, clicks, impressions in ((5_001, 1, 2), (5_002, 3, 0), (5_003, 2, 4), (5_004, 0, 1), (5_005, 1, 1)):
        positions += [click(t, ad, at + 60 * i) for i in range(clicks)] + [send(t, "impression", ad, at + 60 * i) for i in range(impressions)]
    window = {"since": "2020-09-13", "until": "2020-09-14"}
    for sort, wanted in (("-ctr", [5_005, 5_001, 5_003, 5_004, 5_002]), ("ctr", [5_004, 5_001, 5_003, 5_005, 5_002]),
                         ("-click_count", [5_002, 5_003, 5_001, 5_005, 5_004]), ("-ad_id", [5_005, 5_004, 5_003, 5_002, 5_001])):
        equal([row["ad_id"] for row in t.server.analytics(positions, sort=sort, **window)["data"]], wanted, f"ads by {sort}")
        top = t.server.analytics(sort=sort, limit=2, page=2, **window)
        equal(([row["ad_id"] for row in top["data"]], top["total"]), (wanted[2:4], 5), f"the second page by {sort}")


@suite.case("playbacks are counted by progress: the funnel")
def _(t):
    positions = [send(t, "playback", 5_100, NOON + i, progress=stage) for i, stage in
                 enumerate(["start"] * 4 + ["first_quartile"] * 3 + ["midpoint"] * 3 + ["third_quartile"] * 2 + ["complete"])]
    row = t.server.analytics(positions, ad_id=5_100)["data"][0]
    equal(row["playbacks"], {"start": 4, "first_quartile": 3, "midpoint": 3, "third_quartile": 2, "complete": 1}, "playbacks")
    equal((row["click_count"], row["ctr"]), (0, None), "clicks and ctr")


@suite.case("CSV for a parameter or an Accept header: a header row, CR LF, what surrounds the rows in headers")
def _(t):
    position = click(t, 5_200)
    params = {"ad_id": 5_200, "since": "2025-07-22", "until": "2025-07-23", "min_position": position}
    for reply in (t.server.get(ANALYTICS, {**params, "format": "csv"}), t.server.get(ANALYTICS, params, {"Accept": "text/csv"})):
        lines = reply.expect(200).body.decode().split("\r\n")
        equal((reply.header("content-type").split(";")[0], len(lines), lines[-1]), ("text/csv", 3, ""), "type and lines")
        check(lines[0].startswith("ad_id,click_count,") and lines[1].startswith("5200,1,1,"), f"lines: {lines}")
        for name, value in (("adtrack-total", "1"), ("adtrack-complete", "true"), ("adtrack-since", "2025-07-22T00:00:00Z"), ("adtrack-resolution", "second")):
            equal(reply.header(name), value, name)
    equal(t.server.get(ANALYTICS, {**params, "format": "json"}, {"Accept": "text/csv"}).header("content-type"), "application/json", "type by parameter")
    lines = t.server.get(ANALYTICS, {**params, "format": "csv", "granularity": "day", "tz": "Asia/Tokyo"}).expect(200).body.decode().split("\r\n")
    check(lines[0].startswith("ad_id,start,click_count,") and lines[1].startswith("5200,2025-07-22T00:00:00+09:00,1,"), f"lines of a series: {lines}")
    t.server.get(ANALYTICS, {**params, "format": "csv", "explain": "true"}).expect_problem(400, None, "explain")


@suite.case("an answer is 304 by its ETag until something is counted in its shards")
def _(t):
    position = click(t, 5_300)
    reply = t.server.get(ANALYTICS, {"ad_id": 5_300, "min_position": position}).expect(200)
    tag = reply.header("etag")
    check(re.fullmatch(r'W/"[0-9]+"', tag or ""), f"ETag: {tag}")
    again = t.server.get(ANALYTICS, {"ad_id": 5_300}, {"If-None-Match": tag}).expect(304)
    equal((again.body, again.header("etag")), (b"", tag), "body and ETag of the 304")
    equal(t.server.get(ANALYTICS, {"ad_id": 5_300, "format": "csv"}, {"If-None-Match": tag}).status, 200, "status in another format")
    position = click(t, 5_300, NOON + 100)
    fresh = t.server.get(ANALYTICS, {"ad_id": 5_300, "min_position": position}, {"If-None-Match": tag}).expect(200)
    equal(fresh.json()["data"][0]["click_count"], 2, "clicks")
    check(fresh.header("etag") != tag, "the ETag is the same though something was counted")
