"""Events of other producers: written to the inbox by kcat, with keys of their own, some twice, some of them garbage."""

import json
import random
import time

import kafka
from harness import AGENT, Server, Suite, check, equal

suite = Suite("kafka_inbox", "architecture, other producers: what is written to the inbox is checked, masked, stamped and counted once each; garbage is kept aside")

EVENTS, REPEATED, GARBAGE = 100_000, 10_000, 10_000
ADS = 1000
NOON = 1_753_185_600


def _event(number, **changes):
    fields = {"type": "click", "event_id": f"in-{number}", "ad_id": 1 + number % ADS, "user_ip": f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}",
              "agent": AGENT, "play_time_secs": number % 60, "timestamp": NOON + number % 3600}
    fields.update(changes)
    return json.dumps({name: value for name, value in fields.items() if value is not ...}).encode()


def _with_keys(generator, lines):
    """Keys have no meaning for the inbox: the copies of one event may stand in different partitions."""
    return [b"%d\t%s" % (generator.randrange(1 << 30), line) for line in lines]


def _taken(server, result):
    return kafka.total(kafka.metrics(server), "adtrack_inbox_records_total", result=result)


def _wait(server, accepted, quarantined, seconds):
    kafka.wait_for(f"{accepted} accepted and {quarantined} quarantined", seconds,
                   lambda: _taken(server, "accepted") >= accepted and _taken(server, "quarantined") >= quarantined, server, 0.2)
    kafka.wait_for("no lag of the inbox", 20, lambda: kafka.total(kafka.metrics(server), "adtrack_inbox_lag_records") == 0, server, 0.2)
    kafka.settled(server)


def _start(name):
    cluster = kafka.cluster()
    flags = cluster.flags()
    return cluster, flags["kafka.topic_prefix"] + ".inbox", Server(flags=flags, name=name).start()


@suite.case(f"{EVENTS} events by kcat, {REPEATED} of them twice, are counted once each")
def _(t):
    cluster, inbox, server = _start("inbox")
    generator = random.Random(t.options.seed)
    lines = [_event(number) for number in range(EVENTS)]
    lines += generator.sample(lines, REPEATED)
    generator.shuffle(lines)
    started = time.monotonic()
    cluster.produce(inbox, _with_keys(generator, lines), key_separator="\t")
    wrote = time.monotonic() - started
    _wait(server, EVENTS + REPEATED, 0, 120)
    took = time.monotonic() - started
    rows = server.all_rows()
    t.note(f"{len(lines)} records written in {wrote:.1f} s, all counted {took:.1f} s after the first: {len(lines) / took:.0f}/s")
    equal({ad: row["gross_clicks"] for ad, row in rows.items()}, {ad: EVENTS // ADS for ad in range(1, ADS + 1)}, "clicks by ad")
    equal(sum(row["duplicates"] for row in rows.values()), REPEATED, "duplicates")
    equal(sum(row["conflicts"] for row in rows.values()), 0, "conflicts")
    equal(sum(row["unique_clicks"] for row in rows.values()), EVENTS, "visitors")
    server.restart(hard=True)
    kafka.settled(server)
    after = server.all_rows()
    equal({ad: row["gross_clicks"] for ad, row in after.items()}, {ad: row["gross_clicks"] for ad, row in rows.items()}, "clicks after kill -9")
    equal(server.post_json("/api/v1/ads/click", {name: value for name, value in json.loads(_event(7)).items() if name != "type"}).expect(202).json()["durability"], "log",
          "durability of the same event by HTTP")
    kafka.settled(server)
    equal(sum(row["gross_clicks"] for row in server.all_rows().values()), EVENTS, "clicks after one of the inbox came by HTTP too")
    equal(server.stop(), 0, "exit code")


@suite.case(f"{GARBAGE} garbage records in the inbox are quarantined, shown without addresses, and the events between them count")
def _(t):
    cluster, inbox, server = _start("inbox-garbage")
    generator = random.Random(t.options.seed)
    kinds = [lambda n: b"{garbage %d" % n, lambda n: b"\xff\xfe%d" % n, lambda n: b"[%d]" % n, lambda n: b'"192.0.2.77 %d"' % n,
             lambda n: _event(n, type=...), lambda n: _event(n, type="sale"), lambda n: _event(n, ad_id=0), lambda n: _event(n, ad_id="7"),
             lambda n: _event(n, user_ip="192.0.2.77.1"), lambda n: _event(n, event_id="x" * 129)]
    lines = [kinds[n % len(kinds)](1_000_000 + n) for n in range(GARBAGE)] + [_event(n) for n in range(2000)]
    generator.shuffle(lines)
    cluster.produce(inbox, _with_keys(generator, lines), key_separator="\t")
    started = time.monotonic()
    _wait(server, 2000, GARBAGE, 120)
    t.note(f"{len(lines)} records taken in {time.monotonic() - started:.1f} s after the last was written")
    equal(sum(row["gross_clicks"] for row in server.all_rows().values()), 2000, "clicks")
    page = server.admin("GET", "/admin/v1/quarantine?source=inbox&max=1000").expect(200)
    equal(page.json()["total"], GARBAGE, "total of the inbox's quarantine")
    equal(server.admin("GET", "/admin/v1/quarantine").expect(200).json()["total"], 0, "total of the log's own quarantine")
    check(b"192.0.2.77" not in page.body, "a full address stands in the quarantine")
    for entry in page.json()["data"]:
        check(entry["source"] == "inbox" and entry["reason"].startswith("inbox_"), f"entry {entry}")
    equal(server.stop(), 0, "exit code")


@suite.case("kill -9 while the inbox is taken in: each counts once")
def _(t):
    cluster, inbox, server = _start("inbox-kill")
    generator = random.Random(t.options.seed)
    count, kills = 80_000, 6
    cluster.produce(inbox, _with_keys(generator, [_event(n) for n in range(count)]), key_separator="\t")
    for _ in range(kills):
        time.sleep(generator.uniform(0, 0.4))
        server.restart(hard=True)
    # On one page: ads come between two pages of an answer while events are taken in.
    kafka.wait_for("all of them counted", 60, lambda: sum(row["gross_clicks"] for row in server.analytics(limit=ADS)["data"]) >= count, server, 0.3)
    kafka.settled(server)
    rows = server.all_rows()
    t.note(f"{kills} kills, {sum(row['duplicates'] for row in rows.values())} of {count} events were appended once more")
    equal({ad: row["gross_clicks"] for ad, row in rows.items()}, {ad: count // ADS for ad in range(1, ADS + 1)}, "clicks by ad")
    equal(server.stop(), 0, "exit code")
