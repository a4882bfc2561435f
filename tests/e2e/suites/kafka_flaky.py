"""A network between adtrackd and the broker that comes and goes, through a TCP proxy of our own whose port the broker advertises."""

import os
import statistics
import subprocess
import sys
import time

import harness
import kafka
from harness import Server, Suite, check, equal
from load import Events, Ledger, Load

suite = Suite("kafka_flaky", "promises 1 and 2 over a connection that is up for 0.7 s and down for 0.3 s: zeros, and soon as fast as before")

UP_SECONDS, DOWN_SECONDS, FLAPPING_SECONDS = 0.7, 0.3, 30
HEALING_SECONDS = 10
LOOK_SECONDS = 0.25
WINDOW = 8  # looks: 2 s


class Proxy:
    def __init__(self, cluster):
        command = [sys.executable, os.path.join(harness.ROOT, "tests", "e2e", "proxy.py"), str(cluster.advertise), str(cluster.direct[1])]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        equal(self._process.stdout.readline().strip(), "up", "the proxy's first word")

    def say(self, word):
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()
        equal(self._process.stdout.readline().strip(), word, "the proxy's answer")

    def end(self):
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()


def _rates(load, ledger, seconds):
    """Acknowledged events a second, in looks of a quarter of a second."""
    rates, acked, started = [], ledger.acked, time.monotonic()
    until = started + seconds
    while started < until:
        time.sleep(LOOK_SECONDS)
        load.raise_error()
        now, new = time.monotonic(), ledger.acked
        rates.append((new - acked) / (now - started))
        acked, started = new, now
    return rates


def _windows(rates):
    return [statistics.fmean(rates[i:i + WINDOW]) for i in range(len(rates) - WINDOW + 1)]


@suite.case("30 s of flapping lose nothing, double nothing, and the throughput is back within 10 s")
def _(t):
    cluster = kafka.Cluster(1, advertise=True)
    proxy = Proxy(cluster)
    try:
        _run(t, cluster, proxy)
    finally:
        proxy.end()
        cluster.end()


def _run(t, cluster, proxy):
    server = Server(flags=cluster.flags(), name="flaky").start()
    ledger = Ledger(Events(f"fl{t.options.seed}", 2000, 1_753_185_600))
    ledger.positions = set()
    load = Load(server, ledger, iter(range(1 << 30)), connections=64, depth=8).start()
    _rates(load, ledger, 5)  # a Java machine that has just started is no measure
    before = statistics.median(_windows(_rates(load, ledger, 8)))
    acked, acks, spooled, refused, until = ledger.acked, ledger.acks, ledger.spooled, ledger.refused, time.monotonic() + FLAPPING_SECONDS
    flaps = 0
    while time.monotonic() < until:
        for word, seconds in (("down", DOWN_SECONDS), ("up", UP_SECONDS)):
            proxy.say(word)
            time.sleep(seconds)
        flaps += 1
        load.raise_error()
        check(server.alive(), lambda: f"the server died: {server.log_tail()}")
    during = (ledger.acked - acked) / FLAPPING_SECONDS
    t.note(f"{flaps} flaps: {during:.0f} events/s acknowledged meanwhile, {ledger.spooled - spooled} of {ledger.acks - acks} out of the spool, {ledger.refused - refused} answered 503")
    rates = _rates(load, ledger, HEALING_SECONDS)
    after = _windows(rates)
    well = next((i for i, rate in enumerate(after) if rate >= 0.9 * before), None)
    t.note(f"{before:.0f} events/s before, {max(after):.0f} at best within {HEALING_SECONDS} s of healing"
           + (f", 90 % in the 2 s from {well * LOOK_SECONDS:.2f} s after it on" if well is not None else ""))
    load.finish(120)
    kafka.settled(server)
    lost, twice, never, duplicates = ledger.judge(server.all_rows(ledger.barrier()))
    t.note(f"{ledger.distinct_sent()} events, {ledger.sent} sends; lost {lost}, counted twice {twice}, counted but never sent {never}, duplicates {duplicates}")
    equal((lost, twice, never), (0, 0, 0), "lost, counted twice, counted but never sent")
    equal(ledger.position_clashes[:5], [], "positions acknowledged twice")
    check(well is not None, f"2 s windows after healing: {[round(rate) for rate in after]} events/s, before: {before:.0f}")
    equal(server.stop(), 0, "exit code")
