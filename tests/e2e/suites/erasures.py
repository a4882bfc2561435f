"""DELETE /admin/v1/visitors: a visitor is gone from the log and the stores, and no number moves."""

import json
import os
import random
import time

import harness
from harness import ADMIN_KEY, AGENT, Client, Server, Suite, check, equal

suite = Suite("erasures", "contract section 6: totals and uniques stay, nothing says who it was, and a replay does not bring it back",
              flags={"log.shards": 4, "shards.sync_ms": 100})

NOON = 1_753_185_600
SOMEBODY = {"user_ip": "203.0.113.217", "agent": "SomebodysOwnBrowser/7.31 (Linux) like no other"}
QUESTIONS = [{}, {"group_by": "browser"}, {"group_by": "country", "sort": "-unique_clicks"}, {"ad_id": 3, "granularity": "minute", "since": "2025-07-22T12:00:00Z", "until": "2025-07-22T12:10:00Z"}]


def _fill(server, name, count=6_000, somebody=25):
    """Clicks of many visitors on 9 ads, every so many of them somebody's; the positions of the newest."""
    positions = {}
    for start in range(0, count, 1_000):
        events = [{"type": "click", "event_id": f"{name}-{n}", "ad_id": 1 + n % 9, "timestamp": NOON + n // 20,
                   **(SOMEBODY if n % somebody == 0 else {"user_ip": f"198.51.{n % 100}.{n % 7}", "agent": f"{AGENT} {n % 11}"})}
                  for n in range(start, start + 1_000)]
        positions.update(server.post_json("/api/v1/ads/events", events).expect(202).json()["positions"])
    return [f"{shard}:{offset}" for shard, offset in positions.items()]


def _answers(server, after):
    """What people look at, without the time of the last event and the like."""
    return [server.analytics(after, limit=1000, **question)["data"] for question in QUESTIONS]


def _records(server):
    for shard in range(4):
        start = 0
        while True:
            reply = server.admin("GET", f"/admin/v1/log/{shard}?from={start}&max=10000").expect(200)
            for line in reply.body.splitlines():
                yield json.loads(line)["record"]
            if int(reply.header("Adtrack-Log-Next")) == start:
                break
            start = int(reply.header("Adtrack-Log-Next"))


def _visitor(server):
    found = {record["visitor"] for record in _records(server) if record.get("agent") == SOMEBODY["agent"]}
    equal(len(found), 1, "visitors with the agent")
    return found.pop()


def _erase(server, name=None):
    done = server.admin("DELETE", "/admin/v1/visitors", name or SOMEBODY).expect(202).json()
    equal(done["status"], "accepted", "status")
    equal(sorted(done["positions"]), ["0", "1", "2", "3"], "shards that it is a record of")
    return done


def _cleared(server, times=1, seconds=60):
    """Waits until no store knows the visitor any more."""
    deadline = time.monotonic() + seconds
    while server.log_text(all_starts=True).count('"event":"erased"') < 4 * times:
        check(time.monotonic() < deadline, lambda: f"not cleared after {seconds} s; {server.log_tail()}")
        time.sleep(0.05)


def _files_with(server, *needles):
    found = []
    for folder, _, names in os.walk(server.data_dir):
        for name in names:
            try:
                with open(os.path.join(folder, name), "rb") as file:
                    data = file.read()
            except FileNotFoundError:  # merged into another one meanwhile
                continue
            found += [(os.path.join(folder, name), needle) for needle in needles if needle in data]
    return found


def _needles(visitor):
    return (SOMEBODY["agent"].encode(), b"203.0.113.0", visitor.encode(), int(visitor, 16).to_bytes(8, "little"))


def _embedded():
    return harness.backend is None


@suite.case("no number moves, nothing of the visitor is in the log or in a file, and a replay has the same digests")
def _(t):
    after = _fill(t.server, "one")
    before = _answers(t.server, after)
    visitor = _visitor(t.server)
    check(_files_with(t.server, *_needles(visitor)), "the visitor is found nowhere, so this search proves nothing")
    done = _erase(t.server)
    equal(done["log"], "rewritten" if _embedded() else "kept", "what becomes of the log")
    positions = [f"{shard}:{offset}" for shard, offset in done["positions"].items()]
    equal(_answers(t.server, positions), before, "answers that hold the erasure")
    _cleared(t.server)
    equal(_answers(t.server, positions), before, "answers once all is cleared")
    needles = _needles(visitor) if _embedded() else _needles(visitor)[3:]
    equal(_files_with(t.server, *needles), [], "files that know the visitor")
    if _embedded():
        equal([record for record in _records(t.server) if visitor in json.dumps(record) or record.get("agent") == SOMEBODY["agent"]], [], "records that know the visitor")
    t.server.restart(hard=True)
    equal(_answers(t.server, positions), before, "answers after kill -9")
    equal(t.server.get("/readyz").expect(200).json().get("degraded", []), [], "degraded")
    equal(t.server.analytics(positions)["complete"], True, "complete, as the shards know their log again")
    digests = [t.server.admin("GET", f"/admin/v1/shards/{shard}/digest").expect(200).json() for shard in range(4)]
    equal(t.server.stop(), 0, "exit code")
    t.server.forget_shards()
    t.server.start()
    equal(_answers(t.server, [f"{one['shard']}:{one['offset'] - 1}" for one in digests]), before, "answers of a replay")
    for one in digests:
        again = t.server.admin("GET", f"/admin/v1/shards/{one['shard']}/digest?offset={one['offset']}&timeout_ms=9000")
        check(again.status == 409 or again.expect(200).json() == one, lambda: f"{again} after the replay, {one} before")  # 409: it stands further on


