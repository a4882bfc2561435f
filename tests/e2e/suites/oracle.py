"""Contract section 5 against its plain definitions (oracle.py): random events, random questions, every number."""

import csv
import io
import json
import random
import time

import oracle
from harness import AGENT, Suite, check, equal

# Clicks that follow each other quickly are not this suite's matter.
suite = Suite("oracle", "contract section 5: random events and questions agree with the plain definitions in every number",
              {"traffic.repeat_click_secs": "0"})

ANALYTICS = "/api/v1/ads/analytics"
EVENTS, QUESTIONS, ADS = 4_000, 400, 40
ZONES = ["UTC", "Europe/Paris", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "Africa/Cairo", "America/St_Johns", "Asia/Tokyo"]
SAFARI = "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15"
PHONE = "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36"
BOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
AGENTS = [AGENT, AGENT, SAFARI, SAFARI, PHONE, BOT]
STAMPS = {AGENT: {"device": "desktop", "browser": "Firefox", "os": "Linux"}, SAFARI: {"device": "desktop", "browser": "Safari", "os": "Mac OS X"},
          PHONE: {"device": "phone", "browser": "Chrome Mobile", "os": "Android"}, BOT: {"device": "bot", "browser": "Googlebot"}}
# Days around which the zones' clocks changed in 2025, and two plain ones.
CENTRES = [1741500000, 1743296400, 1743865200, 1745532000, 1753185600, 1759590000, 1761440400, 1762063200, 1763700000]
_state = {}


def text(t):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(t))


def make_events(rng):
    out = []
    for i in range(EVENTS):
        if out and rng.random() < 0.15:
            event = dict(rng.choice(out))
            if event["type"] == "click" and rng.random() < 0.3:
                event["play_time_secs"] = rng.randrange(100, 200)
        else:
            event = {"type": rng.choice(["click", "click", "impression", "impression", "impression", "playback"]), "event_id": f"o{i}",
                     "ad_id": 1 + rng.randrange(ADS) * rng.randrange(ADS) // ADS, "user_ip": f"203.0.113.{rng.randrange(60)}", "agent": rng.choice(AGENTS),
                     "timestamp": int(rng.gauss(rng.choice(CENTRES), rng.choice([60, 3_600, 40_000])))}
            if event["type"] == "click":
                event.update({field: rng.randrange(100) for field in ("play_time_secs", "watched_percent") if rng.random() < 0.5})
            if event["type"] == "playback":
                event["progress"] = rng.choice(oracle.STAGES)
            if event["agent"] == BOT:
                event["invalid"] = "bot"  # for the oracle: the server ignores fields that it does not know
        out.append(event)
    return out


def filled(t):
    """The suite's server with its events, and the oracle that has read the same; once for each log."""
    if _state.get("log") != t.log:
        rng = random.Random(t.options.seed)
        events, known, positions = make_events(rng), oracle.Oracle(STAMPS), {}
        for at in range(0, EVENTS, 500):
            part = events[at:at + 500]
            reply = t.server.request("POST", "/api/v1/ads/events", json.dumps(part).encode(), {"Content-Type": "application/json"}).expect(202).json()
            equal(reply["accepted"], len(part), "events accepted")
            positions.update(reply["positions"])
            for event in part:
                known.add(event)
        t.server.analytics([f"{shard}:{offset}" for shard, offset in positions.items()])
        _state.update(log=t.log, rng=rng, oracle=known)
    return _state["rng"], _state["oracle"]


def question(rng):
    """Parameters for the oracle; asked() makes the server's of them."""
    q = {"tz": rng.choice(ZONES), "sort": rng.choice(["", "-"]) + rng.choice(oracle.SORT_KEYS), "limit": rng.choice([1, 3, 10, 100]),
         "page": rng.choice([1, 1, 2, 3])}
    granularity = rng.choice([None, "second", "minute", "hour", "day"])
    if granularity:
        q["granularity"] = granularity
    length = {None: 10_000_000, "second": 600, "minute": 20_000, "hour": 1_000_000, "day": 10_000_000}[granularity]
    edge = rng.choice(CENTRES) + rng.randrange(-100_000, 100_000) // rng.choice([1, 900, 3600]) * rng.choice([1, 900, 3600])
    q["since"], q["until"] = edge, edge + 1 + rng.randrange(length)
    if rng.random() < 0.15 and granularity not in ("second", "minute"):
        q[rng.choice(["since", "until"])] = None
    if rng.random() < 0.4:
        q["ads"] = {1 + rng.randrange(ADS) for _ in range(rng.choice([1, 3, 20]))}
    return q


def asked(q):
    pairs = [(name, text(q[name])) for name in ("since", "until") if q[name] is not None]
    pairs += [(name, q[name]) for name in ("tz", "sort", "limit", "page", "granularity") if name in q]
    return pairs + [("ad_id", ad) for ad in q.get("ads", ())]


def without_times(row):
    return {**{k: v for k, v in row.items() if k != "last_updated"}, **({"series": [without_times(p) for p in row["series"]]} if "series" in row else {})}


