"""Promises 1 and 6: what was answered is there after every kind of end."""

import json

from harness import AGENT, Server, Suite, check, equal
from load import Events, Ledger, Load

suite = Suite("restart", "promises 1, 2 and 4: the same answers after a stop, a kill -9, and both again")

EVENTS = 20_000


def _data(server):
    """All rows, without what may differ between two looks at the same state: nothing."""
    return json.dumps(server.all_rows(), sort_keys=True)


@suite.case(f"{EVENTS} events give the same answer after a stop, a kill -9 at rest and a kill -9 right after the ack")
def _(t):
    server = Server(name="restart").start()
    ledger = Ledger(Events("rs", 700, 1_753_185_600))
    ledger.positions = set()
    Load(server, ledger, range(EVENTS)).start().join(120)
    before = server.all_rows(ledger.barrier())
    equal(ledger.judge(before), (0, 0, 0, 0), "lost, twice, never sent, duplicates")
    for what in ("a stop", "a kill", "a stop"):
        server.restart(hard=what == "a kill")
        equal(server.all_rows(ledger.barrier()), before, f"rows after {what}")
    last = server.click(event_id="last", ad_id=1, user_ip="198.51.100.1", agent=AGENT, timestamp=1_753_185_600)
    server.restart(hard=True)
    after = server.all_rows([last])
    equal(after[1]["gross_clicks"], before.get(1, {"gross_clicks": 0})["gross_clicks"] + 1, "clicks of ad 1 after a kill right after the ack")
    check(last not in ledger.positions, f"position {last} was given before")
    equal(ledger.position_clashes, [], "positions given twice")
    equal(server.stop(), 0, "exit code")


@suite.case("windows and visitors are the same after a kill -9")
def _(t):
    server = Server(name="restart-windows").start()
    positions = [server.click(event_id=f"w{i}", ad_id=1 + i % 5, user_ip=f"203.0.113.{i % 50}", agent=AGENT, timestamp=1_753_185_600 + i * 61, play_time_secs=i % 90)
                 for i in range(400)]
    windows = [{}, {"since": "2025-07-22T12:30:00Z"}, {"until": "2025-07-22T12:30:30Z"}, {"since": "2025-07-22T12:10:01Z", "until": "2025-07-22T13:59:59Z", "ad_id": [1, 4]}]
    before = [server.analytics(positions, **w)["data"] for w in windows]
    server.restart(hard=True)
    equal([server.analytics(positions, **w)["data"] for w in windows], before, "rows")
    equal(server.stop(), 0, "exit code")


@suite.case("without the shards' own store the log alone gives the same rows")
def _(t):
    server = Server(name="replay").start()
    ledger = Ledger(Events("rp", 300, 1_753_185_600))
    Load(server, ledger, range(5000)).start().join(60)
    before = server.all_rows(ledger.barrier())
    equal(server.stop(), 0, "exit code")
    server.forget_shards()
    server.start()
    equal(server.all_rows(ledger.barrier()), before, "rows after a replay of the log")
    equal(server.stop(), 0, "exit code")