@suite.case("who comes again is a new visitor, and can be erased by the hash too")
def _(t):
    click = {"type": "click", "ad_id": 3, "timestamp": NOON + 5_000, **SOMEBODY}
    before = t.server.all_rows(_fill(t.server, "two", 1_000, somebody=10**9))[3]
    row = t.server.all_rows([t.server.click(event_id="again", **click)])[3]
    equal((row["click_count"], row["unique_clicks"]), (before["click_count"] + 1, before["unique_clicks"] + 1), "clicks and visitors of the ad")
    again = t.server.all_rows([t.server.click(event_id="again", **click)])[3]
    equal((again["click_count"], again["unique_clicks"], again["duplicates"]), (row["click_count"], row["unique_clicks"], row["duplicates"] + 1), "the same event once more")
    if _embedded():
        visitor = _visitor(t.server)
        done = _erase(t.server, {"visitor": visitor.upper()})
        _cleared(t.server, times=2 if t.server.starts > 1 else 1)
        rows = t.server.all_rows([f"{shard}:{offset}" for shard, offset in done["positions"].items()])
        equal((rows[3]["click_count"], rows[3]["unique_clicks"]), (row["click_count"], row["unique_clicks"]), "the ad's numbers after the second erasure")
        equal([record for record in _records(t.server) if visitor in json.dumps(record)], [], "records that know the visitor")


@suite.case("killed at any moment of it, it ends after the restart and no number moves")
def _(t):
    server = Server(name="killed", flags={"log.shards": 4, "shards.sync_ms": 100}).start()
    after = _fill(server, "killed")
    before = _answers(server, after)
    visitor = _visitor(server)
    done = _erase(server)
    for pause in (0, 0.05, 0.15, 0.3, 0.6):
        time.sleep(pause * random.uniform(0.5, 1.5))
        server.restart(hard=True)
    positions = [f"{shard}:{offset}" for shard, offset in done["positions"].items()]
    equal(_answers(server, positions), before, "answers after the kills")
    needles = _needles(visitor) if _embedded() else _needles(visitor)[3:]
    deadline = time.monotonic() + 60
    while (found := _files_with(server, *needles)) or "adtrack_erasures_pending 0" not in server.get("/metrics").body.decode():
        check(time.monotonic() < deadline, lambda: f"still known after 60 s in {found}; {server.log_tail()}")
        time.sleep(0.2)
    equal(_answers(server, positions), before, "answers once all is cleared")
    equal(server.stop(), 0, "exit code")


@suite.case("it is for the admin, and what names nobody is refused")
def _(t):
    bare = Client(t.server.host, t.server.port)
    try:
        body = json.dumps(SOMEBODY).encode()
        bare.request("DELETE", "/admin/v1/visitors", body, {"Content-Type": "application/json"}).expect_problem(401)
        bare.request("DELETE", "/admin/v1/visitors", body, {"Authorization": f"Bearer {ADMIN_KEY}", "Content-Type": "text/plain"}).expect_problem(415)
    finally:
        bare.close()
    for value, field in (({}, "user_ip"), ({"user_ip": "203.0.113.217"}, "agent"), ({"agent": "x"}, "user_ip"), ({"user_ip": "203.0.113", "agent": ""}, "user_ip"),
                         ({"visitor": "feed"}, "visitor"), ({"visitor": "0" * 16}, "visitor"), ({"visitor": 7}, "visitor"), ({"visitor": "g" * 16}, "visitor"),
                         ({"visitor": "a" * 16, "agent": "x"}, "visitor"), ({"user_ip": "203.0.113.217", "agent": "x" * 1025}, "agent")):
        t.server.admin("DELETE", "/admin/v1/visitors", value).expect_problem(400, field)
    t.server.admin("DELETE", "/admin/v1/visitors", b"{").expect_problem(400)
    equal(t.server.admin("GET", "/admin/v1/visitors").expect_problem(405).header("Allow"), "DELETE, OPTIONS", "Allow")
