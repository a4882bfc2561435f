"""The events of a load and when they leave: a pure function of its plan, so that a ledger needs to hold outcomes only. The stream has 16
lanes, each with its own random numbers; how many processes share the lanes changes nothing.

What makes the right counts certain whatever order racing connections bring events into the log in:
- each first click has a visitor of its own, so that nobody repeats a click unplanned;
- a planned repeat has the second of its first click: whichever of the two comes first is valid, the other is a `repeat`;
- copies of an event are the same bytes, so that whichever comes first counts and the others are duplicates, never conflicts.
Crawlers click only: of impressions and playbacks, analytics does not show the invalid ones."""

import bisect
import collections
import hashlib
import itertools
import math
import random

LANES = 16
REMEMBERED = 256  # events of a lane that may be sent again, and clicks that may be repeated
REPEAT_WITHIN = 600  # seconds of the schedule; the server remembers clicks for an hour
OWN_ADS = 1 << 20  # size of the range of ads that a run takes for itself

STAGES = ("start", "first_quartile", "midpoint", "third_quartile", "complete")
_STAGE_BOUNDS = tuple(itertools.accumulate((30, 22, 18, 16, 14)))  # fewer see the end than the start

PEOPLE = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/125.0.0.0 Safari/537.36 Edg/125.0.0.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:127.0) Gecko/20100101 Firefox/127.0",
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (iPad; CPU OS 16_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/16.6 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Linux; Android 13; SM-S911B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/25.0 Chrome/121.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Linux; Android 12; SM-X200) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Safari/537.36",
    "Mozilla/5.0 (SMART-TV; Linux; Tizen 7.0) AppleWebKit/537.36 (KHTML, like Gecko) Version/7.0 TV Safari/537.36",
)
BOTS = (
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
    "python-requests/2.31.0",
    "curl/7.88.1",
)

# One event to be sent. `identity`: its number among the lane's distinct events; `first`: that of the click which it repeats, or its
# own; `time`: its timestamp; `kind`: click, bot (a crawler's click), impression, or a stage of a playback; `body`: its JSON.
Event = collections.namedtuple("Event", "identity first ad time kind body")


def path_of(kind):
    return "/api/v1/ads/click" if kind in ("click", "bot") else "/api/v1/ads/impression" if kind == "impression" else "/api/v1/ads/playback"


def own_first_ad(run):
    """Where a run's ads begin: in the upper half of all ids, by a hash of the run's name."""
    return (1 << 52) + (int.from_bytes(hashlib.sha256(run.encode()).digest()[:4], "big") >> 1) * OWN_ADS


