"""The contract's definitions of analytics, written plainly over the events themselves: no buckets of numbers, sets of visitors instead of
sketches, and Python's own time zones instead of the server's. What the server answers is held against it (suites/oracle.py). An ad's events
stand in the order of their time, so that a window is a slice of them and a number is a count in the slice: a question over millions of
events takes a fraction of a second. Zones' clocks may change at quarter-hours only, as all of them have since 1980."""

import bisect
import datetime
import functools
import zoneinfo

MINUTE, QUARTER, HOUR = 60, 900, 3600
STAGES = ["start", "first_quartile", "midpoint", "third_quartile", "complete"]
REASONS = ["bot", "no_agent", "datacenter", "prefetch", "repeat"]
SORT_KEYS = ["ad_id", "click_count", "unique_clicks", "avg_playback_time", "avg_watch_percent", "impressions", "ctr", "gross_clicks", "duplicates",
             "conflicts", "restated"]
DIMENSIONS = ["device", "browser", "os", "country", "invalid_reason", "progress"]
EXACT, SKETCH_ERROR = 1_024, 1.04 / 128  # visitors that are counted exactly; the relative standard error beyond: 1.04 / sqrt(2^14)
_OWN_FIELDS = ("timestamp", "user_ip", "agent", "play_time_secs", "watched_percent", "progress")
# What an event is in a count: a valid click, a valid impression, a valid playback by stage, an invalid click by reason, any other.
_KINDS = {name: number for number, name in enumerate(["click", "impression", *STAGES, *REASONS, "other"])}


