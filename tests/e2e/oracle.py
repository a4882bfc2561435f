"""The contract's definitions of analytics, written plainly and slowly over a list of events: loops, no buckets, and Python's own time
zones instead of the server's. What the server answers is held against it (suites/oracle.py). Zones' clocks may change at quarter-hours
only, as all of them have since 1980."""

import datetime
import zoneinfo

QUARTER, HOUR = 900, 3600
STAGES = ["start", "first_quartile", "midpoint", "third_quartile", "complete"]
SORT_KEYS = ["ad_id", "click_count", "unique_clicks", "avg_playback_time", "avg_watch_percent", "impressions", "ctr", "gross_clicks", "duplicates",
             "conflicts"]
DIMENSIONS = ["device", "browser", "os", "country", "invalid_reason", "progress"]
_OWN_FIELDS = ("play_time_secs", "watched_percent", "progress")


class Calendar:
    """Where the points of a series begin on a zone's clock."""

    def __init__(self, tz, granularity):
        self.zone, self.granularity, self._keys = zoneinfo.ZoneInfo(tz or "UTC"), granularity, {}

    def key(self, t):
        """Equal for instants of one point that stand side by side."""
        if self.granularity in ("second", "minute"):
            return t // (1 if self.granularity == "second" else 60)
        t = t // QUARTER * QUARTER
        if t not in self._keys:
            local = datetime.datetime.fromtimestamp(t, self.zone)
            phase = int(local.utcoffset().total_seconds()) % 3600
            self._keys[t] = local.date() if self.granularity == "day" else (phase, (t + phase) // 3600)
        return self._keys[t]

    def starts(self, since, until):
        """Of all points of [since, until), the first one's being `since`."""
        step = {"second": 1, "minute": 60}.get(self.granularity, QUARTER)
        out = [since]
        for t in range(since // step * step + step, until, step):
            if self.key(t) != self.key(t - 1):
                out.append(t)
        return out

    def point_of(self, t):
        """[start, end) of the point that holds the instant."""
        step = {"second": 1, "minute": 60}.get(self.granularity, QUARTER)
        start = end = t // step * step
        while self.key(start - step) == self.key(t):
            start -= step
        while self.key(end) == self.key(t):
            end += step
        return start, end

    def text(self, t):
        local = datetime.datetime.fromtimestamp(t, self.zone).isoformat(timespec="seconds")
        return local.replace("+00:00", "Z") if self.zone.key == "UTC" else local


def numbers(events, duplicates):
    """The members of a row, or of a point, over these events and the copies of them that came later."""
    gross, events = events, [e for e in events if "invalid" not in e]
    invalid = [e["invalid"] for e in gross if "invalid" in e and e["type"] == "click"]
    clicks = [e for e in events if e["type"] == "click"]
    impressions = sum(e["type"] == "impression" for e in events)
    played = [e["play_time_secs"] for e in clicks if "play_time_secs" in e]
    watched = [e["watched_percent"] for e in clicks if "watched_percent" in e]
    return {
        "click_count": len(clicks), "unique_clicks": len({(e["user_ip"], e["agent"]) for e in clicks}), "unique_error": 0,
        "avg_playback_time": sum(played) / len(played) if played else 0.0, "avg_watch_percent": sum(watched) / len(watched) if watched else 0.0,
        "impressions": impressions, "ctr": len(clicks) / impressions if impressions else None, "gross_clicks": len(clicks) + len(invalid),
        "invalid_clicks": {reason: invalid.count(reason) for reason in invalid},
        "duplicates": len(duplicates), "conflicts": sum(conflict for _, conflict in duplicates),
        "playbacks": {stage: sum(e.get("progress") == stage for e in events) for stage in STAGES},
    }


class TooMany(Exception):
    """The series would have too many points."""


def group_of(event, dimension, stamps):
    """What a row's group is called; None: in none. `stamps` says what device, browser and system an agent is."""
    if dimension == "invalid_reason":
        return event.get("invalid", "valid")
    if dimension == "progress":
        return event.get("progress", "unknown") if event["type"] == "playback" else None
    return stamps.get(event["agent"], {}).get(dimension, "unknown")


class Oracle:
    def __init__(self, stamps=None):
        self.stamps = stamps or {}
        self.first, self.counted, self.duplicates = {}, [], []  # duplicates: (the first one, does it conflict)

    def add(self, event):
        """In log order."""
        identity = (event["type"], event["ad_id"], event["event_id"])
        if identity not in self.first:
            self.first[identity] = event
            self.counted.append(event)
            return
        first = self.first[identity]
        self.duplicates.append((first, any(first.get(f) != event.get(f) for f in _OWN_FIELDS)))

    def groups(self, group_by, since=None, until=None, ads=(), sort="ad_id", page=1, limit=100, tz=None):
        """(rows of the page, rows in all, since, until): by hours, so the window is widened to them. No hour has too many values here."""
        since = since if since is None else since // HOUR * HOUR
        until = until if until is None else -(-until // HOUR) * HOUR
        found = {}
        for e in self.counted:
            group = group_of(e, group_by, self.stamps)
            inside = (since is None or e["timestamp"] >= since) and (until is None or e["timestamp"] < until)
            if inside and group is not None and (not ads or e["ad_id"] in ads):
                found.setdefault((e["ad_id"], group), []).append(e)
        rows = [{"ad_id": ad, "group": group, **numbers(events, [])} for (ad, group), events in sorted(found.items())]
        for row in rows:
            del row["duplicates"], row["conflicts"]
        return in_order(rows, sort)[(page - 1) * limit:page * limit], len(rows), since, until

    def answer(self, since=None, until=None, ads=(), tz=None, granularity=None, sort="ad_id", page=1, limit=100, max_points=10_000):
        """(rows of the page, rows in all); TooMany where there is no answer."""
        def within(e):
            return (not ads or e["ad_id"] in ads) and (since is None or e["timestamp"] >= since) and (until is None or e["timestamp"] < until)

        by_ad = {}
        for e in self.counted:
            if within(e):
                by_ad.setdefault(e["ad_id"], ([], []))[0].append(e)
        for first, conflict in self.duplicates:
            if within(first):
                by_ad[first["ad_id"]][1].append((first, conflict))
        rows = [{"ad_id": ad, **numbers(events, copies)} for ad, (events, copies) in by_ad.items()]
        rows = in_order(rows, sort)
        shown = rows[(page - 1) * limit:page * limit]
        if granularity:
            calendar, points = Calendar(tz, granularity), 0
            for row in rows[:page * limit]:
                row["series"] = series(calendar, *by_ad[row["ad_id"]], since, until)
                points += len(row["series"])
                if points > max_points:
                    raise TooMany
        return shown, len(rows)


def in_order(rows, sort):
    key, sign = sort.lstrip("-"), -1 if sort.startswith("-") else 1
    return sorted(rows, key=lambda r: (r[key] is None, 0 if r[key] is None else sign * r[key], r["ad_id"]))


def series(calendar, events, copies, since, until):
    if since is None:
        since = calendar.point_of(min(e["timestamp"] for e in events))[0]
    if until is None:
        until = calendar.point_of(max(e["timestamp"] for e in events))[1]
    starts = calendar.starts(since, until)
    out, ordered, at = [], sorted(events, key=lambda e: e["timestamp"]), 0
    for start, end in zip(starts, starts[1:] + [until]):
        first = at
        while at < len(ordered) and ordered[at]["timestamp"] < end:
            at += 1
        inside = ordered[first:at]
        out.append({"start": calendar.text(start), **numbers(inside, [c for c in copies if start <= c[0]["timestamp"] < end] if inside else [])})
    return out
