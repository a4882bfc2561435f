"""Contract section 5: windows by a zone's calendar and trailing ones."""

import calendar
import datetime
import time
import zoneinfo

from harness import AGENT, Suite, check, equal

suite = Suite("windows", "contract section 5: dates in a time zone, trailing windows", flags={"traffic.repeat_click_secs": 0})

ANALYTICS = "/api/v1/ads/analytics"
_ids = iter(range(1, 1 << 30))


def click(t, ad, at, ip="198.51.100.1", **fields):
    return t.server.click(event_id=f"wi-{next(_ids)}", ad_id=ad, timestamp=int(at), user_ip=ip, agent=AGENT, **fields)


def local(tz, *date):
    return datetime.datetime(*date, tzinfo=zoneinfo.ZoneInfo(tz)).timestamp()


def utc(text):
    return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ"))


# (zone, date, the next one, the first instant, length in hours), clicked at both edges.
DAYS = [("Europe/Paris", "2025-03-30", "2025-03-31", "2025-03-29T23:00:00Z", 23), ("Europe/Paris", "2025-10-26", "2025-10-27", "2025-10-25T22:00:00Z", 25),
        ("America/New_York", "2025-03-09", "2025-03-10", "2025-03-09T05:00:00Z", 23), ("America/New_York", "2025-11-02", "2025-11-03", "2025-11-02T04:00:00Z", 25),
        ("America/Sao_Paulo", "2018-11-04", "2018-11-05", "2018-11-04T03:00:00Z", 23), ("Africa/Cairo", "2025-04-25", "2025-04-26", "2025-04-24T22:00:00Z", 23),
        ("Asia/Kathmandu", "2025-01-01", "2025-01-02", "2024-12-31T18:15:00Z", 24), ("Pacific/Kiritimati", "2025-01-01", "2025-01-02", "2024-12-31T10:00:00Z", 24)]


def _day(number, tz, date, following, first, hours):
    def case(t):
        ad, start = 3_000 + number, utc(first)
        ends = start + hours * 3600
        positions = [click(t, ad, at) for at in (start - 1, start, ends - 1, ends)]
        answer = t.server.analytics(positions, ad_id=ad, since=date, until=following, tz=tz)
        equal((answer["since"], answer["until"]), (first, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ends))), "the window")
        equal(answer["data"][0]["click_count"], 2, "clicks of the day")
        equal(t.server.analytics(ad_id=ad, since=following, tz=tz)["data"][0]["click_count"], 1, "clicks from the next day on")
    return case


for _number, _what in enumerate(DAYS):
    suite.add(f"the day {_what[1]} has {_what[4]} hours in {_what[0]}", _day(_number, *_what))


@suite.case("tz may stand behind the dates, and moves no time that has an offset")
def _(t):
    position = [click(t, 3_100, local("Asia/Tokyo", 2025, 7, 22, 0, 30))]
    reply = t.server.get(f"{ANALYTICS}?since=2025-07-22&until=2025-07-23&ad_id=3100&tz=Asia/Tokyo&min_position={position[0]}").expect(200)
    equal(reply.json()["total"], 1, "rows of the date in Tokyo")
    equal(t.server.analytics(ad_id=3_100, since="2025-07-22T00:00:00Z", tz="Asia/Tokyo")["total"], 0, "rows since a time in UTC")


for _bad in ("Mars/Olympus", "", "europe/paris", "../zoneinfo/UTC", "/etc/passwd", "UTC+1", "localtime", "a" * 3000):
    suite.add(f"tz={_bad[:20]!r} is 400", lambda t, b=_bad: t.server.get(ANALYTICS, {"tz": b, "since": "2025-07-22"}).expect_problem(400, None, "tz"))


@suite.case("last=15m is the last quarter of an hour up to now, and the answer says its window")
def _(t):
    now = int(time.time())
    positions = [click(t, 3_200, now), click(t, 3_200, now - 600), click(t, 3_200, now - 1000)]
    answer = t.server.analytics(positions, ad_id=3_200, last="15m")
    equal(answer["data"][0]["click_count"], 2, "clicks of the last 15 minutes")
    equal(utc(answer["until"]) - utc(answer["since"]), 900, "the window's length")
    check(0 <= utc(answer["until"]) - now <= 10, f"the window ends at {answer['until']}, the clock said {now}")
    equal(t.server.analytics(ad_id=3_200, last="1h")["data"][0]["click_count"], 3, "clicks of the last hour")
    equal(t.server.analytics(ad_id=3_200, last="1d")["data"][0]["click_count"], 3, "clicks of the last day")


for _bad in ("15", "m", "0s", "-1h", "1.5h", "1w", "", "1e3s", "99999999999999999999d"):
    suite.add(f"last={_bad!r} is 400", lambda t, b=_bad: t.server.get(ANALYTICS, {"last": b}).expect_problem(400, None, "last"))


@suite.case("last stands alone: with since or until, or twice, it is 400")
def _(t):
    for query in ("last=1h&since=2025-07-22", "last=1h&until=2025-07-22", "last=1h&last=1h"):
        t.server.get(f"{ANALYTICS}?{query}").expect_problem(400, None, "last")