class Calendar:
    """Where the points of a series begin on a zone's clock."""

    def __init__(self, tz, granularity):
        self.zone, self.granularity, self._keys = zoneinfo.ZoneInfo(tz or "UTC"), granularity, {}

    def key(self, t):
        """Equal for instants of one point that stand side by side."""
        if self.granularity in ("second", "minute"):
            return t // (1 if self.granularity == "second" else MINUTE)
        t = t // QUARTER * QUARTER
        if t not in self._keys:
            local = datetime.datetime.fromtimestamp(t, self.zone)
            phase = int(local.utcoffset().total_seconds()) % HOUR
            self._keys[t] = local.date() if self.granularity == "day" else (phase, (t + phase) // HOUR)
        return self._keys[t]

    @functools.lru_cache(maxsize=4)
    def starts(self, since, until):
        """Of all points of [since, until), the first one's being `since`."""
        step = {"second": 1, "minute": MINUTE}.get(self.granularity, QUARTER)
        out = [since]
        for t in range(since // step * step + step, until, step):
            if self.key(t) != self.key(t - 1):
                out.append(t)
        return out

    def point_of(self, t):
        """[start, end) of the point that holds the instant."""
        step = {"second": 1, "minute": MINUTE}.get(self.granularity, QUARTER)
        start = end = t // step * step
        while self.key(start - step) == self.key(t):
            start -= step
        while self.key(end) == self.key(t):
            end += step
        return start, end

    def text(self, t):
        local = datetime.datetime.fromtimestamp(t, self.zone).isoformat(timespec="seconds")
        return local.replace("+00:00", "Z") if self.zone.key == "UTC" else local


calendar_of = functools.lru_cache(Calendar)


class Column:
    """Values in the order of their times; those of a window are a slice."""

    def __init__(self, pairs, kind=list):
        self.times, self.values = [time for time, _ in pairs], kind(value for _, value in pairs)

    def within(self, since, until):
        first = 0 if since is None else bisect.bisect_left(self.times, since)
        last = len(self.times) if until is None else bisect.bisect_left(self.times, until)
        return self.values[first:last]


class Timeline:
    """The events of one ad, or of one group of it."""

    def __init__(self):
        self._events, self._copies, self._columns = [], [], None

    def add(self, event):
        """(time, kind, visitor, play_time_secs, watched_percent, whether it came late)"""
        self._events.append(event)
        self._columns = None

    def add_copy(self, time, conflict):
        """Of an event that happened at `time`."""
        self._copies.append((time, conflict))
        self._columns = None

    def _sorted(self):
        if self._columns is None:
            events = sorted(self._events, key=lambda e: e[0])
            clicks = [e for e in events if e[1] == _KINDS["click"]]
            self._columns = (Column([(e[0], e[1]) for e in events], bytes), Column([(e[0], e[2]) for e in clicks]),
                             Column([(e[0], e[3]) for e in clicks if e[3] is not None]), Column([(e[0], e[4]) for e in clicks if e[4] is not None]),
                             Column(sorted(self._copies), bytes), Column([(e[0], e[5]) for e in events], bytes))
        return self._columns

    def span(self):
        """Times of the first and the last event."""
        times = self._sorted()[0].times
        return times[0], times[-1]

    def numbers(self, since, until):
        """The members of a row, or of a point; None without events."""
        events, visitors, played, watched, copies, late = self._sorted()
        kinds = events.within(since, until)
        if not kinds:
            return None
        clicks, impressions = kinds.count(_KINDS["click"]), kinds.count(_KINDS["impression"])
        invalid = {reason: kinds.count(_KINDS[reason]) for reason in REASONS}
        unique = len(set(visitors.within(since, until)))
        played, watched, copies = played.within(since, until), watched.within(since, until), copies.within(since, until)
        return {
            "click_count": clicks, "unique_clicks": unique, "unique_error": 0 if unique <= EXACT else SKETCH_ERROR,
            "avg_playback_time": sum(played) / len(played) if played else 0.0, "avg_watch_percent": sum(watched) / len(watched) if watched else 0.0,
            "impressions": impressions, "ctr": clicks / impressions if impressions else None, "gross_clicks": clicks + sum(invalid.values()),
            "invalid_clicks": {reason: count for reason, count in invalid.items() if count},
            "duplicates": len(copies), "conflicts": copies.count(True), "restated": late.within(since, until).count(True),
            "playbacks": {stage: kinds.count(_KINDS[stage]) for stage in STAGES},
        }


NO_EVENTS = {"click_count": 0, "unique_clicks": 0, "unique_error": 0, "avg_playback_time": 0.0, "avg_watch_percent": 0.0, "impressions": 0, "ctr": None,
             "gross_clicks": 0, "invalid_clicks": {}, "duplicates": 0, "conflicts": 0, "restated": 0, "playbacks": dict.fromkeys(STAGES, 0)}


class Refused(Exception):
    """There is no such series: too many points, or finer ones than are kept."""


class Answer:
    """`rows` are those of the page, `all_rows` of all pages; only the former have series."""

    def __init__(self, rows, page, limit, since, until, resolution):
        self.rows, self.all_rows, self.total = rows[(page - 1) * limit:page * limit], rows, len(rows)
        self.since, self.until, self.resolution = since, until, resolution


class Oracle:
    """`stamps` says what device, browser and system an agent is; `reason_of(event)` why an event is invalid as it comes in, or None. Time is
    told in days by later(): the shards' clock moves by so much between two stages of the log that hours decide nothing, and repeats of
    one stage are forgotten in the next."""

    def __init__(self, stamps, reason_of, repeat_secs, dedupe_days, second_days, minute_days):
        self.stamps, self.reason_of, self.repeat_secs = stamps, reason_of, repeat_secs
        self.dedupe_days, self.second_days, self.minute_days = dedupe_days, second_days, minute_days
        self.day = 0
        self.first = {}      # identity: (its own fields, time, day on which it came)
        self.latest = {}     # (ad, visitor): time of the latest valid click
        self.visitors = {}   # (address, agent): number
        self.ads, self.groups = {}, {dimension: {} for dimension in DIMENSIONS}
        self.written, self.seconds_gone, self.minutes_gone = {}, set(), set()  # by (ad, minute): the day of its last write

    def later(self, days):
        self.day += days
        if days:
            self.latest.clear()

    def add(self, event, came):
        """In log order. `came`: the log's time, roughly; an event must not be near an hour late."""
        ad, time = event["ad_id"], event["timestamp"]
        identity, own = (event["type"], ad, event["event_id"]), tuple(event.get(field) for field in _OWN_FIELDS)
        first = self.first.get(identity)
        if first is not None and self.day - first[2] < self.dedupe_days:
            self.ads[ad].add_copy(first[1], own != first[0])
            self.write(ad, first[1])
            return
        self.first[identity] = (own, time, self.day)
        self.write(ad, time)
        visitor = self.visitors.setdefault((event["user_ip"], event["agent"]), len(self.visitors))
        reason = self.reason_of(event) or self.repeat(event, visitor)
        valid = reason is None
        kind = (event["progress"] if event["type"] == "playback" else event["type"]) if valid else reason if event["type"] == "click" else "other"
        entry = (time, _KINDS[kind], visitor, event.get("play_time_secs"), event.get("watched_percent"), time + HOUR < came)
        self.ads.setdefault(ad, Timeline()).add(entry)
        for dimension, groups in self.groups.items():
            group = self.group_of(event, reason, dimension)
            if group is not None:
                groups.setdefault((ad, group), Timeline()).add(entry)

    def repeat(self, event, visitor):
        """A click is one less than `repeat_secs` after the visitor's latest valid click on the ad, in the order of the log; an earlier one is not."""
        if event["type"] != "click":
            return None
        who, time = (event["ad_id"], visitor), event["timestamp"]
        latest = self.latest.get(who)
        if latest is not None and latest <= time < latest + self.repeat_secs:
            return "repeat"
        if latest is None or time > latest:
            self.latest[who] = time
        return None

    def group_of(self, event, reason, dimension):
        """What a row's group is called; None: in none. No hour has too many values here."""
        if dimension == "invalid_reason":
            return reason or "valid"
        if dimension == "progress":
            return event["progress"] if event["type"] == "playback" else None
        return self.stamps.get(event["agent"], {}).get(dimension, "unknown")

    # -- what is kept

    def write(self, ad, time):
        """Seconds and minutes are kept for days after their last write, and what is gone does not come back."""
        minute = (ad, time // MINUTE)
        days = self.day - self.written.get(minute, self.day)
        if days > self.minute_days:
            self.minutes_gone.add(minute)
        if days > self.second_days:
            self.seconds_gone.add(minute)
        self.written[minute] = self.day

    def finest(self, ad, minute):
        """Seconds of the finest bucket that holds this minute's events; 1 where there are none."""
        if (ad, minute) not in self.written:
            return 1
        days = self.day - self.written[ad, minute]
        if (ad, minute) in self.minutes_gone or days > self.minute_days:
            return QUARTER
        return MINUTE if (ad, minute) in self.seconds_gone or days > self.second_days else 1

    def widened(self, ads, since, until):
        """(since, until, resolution): an edge in a bucket that is kept as a whole only, for one of the ads, moves out to its end; never in."""
        coarsest = 1
        while True:
            window = since, until
            for edge, begin, end in edges(*window):
                for ad in ads:
                    for minute in range(begin // MINUTE, -(-end // MINUTE)):
                        step, cut = self.finest(ad, minute), minute * MINUTE < begin or (minute + 1) * MINUTE > end
                        if step == QUARTER or (step == MINUTE and cut):
                            coarsest = max(coarsest, step)
                            if edge == window[0]:
                                since = min(since, edge // step * step)
                            else:
                                until = max(until, -(-edge // step) * step)
            if window == (since, until):
                return since, until, {1: "second", MINUTE: "minute", QUARTER: "quarter_hour"}[coarsest]

    # -- questions

    def answer(self, since=None, until=None, ads=(), tz=None, granularity=None, sort="ad_id", page=1, limit=100, max_points=10_000, uniques=None):
        """Refused where there is none. `uniques`: what is shown, by ad, in the place of a number of visitors that is not exact."""
        ads = sorted(ads & self.ads.keys() if ads else self.ads)
        since, until, resolution = self.widened(ads, since, until)
        rows = [{"ad_id": ad, **numbers} for ad in ads if (numbers := self.ads[ad].numbers(since, until))]
        rows = in_order(rows, sort, uniques)
        if granularity:
            points = 0
            for row in rows[:page * limit]:
                row["series"] = self.series(row["ad_id"], calendar_of(tz, granularity), since, until, max_points)
                points += len(row["series"])
                if points > max_points:
                    raise Refused
        return Answer(rows, page, limit, since, until, resolution)

    def answer_by_groups(self, group_by, since=None, until=None, ads=(), sort="ad_id", page=1, limit=100, tz=None, uniques=None):
        """By whole hours of UTC. `uniques` by (ad, group)."""
        since = since if since is None else since // HOUR * HOUR
        until = until if until is None else -(-until // HOUR) * HOUR
        rows = [{"ad_id": ad, "group": group, **numbers} for (ad, group), timeline in sorted(self.groups[group_by].items())
                if (not ads or ad in ads) and (numbers := timeline.numbers(since, until))]
        for row in rows:
            del row["duplicates"], row["conflicts"]
        rows = in_order(rows, sort, uniques)
        return Answer(rows, page, limit, since, until, "hour")

    def series(self, ad, calendar, since, until, max_points):
        timeline = self.ads[ad]
        if since is None:
            since = calendar.point_of(timeline.span()[0])[0]
        if until is None:
            until = calendar.point_of(timeline.span()[1])[1]
        point = {"second": 1, "minute": MINUTE}.get(calendar.granularity, QUARTER)  # whose edges are those of quarter-hours at least
        if point < QUARTER and any(self.finest(ad, minute) > point for minute in range(since // MINUTE, -(-until // MINUTE))):
            raise Refused
        starts = calendar.starts(since, until)
        if len(starts) > max_points:
            raise Refused
        return [{"start": calendar.text(start), **(timeline.numbers(start, end) or NO_EVENTS)} for start, end in zip(starts, starts[1:] + [until])]


def edges(since, until):
    """(edge, begin, end): the edges that lie within a quarter-hour, and what of that is in the window."""
    if since is not None and since % QUARTER:
        end = since // QUARTER * QUARTER + QUARTER
        yield since, since, end if until is None else min(end, until)
    if until is not None and until % QUARTER:
        begin = until // QUARTER * QUARTER
        yield until, begin if since is None else max(begin, since), until


def in_order(rows, sort, uniques):
    """Nothing stands last either way, ties go by ad; rows come in the order of their groups."""
    key, sign = sort.lstrip("-"), -1 if sort.startswith("-") else 1

    def shown(row):
        name = (row["ad_id"], row["group"]) if "group" in row else row["ad_id"]
        return uniques[name] if uniques and key == "unique_clicks" and row["unique_error"] else row[key]
    return sorted(rows, key=lambda row: (shown(row) is None, 0 if shown(row) is None else sign * shown(row), row["ad_id"]))
