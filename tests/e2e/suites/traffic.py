"""Invalid traffic: what is stamped at ingest, on every way in, and the lists that an operator replaces while it runs."""

import itertools
import os
import time

from harness import AGENT, Server, Suite, check, equal, fresh_dir, run_refused

_lists = fresh_dir("lists")


def _write(name, text):
    """Replaces the file as a whole."""
    path = os.path.join(_lists, name)
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(text)
    os.rename(path + ".new", path)
    return path


_NETWORKS = "# data centers\n192.0.2.0/24\n2001:db8:77::-2001:db8:77::ff\n"
FLAGS = {"rules.datacenters_file": _write("networks.txt", _NETWORKS), "rules.bots_file": _write("bots.txt", "# ours\n^acme-reader\n"),
         "rules.reload_ms": "20"}

suite = Suite("traffic", "contract section 5: invalid traffic is kept and counted for one reason, gross = valid + invalid; lists are replaced while running",
              flags=FLAGS)

ADS = "/api/v1/ads"
BOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
PERSON, HOSTED, HOSTED_6 = "198.51.100.7", "192.0.2.9", "2001:db8:77::9"
PREFETCH = {"Sec-Purpose": "prefetch"}
NOON = 1_753_185_600
# What is sent, the request's headers, and the one reason that it is invalid for; None: it is valid.
EVENTS = [
    ({"agent": AGENT, "user_ip": PERSON}, {}, None),
    ({"agent": BOT, "user_ip": PERSON}, {}, "bot"),
    ({"agent": "ACME-Reader (X11; Linux)", "user_ip": PERSON}, {}, "bot"),
    ({"agent": BOT, "user_ip": HOSTED}, PREFETCH, "bot"),
    ({"user_ip": PERSON}, {}, "no_agent"),
    ({"agent": "", "user_ip": HOSTED}, PREFETCH, "no_agent"),
    ({"agent": AGENT, "user_ip": HOSTED}, {}, "datacenter"),
    ({"agent": AGENT, "user_ip": HOSTED_6}, PREFETCH, "datacenter"),
    ({"agent": AGENT, "user_ip": PERSON}, PREFETCH, "prefetch"),
    ({"agent": AGENT, "user_ip": PERSON}, {"Purpose": "prefetch"}, "prefetch"),
]
REASONS = {"bot": 3, "no_agent": 2, "datacenter": 2, "prefetch": 2}
_ads = itertools.count(800_000)
_ids = itertools.count()


def _event(ad, **fields):
    return {"event_id": f"tr-{next(_ids)}", "ad_id": ad, "timestamp": NOON + 60 * next(_ids), **fields}


def _sums(row, valid, reasons):
    equal((row["click_count"], row["invalid_clicks"]), (valid, reasons), f"valid and invalid clicks of {row}")
    equal(row["gross_clicks"], valid + sum(reasons.values()), "gross clicks")


def _row(server, ad, positions=()):
    return server.analytics(positions, ad_id=ad)["data"][0]


def _metric(server, name):
    """The samples of one metric by their labels' text."""
    found = {}
    for line in server.get("/metrics").expect(200).body.decode().splitlines():
        if line.startswith(name):
            labels, _, value = line[len(name):].rpartition(" ")
            found[labels] = float(value)
    return found


def _wait(what, condition, seconds=15):
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.02)
    check(condition(), what)


@suite.case("each click counts as gross, and is valid or invalid for one reason; the client is not told")
def _(t):
    ad, answers = next(_ads), []
    for fields, headers, _reason in EVENTS:
        answers.append(t.server.post_json(f"{ADS}/click", _event(ad, **fields), headers).expect(202).json())
    equal({frozenset(answer) for answer in answers}, {frozenset(("status", "event_id", "position", "durability"))}, "members of the answers")
    equal({answer["status"] for answer in answers}, {"accepted"}, "status")
    row = _row(t.server, ad, [answer["position"] for answer in answers])
    _sums(row, 1, REASONS)
    equal(row["unique_clicks"], 1, "visitors are those of valid clicks")


