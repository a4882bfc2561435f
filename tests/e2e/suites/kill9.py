"""Promises 1 and 2 under kill -9 at random moments, with a client that retries and keeps a ledger."""

import random
import time

from harness import Server, Suite, check, equal
from load import Events, Ledger, Load

suite = Suite("kill9", "promises 1 and 2: lost 0, counted twice 0, counted but never sent 0, under load and kill -9")


@suite.case("kills at random moments lose nothing, double nothing and invent nothing")
def _(t):
    generator = random.Random(t.options.seed)
    server = Server(name="kill9").start()
    events = Events(f"k{t.options.seed}", 2000, 1_753_185_600)
    ledger = Ledger(events)
    ledger.positions = set()
    load = Load(server, ledger, iter(range(1 << 30)), connections=48).start()
    up = slowest_start = 0.0
    for _ in range(t.options.kills):
        lived = generator.uniform(0.2, 1.5)
        time.sleep(lived)
        up += lived
        load.raise_error()
        check(server.alive(), lambda: f"the server died by itself: {server.log_tail()}")
        server.kill()
        if generator.random() < 0.25:  # kill it while it recovers, too
            server.spawn()
            time.sleep(generator.uniform(0.0, 0.15))
            server.kill()
        started = time.monotonic()
        server.start()
        slowest_start = max(slowest_start, time.monotonic() - started)
    acked_while_killed = ledger.acked
    load.finish()
    rows = server.all_rows(ledger.barrier())
    lost, twice, never, duplicates = ledger.judge(rows)
    t.note(f"{t.options.kills} kills, {ledger.distinct_sent()} events, {ledger.sent} sends, {ledger.broken} unanswered, {acked_while_killed / up:.0f} acknowledged events/s "
           f"while up, slowest start {slowest_start:.2f} s")
    t.note(f"lost {lost}, counted twice {twice}, counted but never sent {never}, duplicates {duplicates}")
    equal((lost, twice, never), (0, 0, 0), "lost, counted twice, counted but never sent")
    equal(ledger.position_clashes[:5], [], "positions acknowledged twice")
    check(ledger.acks - ledger.acked <= duplicates <= ledger.sent - ledger.distinct_sent(),
          f"duplicates {duplicates} are not between {ledger.acks - ledger.acked} and {ledger.sent - ledger.distinct_sent()}")

    # Row sums could hide a lost event behind a doubled one: each identity, sent again, must be known.
    again = Ledger(events)
    Load(server, again, range(ledger.distinct_sent()), connections=48).start().join(300)
    rows = server.all_rows(again.barrier())
    equal(sum(row["gross_clicks"] for row in rows.values()), ledger.distinct_sent(), "events counted after all were sent again")
    equal(sum(row["duplicates"] for row in rows.values()) - duplicates, again.sent, "duplicates added by sending all again")
    equal(server.stop(), 0, "exit code")