def agree(t, q, known):
    """1 where both refuse."""
    pairs = asked(q)
    reply = t.server.get(ANALYTICS, pairs)
    try:
        rows, total = known.answer(**q)
    except oracle.TooMany:
        reply.expect_problem(400, None, "granularity")
        return 1
    answer = reply.expect(200).json()
    equal(answer["total"], total, f"total of {pairs}")
    equal([row["ad_id"] for row in answer["data"]], [row["ad_id"] for row in rows], f"ads of {pairs}")
    for got, wanted in zip(answer["data"], rows):
        check(got["last_updated"] is not None, f"{pairs}: no last_updated in {got}")
        got = without_times(got)
        if got != wanted:
            for a, b in zip(got.get("series", ()), wanted.get("series", ())):
                equal(a, b, f"ad {got['ad_id']}, a point of {pairs}")
            equal(len(got.get("series", ())), len(wanted.get("series", ())), f"ad {got['ad_id']}, points of {pairs}")
        equal(got, wanted, f"ad {got['ad_id']} of {pairs}")
    return 0


@suite.case("random questions agree in every number")
def _(t):
    rng, known = filled(t)
    refused = sum(agree(t, question(rng), known) for _ in range(QUESTIONS))
    t.note(f"{QUESTIONS} questions over {EVENTS} events, {refused} of them refused for their points by both; seed {t.options.seed}")
    check(refused < QUESTIONS // 2, f"{refused} of {QUESTIONS} questions were refused")


def grouped(rng):
    q = {**question(rng), "group_by": rng.choice(oracle.DIMENSIONS)}
    q.pop("granularity", None)
    if q["sort"].lstrip("-") in ("duplicates", "conflicts"):
        q["sort"] = "-click_count"
    return q


def agree_on_groups(t, q, known):
    pairs = asked(q) + [("group_by", q["group_by"])]
    rows, total, since, until = known.groups(**q)
    answer = t.server.get(ANALYTICS, pairs).expect(200).json()
    window = tuple(None if edge is None else text(edge) for edge in (since, until))
    equal((answer["since"], answer["until"], answer["resolution"], answer["group_by"]), (*window, "hour", q["group_by"]), f"window of {pairs}")
    equal(answer["total"], total, f"total of {pairs}")
    equal([without_times(row) for row in answer["data"]], rows, f"rows of {pairs}")
    return len(rows)


@suite.case("random questions by group agree in every number")
def _(t):
    rng, known = filled(t)
    shown = sum(agree_on_groups(t, grouped(rng), known) for _ in range(QUESTIONS // 2))
    t.note(f"{QUESTIONS // 2} questions, {shown} rows")
    check(shown > QUESTIONS, f"only {shown} rows were compared")


@suite.case("the groups of a dimension add up to the row without them, in JSON and in CSV")
def _(t):
    _, known = filled(t)
    row = t.server.analytics(sort="-gross_clicks", limit=1)["data"][0]
    for dimension in oracle.DIMENSIONS[:-1]:
        reply = t.server.get(ANALYTICS, [("ad_id", row["ad_id"]), ("group_by", dimension), ("format", "csv")]).expect(200)
        lines = list(csv.DictReader(io.StringIO(reply.body.decode("utf-8"), newline="")))
        check(len(lines) > (dimension != "country"), f"groups by {dimension}: {lines}")
        for name in ("click_count", "gross_clicks", "impressions"):
            equal(sum(int(line[name]) for line in lines), row[name], f"{name} by {dimension}")
        check("duplicates" not in lines[0], f"columns by {dimension}")


@suite.case("the same after a restart")
def _(t):
    rng, known = filled(t)
    t.server.restart()
    for _ in range(QUESTIONS // 10):
        agree(t, question(rng), known)
        agree_on_groups(t, grouped(rng), known)


@suite.case("the pages of any order, put together, are all rows")
def _(t):
    _, known = filled(t)
    for sort in ("-click_count", "ctr", "-ctr", "-unique_clicks"):
        wanted, total = known.answer(sort=sort, limit=1000)
        got = []
        for page in range(1, total // 7 + 2):
            got += [row["ad_id"] for row in t.server.analytics(sort=sort, limit=7, page=page)["data"]]
        equal(got, [row["ad_id"] for row in wanted], f"ads by {sort}")


@suite.case("CSV has the numbers of JSON, cell by cell")
def _(t):
    rng, known = filled(t)
    for _ in range(30):
        pairs = asked(question(rng))
        plain, reply = t.server.get(ANALYTICS, pairs), t.server.get(ANALYTICS, pairs + [("format", "csv")])
        equal(reply.status, plain.status, f"status of {pairs}")
        if plain.status != 200:
            continue
        expected = []
        for row in plain.json()["data"]:
            for point in row.get("series", [row]):
                flat = {"ad_id": row["ad_id"], **{k: v for k, v in point.items() if k not in ("invalid_clicks", "playbacks", "series")}}
                expected.append({**flat, **{f"playbacks_{k}": v for k, v in point["playbacks"].items()}})
        lines = list(csv.DictReader(io.StringIO(reply.body.decode("utf-8"), newline="")))
        equal(len(lines), len(expected), f"lines of {pairs}")
        for line, values in zip(lines, expected):
            for name, value in values.items():
                cell = line[name]
                equal(cell if isinstance(value, str) else float(cell) if cell else None, value, f"{name} of {pairs}")