@suite.case("invalid impressions are not in the click-through rate")
def _(t):
    ad = next(_ads)
    positions = [t.server.post_json(f"{ADS}/impression", _event(ad, **fields), headers).expect(202).json()["position"] for fields, headers, _ in EVENTS]
    positions.append(t.server.click(**_event(ad, agent=AGENT, user_ip=PERSON)))
    row = _row(t.server, ad, positions)
    equal((row["impressions"], row["click_count"], row["ctr"], row["invalid_clicks"]), (1, 1, 1.0, {}), f"counts of {row}")


@suite.case("a batch: each item by its own agent and address, the header by the request")
def _(t):
    for headers, reasons, valid in (({}, {"bot": 3, "no_agent": 2, "datacenter": 2}, 3), (PREFETCH, {"bot": 3, "no_agent": 2, "datacenter": 2, "prefetch": 3}, 0)):
        ad = next(_ads)
        items = [{"type": "click", **_event(ad, **fields)} for fields, _, _ in EVENTS]
        reply = t.server.post_json(f"{ADS}/events", items, headers).expect(202).json()
        equal((reply["accepted"], reply["rejected"]), (len(EVENTS), []), "accepted, rejected")
        _sums(_row(t.server, ad, [f"{shard}:{offset}" for shard, offset in reply["positions"].items()]), valid, reasons)


@suite.case("click links and images: the redirect is the same, the count says why")
def _(t):
    ad = t.server.admin("POST", ADS, {"title": "T", "url": "https://example.com/"}).expect(201).json()["id"]
    # The peer is this machine's own address: no data center's.
    for headers in ({"User-Agent": AGENT}, {"User-Agent": BOT}, {"User-Agent": "curl/8.5.0"}, {}, {"User-Agent": AGENT, "Purpose": "prefetch"}):
        t.server.request("GET", f"{ADS}/{ad}/click", headers=headers).expect(302)
        t.server.request("GET", f"{ADS}/{ad}/impression.gif", headers=headers).expect(200)

    def row():  # none before the first of them is counted
        return next(iter(t.server.analytics(ad_id=ad)["data"]), {"gross_clicks": 0, "impressions": 0})

    def invalid_impressions():
        found = _metric(t.server, "adtrack_events_invalid_total")
        return found.get('{reason="bot",type="impression"}', found.get('{type="impression",reason="bot"}', 0))

    _wait("five clicks", lambda: row()["gross_clicks"] == 5)
    _wait("an impression", lambda: row()["impressions"] == 1)
    _sums(row(), 1, {"bot": 2, "no_agent": 1, "prefetch": 1})
    _wait("invalid impressions", lambda: invalid_impressions() >= 2)


@suite.case("a data center's address is seen behind a trusted proxy, and before it is masked")
def _(t):
    ad = next(_ads)
    server = Server(flags={**FLAGS, "http.trusted_proxies": "127.0.0.1", "rules.datacenters_file": _write("one.txt", "203.0.113.77\n")}, name="proxied").start()
    positions = [server.post_json(f"{ADS}/click", _event(ad), {"User-Agent": AGENT, "X-Forwarded-For": f"203.0.113.{last}"}).expect(202).json()["position"]
                 for last in (76, 77, 78)]
    _sums(_row(server, ad, positions), 2, {"datacenter": 1})
    equal(server.stop(), 0, "exit code")