class Stream:
    """`plan`: run, seed, started (unix seconds), rate (events a second), seconds, batch, arrivals, ads, first_ad, zipf, types, bots, repeats,
    late, late_max, duplicates."""

    def __init__(self, plan):
        self.plan = plan
        self._shares = list(itertools.accumulate(k ** -plan["zipf"] for k in range(1, plan["ads"] + 1)))
        digest = hashlib.sha256(plan["run"].encode()).hexdigest()
        self._id = f"{digest[:8]}-{digest[8:12]}-4{digest[12:15]}-8{digest[15:18]}"
        self._net = digest[18:22].lstrip("0") or "0"

    def times(self, lane):
        """When the lane's requests leave, in seconds after the start."""
        plan = self.plan
        rate = plan["rate"] / plan["batch"] / LANES
        if plan["arrivals"] == "even":
            for number in itertools.count():
                if (at := (number + (lane + 0.5) / LANES) / rate) >= plan["seconds"]:
                    return
                yield at
        draw, at = random.Random(f"{plan['seed']}/{lane}/times").expovariate, 0.0
        while (at := at + draw(rate)) < plan["seconds"]:
            yield at

    def requests(self, lane):
        """(seconds after the start, its events) of each of the lane's requests."""
        new_event, batch = self._maker(lane), self.plan["batch"]
        for at in self.times(lane):
            yield at, [new_event(self.plan["started"] + int(at)) for _ in range(batch)]

    def _maker(self, lane):
        plan, shares = self.plan, self._shares
        rnd = random.Random(f"{plan['seed']}/{lane}").random
        total, first_ad, late_log = shares[-1], plan["first_ad"], math.log(plan["late_max"])
        weights = list(itertools.accumulate(plan["types"].get(name, 0) for name in ("click", "impression", "playback")))
        bots, repeats, late, duplicates = (plan[name] / 100 for name in ("bots", "repeats", "late", "duplicates"))
        sent, clicks = [], []  # rings of the newest events and of the newest valid first clicks
        count = 0

        def keep(ring, number, what):
            if len(ring) < REMEMBERED:
                ring.append(what)
            else:
                ring[number % REMEMBERED] = what

        def new_event(now):
            nonlocal count
            if sent and rnd() < duplicates:
                return sent[int(rnd() * len(sent))]
            identity, chosen = count, rnd() * weights[-1]
            count += 1
            if chosen < weights[0]:
                event = click(identity, now)
            else:
                ad, time = ad_and_time(now)
                kind = "impression" if chosen < weights[1] else STAGES[bisect.bisect(_STAGE_BOUNDS, rnd() * _STAGE_BOUNDS[-1])]
                address, agent = self._viewer(rnd()), PEOPLE[int(rnd() * len(PEOPLE))]
                more = "" if kind == "impression" else f',"progress":"{kind}","play_time_secs":{int(rnd() * 120)},"watched_percent":{STAGES.index(kind) * 25}'
                event = made(identity, identity, ad, time, kind, address, agent, more)
            keep(sent, identity, event)
            return event

        def ad_and_time(now):
            ad = first_ad + bisect.bisect(shares, rnd() * total)
            return ad, now - int(math.exp(rnd() * late_log)) if rnd() < late else now

        def click(identity, now):
            more = f',"play_time_secs":{int(rnd() * 120)},"watched_percent":{int(rnd() * 101)}' if rnd() < 0.7 else ""
            if clicks and rnd() < repeats:
                first, ad, time, address, agent, left = clicks[int(rnd() * len(clicks))]
                if now - left <= REPEAT_WITHIN:
                    return made(identity, first, ad, time, "click", address, agent, more)
            ad, time = ad_and_time(now)
            if rnd() < bots:
                return made(identity, identity, ad, time, "bot", self._viewer(rnd()), BOTS[int(rnd() * len(BOTS))], more)
            # An address that no other click has, nor that of another run: the run's, the lane's and the click's numbers are in it.
            address = (f"2001:db8:{identity * 40503 & 0xffff:x}:{self._net}:{lane:x}:{identity >> 32 & 0xffff:x}:"
                       f"{identity >> 16 & 0xffff:x}:{identity & 0xffff:x}")
            agent = PEOPLE[int(rnd() * len(PEOPLE))]
            keep(clicks, identity, (identity, ad, time, address, agent, now))
            return made(identity, identity, ad, time, "click", address, agent, more)

        def made(identity, first, ad, time, kind, address, agent, more):
            type_name = path_of(kind)[12:]
            body = (f'{{"type":"{type_name}","event_id":"{self._id}-{lane:x}{identity:011x}","ad_id":{ad},"user_ip":"{address}","agent":"{agent}",'
                    f'"timestamp":{time}{more}}}')
            return Event(identity, first, ad, time, kind, body)

        return new_event

    @staticmethod
    def _viewer(part):
        """An address of RFC 5737's three networks, or of RFC 3849's."""
        number = int(part * 3_000_000)
        if number < 1_000_000:
            return f"{('192.0.2', '198.51.100', '203.0.113')[number % 3]}.{number // 3 % 254 + 1}"
        return f"2001:db8:{number & 0xffff:x}::{number >> 16:x}"
