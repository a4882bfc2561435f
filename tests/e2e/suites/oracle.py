"""Contract section 5 against its plain definitions (oracle.py): random events, random questions, every number. On the embedded log the
events come on three days of the log's time, between which identities, seconds and minutes expire."""

import csv
import io
import itertools
import json
import os
import random
import subprocess
import time

import harness
import oracle
from harness import AGENT, Failure, Server, Suite, check, equal, fresh_dir

_files = fresh_dir("oracle")
DATACENTER = "192.0.2."
DEDUPE_DAYS, SECOND_DAYS, MINUTE_DAYS, REPEAT_SECS = 3, 1, 3, 2
DAYS_AGO = [6, 2, 0]  # of the stages, none of which is about as far from another as something is kept


def _file(name, text):
    path = os.path.join(_files, name)
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
    os.chmod(path, 0o600)
    return path


# The key makes sketches the same in each run of a seed; repeats are told by the default.
suite = Suite("oracle", "contract section 5: random events and questions agree with the plain definitions in every number",
              {"dedupe.window_days": DEDUPE_DAYS, "buckets.second_days": SECOND_DAYS, "buckets.minute_days": MINUTE_DAYS,
               "rules.datacenters_file": _file("networks.txt", DATACENTER + "0/24\n"), "privacy.visitor_key_file": _file("visitor.key", "5eed" * 8 + "\n")})

ANALYTICS = "/api/v1/ads/analytics"
BATCH = 1_000
ZONES = ["UTC", "Europe/Paris", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "Africa/Cairo", "America/St_Johns", "Asia/Tokyo"]
SAFARI = "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15"
PHONE = "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36"
BOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
AGENTS = [AGENT, AGENT, AGENT, SAFARI, SAFARI, SAFARI, PHONE, PHONE, BOT, ""]
STAMPS = {AGENT: {"device": "desktop", "browser": "Firefox", "os": "Linux"}, SAFARI: {"device": "desktop", "browser": "Safari", "os": "Mac OS X"},
          PHONE: {"device": "phone", "browser": "Chrome Mobile", "os": "Android"}, BOT: {"device": "bot", "browser": "Googlebot"}}
# Days around which the zones' clocks changed in 2025, and two plain ones. The later a stage, the later its days: some are written in one
# stage only, some in two.
CENTRES = [1741500000, 1743296400, 1743865200, 1745532000, 1753185600, 1759590000, 1761440400, 1762063200, 1763700000]
LONG_AGO = 1577836800  # 2020: of the events that only move the shards' clocks
_state = {}


def text(t):
    return None if t is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(t))


def reason_of(event):
    if event["agent"] == BOT:
        return "bot"
    if event["agent"] == "":
        return "no_agent"
    return "datacenter" if event["user_ip"].startswith(DATACENTER) else None


