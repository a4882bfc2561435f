"""What a ledger makes the server owe, held against what its analytics says: by ad, by UTC hour of the event's time and by kind of event.
Hours, as they are kept for ever and no answer widens them.

An event is in the log for certain if one of its sends was acknowledged; undecided if none was but one may have come through; else it
is not there. So each count has a lowest and a highest right value, which differ by what is undecided only.
- lost: counted less than the lowest.                      - doubled: counted more than the highest, where something was sent
- never sent: counted where nothing was.                   - wrong reason: the sum is right, the reason (valid, bot, repeat) is not
- wrong duplicates: each send of an event but the first counts as one.
One that is lost can hide behind one of the same ad, hour and kind that is doubled. Asked for each event, the server says which it knows:
those that it does not are lost, and expected no more."""

import collections
import datetime
import json
import time
import urllib.parse

from adtrack_client import Client, Stop
from load_stream import LANES, STAGES, Stream

CLICKS = ("click", "bot", "repeat")
TYPES = {"clicks": CLICKS, "impressions": ("impression",), "playbacks": STAGES}
SLOTS = {name: place for place, name in enumerate((*CLICKS, "impression", *STAGES, "duplicates"))}
ADS_A_QUESTION = 200
POSITIONS_A_QUESTION = 64
ANALYTICS = "/api/v1/ads/analytics"


