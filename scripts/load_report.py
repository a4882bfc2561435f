"""What a load shows of itself: a line a second while it runs, and in the end the answers by status, goodput and the latency histogram.
Where the generator could not keep its schedule it says so in the place of latencies, which would be its own and not the server's."""

import collections
import sys

from load_sender import BUCKETS, SLACK

LATE_SHARE = 0.01  # of the requests: with more that left late by the generator's doing, a p99 is not the server's
BAR = 50


def upper_ms(bucket):
    return 2 ** ((bucket + 1) / BUCKETS) / 1000


def percentile(latencies, part):
    """The upper edge, in ms, of the bucket that holds it; a bucket is 7 % wide."""
    left = part * sum(latencies.values())
    for bucket in sorted(latencies):
        left -= latencies[bucket]
        if left <= 0:
            return upper_ms(bucket)
    return 0.0


def failures(counts):
    """What came in the place of a 202, as text."""
    named = [(name.removeprefix("status "), number) for name, number in sorted(counts.items())
             if name.startswith("status ") and name != "status 202" or name in ("lost", "time-out", "no connection", "202 that cannot be read")]
    return " ".join(f"{name}:{number:,}" for name, number in named)


class Report:
    def __init__(self, plan, begin, processes):
        self.plan, self.begin, self.processes = plan, begin, processes
        self.counts, self.latencies, self.slowest = collections.Counter(), collections.Counter(), 0.0
        self.open = {}  # by process: requests that wait for their 202
        self._said, self._counts, self._latencies = begin, collections.Counter(), collections.Counter()

    def add(self, process, said):
        self.counts.update(said["counts"])
        self.latencies.update(said["latencies"])
        self.slowest = max(self.slowest, said["slowest"])
        self.open[process] = said["open"]
        self._counts.update(said["counts"])
        self._latencies.update(said["latencies"])

    def progress(self, now):
        if now - self._said < 1:
            return
        waiting, passed, recent = sum(self.open.values()), now - self._said, self._latencies
        print(f"{now - self.begin:6.0f} s  sent {self.counts['events']:,}  acked {self.counts['acked']:,}  {self._counts['acked'] / passed:,.0f}/s"
              f"  p50 {percentile(recent, 0.5):.1f} ms  p99 {percentile(recent, 0.99):.1f} ms  open {waiting}"
              f"{'  BEHIND' if self._counts['late by itself'] else ''}  {failures(self._counts)}".rstrip(), file=sys.stderr, flush=True)
        self._said, self._counts, self._latencies = now, collections.Counter(), collections.Counter()

    def kept_schedule(self):
        return self.counts["late by itself"] <= LATE_SHARE * self.counts["requests"]

    def print(self):
        counts, plan = self.counts, self.plan
        asked = plan["rate"] * plan["seconds"]
        print(f"\nsent {counts['events']:,} events in {counts['requests']:,} requests and {counts['again']:,} retries, "
              f"of about {asked:,.0f} that the schedule has; acknowledged {counts['acked']:,}")
        print(f"goodput {counts['acked'] / plan['seconds']:,.0f} events/s of {plan['rate']:,g}")
        print("answers: " + (f"202:{counts['status 202']:,} {failures(counts)}".rstrip()))
        if counts["rejected in batches"]:
            print(f"rejected in batches: {counts['rejected in batches']:,} events")
        if counts["late"]:
            print(f"{counts['late']:,} requests left more than {SLACK * 1000:.0f} ms late, {counts['late by itself']:,} of them by the generator's doing, "
                  "the others as all connections waited for answers")
        if counts["cut off"] and self.kept_schedule():
            print("THE SCHEDULE WAS CUT OFF at its end, as requests still waited for a connection: this rate is more than is carried on so many. "
                  "What never left is not in the latencies below, which would be longer with it.")
        if not self.kept_schedule():
            print(f"THE GENERATOR COULD NOT KEEP ITS SCHEDULE: it sent {counts['events'] / plan['seconds']:,.0f} events/s of {plan['rate']:,g} "
                  f"with {self.processes} processes. Latencies are left out, as they would be its own. "
                  "Take a lower --rate, a larger --batch, more --processes or another machine.")
        elif self.latencies:
            self._histogram()

    def _histogram(self):
        print("latency from the scheduled time to the 202, retries included:")
        octaves = collections.Counter()
        for bucket, number in self.latencies.items():
            octaves[bucket // BUCKETS] += number
        most, total, below = max(octaves.values()), sum(octaves.values()), 0
        for octave in range(min(octaves), max(octaves) + 1):
            below += octaves[octave]
            bar = "#" * round(BAR * octaves[octave] / most)
            print(f"  {2 ** octave / 1000:>10.3f} - {2 ** (octave + 1) / 1000:>10.3f} ms  {octaves[octave]:>10,}  {below / total:8.3%}  {bar}".rstrip())
        shown = [f"p{name} {min(percentile(self.latencies, name / 100), self.slowest * 1000):.2f} ms" for name in (50, 90, 99, 99.9)]
        print("  " + ", ".join(shown) + f", max {self.slowest * 1000:.2f} ms")