class Events:
    """Random ones: many ads with few visitors and some hot ones with many; copies, some of which conflict; clicks seconds from another's.
    Nearly all come months late, and a few in their own minutes."""

    def __init__(self, rng, events):
        self.rng, self.ads, self.hot, self.made = rng, max(40, events // 4_000), 1 + events // 50_000, 0
        self.earlier = []  # up to 100,000 of them, from which copies are made

    def new(self, centres):
        rng, hot = self.rng, self.rng.random() < 0.5
        if hot:
            kind, ad, number = rng.choice(["click", "click", "click", "impression", "playback"]), rng.randrange(self.hot), rng.randrange(60_000)
        else:
            kind, number = rng.choice(["click", "impression", "impression", "playback"]), rng.randrange(60)
            ad = rng.randrange(self.ads) * rng.randrange(self.ads) // self.ads
        network = DATACENTER if rng.random() < 0.05 else f"10.7.{number >> 8}."
        event = {"type": kind, "event_id": f"o{self.made}", "ad_id": 1 + ad, "user_ip": f"{network}{number & 255}", "agent": rng.choice(AGENTS),
                 "timestamp": int(rng.gauss(rng.choice(centres), rng.choice([60, 3_600, 40_000])))}
        if self.earlier and rng.random() < 0.1:
            near = rng.choice(self.earlier)
            event.update({field: near[field] for field in ("ad_id", "user_ip", "agent")}, timestamp=near["timestamp"] + rng.randrange(-3, 5))
        if kind == "click":
            event.update({field: rng.randrange(100) for field in ("play_time_secs", "watched_percent") if rng.random() < 0.5})
        if kind == "playback":
            event["progress"] = rng.choice(oracle.STAGES)
        return event

    def copy(self):
        event = dict(self.rng.choice(self.earlier))
        if self.rng.random() < 0.3:
            changed = self.rng.choice(["timestamp", "user_ip", "agent"] + ["play_time_secs"] * (event["type"] == "click"))
            event[changed] = {"timestamp": event["timestamp"] + 7, "user_ip": "198.51.100.1", "agent": PHONE if event["agent"] != PHONE else SAFARI,
                              "play_time_secs": 100}[changed]
        return event

    def make(self, count, centres, days_ago):
        for _ in range(count):
            self.made += 1
            if self.rng.random() < 0.05:
                yield {**self.new(centres), "timestamp": log_time(days_ago) - self.rng.randrange(600)}
                continue
            if self.earlier and self.rng.random() < 0.15:
                yield self.copy()
                continue
            event = self.new(centres)
            if len(self.earlier) < 100_000:
                self.earlier.append(event)
            else:
                self.earlier[self.rng.randrange(len(self.earlier))] = event
            yield event


def stages(t):
    """Days ago of each; all at once where the log has a clock of its own, or nothing can be preloaded."""
    return [0] if t.log == "kafka" or harness.binary_is_sanitized() else DAYS_AGO


def start(t, days_ago):
    env = {}
    if days_ago:
        library = os.path.join(_files, "clock.so")
        subprocess.run(["g++", "-std=c++20", "-O1", "-fPIC", "-shared", os.path.join(os.path.dirname(oracle.__file__), "clock.cpp"), "-o", library], check=True)
        env = {"LD_PRELOAD": library, "CLOCK_DAYS_AGO": str(days_ago)}
    if t.shared is None:
        t.shared = Server(flags=suite.flags, env=env, name=suite.name).start()
    else:
        t.shared.env = env
        t.shared.restart()


def log_time(days_ago):
    """Of events sent now, in a stage of so many days ago."""
    return int(time.time()) - 86400 * days_ago


def send(t, events, known, days_ago):
    """In this order, in which the log then has them."""
    body = json.dumps(events).encode()
    reply = t.server.request("POST", "/api/v1/ads/events", body, {"Content-Type": "application/json"}).expect(202).json()
    equal(reply["accepted"], len(events), "events accepted")
    for event in events:
        known.add(event, log_time(days_ago))
    return reply["positions"]


def clock_event(ad, number):
    return {"type": "impression", "event_id": f"clock{ad}-{number}", "ad_id": ad, "user_ip": "203.0.113.1", "agent": AGENT,
            "timestamp": LONG_AGO + 900 * number}


def ads_of_all_shards(t, known, days_ago):
    """An ad for each shard, found by sending events."""
    found, ad = {}, 1_000_000
    shards = t.server.analytics()["shards"]["total"]
    while len(found) < shards:
        ad += 1
        for shard in send(t, [clock_event(ad, 0)], known, days_ago):
            found.setdefault(shard, ad)
    return list(found.values())


def fill(t, known, rng):
    """Sends all events, stage by stage, and waits until the shards have counted them."""
    count, plan, ticking, ticks, positions = t.options.oracle_events, stages(t), [], itertools.count(1), {}
    events = Events(rng, count)
    for number, days_ago in enumerate(plan):
        start(t, days_ago)
        if number:
            days = plan[number - 1] - days_ago
            for _ in range(24 * days + 1):  # a shard's clock rises by an hour a record at most
                send(t, [clock_event(ad, next(ticks)) for ad in ticking], known, days_ago)
            known.later(days)
        began = time.monotonic()
        if number == 0:
            ticking = ads_of_all_shards(t, known, days_ago)
        first = 2 * number
        centres = CENTRES[first:] if number == len(plan) - 1 else CENTRES[first:first + 6]
        made = events.make(-(-count // len(plan)), centres, days_ago)
        while part := [event for _, event in zip(range(BATCH), made)]:
            positions.update(send(t, part, known, days_ago))
        check(time.monotonic() - began < 3_000, "a stage took so long that clicks were forgotten meanwhile: send fewer events, or on a quieter machine")
        t.server.analytics([f"{shard}:{offset}" for shard, offset in positions.items()])
    return events


def filled(t):
    """The suite's server with its events, and the oracle that has read the same; once for each log."""
    if _state.get("log") != t.log:
        rng = random.Random(t.options.seed)
        known = oracle.Oracle(STAMPS, reason_of, REPEAT_SECS, DEDUPE_DAYS, SECOND_DAYS, MINUTE_DAYS)
        began = time.monotonic()
        events = fill(t, known, rng)
        rows = known.answer().all_rows
        holds = {name: sum(row[name] for row in rows) for name in ("click_count", "duplicates", "conflicts", "restated")}
        holds.update({reason: sum(row["invalid_clicks"].get(reason, 0) for row in rows) for reason in ("bot", "no_agent", "datacenter", "repeat")})
        t.note(f"{events.made} events of {events.ads} ads, {events.hot} of them hot, in {time.monotonic() - began:.0f} s; seed {t.options.seed}; {holds}")
        check(all(holds.values()), "some kind of event is missing")
        _state.update(log=t.log, rng=rng, oracle=known, ads=events.ads)
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
        q["ads"] = {1 + rng.randrange(rng.choice([5, _state["ads"]])) for _ in range(rng.choice([1, 3, 20]))}
    return q


def asked(q):
    pairs = [(name, text(q[name])) for name in ("since", "until") if q[name] is not None]
    pairs += [(name, q[name]) for name in ("tz", "sort", "limit", "page", "granularity", "group_by") if name in q]
    return pairs + [("ad_id", ad) for ad in sorted(q.get("ads", ()))]


def complete_answer(t, pairs):
    """Asked again while shards are late, which a busy machine can make them."""
    for _ in range(10):
        answer = t.server.get(ANALYTICS, pairs).expect(200).json()
        if answer["complete"]:
            return answer
    raise Failure(f"no complete answer to {pairs}")


def name_of(row):
    return (row["ad_id"], row["group"]) if "group" in row else row["ad_id"]


def shown_uniques(t, q, wanted):
    """What the server shows for the rows whose visitors are not counted exactly: which of them stands first follows from that."""
    window = [(name, text(edge)) for name, edge in (("since", wanted.since), ("until", wanted.until)) if edge is not None]
    window += [("group_by", q["group_by"])] if "group_by" in q else []
    ads, shown = sorted({row["ad_id"] for row in wanted.all_rows if row["unique_error"]}), {}
    for at in range(0, len(ads), 50):
        answer = complete_answer(t, window + [("limit", 1_000)] + [("ad_id", ad) for ad in ads[at:at + 50]])
        shown.update((name_of(row), row["unique_clicks"]) for row in answer["data"])
    return shown


class Comparison:
    """Of the server's answers with the oracle's: every number must be equal, but those of visitors that are counted by sketches."""

    def __init__(self, t, known):
        self.t, self.known = t, known
        self.questions = self.rows = self.points = self.refused = self.widened = 0
        self.differences = []
        self.sketches = set()  # (row, true number, shown number)

    def ask(self, q):
        if self.questions and self.questions % 1_000 == 0:  # the long form takes long
            print(f"       {self.questions} questions, {len(self.differences)} differences", flush=True)
        self.questions += 1
        try:
            self._ask(q)
        except Failure as difference:
            self.differences.append(str(difference))

    def _ask(self, q):
        pairs, answer_of = asked(q), self.known.answer_by_groups if "group_by" in q else self.known.answer
        try:
            wanted = answer_of(**q)
        except oracle.Refused:
            self.t.server.get(ANALYTICS, pairs).expect_problem(400, "granularity")
            self.refused += 1
            return
        if q["sort"].endswith("unique_clicks") and any(row["unique_error"] for row in wanted.all_rows):
            wanted = answer_of(**q, uniques=shown_uniques(self.t, q, wanted))
        answer = complete_answer(self.t, pairs)
        equal((answer["since"], answer["until"], answer["resolution"]), (text(wanted.since), text(wanted.until), wanted.resolution), f"window of {pairs}")
        equal(answer["total"], wanted.total, f"total of {pairs}")
        equal([name_of(row) for row in answer["data"]], [name_of(row) for row in wanted.rows], f"rows of {pairs}")
        self.widened += (wanted.since, wanted.until) != (q["since"], q["until"])
        for got, row in zip(answer["data"], wanted.rows):
            self._compare(got, row, pairs)

    def _compare(self, got, wanted, pairs):
        points, wanted_points = got.pop("series", []), wanted.get("series", [])
        self._numbers(got, {**wanted, "series": None}, f"{name_of(wanted)} of {pairs}", name_of(wanted))
        for point, wanted_point in zip(points, wanted_points):
            self._numbers(point, wanted_point, f"ad {wanted['ad_id']}, a point of {pairs}", wanted["ad_id"])
        equal(len(points), len(wanted_points), f"ad {wanted['ad_id']}, points of {pairs}")
        self.rows += 1
        self.points += len(points)

    def _numbers(self, got, wanted, what, name):
        check(("series" in wanted) <= (got["last_updated"] is not None), lambda: f"{what}: no last_updated in {got}")
        got = {k: v for k, v in got.items() if k != "last_updated"}
        wanted = {k: v for k, v in wanted.items() if k != "series"}
        if wanted["unique_error"]:
            true, shown = wanted["unique_clicks"], got["unique_clicks"]
            self.sketches.add((name, true, shown))
            check(abs(shown - true) <= 5 * oracle.SKETCH_ERROR * true, f"{what}: {shown} visitors, five standard errors from {true}")
            got["unique_clicks"] = true
        equal(got, wanted, what)

    def verdict(self):
        """Says what was compared; fails where a number differs. Sketches are shown: one ad's windows share visitors, so they are not independent."""
        within = sum(abs(shown - true) <= 3 * oracle.SKETCH_ERROR * true for _, true, shown in self.sketches)
        self.t.note(f"{self.questions} questions, {self.rows} rows and {self.points} points: {len(self.differences)} differences in exact numbers")
        self.t.note(f"{self.refused} questions were refused by both, {self.widened} windows were widened by both; "
                    f"of {len(self.sketches)} numbers of visitors beyond {oracle.EXACT}, {within} lie within 3 unique_error")
        check(not self.differences, lambda: f"{len(self.differences)} differences: " + "\n       ".join(self.differences[:5]))


@suite.case("random questions agree in every number")
def _(t):
    rng, known = filled(t)
    compared = Comparison(t, known)
    for _ in range(t.options.questions):
        compared.ask(question(rng))
    compared.verdict()
    check(compared.refused < t.options.questions // 2, "half of the questions were refused")
    check(len(compared.sketches) > 0, "no question reached a sketch")
    if len(stages(t)) > 1:
        check(compared.widened > 0 and compared.refused > 0, "no question reached what had expired")


def question_by_groups(rng):
    q = {**question(rng), "group_by": rng.choice(oracle.DIMENSIONS)}
    q.pop("granularity", None)
    if q["sort"].lstrip("-") in ("duplicates", "conflicts"):
        q["sort"] = "-click_count"
    return q


@suite.case("random questions by group agree in every number")
def _(t):
    rng, known = filled(t)
    compared = Comparison(t, known)
    for _ in range(t.options.questions // 2):
        compared.ask(question_by_groups(rng))
    compared.verdict()
    check(compared.rows > t.options.questions, f"only {compared.rows} rows were compared")


@suite.case("the groups of a dimension add up to the row without them, in JSON and in CSV")
def _(t):
    filled(t)
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
    compared = Comparison(t, known)
    for _ in range(t.options.questions // 10):
        compared.ask(question(rng))
        compared.ask(question_by_groups(rng))
    compared.verdict()


@suite.case("the pages of any order, put together, are all rows")
def _(t):
    _, known = filled(t)
    for sort in ("-click_count", "ctr", "-ctr", "-unique_clicks"):
        wanted = known.answer(sort=sort)
        wanted = known.answer(sort=sort, uniques=shown_uniques(t, {}, wanted)).all_rows
        got = []
        for page in range(1, len(wanted) // 7 + 2):
            got += [row["ad_id"] for row in t.server.analytics(sort=sort, limit=7, page=page)["data"]]
        equal(got, [row["ad_id"] for row in wanted], f"ads by {sort}")


@suite.case("CSV has the numbers of JSON, cell by cell")
def _(t):
    rng, _known = filled(t)
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
