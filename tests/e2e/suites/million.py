"""Promise 2 in bulk: every event five times, in an order of its own, over three restarts."""

import array
import random
import time

from harness import Server, Suite, equal
from load import Events, Ledger, Load

suite = Suite("million", "promise 2: N events sent 5 times each over 3 restarts count N, with 4 N duplicates")


@suite.case("each event five times over a stop, a kill -9 and a stop")
def _(t):
    wanted = t.options.events
    server = Server(name="million").start()
    ledger = Ledger(Events("m", max(1000, wanted // 100), 1_753_185_600))
    sends = array.array("I", list(range(wanted)) * 5)
    random.Random(t.options.seed).shuffle(sends)
    load = Load(server, ledger, sends, connections=32, depth=8).start()
    started, resting = time.monotonic(), 0.0
    for turn, hard in enumerate((False, True, False), 1):
        while ledger.sent < len(sends) * turn // 4:
            load.raise_error()
            time.sleep(0.01)
        rested = time.monotonic()
        load.pause()
        server.restart(hard)
        load.resume()
        resting += time.monotonic() - rested
    load.join(len(sends) / 500 + 60)
    took = time.monotonic() - started - resting
    rows = server.all_rows(ledger.barrier())
    lost, twice, never, duplicates = ledger.judge(rows)
    t.note(f"{wanted} events, {ledger.sent} sends, {ledger.refused} answered 503, {ledger.broken} unanswered, {ledger.sent / took:.0f} events/s, "
           f"restarts took {resting:.1f} s together")
    equal((lost, twice, never), (0, 0, 0), "lost, counted twice, counted but never sent")
    equal(sum(row["gross_clicks"] for row in rows.values()), wanted, "events counted")
    equal((ledger.refused, ledger.broken), (0, 0), "refused or unanswered sends (the load was at rest for each restart)")
    equal(duplicates, 4 * wanted, "duplicates")
    equal(server.stop(), 0, "exit code")