@suite.case("a list that is replaced is in force while it runs, and what was counted stays; a broken one is said and changes nothing")
def _(t):
    networks, bots = _write("changing.txt", "192.0.2.0/24\n"), _write("changing-bots.txt", "^one\n")
    server = Server(flags={**FLAGS, "rules.datacenters_file": networks, "rules.bots_file": bots}, name="replaced").start()
    usable = lambda name: _metric(server, "adtrack_rules_list_usable").get(f'{{list="{name}"}}')

    def counts(expected, valid):
        ad = next(_ads)
        positions = [server.click(**_event(ad, agent=AGENT, user_ip=address)) for address in ("192.0.2.9", "203.0.113.9")]
        positions += [server.click(**_event(ad, agent=agent, user_ip=PERSON)) for agent in ("One (X11; Linux)", "Two (X11; Linux)")]
        row = _row(server, ad, positions)
        _sums(row, valid, expected)
        return ad

    first = counts({"datacenter": 1, "bot": 1}, 2)
    loaded = lambda: server.log_text().count('"list_loaded"')
    _write("changing.txt", "192.0.2.0/24\n203.0.113.0/24\n")
    _write("changing-bots.txt", "^one\n^two\n")
    _wait("both lists are loaded", lambda: loaded() >= 2)
    counts({"datacenter": 2, "bot": 2}, 0)
    _write("changing.txt", "192.0.2.0/24\nnonsense\n")
    _wait("the list is said to be unusable", lambda: usable("datacenters") == 0)
    equal(usable("agents"), 1, "the other list")
    check("changing.txt, line 2" in server.log_text(), f"the log names file and line: {server.log_tail()}")
    degraded = lambda: server.get("/readyz").expect(200).json()["degraded"]
    _wait("/readyz says so", lambda: any("list of datacenters" in text and "line 2" in text for text in degraded()))
    counts({"datacenter": 2, "bot": 2}, 0)
    _write("changing.txt", "")
    _wait("the list is usable again", lambda: usable("datacenters") == 1)
    _wait("/readyz says that, too", lambda: degraded() == [])
    counts({"bot": 2}, 2)
    server.restart(hard=True)
    _sums(_row(server, first), 2, {"datacenter": 1, "bot": 1})
    equal(server.stop(), 0, "exit code")


@suite.case("a file that is missing or broken at the start is refused with its name")
def _(t):
    for setting, name, text in (("rules.agents_file", "no.yaml", None), ("rules.agents_file", "bad.yaml", "os_parsers: 5\n"), ("rules.bots_file", "bad.re", "(\n"),
                                ("rules.datacenters_file", "bad.txt", "10.0.0.0/8\n10.0.0.0/99\n"), ("rules.country_file", "bad.mmdb", "nothing")):
        path = os.path.join(_lists, name) if text is None else _write(name, text)
        code, said = run_refused(Server(flags={setting: path}, name="refused"))
        equal(code, 2, f"exit code with {setting} {name}")
        check(name in said, f"what is said names {name}: {said[-400:]}")


@suite.case("a visitor's next click on an ad within two seconds of the valid one is a repeat, also after kill -9; in no other order and for nobody else")
def _(t):
    server = Server(name="repeats").start()
    ad, positions = next(_ads), []

    def click(second, event_id=None, address=PERSON, to=ad, **fields):
        body = {"event_id": event_id or f"rp-{next(_ids)}", "ad_id": to, "user_ip": address, "agent": AGENT, "timestamp": NOON + second, **fields}
        positions.append(server.post_json(f"{ADS}/click", body).expect(202).json()["position"])

    click(0, "first")
    click(0)           # a repeat
    click(1)           # a repeat
    click(2)           # valid: two seconds after the valid one, whatever came between
    click(3)           # a repeat of that
    click(1)           # valid: earlier than the latest
    click(0, "first")  # a duplicate, and no repeat
    click(3, address="198.51.100.8")
    click(3, to=ad + 100_000)
    click(100, agent=BOT)  # invalid for another reason, so it is not what others repeat
    click(101)
    server.kill()
    server.start()
    click(102)         # a repeat of what was before the kill
    click(103)
    row = _row(server, ad, positions)
    _sums(row, 6, {"repeat": 4, "bot": 1})
    equal(row["duplicates"], 1, "duplicates")
    equal(row["unique_clicks"], 2, "visitors")
    _sums(_row(server, ad + 100_000), 1, {})
    page = server.post_json(f"{ADS}/impression", {"event_id": "imp-1", "ad_id": ad, "user_ip": PERSON, "agent": AGENT, "timestamp": NOON}).expect(202)
    again = server.post_json(f"{ADS}/impression", {"event_id": "imp-2", "ad_id": ad, "user_ip": PERSON, "agent": AGENT, "timestamp": NOON}).expect(202)
    equal(_row(server, ad, [page.json()["position"], again.json()["position"]])["impressions"], 2, "impressions: they have no repeats")
    equal(server.stop(), 0, "exit code")