class Expected:
    """`cells`: by (ad, hour) the lowest and the highest right count of each slot. `knows(event)`, if given, is asked of each that was
    acknowledged; `gone` are those that it denies."""

    def __init__(self, ledger, knows=None):
        self.cells = collections.defaultdict(lambda: ([0] * len(SLOTS), [0] * len(SLOTS)))
        self.acked = self.undecided = self.refused = 0
        self.gone, self._knows = [], knows
        stream = Stream(ledger.plan)
        last = collections.Counter()
        for lane, number in ledger.outcomes:
            last[lane] = max(last[lane], number + 1)
        for lane in range(LANES):
            self._lane(stream, ledger, lane, last[lane] if ledger.ended else None)

    def _lane(self, stream, ledger, lane, requests):
        tallies, groups = {}, {}  # by identity: [event, acknowledged, unknown]; by first click: [event, certain, possible]
        for number, (_, events) in enumerate(stream.requests(lane)):
            if number == requests:
                break
            acked, unknown, refused = ledger.outcome(lane, number)
            for place, event in enumerate(events):
                tally = tallies.setdefault(event.identity, [event, 0, 0])
                tally[1] += 0 if place in refused else acked
                tally[2] += unknown
        for event, acked, unknown in tallies.values():
            certain, possible = int(acked > 0), int(acked + unknown > 0)
            self.acked += certain
            self.undecided += possible - certain
            self.refused += not possible
            if certain and self._knows and not self._knows(event):
                self.gone.append(event)
                continue
            self._add(event, "duplicates", max(0, acked - 1), max(0, acked + unknown - 1))
            if event.kind == "click":
                group = groups.setdefault(event.first, [event, 0, 0])
                group[1] += certain
                group[2] += possible
            else:
                self._add(event, event.kind, certain, possible)
        for event, certain, possible in groups.values():
            self._add(event, "click", min(1, certain), min(1, possible))
            self._add(event, "repeat", max(0, certain - 1), max(0, possible - 1))

    def _add(self, event, slot, low, high):
        if high:
            lows, highs = self.cells[event.ad, event.time // 3600]
            lows[SLOTS[slot]] += low
            highs[SLOTS[slot]] += high


class Server:
    """Analytics of the first of these urls that answers."""

    def __init__(self, urls, key, patience):
        self.clients = [Client(url, key, patience / len(urls)) for url in urls]
        self.patience = patience

    def _ask(self, path, pairs):
        path += "?" + urllib.parse.urlencode(pairs)
        while True:
            try:
                status, _, text = self.clients[0].ask("GET", path)
                break
            except Stop:
                if len(self.clients) == 1:
                    raise
                del self.clients[0]
        if status not in (200, 504):
            raise Stop(f"adtrack answered {status}: {text[:300].decode(errors='replace')}")
        return json.loads(text) if status == 200 else None

    def settle(self, positions):
        """None once all of the log up to these positions is counted, on every shard; a sentence when that does not come."""
        give_up = time.monotonic() + self.patience
        named = [f"{shard}:{offset}" for shard, offset in positions.items()]
        for at in range(0, max(len(named), 1), POSITIONS_A_QUESTION):
            pairs = [("limit", 1), ("timeout_ms", 2000)] + [("min_position", position) for position in named[at:at + POSITIONS_A_QUESTION]]
            while True:
                answer = self._ask(ANALYTICS, pairs)
                if answer is not None and answer["complete"] and answer["is_real_time"]:
                    break
                if time.monotonic() > give_up:
                    if answer is None:
                        return "acknowledged positions are not reached"
                    return f"its answers are not whole: complete {answer['complete']}, lag {answer['lag_ms']} ms"
                time.sleep(0.1)
        return None

    def knows(self, event):
        body, give_up = json.loads(event.body), time.monotonic() + self.patience
        while True:
            fate = self._ask(f"/api/v1/events/{body['event_id']}", [("ad_id", event.ad), ("type", body["type"])])["fate"]
            if fate != "pending" or time.monotonic() > give_up:
                return fate in ("counted", "invalid")
            time.sleep(0.1)

    def counts(self, ads, hour=None):
        """(ad, its slots) of those that have any, in that hour or at all times."""
        window = [("since", _text(hour)), ("until", _text(hour + 1))] if hour is not None else []
        for at in range(0, len(ads), ADS_A_QUESTION):
            asked = ads[at:at + ADS_A_QUESTION]
            answer = self._ask(ANALYTICS, [("ad_id", ad) for ad in asked] + window + [("limit", ADS_A_QUESTION)])
            if answer is None or not answer["complete"]:
                raise Stop("adtrack's answer lacks a shard; ask again with `load.sh verify`")
            for row in answer["data"]:
                invalid = dict(row["invalid_clicks"])
                slots = [row["click_count"], invalid.pop("bot", 0), invalid.pop("repeat", 0), row["impressions"],
                         *(row["playbacks"][stage] for stage in STAGES), row["duplicates"]]
                yield row["ad_id"], slots, sum(invalid.values())


def _text(hour):
    return datetime.datetime.fromtimestamp(hour * 3600, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class Verdict:
    FIELDS = ("lost", "doubled", "counted but never sent", "wrong reason", "wrong duplicates")

    def __init__(self):
        self.numbers = dict.fromkeys(self.FIELDS, 0)
        self.by_type = {name: [0, 0, 0] for name in TYPES}  # lowest right, highest right, counted
        self.examples = []

    def good(self):
        return not any(self.numbers.values())

    def judge(self, expected, server, ads):
        """`ads`: all of the run's, those without events too."""
        for event in expected.gone:
            self._bad("lost", 1, f"an event that nobody knows: {event.body}")
        hours = collections.defaultdict(list)
        for ad, hour in expected.cells:
            hours[hour].append(ad)
        asked = collections.defaultdict(lambda: [0] * len(SLOTS))
        strange = collections.Counter()  # clicks with a reason that none was sent for
        for hour, wanted in sorted(hours.items()):
            found = {ad: (slots, other) for ad, slots, other in server.counts(sorted(wanted), hour)}
            for ad in wanted:
                slots, other = found.get(ad, ([0] * len(SLOTS), 0))
                self._cell(ad, hour, expected.cells[ad, hour], slots, other)
                asked[ad] = [a + b for a, b in zip(asked[ad], slots)]
                strange[ad] += other
        # What stands outside of the hours in which the ad's events happened was never sent.
        for ad, slots, other in server.counts(ads):
            for name, place in SLOTS.items():
                beyond = slots[place] - asked[ad][place] + (other - strange[ad] if name == "click" else 0)
                if beyond:
                    self._bad("wrong duplicates" if name == "duplicates" else "counted but never sent" if beyond > 0 else "lost", abs(beyond),
                              f"ad {ad}, at hours without such events: {beyond} of {name}")

    def _cell(self, ad, hour, right, counted, other):
        lows, highs = right
        for type_name, names in TYPES.items():
            places = [SLOTS[name] for name in names]
            low, high = sum(lows[p] for p in places), sum(highs[p] for p in places)
            got = sum(counted[p] for p in places) + (other if names is CLICKS else 0)
            for place, number in enumerate((low, high, got)):
                self.by_type[type_name][place] += number
            where = f"ad {ad}, hour {_text(hour)}: {got} {type_name} counted, {f'{low} to {high}' if low != high else low} sent and acknowledged"
            if got < low:
                self._bad("lost", low - got, where)
            elif got > high:
                self._bad("doubled" if high else "counted but never sent", got - high, where)
            missing = sum(max(0, lows[p] - counted[p]) for p in places)
            beyond = sum(max(0, counted[p] - highs[p]) for p in places) + (other if names is CLICKS else 0)
            if wrong := min(missing, beyond):
                shown = ", ".join(f"{name} {counted[p]} for {lows[p]}" for name, p in zip(names, places) if counted[p] != lows[p])
                self._bad("wrong reason", wrong, f"ad {ad}, hour {_text(hour)}: {shown}{f', other reasons {other}' if other else ''}")
        low, high, got = (each[SLOTS["duplicates"]] for each in (lows, highs, counted))
        if not low <= got <= high:
            self._bad("wrong duplicates", max(low - got, got - high), f"ad {ad}, hour {_text(hour)}: {got} duplicates counted, {low} to {high} sent")

    def _bad(self, what, number, example):
        self.numbers[what] += number
        if len(self.examples) < 10:
            self.examples.append(example)


def verify(ledger, urls, key, patience, each):
    """Prints the verdict; the exit code. `each`: every event is asked for too."""
    if not any(acked for acked, *_ in ledger.outcomes.values()):
        raise Stop("no event was acknowledged, so there is nothing to verify")
    server = Server(urls, key, patience)
    if (why := server.settle(ledger.positions)) is not None:
        print(f"after {patience:.0f} s {why}; the verdict is of what is counted now")
    expected = Expected(ledger, server.knows if each else None)
    verdict = Verdict()
    verdict.judge(expected, server, [ledger.plan["first_ad"] + k for k in range(ledger.plan["ads"])])
    print(f"\nrun {ledger.plan['run']}, seed {ledger.plan['seed']}: {expected.acked:,} distinct events acknowledged, {expected.undecided:,} undecided, "
          f"{expected.refused:,} refused; {'each was asked for; ' if each else ''}{len(expected.cells):,} counts by ad and hour")
    for name, (low, high, got) in verdict.by_type.items():
        print(f"  {name:12} {got:>12,} counted   {f'{low:,} to {high:,}' if low != high else f'{low:,}'} expected")
    for example in verdict.examples:
        print(f"  {example}")
    print("verdict: " + ", ".join(f"{name} {number:,}" for name, number in verdict.numbers.items()))
    return 0 if verdict.good() else 1
